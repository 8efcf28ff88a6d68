package store_test

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/trunkline/trunkline/store"
)

func TestLandThereAndBackIsThreeVersions(t *testing.T) {
	t.Parallel()
	for name, batches := range map[string][][]store.LandRecord{
		"apart":    {{observed("7", 1, "A")}, {observed("7", 2, "B")}, {observed("7", 3, "A")}},
		"together": {{observed("7", 3, "A"), observed("7", 1, "A"), observed("7", 2, "B")}},
		"half":     {{observed("7", 1, "A")}, {observed("7", 2, "B"), observed("7", 3, "A")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newLandWorld(t)
			for _, b := range batches {
				w.land(t, store.LandOptions{}, b...)
			}
			if diff := cmp.Diff([]string{"A", "B"}, w.history(t)); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
			a := observed("7", 3, "A")
			hash := sha256.Sum256(a.Payload)
			want := []landedRow{{"7", "A", hash[:], a.ObservedAt, landStart.Add(time.Second), "A"}}
			if diff := cmp.Diff(want, w.rows(t)); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			if got := w.count(t, queuedRows); got != 3 {
				t.Errorf("%d queue rows, want one a version", got)
			}
		})
	}
}

func TestLandIgnoresOlderButLearnsFirstSeen(t *testing.T) {
	t.Parallel()
	w := newLandWorld(t)
	w.land(t, store.LandOptions{}, observed("7", 10, "A"))
	if got, want := w.land(t, store.LandOptions{}, observed("7", 4, "B")), (store.Landed{Older: 1}); !cmp.Equal(got, want) {
		t.Errorf("older observation: %+v, want %+v", got, want)
	}
	if got, want := w.land(t, store.LandOptions{}, observed("7", 3, "A")), (store.Landed{Unchanged: 1}); !cmp.Equal(got, want) {
		t.Errorf("older observation of the same content: %+v, want %+v", got, want)
	}
	r := w.rows(t)[0]
	if r.Content != "A" || !r.Observed.Equal(landStart.Add(10*time.Second)) || !r.First.Equal(landStart.Add(3*time.Second)) {
		t.Errorf("record is %+v", r)
	}
	if len(w.history(t)) != 0 {
		t.Error("an older observation left a version")
	}
	if got := w.count(t, queuedRows); got != 3 {
		t.Errorf("%d queue rows, want one for the record and one for each earlier sighting", got)
	}
}

func TestLandWritesNothingForEqualContent(t *testing.T) {
	t.Parallel()
	w := newLandWorld(t)
	w.land(t, store.LandOptions{}, observed("7", 1, "A"))
	version := func() (v string) {
		if err := w.db.Pool.QueryRow(t.Context(), `select ctid::text from ops.records where org_id = $1`, w.target.Org).Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := version()
	respelt := observed("7", 3, "A")
	respelt.Payload = []byte("{\n  \"v\" : \"A\"\n}")
	for _, r := range []store.LandRecord{observed("7", 2, "A"), respelt} {
		if got, want := w.land(t, store.LandOptions{}, r), (store.Landed{Unchanged: 1}); !cmp.Equal(got, want) {
			t.Errorf("equal content: %+v, want %+v", got, want)
		}
	}
	if after := version(); after != before {
		t.Error("the row was written although nothing changed")
	}
	w.land(t, store.LandOptions{Bump: true}, respelt)
	hash := sha256.Sum256(respelt.Payload)
	if r := w.rows(t)[0]; !r.Observed.Equal(respelt.ObservedAt) || !slices.Equal(r.Hash, hash[:]) {
		t.Errorf("a bump left %+v", r)
	}
	if w.count(t, queuedRows) != 1 || len(w.history(t)) != 0 {
		t.Error("a bump made a version")
	}
}

// The law: any order, batching and duplication of the same observations ends in the same rows.
func TestLandConverges(t *testing.T) {
	t.Parallel()
	w := newLandWorld(t)
	rapid.Check(t, func(rt *rapid.T) {
		obs := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) store.LandRecord {
			r := observed(
				rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "object"),
				rapid.IntRange(1, 4).Draw(rt, "second"),
				rapid.SampledFrom([]string{"x", "y", "z"}).Draw(rt, "content"))
			if rapid.Bool().Draw(rt, "respelt") {
				r.Payload = append([]byte(" "), r.Payload...)
			}
			return r
		}), 1, 10).Draw(rt, "observations")
		var want []landedRow
		for i := range 3 {
			w := &landWorld{db: w.db, target: landTarget(uuid.New())}
			list := slices.Clone(obs)
			if i > 0 {
				list = append(list, rapid.SliceOfN(rapid.SampledFrom(obs), 0, 3).Draw(rt, "again")...)
				list = rapid.Permutation(list).Draw(rt, "order")
			}
			for len(list) > 0 {
				n := rapid.IntRange(1, len(list)).Draw(rt, "batch")
				w.land(t, store.LandOptions{Bump: true}, list[:n]...)
				list = list[n:]
			}
			got := w.rows(t)
			if i == 0 {
				want = got
			} else if diff := cmp.Diff(want, got); diff != "" {
				rt.Fatalf("another order gives other rows (-first +other):\n%s", diff)
			}
		}
	})
}

func TestLandSideBySide(t *testing.T) {
	t.Parallel()
	w := newLandWorld(t)
	const objects, versions, workers = 60, 6, 6
	var obs []store.LandRecord
	for o := range objects {
		for v := range versions {
			obs = append(obs, observed(fmt.Sprintf("o%02d", o), v, fmt.Sprintf("v%d", v)))
		}
	}
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(i)))
			list := slices.Clone(obs)
			rng.Shuffle(len(list), func(a, b int) { list[a], list[b] = list[b], list[a] })
			for chunk := range slices.Chunk(list, 45) {
				if _, err := w.try(store.LandOptions{Bump: true}, chunk...); err != nil {
					t.Errorf("worker %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	got := w.rows(t)
	if len(got) != objects {
		t.Fatalf("%d rows, want %d", len(got), objects)
	}
	last := fmt.Sprintf("v%d", versions-1)
	for _, r := range got {
		if r.Content != last || r.Typed != last || !r.First.Equal(landStart) {
			t.Errorf("row is %+v, want content and typed row %s", r, last)
		}
	}
	if unqueued := w.count(t, `select count(*) from ops.records r where org_id = $1
		and not exists (select from ops.reconcile_queue q where q.record_id = r.record_id)`); unqueued != 0 {
		t.Errorf("%d records were never queued", unqueued)
	}
}

// Every way of writing: COPY, the single statement, the staged typed table, and mixtures.
func TestLandPaths(t *testing.T) {
	t.Parallel()
	w := newLandWorld(t)
	batch := func(from, to, second int, content string) (out []store.LandRecord) {
		for i := from; i < to; i++ {
			out = append(out, observed(fmt.Sprintf("o%04d", i), second, content))
		}
		return out
	}
	for _, step := range []struct {
		name string
		recs []store.LandRecord
		want store.Landed
	}{
		{"a few new", batch(0, 5, 1, "A"), store.Landed{New: 5}},
		{"first load", batch(5, 1000, 1, "A"), store.Landed{New: 995}},
		{"read again", batch(0, 1000, 2, "A"), store.Landed{Unchanged: 1000}},
		{"a few changed", batch(0, 50, 3, "B"), store.Landed{Changed: 50}},
		{"many changed, some new", batch(600, 1100, 4, "C"), store.Landed{Changed: 400, New: 100}},
		{"many changed again", batch(600, 1100, 5, "D"), store.Landed{Changed: 500}},
		{"nothing", nil, store.Landed{}},
	} {
		if got := w.land(t, store.LandOptions{}, step.recs...); !cmp.Equal(got, step.want) {
			t.Errorf("%s: %+v, want %+v", step.name, got, step.want)
		}
	}
	for i, r := range w.rows(t) {
		want := "A"
		switch {
		case i < 50:
			want = "B"
		case i >= 600:
			want = "D"
		}
		if r.Content != want || r.Typed != want {
			t.Fatalf("row %d is %+v, want %s", i, r, want)
		}
	}
	if written, queued := 1100+50+400+500, w.count(t, queuedRows); queued != written {
		t.Errorf("%d queue rows, want %d", queued, written)
	}
}

func TestLandStagesTwiceInOneTransaction(t *testing.T) {
	t.Parallel()
	w := newLandWorld(t)
	version := func(content string, second int) (out []store.LandRecord) {
		for i := range 150 {
			out = append(out, observed(fmt.Sprintf("o%04d", i), second, content))
		}
		return out
	}
	w.land(t, store.LandOptions{}, version("A", 1)...)
	// Three versions of each object in one batch make three rounds, two of which replace.
	if got, want := w.land(t, store.LandOptions{}, append(version("B", 2), version("C", 3)...)...), (store.Landed{Changed: 300}); !cmp.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestLandEachSparesTheRest(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*store.LandRecord){
		"jsonb refuses":     func(r *store.LandRecord) { r.Payload = []byte(`{"v":"\u0000"}`) },
		"column refuses":    func(r *store.LandRecord) { r.Values[1] = nil },
		"pgx cannot encode": func(r *store.LandRecord) { r.Values[1] = struct{ X chan int }{} },
		"row is too short":  func(r *store.LandRecord) { r.Values = r.Values[:2] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 7, 200} {
				w := newLandWorld(t)
				var recs []store.LandRecord
				for i := range size {
					recs = append(recs, observed(fmt.Sprintf("o%03d", (i+size/3)%size), 1, "A"))
				}
				bad := size / 2
				spoil(&recs[bad])
				var landed store.Landed
				var rejected []store.Rejected
				err := w.db.InTx(t.Context(), func(tx pgx.Tx) (err error) {
					landed, rejected, err = w.db.LandEach(t.Context(), tx, w.target, recs, store.LandOptions{})
					return err
				})
				if err != nil {
					t.Fatalf("of %d: %v", size, err)
				}
				if len(rejected) != 1 || rejected[0].Index != bad || landed.New != size-1 || len(w.rows(t)) != size-1 {
					t.Errorf("of %d: rejected %v, landed %+v", size, rejected, landed)
				}
			}
		})
	}
}

func TestQuarantineIsOneRowAndSettles(t *testing.T) {
	t.Parallel()
	w := newLandWorld(t)
	item := store.QuarantineItem{
		Org: w.target.Org, Account: w.target.Account, Source: w.target.Source, Stream: w.target.Stream,
		ObjectID: "7", Reason: "test", Error: "why\x00", Body: []byte("{\x00"),
	}
	facts := item
	facts.Reason, facts.Body = store.ReasonFacts, []byte("{}")
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		for _, it := range []store.QuarantineItem{item, item, facts} {
			if err := w.db.Quarantine(t.Context(), tx, it); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	states := func() map[string]string {
		got := map[string]string{}
		rows, err := w.db.ListQuarantine(t.Context(), w.db.Pool, store.QuarantineFilter{Org: w.target.Org})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			got[r.Reason] = fmt.Sprint(r.State, " ", r.Seen)
		}
		return got
	}
	if diff := cmp.Diff(map[string]string{"test": "open 2", "facts": "open 1"}, states()); diff != "" {
		t.Errorf("after quarantining (-want +got):\n%s", diff)
	}
	w.land(t, store.LandOptions{}, observed("8", 1, "A"))
	if n, err := w.db.CountQuarantine(t.Context(), w.db.Pool, store.QuarantineFilter{State: "open"}); err != nil || n != 2 {
		t.Errorf("another object settled it: %d open, %v", n, err)
	}
	w.land(t, store.LandOptions{}, observed("7", 1, "A"))
	if diff := cmp.Diff(map[string]string{"test": "fixed 2", "facts": "open 1"}, states()); diff != "" {
		t.Errorf("after landing (-want +got):\n%s", diff)
	}
}
