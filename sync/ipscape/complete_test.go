package ipscape

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// TestCompleteLeadReadsBack completes a lead at a vendor that says yes to everything: only what it shows afterwards counts.
func TestCompleteLeadReadsBack(t *testing.T) {
	t.Parallel()
	const open, complete = `{"leadId":7001,"completed":false}`, `{"leadId":7001,"completed":true}`
	for name, c := range map[string]struct {
		put, get int
		before   string
		after    string
		kind     vendorapi.Kind // 0 = done
		puts     int
	}{
		"complete":             {204, 200, open, complete, 0, 1},
		"complete before":      {204, 200, complete, complete, 0, 0},
		"not complete":         {204, 200, open, open, vendorapi.Unknown, 1},
		"says nothing":         {204, 200, open, `{"leadId":7001}`, vendorapi.Unknown, 1},
		"gone":                 {404, 404, `{}`, `{}`, 0, 0},
		"no such address":      {404, 200, open, open, vendorapi.Unknown, 1},
		"an address gone":      {410, 200, open, open, vendorapi.Unknown, 1},
		"not found, but there": {404, 200, open, complete, 0, 1},
		"forbidden":            {403, 200, open, open, vendorapi.Denied, 1},
		"refused":              {422, 200, open, open, vendorapi.Refused, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var puts, gets atomic.Int32
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if req.Method == http.MethodPut {
					puts.Add(1)
					w.WriteHeader(c.put)
					return
				}
				w.WriteHeader(c.get)
				if gets.Add(1) == 1 {
					_, _ = w.Write([]byte(c.before))
					return
				}
				_, _ = w.Write([]byte(c.after))
			}, canWrite)
			err := r.CompleteLead(t.Context(), "7001")
			if (err == nil) != (c.kind == 0) || err != nil && vendorapi.KindOf(err) != c.kind || int(puts.Load()) != c.puts {
				t.Errorf("%v and %d changes, want kind %v and %d", err, puts.Load(), c.kind, c.puts)
			}
		})
	}
	r := newRig(t, answerJSON(goodAnswer))
	if err := r.CompleteLead(t.Context(), "7001"); !errors.Is(err, ErrWritesOff) {
		t.Errorf("with writes off: %v", err)
	}
	if at := r.LeadAddress("7001"); !strings.HasSuffix(at, "/v3.0/leads/7001") {
		t.Errorf("address %q", at)
	}
}
