package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// ring posts one add-call request; fields replace or, when empty, drop the defaults.
func (r *rig) ring(fields map[string]any) (int, string, error) {
	r.t.Helper()
	body := map[string]any{"widget_key": r.env["CONVOLO_WIDGET_KEY"], "api_key": r.env["CONVOLO_API_KEY"], "lc_number": "+15034251234", "country": "US", "lc_param_ref": "d-1"}
	for k, v := range fields {
		body[k] = v
		if v == nil {
			delete(body, k)
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.env["CONVOLO_URL"], strings.NewReader(string(text)))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	status, answer, err := r.send(req)
	return status, string(answer), err
}

func TestConvoloCalls(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	status, body, err := r.ring(map[string]any{"lc_param_Name": "Ana", "lc_param_agent01name": "Dana", "lc_param_agent01phone": "+15034250190"})
	if err != nil || status != http.StatusOK || body != `{"success":true}` {
		t.Fatalf("%d %s %v", status, body, err)
	}
	r.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorConvolo, Kind: sandbox.FaultCutAfter})
	if _, _, err := r.ring(map[string]any{"lc_param_ref": "d-2"}); err == nil {
		t.Error("not cut")
	}
	calls := r.Convolo().Calls()
	if len(calls) != 2 || calls[0].Ref != "d-1" || calls[0].Phone != "+15034251234" || calls[0].Params["name"] != "Ana" || len(calls[0].ID) != 32 {
		t.Errorf("calls %+v", calls)
	}
	if got := r.Convolo().RingsByRef(); got["d-1"] != 1 || got["d-2"] != 1 {
		t.Errorf("rings %v", got)
	}
	r.wantNoViolations()
}

func TestConvoloRefusals(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	for _, c := range []struct {
		fields map[string]any
		status int
		text   string
	}{
		{map[string]any{"widget_key": "other"}, 403, ""},
		{map[string]any{"api_key": "other"}, 403, ""},
		{map[string]any{"lc_number": nil}, 400, "missing required parameter lc_number"},
		{map[string]any{"lc_number": "503-425-1234"}, 400, "lc_number is not in international form"},
		{map[string]any{"lc_param_" + strings.Repeat("x", 21): "v"}, 400, "over 20 characters"},
		{map[string]any{"lc_param_a-b": "v"}, 400, "characters that are not allowed"},
		{map[string]any{"lc_param_Ref": "v"}, 400, "differ by case"},
		{map[string]any{"lc_param_agent01name": "Dana"}, 400, "without its name or phone"},
		{map[string]any{"1c_param_ref": "v"}, 400, "unknown parameter 1c_param_ref"},
		{map[string]any{"future_unixstamp": "1"}, 400, "unknown parameter future_unixstamp"},
		{map[string]any{"country": "USA"}, 400, "two-letter"},
	} {
		status, body, err := r.ring(c.fields)
		if err != nil || status != c.status || !strings.Contains(body, `"success":false`) {
			t.Errorf("%v: %d %s %v", c.fields, status, body, err)
		}
		if c.text != "" {
			r.wantViolation(c.text)
		}
	}
	if n := len(r.Convolo().Calls()); n != 0 {
		t.Errorf("%d calls", n)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, strings.TrimSuffix(r.env["CONVOLO_URL"], "/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, err := r.send(req); err != nil || status != http.StatusMovedPermanently {
		t.Errorf("without its slash: %d %v", status, err)
	}
	req, err = http.NewRequestWithContext(t.Context(), http.MethodGet, r.env["CONVOLO_URL"]+"?api_key="+r.env["CONVOLO_API_KEY"]+"&widget_key="+r.env["CONVOLO_WIDGET_KEY"]+"&lc_number=%2B15034251234", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, err := r.send(req); err != nil || status != http.StatusOK {
		t.Errorf("GET: %d %v", status, err)
	}
	r.wantViolation("credential in the url")
	r.wantViolation("sent with GET")
}

// receiver collects posts and answers what it is told.
type receiver struct {
	mu     sync.Mutex
	bodies []string
	paths  []string
	kinds  []string
	answer func(n int) int
	*httptest.Server
}

func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.bodies, r.paths, r.kinds = append(r.bodies, string(body)), append(r.paths, req.URL.String()), append(r.kinds, req.Header.Get("Content-Type"))
		n := len(r.bodies)
		r.mu.Unlock()
		w.WriteHeader(r.answer(n))
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.bodies...)
}

func TestConvoloWebhooks(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	receiver := newReceiver(t, func(n int) int {
		if n == 1 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	const calls = 12
	for range calls {
		if status, _, err := r.ring(nil); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
	}
	want := len(r.Convolo().Pending())
	if want <= calls {
		t.Fatalf("%d webhooks of %d calls", want, calls)
	}
	if err := r.Convolo().Deliver(t.Context(), r.client); err != nil || len(r.Convolo().Pending()) != want {
		t.Errorf("without an address: %v", err)
	}
	r.Convolo().SetWebhook(receiver.URL + "/v1/dialer/convolo/secret")
	// The server delivers by itself from now on, the refused one again.
	for deadline := time.Now().Add(time.Minute); len(r.Convolo().Delivered()) < want; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d delivered", len(r.Convolo().Delivered()), want)
		}
		time.Sleep(5 * time.Millisecond)
	}
	types := map[string]int{}
	for _, body := range receiver.got() {
		hook := decode(t, []byte(body))
		types[hook["type"].(string)]++
		params := hook["lead"].(map[string]any)["custom_params"].(map[string]any)
		if params["ref"] != "d-1" && params["lc_param_ref"] != "d-1" {
			t.Errorf("no reference in %v", params)
		}
	}
	if types["start_call"] == 0 || types["end_call"] <= types["start_call"]-2 {
		t.Errorf("types %v", types)
	}
}
