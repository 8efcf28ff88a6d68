package store_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// TestDeliveriesWhoseRouteIsBack: what no route wanted when it came due is ready again once a route was made since, for as long as
// its lead is young; not by the age of the route that was there, not past an order by hand, and once for each route.
func TestDeliveriesWhoseRouteIsBack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		destination string
		// before and after are what happens before and after the route is back.
		before, after string
		// wait is how long nobody looks after that.
		wait time.Duration
		want int
	}{
		"a dialler":            {"dialedin", "", "", 0, 1},
		"a CRM":                {"lendworks", "", "", 0, 1},
		"too old":              {"dialedin", "", "", 25 * time.Hour, 0},
		"too old, for a CRM":   {"lendworks", "", "", 25 * time.Hour, 0},
		"somewhere else":       {"dialedin", "update ops.deliveries set destination = 'convolo'", "", 0, 0},
		"by a person":          {"dialedin", "update ops.deliveries set reason = 'operator'", "", 0, 0},
		"opted out":            {"dialedin", "update ops.deliveries set reason = 'do_not_call'", "", 0, 0},
		"by a person's route":  {"dialedin", "", "update ops.routes set origin = 'operator' where removed_at is null", 0, 0},
		"by another route":     {"dialedin", "", `update ops.routes set condition = 'state=OR' where removed_at is null`, 0, 0},
		"older than its route": {"dialedin", "update ops.routes set created_at = created_at + interval '1 day'", "", 0, 0},
		"wanted no more":       {"dialedin", "", "update ops.routes set removed_at = created_at", 0, 0},
		"since the route":      {"dialedin", "", "update ops.deliveries set settled_at = settled_at + interval '1 hour'", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newPushWorld(t)
			w.rec.MaxAge = 24 * time.Hour
			w.routes(tc.destination, "")
			w.lead("1", 10, "Salem", phone(phoneA))
			w.at(20)
			w.routes()
			mustExec(t, w.db, `update ops.deliveries set state = 'cancelled', reason = 'no_route', settled_at = $1`, w.db.Now())
			revived := func(want int) {
				t.Helper()
				if n, err := w.rec.ReviveUnrouted(t.Context()); err != nil || n != want {
					t.Errorf("revived %d, %v; want %d", n, err, want)
				}
			}
			w.at(21)
			revived(0)
			if tc.before != "" {
				mustExec(t, w.db, tc.before)
			}
			w.routes(tc.destination, "")
			if tc.after != "" {
				mustExec(t, w.db, tc.after)
			}
			w.now += tc.wait
			w.woken = nil
			revived(tc.want)
			if want := []string{tc.destination}[:tc.want]; !slices.Equal(w.woken, want) {
				t.Errorf("woken %q, want %q", w.woken, want)
			}
			revived(0)
			if n := countRows(t, w.db, `select count(*) from ops.deliveries where state = 'ready' and reason is null and settled_at is null and not_before > $1`, w.db.Now()); n != tc.want {
				t.Errorf("%d deliveries are ready, want %d", n, tc.want)
			}
			// Cancelled again once it is due, because the route takes others: the same route does not bring it back.
			w.now += time.Minute
			mustExec(t, w.db, `update ops.deliveries set state = 'cancelled', reason = 'no_route', settled_at = $1 where state = 'ready'`, w.db.Now())
			revived(0)
		})
	}
	t.Run("pushed by hand meanwhile", func(t *testing.T) {
		t.Parallel()
		w := newPushWorld(t)
		w.rec.MaxAge = 24 * time.Hour
		w.routes("dialedin", "")
		w.lead("1", 10, "Salem", phone(phoneA))
		w.at(20)
		w.routes()
		mustExec(t, w.db, `update ops.deliveries set state = 'cancelled', reason = 'no_route', settled_at = $1`, w.db.Now())
		w.at(21)
		var lead uuid.UUID
		if err := w.db.Pool.QueryRow(t.Context(), `select lead_id from pipeline.leads`).Scan(&lead); err != nil {
			t.Fatal(err)
		}
		d, err := w.db.PlanPush(t.Context(), foldOrg, lead, "dialedin")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.Push(t.Context(), d, func(context.Context, pgx.Tx, []string) error { return nil }); err != nil {
			t.Fatal(err)
		}
		w.routes("dialedin", "")
		for _, state := range []string{"ready", "confirmed", "rejected"} {
			mustExec(t, w.db, `update ops.deliveries set state = $1 where dedupe like 'operator %'`, state)
			if n, err := w.rec.ReviveUnrouted(t.Context()); err != nil || n != 0 {
				t.Errorf("%s: revived %d, %v; want none", state, n, err)
			}
		}
	})
}
