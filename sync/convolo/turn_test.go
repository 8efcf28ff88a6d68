package convolo_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// countingGate counts the requests that waited for the budget.
type countingGate struct{ waited int }

func (*countingGate) Recheck(context.Context) error { return nil }

func (g *countingGate) Wait(_ context.Context, lane vendorapi.Lane) error {
	if lane == vendorapi.Live {
		g.waited++
	}
	return nil
}

func (*countingGate) Limited(context.Context, time.Duration) {}
func (*countingGate) Denied(context.Context)                 {}
func (*countingGate) Accepted(context.Context, time.Time)    {}

func TestTurnIsTakenAheadOfTheRequest(t *testing.T) {
	t.Parallel()
	v := newVendor(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) })
	b, g := base(), &countingGate{}
	b.Gate = g
	client := newClient(t, config(v.URL), b)
	ctx, err := client.Turn(t.Context())
	if err != nil || g.waited != 1 {
		t.Fatalf("waited %d times, %v", g.waited, err)
	}
	for i, waited := range []int{1, 2} {
		_, _ = client.StartCall(ctx, ref, lead(), nil)
		if n := len(v.seen()); n != i+1 || g.waited != waited {
			t.Errorf("%d requests, waited %d times, want %d and %d", n, g.waited, i+1, waited)
		}
	}
}
