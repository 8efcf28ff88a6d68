package store_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// bulkWorld is a database in which bulk creates are remembered.
type bulkWorld struct {
	t  *testing.T
	db *store.DB
}

func newBulkWorld(t *testing.T) *bulkWorld {
	t.Helper()
	return &bulkWorld{t, demoDB(t)}
}

func keyed(list int64, keys ...string) []store.BulkLead {
	var leads []store.BulkLead
	for _, key := range keys {
		leads = append(leads, store.BulkLead{List: list, Key: key})
	}
	return leads
}

// begin begins a request an age before the clock's time, and tells the places of the leads that were sent before.
func (w *bulkWorld) begin(age time.Duration, leads []store.BulkLead) (b store.BulkCreate, known []int) {
	w.t.Helper()
	b = store.BulkCreate{ID: uuid.New(), Org: foldOrg, Account: "default", Lists: []int64{7}, Leads: len(leads), AskedAt: foldStart.Add(-age)}
	err := w.db.BeginBulk(w.t.Context(), &b, leads)
	if sent, ok := errors.AsType[*store.BulkSentError](err); ok {
		for _, k := range sent.Known {
			known = append(known, k.At)
		}
	} else if err != nil {
		w.t.Fatal(err)
	}
	return b, known
}

func (w *bulkWorld) settle(b store.BulkCreate, state string) {
	w.t.Helper()
	b.State, b.UUID, b.Status = state, "job", "queued"
	if err := w.db.SettleBulk(w.t.Context(), &b); err != nil {
		w.t.Fatal(err)
	}
}

// look notes what was found, copies in the order of the leads, and frees what was sent an hour before the clock's time.
func (w *bulkWorld) look(leads []store.BulkLead, copies ...int) map[uuid.UUID]string {
	w.t.Helper()
	var looks []store.BulkLook
	for i, n := range copies {
		looks = append(looks, store.BulkLook{BulkLead: leads[i], Copies: n})
	}
	states, err := w.db.NoteBulkLooks(w.t.Context(), foldOrg, "default", looks, foldStart.Add(-time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	return states
}

// held tells which keys of list 7 are not sent again.
func (w *bulkWorld) held(keys ...string) []string {
	w.t.Helper()
	known, err := w.db.KnownBulkLeads(w.t.Context(), foldOrg, "default", keyed(7, keys...))
	if err != nil {
		w.t.Fatal(err)
	}
	var held []string
	for _, k := range known {
		held = append(held, keys[k.At])
	}
	return held
}

// TestBulkLeadsAreSentOnce: a lead that was sent, in whatever part, is not sent again unless that part was refused.
func TestBulkLeadsAreSentOnce(t *testing.T) {
	t.Parallel()
	w := newBulkWorld(t)
	first, _ := w.begin(0, keyed(7, "a", "b", "c"))
	if _, known := w.begin(0, keyed(7, "z", "b", "y", "c")); !slices.Equal(known, []int{1, 3}) {
		t.Errorf("known are %v, want those in the places 1 and 3", known)
	}
	if held := w.held("y", "z"); held != nil {
		t.Errorf("%q are held by a request that did not begin", held)
	}
	w.settle(first, store.BulkRefused)
	for _, state := range []string{store.BulkTaken, store.BulkUnknown} {
		again, known := w.begin(0, keyed(7, "b", state))
		if state == store.BulkTaken && known != nil {
			t.Errorf("known are %v after a refusal", known)
		}
		if known != nil {
			again, _ = w.begin(0, keyed(7, state))
		}
		w.settle(again, state)
		if held := w.held("a", "b", state); !slices.Equal(held, []string{"b", state}) {
			t.Errorf("%s: held are %q", state, held)
		}
	}
	if _, known := w.begin(0, keyed(8, "b")); known != nil {
		t.Errorf("known in another list are %v", known)
	}
}

// TestBulkBegunTwiceAtOnce: of many that begin at once with a lead in common one does.
func TestBulkBegunTwiceAtOnce(t *testing.T) {
	t.Parallel()
	w := newBulkWorld(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	begun := 0
	for _, own := range []string{"p", "q", "r", "s", "u", "v"} {
		all.Go(func() {
			b := store.BulkCreate{ID: uuid.New(), Org: foldOrg, Account: "default", Lists: []int64{7}, Leads: 2, AskedAt: foldStart}
			err := w.db.BeginBulk(t.Context(), &b, keyed(7, own, "shared"))
			mu.Lock()
			defer mu.Unlock()
			if _, sent := errors.AsType[*store.BulkSentError](err); err == nil {
				begun++
			} else if !sent {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if begun != 1 {
		t.Errorf("%d began", begun)
	}
}

// TestBulkLooks settles requests by what was found: what is there is done, what is not there an hour later may be sent again.
func TestBulkLooks(t *testing.T) {
	t.Parallel()
	w := newBulkWorld(t)
	killed, _ := w.begin(2*time.Hour, keyed(7, "a", "b"))
	unknown, _ := w.begin(2*time.Hour, keyed(7, "c", "d"))
	young, _ := w.begin(time.Minute, keyed(7, "e"))
	taken, _ := w.begin(2*time.Hour, keyed(7, "f", "g"))
	w.settle(unknown, store.BulkUnknown)
	w.settle(taken, store.BulkTaken)

	// A file need not have all leads of a request.
	if got := w.look(keyed(7, "c", "nobody"), 1, 0); !cmp.Equal(got, map[uuid.UUID]string{unknown.ID: store.BulkUnknown}) {
		t.Errorf("one of two was looked for: %v", got)
	}
	got := w.look(keyed(7, "a", "b", "c", "d", "e", "f", "g"), 0, 0, 0, 2, 0, 1, 0)
	want := map[uuid.UUID]string{killed.ID: store.BulkLost, unknown.ID: store.BulkTaken, young.ID: store.BulkSending, taken.ID: store.BulkTaken}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
	// c was found once: that it is gone there is no reason to create it again.
	if held := w.held("a", "b", "c", "d", "e", "f", "g"); !slices.Equal(held, []string{"c", "d", "e", "f"}) {
		t.Errorf("held are %q", held)
	}
	var found, twice int
	err := w.db.Pool.QueryRow(t.Context(), `select found, twice from ipscape.bulk_creates where bulk_id = $1`, unknown.ID).Scan(&found, &twice)
	if err != nil || found != 2 || twice != 1 {
		t.Errorf("found %d, %d of them twice, %v; want 2 and 1", found, twice, err)
	}
	// What was found is not sent again, whoever created it.
	w.look(keyed(7, "others", "nobody"), 1, 0)
	if _, known := w.begin(0, keyed(7, "nobody", "others")); !slices.Equal(known, []int{1}) {
		t.Errorf("known are %v, want the one that was found", known)
	}
	// Whoever sends it may learn last that it was taken, and have been told that it was refused.
	w.look(keyed(7, "e"), 1)
	w.settle(young, store.BulkRefused)
	if held := w.held("e"); !slices.Equal(held, []string{"e"}) {
		t.Errorf("a lead that is there may be sent again")
	}
}
