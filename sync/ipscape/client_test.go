package ipscape

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestGet(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"/platform-api/v3.0/activities/9001": `{"type":"call.inbound","data":{"activityId":9001}}`,
		"/platform-api/v3.0/leads/7001":      "\uFEFF{\"leadId\":\"7001\"} \n",
		"/platform-api/v3.0/leads/7002":      `{"leadId":7001}`,
		"/platform-api/v3.0/leads/7003":      `{"error":"down"}`,
		"/platform-api/v3.0/leads/7004":      `{"leadId":7004`,
		"/platform-api/v3.0/leads/7005":      `<html>`,
		"/platform-api/v3.0/leads/7006":      `{"leadId":7006}{}`,
		"/platform-api/v3.0/leads/7007":      `{"leadId":7007,"x":"` + strings.Repeat("y", 2000) + `"}`,
	}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		body, ok := bodies[req.URL.Path]
		if !ok {
			http.NotFound(w, req)
			return
		}
		answerJSON(body)(w, req)
	})
	r.limits.item = 1000
	raw, at, err := r.GetActivity(t.Context(), "9001", vendorapi.Reread)
	if err != nil || at.IsZero() || string(raw) != bodies["/platform-api/v3.0/activities/9001"] {
		t.Errorf("got %s, %v, %v", raw, at, err)
	}
	if raw, _, err := r.GetLead(t.Context(), "7001", ""); err != nil || string(raw) != `{"leadId":"7001"}` {
		t.Errorf("got %s, %v", raw, err)
	}
	for id, kind := range map[string]vendorapi.Kind{
		"7002": vendorapi.Malformed, "7003": vendorapi.Malformed, "7004": vendorapi.Transient, "7005": vendorapi.Malformed,
		"7006": vendorapi.Malformed, "7007": vendorapi.Malformed, "7099": vendorapi.Refused,
	} {
		raw, _, err := r.GetLead(t.Context(), id, "")
		if raw != nil || vendorapi.KindOf(err) != kind || errors.Is(err, ErrNotFound) != (id == "7099") {
			t.Errorf("%s: got %s, %v, want %v", id, raw, err, kind)
		}
	}
	before := len(r.requests())
	for _, id := range []string{"", "../lists", "1?x", "-1", "1e3"} {
		if _, _, err := r.GetLead(t.Context(), id, ""); err == nil {
			t.Errorf("id %q was asked for", id)
		}
	}
	if len(r.requests()) != before {
		t.Error("requests were sent for ids that are none")
	}
}

// Nothing that goes wrong may show the token, in any of its forms.
func TestNoSecret(t *testing.T) {
	t.Parallel()
	forms := []string{
		testToken, url.QueryEscape(testToken), url.PathEscape(testToken),
		base64.StdEncoding.EncodeToString([]byte(testToken)), base64.URLEncoding.EncodeToString([]byte(testToken)), hex.EncodeToString([]byte(testToken)),
		"extra-header-value",
	}
	echo := strings.Join(forms, " ")
	handlers := map[string]http.HandlerFunc{
		"closed": nil,
		"cut": func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		},
		"html": func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, "<html>%s", echo) },
		"member names": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"%s":1,"%s":2}`, forms[0], forms[5])
		},
		"foreign":       answerJSON(`{"metadata":{"nextUri":"https://evil.example/` + testToken + `?cursor=c"},"items":[]}`),
		"bad next":      answerJSON(`{"metadata":{"nextUri":"/x?y=` + url.QueryEscape(testToken) + `"},"items":[]}`),
		"redirect":      func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, "/"+forms[2], http.StatusFound) },
		"not an object": answerJSON(`"` + echo + `"`),
		"wrong encoding": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, echo)
		},
	}
	for _, status := range []int{400, 401, 403, 404, 410, 422, 429, 500, 503} {
		handlers[strconv.Itoa(status)] = func(w http.ResponseWriter, req *http.Request) {
			http.Error(w, req.Header.Get("Authorization")+" "+echo, status)
		}
	}
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			extra := func(c *Config) { c.ExtraHeaders = map[string]string{"X-Key": "extra-header-value"} }
			var r *rig
			if handler == nil {
				r = &rig{}
				r.Client = newTestClient(t, "http://127.0.0.1:1", r, extra)
			} else {
				r = newRig(t, handler, extra)
			}
			_, err1 := r.ListActivities(t.Context(), ListRequest{Cursor: "c"}, nil, discard)
			_, _, err2 := r.GetLead(t.Context(), "7001", "")
			if err1 == nil || err2 == nil {
				t.Fatal("no error")
			}
			shown := fmt.Sprintf("%v %+v %#v %v %+v %#v %s", err1, err1, err1, err2, err2, err2, r.logged())
			for _, form := range forms {
				if strings.Contains(shown, form) {
					t.Errorf("%q shows in %s", form, shown)
				}
			}
			if strings.Contains(shown, "127.0.0.1") {
				t.Errorf("a URL shows in %s", shown)
			}
		})
	}
	if text := fmt.Sprintf("%v %+v %#v", Config{Token: testToken}, Config{Token: testToken}, Config{Token: testToken}); strings.Contains(text, testToken) {
		t.Error("the configuration prints the token")
	}
}
