package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox/scenario"
)

// TestScenariosThroughPostgres is law 3 with what the vendors really say, landed and folded batch by batch in any order: the
// tables say what one pure fold over the same observations says, a rebuild finds nothing to change, and two databases have one
// content hash, whatever DialedIn answers meanwhile.
func TestScenariosThroughPostgres(t *testing.T) {
	t.Parallel()
	for seed := range uint64(25) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := scenario.New(seed)
			kept := scenario.Kept{}
			for _, r := range s.Observations {
				kept.Land(r)
			}
			read := scenario.Reader()
			folded, err := kept.Fold(read)
			if err != nil {
				t.Fatal(err)
			}
			want := pictureOf(&folded)
			rng := rand.New(rand.NewPCG(seed, 5))
			hashes := map[string]bool{}
			for world := range 3 {
				w := newScenarioWorld(t, read)
				w.rec.Batch = []int{0, 0, 2}[world] // with small ones most of the third world is folded by two at a time
				for _, batch := range s.Deliver(rng) {
					w.arrive(batch)
					if world < 2 || rng.IntN(9) == 0 {
						w.drain()
						w.answer(rng)
					}
				}
				w.drain()
				if diff := cmp.Diff(want, w.stored(), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("the tables are not what one fold gives (-fold +tables):\n%s", diff)
				}
				c, lines := w.compare()
				if len(lines) > 0 || c.Leads != len(folded.Leads) || c.Calls != len(folded.Calls) || c.DNC != len(folded.DNC) {
					t.Errorf("a rebuild differs: %q, of %d leads, %d calls and %d opt-outs", lines, c.Leads, c.Calls, c.DNC)
				}
				hashes[c.StoredHash] = true
			}
			if len(hashes) != 1 {
				t.Errorf("the same observations have hashes %v", hashes)
			}
		})
	}
}

// newScenarioWorld is a database that reads records as the daemon does, and pushes every young lead to DialedIn.
func newScenarioWorld(t *testing.T, read func(*pipeline.Record) (pipeline.Facts, error)) *foldWorld {
	t.Helper()
	w := newFoldWorld(t)
	w.rec.Facts = read
	w.db.Clock = func() time.Time { return scenario.Start.Add(3 * time.Hour) }
	mustExec(t, w.db, fmt.Sprintf(
		`insert into ops.routes (route_id, org_id, destination, origin, created_at) values (gen_random_uuid(), '%s', 'dialedin', 'operator', '%s')`,
		foldOrg, scenario.Start.Add(-24*time.Hour).Format(time.RFC3339)))
	return w
}

// arrive lands a batch, each stream's records at once, in a fixed order.
func (w *foldWorld) arrive(batch []pipeline.Record) {
	w.t.Helper()
	targets := map[store.Target][]store.LandRecord{}
	var order []store.Target
	for _, r := range batch {
		target := store.Target{Org: foldOrg, Account: scenario.Account, Source: r.Source, Stream: r.Stream}
		if !slices.Contains(order, target) {
			order = append(order, target)
		}
		targets[target] = append(targets[target], store.LandRecord{
			ObjectID: r.ObjectID, Payload: r.Payload, ObservedAt: r.ObservedAt, SourceTime: r.SourceTime, ZoneAssumed: r.ZoneAssumed,
		})
	}
	err := w.db.InTx(w.t.Context(), func(tx pgx.Tx) error {
		for _, target := range order {
			if _, err := w.db.Land(w.t.Context(), tx, target, targets[target], store.LandOptions{Bump: true}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// answer has DialedIn answer some of what waits for it.
func (w *foldWorld) answer(rng *rand.Rand) {
	w.t.Helper()
	state := []string{"confirmed", "rejected", "unknown"}[rng.IntN(3)]
	mustExec(w.t, w.db, fmt.Sprintf(`
		update ops.deliveries
		set state = '%[1]s', attempts = 1, sending_at = created_at, settled_at = case when '%[1]s' <> 'unknown' then created_at end, external_id = 'd' || id
		where id = (select id from ops.deliveries where state = 'ready' order by id limit 1)`, state))
}
