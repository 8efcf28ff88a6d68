package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// wholeWorld is a list that is read whole, and a clock that moves a minute with each reading.
type wholeWorld struct {
	t     *testing.T
	db    *store.DB
	key   store.StreamKey
	table *store.TypedTable
	mu    sync.Mutex
	at    time.Time
}

func newWholeWorld(t *testing.T) *wholeWorld {
	t.Helper()
	w := &wholeWorld{
		t: t, db: newLandWorld(t).db, at: landStart, key: store.StreamKey{Org: uuid.New(), Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "users"},
		table: &store.TypedTable{Schema: "ipscape", Name: "users", Key: "user_id", Columns: []string{"user_id", "username"}, Missing: true},
	}
	w.db.Clock = func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.at
	}
	return w
}

func (w *wholeWorld) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at = w.at.Add(d)
}

func (w *wholeWorld) record(id int, name string) store.LandRecord {
	payload, err := json.Marshal(map[string]any{"userId": id, "username": name})
	if err != nil {
		w.t.Fatal(err)
	}
	return store.LandRecord{ObjectID: strconv.Itoa(id), Payload: payload, ObservedAt: w.db.Now(), Values: []any{int64(id), name}}
}

// wholeRead is one read of the list, page by page.
type wholeRead struct {
	*wholeWorld
	walk  store.Walk
	owner uuid.UUID
}

func (w *wholeWorld) begin(filters map[string]string) *wholeRead {
	w.t.Helper()
	w.pass(time.Minute)
	r := &wholeRead{wholeWorld: w}
	err := w.db.InTx(w.t.Context(), func(tx pgx.Tx) (err error) {
		if err := w.db.EnsureStream(w.t.Context(), tx, w.key, "snapshot"); err != nil {
			return err
		}
		r.walk, err = w.db.CreateWalk(w.t.Context(), tx, store.NewWalk{Key: w.key, Kind: "sweep", Lane: "reread", Filters: filters})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	r.claim()
	return r
}

func (r *wholeRead) claim() {
	r.t.Helper()
	r.owner = uuid.New()
	if _, err := r.db.ClaimWalk(r.t.Context(), r.walk.ID, r.owner, time.Minute); err != nil {
		r.t.Fatal(err)
	}
}

// page commits a page that holds the objects; a page with cut or the last one ends the walk.
func (r *wholeRead) page(done, cut bool, ids ...int) {
	r.t.Helper()
	p := store.WalkPage{
		ID: r.walk.ID, Owner: r.owner, Lease: time.Minute, Pages: 1, Cursor: "c", Done: done, Cut: cut, Bump: true,
		Target: store.Target{Org: r.key.Org, Account: r.key.Account, Source: r.key.Source, Stream: r.key.Stream, Table: r.table},
		Finish: func(ctx context.Context, tx pgx.Tx, walk store.Walk, whole bool) error {
			if !whole {
				return nil
			}
			return r.db.OweMissing(ctx, tx, walk.Key, walk.StartedAt)
		},
	}
	for _, id := range ids {
		if id < 0 {
			p.Bad = append(p.Bad, store.QuarantineItem{ObjectID: strings.TrimPrefix(fmt.Sprint(-id), "999"), Reason: "bad", Error: "bad", Body: []byte("x")})
			continue
		}
		p.Records = append(p.Records, r.record(id, "u"))
	}
	if _, err := r.db.CommitPage(r.t.Context(), p); err != nil {
		r.t.Fatal(err)
	}
}

func (w *wholeWorld) judge() store.Judgement {
	w.t.Helper()
	j, err := w.db.JudgeMissing(w.t.Context(), w.key, w.table, 0.2)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

func (w *wholeWorld) want(what string, missing ...int32) {
	w.t.Helper()
	rows, err := w.db.Pool.Query(w.t.Context(), `select user_id::int from ipscape.users where missing_since is not null order by 1`)
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[int32])
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(missing, got); diff != "" && len(missing)+len(got) > 0 {
		w.t.Errorf("%s: missing (-want +got):\n%s", what, diff)
	}
}

func upTo(n int, without ...int) []int {
	var ids []int
	for id := 1; id <= n; id++ {
		if len(without) == 0 || id != without[0] {
			ids = append(ids, id)
		} else {
			without = without[1:]
		}
	}
	return ids
}

func TestMissingIsMarkedAndTakenBack(t *testing.T) {
	t.Parallel()
	w := newWholeWorld(t)
	w.begin(nil).page(true, false, upTo(10)...)
	if j := w.judge(); j.Present != 10 || j.Gone != 0 || j.Marked != 0 {
		t.Errorf("first read: %+v", j)
	}
	if j := w.judge(); !j.Since.IsZero() {
		t.Errorf("judged twice: %+v", j)
	}
	// Begun, stopped, and gone on with by a daemon whose clock is behind: what it reads is not taken for unseen.
	r := w.begin(nil)
	began := r.db.Now()
	r.page(false, false, 1, 2, 3, 4)
	if err := w.db.ReleaseWalk(t.Context(), r.walk.ID, r.owner, ""); err != nil {
		t.Fatal(err)
	}
	w.pass(-10 * time.Second)
	r.claim()
	r.page(true, false, 5, 6, 7, 8, 9)
	if j := w.judge(); j.Marked != 1 || j.Present != 10 || j.Refused != "" {
		t.Errorf("one of ten is gone: %+v", j)
	}
	w.want("one of ten is gone", 10)
	if since := w.since(10); !since.Equal(began.Add(-10 * time.Second)) {
		t.Errorf("missing since %s, the read began at %s", since, began)
	}
	// Neither a second absence nor an observation from before moves the mark; a later observation takes it off.
	w.begin(nil).page(true, false, upTo(9)...)
	w.judge()
	before := w.record(10, "u")
	before.ObservedAt = began.Add(-time.Hour)
	w.land(before)
	w.want("still gone", 10)
	if since := w.since(10); !since.Equal(began.Add(-10 * time.Second)) {
		t.Errorf("the mark moved to %s", since)
	}
	w.pass(time.Minute)
	w.land(w.record(10, "u"))
	w.want("seen again")
	if n := countRows(t, w.db, `select count(*) from ops.records`); n != 10 {
		t.Errorf("%d records are left of 10", n)
	}
}

// A clock that is set back while a list is read takes nothing that was read for unseen, nor what was read and is bad.
func TestMissingWithAClockSetBack(t *testing.T) {
	t.Parallel()
	w := newWholeWorld(t)
	w.begin(nil).page(true, false, upTo(20)...)
	w.judge()
	r := w.begin(nil)
	r.page(false, false, upTo(17)...)
	w.pass(-10 * time.Second)
	r.page(true, false, 18, -19)
	if j := w.judge(); j.Gone != 1 || j.Marked != 1 {
		t.Errorf("only the last is gone: %+v", j)
	}
	w.want("a clock that was set back", 20)
}

func (w *wholeWorld) since(id int) time.Time {
	w.t.Helper()
	var at time.Time
	if err := w.db.Pool.QueryRow(w.t.Context(), `select missing_since from ipscape.users where user_id = $1`, id).Scan(&at); err != nil {
		w.t.Fatal(err)
	}
	return at.UTC()
}

func (w *wholeWorld) land(recs ...store.LandRecord) {
	w.t.Helper()
	err := w.db.InTx(w.t.Context(), func(tx pgx.Tx) error {
		_, err := w.db.Land(w.t.Context(), tx, store.Target{Org: w.key.Org, Account: w.key.Account, Source: w.key.Source, Stream: w.key.Stream, Table: w.table}, recs, store.LandOptions{})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestMissingIsNotConcluded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		filters   map[string]string
		done, cut bool
		ids       []int
		refused   string
		missing   []int32
	}{
		"the read did not end":             {done: false, ids: upTo(9)},
		"a filter left some out":           {filters: map[string]string{"userType": "agent"}, done: true, ids: upTo(9)},
		"the list went on":                 {done: true, cut: true, ids: upTo(9)},
		"three of ten are too many":        {done: true, ids: upTo(7), refused: "lacks 3 of 10"},
		"nothing came":                     {done: true, refused: "lacks 10 of 10"},
		"an item whose id nobody can read": {done: true, ids: append(upTo(9), -999), refused: "could not be read"},
		"the item is there, and bad":       {done: true, ids: append(upTo(9), -10)},
		"two of ten":                       {done: true, ids: upTo(8), missing: []int32{9, 10}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWholeWorld(t)
			w.begin(nil).page(true, false, upTo(10)...)
			w.judge()
			w.begin(c.filters).page(c.done, c.cut, c.ids...)
			j := w.judge()
			w.want(name, c.missing...)
			status, err := w.db.StreamState(t.Context(), w.db.Pool, w.key)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(j.Refused, c.refused) || (j.Refused == "") != (c.refused == "") || status.Warning != j.Refused || status.LastError != "" {
				t.Errorf("judged %+v, the stream says %q and %q", j, status.Warning, status.LastError)
			}
			w.begin(nil).page(true, false, upTo(10)...)
			w.judge()
			w.want("after a good read")
			if status, err = w.db.StreamState(t.Context(), w.db.Pool, w.key); err != nil || status.Warning != "" {
				t.Errorf("after a good read the stream says %q, %v", status.Warning, err)
			}
		})
	}
}

// A row that is landed while it is being judged is not left marked, whichever comes first.
func TestMissingBesideLanding(t *testing.T) {
	t.Parallel()
	w := newWholeWorld(t)
	w.begin(nil).page(true, false, upTo(20)...)
	w.judge()
	for round := range 12 {
		w.begin(nil).page(true, false, upTo(18)...)
		w.pass(time.Minute)
		var both sync.WaitGroup
		both.Go(func() { w.judge() })
		both.Go(func() {
			r := w.begin(map[string]string{"userType": "agent"})
			r.page(true, false, 19, 20)
		})
		both.Wait()
		w.want(fmt.Sprint("round ", round))
	}
}
