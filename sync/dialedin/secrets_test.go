package dialedin_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/sync/dialedin"
)

// canaries are what must never come out, in the forms in which it could.
func canaries() []string {
	view := lead()
	var out []string
	for _, secret := range []string{token, accID} {
		out = append(out, secret, url.QueryEscape(secret), url.PathEscape(secret), hex.EncodeToString([]byte(secret)),
			base64.StdEncoding.EncodeToString([]byte(secret)), base64.URLEncoding.EncodeToString([]byte(secret)))
	}
	for _, personal := range []string{view.Phone, "3055550123", "(305) 555-0123", view.FirstName, view.LastName, view.Email, view.Address, view.BusinessName, "second oven"} {
		out = append(out, personal, strings.ToUpper(personal))
	}
	return append(out, base64.StdEncoding.EncodeToString([]byte(view.LastName)), hex.EncodeToString([]byte("3055550123")))
}

func TestNothingSecretComesOut(t *testing.T) {
	t.Parallel()
	var (
		status int
		text   string
	)
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://[::1/?token="+url.QueryEscape(token)+"&n=Quackenbush")
		answer(status, text)(w, r)
	})
	// The cut of an excerpt hides what stands far behind, so the canaries take turns in front.
	for i := 0; i < len(canaries()); i += 6 {
		echo := strings.Join(append(canaries()[i:], canaries()[:i]...), " | ")
		for _, status = range []int{200, 302, 400, 401, 404, 429, 500} {
			for _, prefix := range []string{"", "Result: ", "CURL error[400]: ", "<html>"} {
				text = prefix + echo
				var log bytes.Buffer
				b := base()
				b.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				client := newClient(t, config(v.URL), b)
				insert, insertErr := client.Insert(t.Context(), lead())
				dnc, dncErr := client.InsertDNC(t.Context(), lead().Phone)
				update, updateErr := client.Update(t.Context(), "x", map[string]string{
					"FirstName": lead().FirstName, "LastName": lead().LastName, "Email": lead().Email, "Business": lead().BusinessName, "Address": lead().Address,
				})
				out := fmt.Sprintf("%+v %v %+v %+v %v", insert, insertErr, insertErr, update, updateErr) + log.String()
				if insertErr == nil || dncErr == nil || updateErr == nil {
					t.Fatalf("status %d: an echo was taken for a success", status)
				}
				// These requests do not know the lead's names, so only what they carry is theirs to hide.
				for _, c := range canaries()[:12] {
					if strings.Contains(fmt.Sprintf("%+v %v", dnc, dncErr), c) {
						t.Errorf("status %d: %q came out of InsertDNC", status, c)
					}
				}
				for _, c := range canaries() {
					if c != "second oven" && c != "SECOND OVEN" && strings.Contains(out, c) {
						t.Fatalf("status %d, %q: %q came out: %s", status, prefix, c, out)
					}
					if strings.Contains(fmt.Sprintf("%+v %v", insert, insertErr), c) {
						t.Fatalf("status %d, %q: %q came out of Insert: %+v %v", status, prefix, c, insert, insertErr)
					}
				}
			}
		}
	}
}

func TestAcceptedVariantIsLogged(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		"<br class='Quackenbush'>\nResult:  OK\n": `"answer":"\"<>\\nResult:  OK\\n\""`,
		"Result: OK for Quackenbush":              `"answer":""`,
	} {
		var log bytes.Buffer
		b := base()
		b.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c := config(newVendor(t, answer(200, body)).URL)
		c.Patterns = map[dialedin.Class]string{dialedin.ClassAccepted: "^result: ok"}
		if outcome, err := newClient(t, c, b).Insert(t.Context(), lead()); err != nil {
			t.Errorf("%q: outcome %+v, error %v", body, outcome, err)
		}
		if !strings.Contains(log.String(), want) || strings.Contains(log.String(), "Quackenbush") {
			t.Errorf("%q: logged %s, want %s", body, log.String(), want)
		}
	}
}
