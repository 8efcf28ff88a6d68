package ipscape

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Every status has one verdict, with and without a cursor. Of those that are tried again, which takes a while, there are a few.
func TestEveryStatus(t *testing.T) {
	t.Parallel()
	verdicts := map[int]vendorapi.Kind{
		204: vendorapi.Malformed, // a list that answers nothing is no empty list
		401: vendorapi.Denied, 403: vendorapi.Denied, 429: vendorapi.Limited,
	}
	for status := 200; status < 500; status++ {
		if _, ok := verdicts[status]; !ok && status >= 300 {
			verdicts[status] = vendorapi.Refused
		} else if !ok {
			verdicts[status] = 0
		}
	}
	for _, status := range []int{408, 500, 501, 502, 503, 504, 507, 529, 599} {
		verdicts[status] = vendorapi.Transient
	}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		status, _ := strconv.Atoi(req.URL.Query().Get("status"))
		if id, ok := strings.CutPrefix(req.URL.Path, "/platform-api/v3.0/leads/"); ok {
			status, _ = strconv.Atoi(id)
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/elsewhere")
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"items":[],"leadId":%d}`, status)
	})
	for status, want := range verdicts {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			filters := map[string]string{"status": strconv.Itoa(status)}
			_, err := r.ListActivities(t.Context(), ListRequest{Cursor: "c", Filters: filters}, nil, discard)
			if vendorapi.KindOf(err) != want || (want == 0) != (err == nil) {
				t.Errorf("got %v, want %v", err, want)
			}
			if refused := status == 400 || status == 410 || status == 422; errors.Is(err, ErrCursorRefused) != refused {
				t.Errorf("cursor refused is %v", !refused)
			}
			if e, ok := errors.AsType[*vendorapi.Error](err); ok && want != vendorapi.Malformed && e.Status != status {
				t.Errorf("status %d in %v", e.Status, err)
			}
			if e, ok := errors.AsType[*vendorapi.Error](err); ok && want == vendorapi.Limited && e.After != 7*time.Second {
				t.Errorf("told to wait %v", e.After)
			}
			if want == vendorapi.Transient {
				return
			}
			if _, err = r.ListActivities(t.Context(), ListRequest{Filters: filters}, nil, discard); vendorapi.KindOf(err) != want || errors.Is(err, ErrCursorRefused) {
				t.Errorf("without a cursor: %v", err)
			}
			_, _, err = r.GetLead(t.Context(), strconv.Itoa(status), "")
			if gone := status == 404 || status == 410; vendorapi.KindOf(err) != want || errors.Is(err, ErrNotFound) != gone {
				t.Errorf("get: %v", err)
			}
		})
	}
	t.Cleanup(func() {
		if strings.Contains(strings.Join(r.requests(), " "), "elsewhere") {
			t.Error("a redirect was followed")
		}
	})
}

// Informational answers come before the real one and change nothing.
func TestInformationalStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []int{100, 102, 103, 199} {
		r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
			w.WriteHeader(status)
			answerJSON(`{"items":[1]}`)(w, req)
		})
		if page, err := r.ListLeads(t.Context(), ListRequest{}, nil, discard); err != nil || page.Items != 1 {
			t.Errorf("%d: %+v, %v", status, page, err)
		}
	}
}

func TestBadAnswers(t *testing.T) {
	t.Parallel()
	login := `<!DOCTYPE html><html><body>Please log in, ` + testToken + `, call +61 400 111 222 or pat@example.com. ` + strings.Repeat("padding ", 100) + `</body></html>`
	send := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = io.WriteString(w, body)
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		kind    vendorapi.Kind
		text    string
	}{
		{"login page", send("text/html; charset=utf-8", login), vendorapi.Malformed, "Please log in"},
		{"login page that says it is JSON", send("application/json", login), vendorapi.Malformed, "Please log in"},
		{"JSON that says it is HTML", send("text/html", `{"items":[]}`), vendorapi.Malformed, "content type"},
		{"a list without its envelope", send("application/json", `[]`), vendorapi.Malformed, "JSON object"},
		{"nothing", send("application/json", ``), vendorapi.Malformed, "empty"},
		{"an error in JSON", send("application/json", `{"error":"Maintenance for Pat Ng","code":5}`), vendorapi.Malformed, `"error code"`},
		{"broken JSON", send("application/json", `{"items":[}]`), vendorapi.Malformed, "missing"},
		{"truncated", send("application/json", `{"items":[{"a":1},{"b"`), vendorapi.Transient, "broke off"},
		{"foreign host", send("application/json", `{"metadata":{"nextUri":"https://evil.example/v3.0/leads?cursor=c"},"items":[]}`), vendorapi.Refused, "another host"},
		{"fewer bytes than promised", func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Length", "1000")
			answerJSON(`{"items":[]}`)(w, req)
		}, vendorapi.Transient, "broke off"},
		{"cut", func(w http.ResponseWriter, req *http.Request) {
			answerJSON(`{"items":[{"a":1},`)(w, req)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, vendorapi.Transient, "broke off"},
		{"not the gzip it says", func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			answerJSON(`{"items":[]}`)(w, req)
		}, vendorapi.Transient, "broke off"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.handler)
			_, err := r.ListLeads(t.Context(), ListRequest{}, nil, discard)
			e, ok := errors.AsType[*vendorapi.Error](err)
			if !ok || e.Kind != tt.kind || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("got %v, want %v with %q", err, tt.kind, tt.text)
			}
			if e.Vendor != "ipscape" || e.Op != OpListLeads || e.Status != http.StatusOK || len(e.Detail) > 200 {
				t.Errorf("error %#v", e)
			}
			for _, private := range []string{"400 111", "pat@", "Pat", testToken} {
				if strings.Contains(err.Error(), private) {
					t.Errorf("%q is in %v", private, err)
				}
			}
		})
	}
}

// A raw server shows what net/http's own would not send.
func TestGarbageInsteadOfHTTP(t *testing.T) {
	t.Parallel()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "SSH-2.0-OpenSSH_9.6\r\n")
			_ = conn.Close()
		}
	}()
	client := newTestClient(t, "http://"+l.Addr().String(), io.Discard)
	_, err = client.ListLeads(t.Context(), ListRequest{}, nil, discard)
	if vendorapi.KindOf(err) != vendorapi.Transient {
		t.Errorf("got %v", err)
	}
}
