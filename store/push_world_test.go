package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

const (
	phoneA = "+15032221111"
	phoneB = "+15032221112"
)

// pushWorld is a foldWorld with a clock in minutes, which notes whom the fold wakes.
type pushWorld struct {
	*foldWorld
	now   time.Duration
	woken []string
}

func newPushWorld(t *testing.T) *pushWorld {
	t.Helper()
	w := &pushWorld{foldWorld: newFoldWorld(t)}
	w.db.Clock = func() time.Time { return foldStart.Add(w.now) }
	w.rec.Wake = func(ctx context.Context, tx pgx.Tx, destinations []string) error {
		w.woken = append(w.woken, destinations...)
		// Woken in the transaction that orders the deliveries (law 2).
		var n int
		err := tx.QueryRow(ctx, `select count(*) from ops.deliveries where destination = any($1)`, destinations).Scan(&n)
		if err == nil && n == 0 {
			err = errors.New("woken for no delivery")
		}
		return err
	}
	return w
}

// at moves the clock to a minute.
func (w *pushWorld) at(minute int) { w.now = time.Duration(minute) * time.Minute }

// routes are the routes of TRUNKLINE_PUSH from now on: destination and condition in turn. It returns those that went.
func (w *pushWorld) routes(pairs ...string) (removed []string) {
	w.t.Helper()
	var list []store.Route
	for pair := range slices.Chunk(pairs, 2) {
		c, err := pipeline.ParseCondition(pair[1])
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, store.Route{Destination: pair[0], Condition: c})
	}
	gone, err := w.db.SetEnvironmentRoutes(w.t.Context(), foldOrg, list)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range gone {
		removed = append(removed, r.Destination+" "+r.Condition.String())
	}
	return removed
}

// lead tells of lead id at a minute, under more keys if given.
func (w *pushWorld) lead(id string, minute int, city string, more ...pipeline.Key) {
	w.t.Helper()
	keys := append([]pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: id}}, more...)
	w.land(foldRecord{pipeline.SourceIPSCAPE, id, minute, pipeline.Facts{Leads: []pipeline.LeadFact{{
		Keys: keys, Fields: map[pipeline.Field]string{pipeline.FieldCity: city},
	}}}})
	w.drain()
}

func phone(e164 string) pipeline.Key { return pipeline.Key{Kind: pipeline.KeyPhone, Value: e164} }

// rung lists the deliveries that reconcile ordered for leads.
func (w *pushWorld) rung() []string {
	w.t.Helper()
	rows, err := w.db.Pool.Query(w.t.Context(), `select destination || ' ' || operation || ' ' || phone from ops.deliveries
		where operation <> 'dnc_add' order by 1`)
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *pushWorld) want(what string, deliveries ...string) {
	w.t.Helper()
	if diff := cmp.Diff(deliveries, w.rung(), cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
