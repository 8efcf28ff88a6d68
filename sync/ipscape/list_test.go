package ipscape

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestListRequest(t *testing.T) {
	t.Parallel()
	brisbane := time.FixedZone("", 10*3600)
	from := time.Date(2024, 3, 2, 10, 0, 0, 999, brisbane)
	to := time.Date(2024, 3, 2, 11, 0, 0, 1, brisbane)
	tests := []struct {
		name  string
		ask   ListRequest
		alone bool
		want  url.Values
	}{
		{"nothing", ListRequest{}, false, url.Values{}},
		{"bounds", ListRequest{From: from, To: to}, false, url.Values{
			"uploadedTimestampFrom": {"2024-03-02T00:00:00Z"}, "uploadedTimestampTo": {"2024-03-02T01:00:01Z"},
		}},
		{"whole seconds", ListRequest{To: to.Truncate(time.Second)}, false, url.Values{"uploadedTimestampTo": {"2024-03-02T01:00:00Z"}}},
		{"filters", ListRequest{Filters: map[string]string{"campaignId": "12", "listId": "", "cursor": "x"}}, false, url.Values{"campaignId": {"12"}}},
		{"cursor", ListRequest{From: from, Cursor: "a+b/c=&d"}, false, url.Values{"uploadedTimestampFrom": {"2024-03-02T00:00:00Z"}, "cursor": {"a+b/c=&d"}}},
		{"cursor alone", ListRequest{From: from, Cursor: "c", Filters: map[string]string{"a": "b"}}, true, url.Values{"cursor": {"c"}}},
		{"no cursor, alone", ListRequest{From: from}, true, url.Values{"uploadedTimestampFrom": {"2024-03-02T00:00:00Z"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var header http.Header
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				header = req.Header
				answerJSON(`{"items":[]}`)(w, req)
			}, func(c *Config) {
				c.CursorAlone = tt.alone
				c.ExtraHeaders = map[string]string{"x-organisation": "Acme Finance"}
			})
			page, err := r.ListLeads(t.Context(), tt.ask, nil, discard)
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(r.requests()[0])
			if err != nil || u.Path != "/platform-api/v3.0/leads" {
				t.Errorf("path %q, %v", u.Path, err)
			}
			if diff := cmp.Diff(tt.want, u.Query()); diff != "" {
				t.Error(diff)
			}
			if header.Get("Authorization") != "Bearer "+testToken || header.Get("X-Organisation") != "Acme Finance" || header.Get("Accept") != "application/json" {
				t.Errorf("headers %v", header)
			}
			if page.AskedAt.IsZero() || page.AskedAt.Location() != time.UTC || page.VendorTime.IsZero() {
				t.Errorf("page %+v", page)
			}
		})
	}
}

func TestListWalk(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"":   `{"metadata":{"nextUri":"/v3.0/activities?cursor=p2"},"items":[{"n":1},{"n":2}]}`,
		"p2": `{"items":[],"metadata":{"nextUri":"/platform-api/v3.0/activities?cursor=p3"}}`,
		"p3": `{"metadata":{"nextUri":null},"items":[{"n":3}]}`,
	}
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		w.Header()["Date"] = nil
		answerJSON(pages[req.URL.Query().Get("cursor")])(w, req)
	})
	var items, nexts []string
	ask := ListRequest{From: time.Unix(1709337600, 0)}
	for {
		page, err := r.ListActivities(t.Context(), ask, func(cursor string) { nexts = append(nexts, cursor) }, collect(&items))
		if err != nil {
			t.Fatal(err)
		}
		if !page.VendorTime.IsZero() {
			t.Errorf("a vendor time without a Date header: %v", page.VendorTime)
		}
		if page.Next == "" {
			break
		}
		ask.Cursor = page.Next
	}
	if want := []string{`{"n":1}`, `{"n":2}`, `{"n":3}`}; !cmp.Equal(items, want) {
		t.Errorf("items %v", items)
	}
	if !cmp.Equal(nexts, []string{"p2", "p3"}) {
		t.Errorf("cursors %v", nexts)
	}
	for i, uri := range r.requests() {
		if !strings.Contains(uri, "createdTimestampFrom=2024-03-02T00%3A00%3A00Z") || strings.Contains(uri, "cursor=&") || (i == 0) == strings.Contains(uri, "cursor") {
			t.Errorf("request %d was %s", i, uri)
		}
	}
}

// The next page must be known while this one is still being sent.
func TestNextIsToldEarly(t *testing.T) {
	t.Parallel()
	known := make(chan string, 1)
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		answerJSON(`{"metadata":{"nextUri":"/v3.0/activities?cursor=p2"},"items":[{"n":1}`)(w, req)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-known:
		case <-req.Context().Done():
		}
		_, _ = io.WriteString(w, `]}`)
	})
	page, err := r.ListActivities(t.Context(), ListRequest{}, func(cursor string) { known <- cursor }, discard)
	if err != nil || page.Next != "p2" || page.Items != 1 {
		t.Errorf("page %+v, %v", page, err)
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	pack := func(write func(io.Writer)) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			if !strings.Contains(req.Header.Get("Accept-Encoding"), "gzip") {
				http.Error(w, "no gzip", http.StatusNotAcceptable)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			write(z)
			_ = z.Close()
		}
	}
	r := newRig(t, pack(func(w io.Writer) { _, _ = io.WriteString(w, `{"items":[1,2]}`) }))
	if page, err := r.ListLeads(t.Context(), ListRequest{}, nil, discard); err != nil || page.Items != 2 {
		t.Errorf("%+v, %v", page, err)
	}
	bomb := newRig(t, pack(func(w io.Writer) {
		_, _ = io.WriteString(w, `{"x":"`)
		blanks := bytes.Repeat([]byte(" "), 1<<16)
		for range 1 << 8 {
			_, _ = w.Write(blanks)
		}
		_, _ = io.WriteString(w, `","items":[]}`)
	}))
	bomb.limits.page = 1 << 20
	_, err := bomb.ListLeads(t.Context(), ListRequest{}, nil, discard)
	if vendorapi.KindOf(err) != vendorapi.Malformed || !errors.Is(err, errPageTooLarge) {
		t.Errorf("bomb: %v", err)
	}
}

func TestHugeItem(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
		answerJSON(`{"items":[{"n":1},{"x":"`)(w, req)
		for range maxItemBytes >> 16 {
			_, _ = io.WriteString(w, strings.Repeat("y", 1<<16))
		}
		_, _ = io.WriteString(w, `"},{"n":3}]}`)
	})
	var good, bad []string
	page, err := r.ListLeads(t.Context(), ListRequest{}, nil, func(raw json.RawMessage, e *ItemError) error {
		if e == nil {
			good = append(good, string(raw))
			return nil
		}
		if e.Reason != ReasonTooLarge || len(raw) != maxItemHead || !bytes.HasPrefix(raw, []byte(`{"x":"yyy`)) {
			t.Errorf("%v with %d bytes", e, len(raw))
		}
		bad = append(bad, e.Error())
		return nil
	})
	if err != nil || page.Items != 3 || len(bad) != 1 || !cmp.Equal(good, []string{`{"n":1}`, `{"n":3}`}) {
		t.Errorf("page %+v, good %v, bad %v, %v", page, good, bad, err)
	}
}

func TestEmitError(t *testing.T) {
	t.Parallel()
	r := newRig(t, answerJSON(`{"items":[1,2,3]}`))
	full := errors.New("disk full")
	page, err := r.ListLeads(t.Context(), ListRequest{}, nil, func(raw json.RawMessage, _ *ItemError) error {
		if string(raw) == "2" {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || vendorapi.KindOf(err) != 0 || page.Items != 2 {
		t.Errorf("page %+v, %v", page, err)
	}
}
