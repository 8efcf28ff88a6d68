package ipscape

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// TestCompleteLeadReadsBack completes a lead at a vendor that says yes to everything: only what it shows afterwards counts.
func TestCompleteLeadReadsBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		shown  string
		kind   vendorapi.Kind // 0 = done
	}{
		"complete":     {200, `{"leadId":7001,"completed":true}`, 0},
		"not complete": {200, `{"leadId":7001,"completed":false}`, vendorapi.Unknown},
		"says nothing": {200, `{"leadId":7001}`, vendorapi.Unknown},
		"gone":         {404, `{}`, 0},
		"forbidden":    {403, `{}`, vendorapi.Denied},
		"refused":      {422, `{}`, vendorapi.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case c.status != http.StatusOK:
					w.WriteHeader(c.status)
				case req.Method == http.MethodPut:
					w.WriteHeader(http.StatusNoContent)
					return
				}
				_, _ = w.Write([]byte(c.shown))
			}, canWrite)
			err := r.CompleteLead(t.Context(), "7001")
			if (err == nil) != (c.kind == 0) || err != nil && vendorapi.KindOf(err) != c.kind {
				t.Errorf("%v, want kind %v", err, c.kind)
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
