package convolo_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/sync/convolo"
)

func canaries() []string {
	view := lead()
	var out []string
	for _, secret := range []string{widgetKey, apiKey} {
		out = append(out, secret, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret)))
	}
	for _, personal := range []string{
		view.Phone, "5035550142", "(503) 555-0142", view.SecondPhone, view.FirstName, view.LastName, view.Email, view.BusinessName, "second oven",
		"Dana Whitlock", "+15035550111",
	} {
		out = append(out, personal, strings.ToUpper(personal))
	}
	return append(out, base64.StdEncoding.EncodeToString([]byte(view.LastName)), hex.EncodeToString([]byte("5035550142")))
}

func TestNothingSecretComesOut(t *testing.T) {
	t.Parallel()
	var (
		status int
		text   string
	)
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://[::1/?k="+url.QueryEscape(apiKey)+"&n=Quackenbush")
		answer(status, "text/plain", text)(w, r)
	})
	// The cut of an excerpt hides what stands far behind, so the canaries take turns in front.
	for i := 0; i < len(canaries()); i += 6 {
		echo := strings.Join(append(canaries()[i:], canaries()[:i]...), " | ")
		quoted, err := json.Marshal(map[string]any{"success": false, "debug": echo})
		if err != nil {
			t.Fatal(err)
		}
		for _, status = range []int{200, 302, 400, 401, 404, 429, 500} {
			for _, text = range []string{echo, string(quoted), "<html>" + echo} {
				var log bytes.Buffer
				b := base()
				b.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				c := config(v.URL)
				c.Agents = []convolo.Agent{{Name: "Dana Whitlock", Phone: "+15035550111"}}
				client := newClient(t, c, b)
				outcome, err := client.StartCall(t.Context(), ref, lead(), map[string]string{"purpose": "second oven"})
				out := fmt.Sprintf("%+v %v %+v", outcome, err, err) + log.String() + fmt.Sprintf("%v %+v %#v", c, c, c)
				for _, canary := range canaries() {
					// The printed configuration holds the agents, as an operator set them.
					if strings.Contains(strings.ReplaceAll(out, fmt.Sprintf("%v %+v %#v", c, c, c), ""), canary) {
						t.Fatalf("status %d: %q came out: %s", status, canary, out)
					}
				}
				for _, secret := range []string{widgetKey, apiKey} {
					if strings.Contains(out, secret) {
						t.Fatalf("%q is printed with the configuration", secret)
					}
				}
			}
		}
	}
}
