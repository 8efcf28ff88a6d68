package walk_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

func TestMain(m *testing.M) { storetest.Main(m) }

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// row is an object of the scripted vendor.
type row struct {
	ID      int       `json:"id"`
	Created time.Time `json:"created"`
	V       string    `json:"v"`
	// visible is from when on the list shows it.
	visible time.Time
}

// vendor is a paged list with a filter on creation, in memory.
type vendor struct {
	mu       sync.Mutex
	rows     []row
	pageSize int
	now      func() time.Time
	// ignoresFilter is trap 17 of the contract.
	ignoresFilter bool
	// asked is the index of the first row of every page asked for.
	asked []int
	// before runs before a page is read, without the lock; an error is the answer.
	before func(ctx context.Context, from int) error
	// next replaces the cursor that a page names.
	next func(from int, cursor string) string
	// item replaces the bytes of a row.
	item func(r row, raw []byte) ([]byte, error)
	// early names the next cursor before the items.
	early bool
}

func (v *vendor) fetch(ctx context.Context, r walk.PageRequest, sink walk.Sink) (walk.Page, error) {
	from := 0
	if r.Cursor != "" {
		from, _ = strconv.Atoi(strings.TrimLeft(r.Cursor, "x"))
	}
	v.mu.Lock()
	v.asked = append(v.asked, from)
	asked := v.now()
	v.mu.Unlock()
	if v.before != nil {
		if err := v.before(ctx, from); err != nil {
			return walk.Page{}, err
		}
	}
	v.mu.Lock()
	var shown []row
	for _, row := range v.rows {
		inside := r.From.IsZero() || v.ignoresFilter || !row.Created.Before(r.From) && !row.Created.After(r.To)
		if inside && !row.visible.After(asked) {
			shown = append(shown, row)
		}
	}
	v.mu.Unlock()
	next := ""
	end := min(from+v.pageSize, len(shown))
	if end < len(shown) {
		next = strconv.Itoa(end)
	}
	if v.next != nil {
		next = v.next(from, next)
	}
	if v.early {
		sink.Next(next)
	}
	for _, row := range shown[min(from, end):end] {
		raw, err := json.Marshal(row)
		if err != nil {
			return walk.Page{}, err
		}
		var bad error
		if v.item != nil {
			raw, bad = v.item(row, raw)
		}
		if err := sink.Emit(raw, bad); err != nil {
			return walk.Page{}, err
		}
	}
	return walk.Page{Next: next, AskedAt: asked, VendorTime: asked.Truncate(time.Second)}, ctx.Err()
}

func (v *vendor) askedFrom() []int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.asked)
}

func mapItem(raw []byte) (walk.Item, error) {
	var r row
	if err := json.Unmarshal(raw, &r); err != nil {
		return walk.Item{ObjectID: "bad"}, errors.New("item is not an activity")
	}
	if r.V == "panic" {
		panic("poison")
	}
	if r.ID == 0 {
		return walk.Item{Payload: raw}, nil
	}
	return walk.Item{
		ObjectID: strconv.Itoa(r.ID), Payload: raw, SourceTime: r.Created, FilterTime: r.Created,
		Values: []any{int64(r.ID), r.V, r.Created},
	}, nil
}

// rig is a vendor, a database and a runner between them.
type rig struct {
	t      *testing.T
	db     *store.DB
	vendor *vendor
	stream *walk.Stream
	store  *walkstore.Store
	runner *walk.Runner
	key    store.StreamKey
	log    *syncBuffer

	mu    sync.Mutex
	clock time.Time
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newRig(t *testing.T, rows, pageSize int) *rig {
	t.Helper()
	g := &rig{t: t, clock: start, log: &syncBuffer{}}
	g.db = &store.DB{Pool: storetest.DB(t), Log: slog.New(slog.DiscardHandler), Clock: g.now}
	g.vendor = &vendor{pageSize: pageSize, now: g.now}
	for i := range rows {
		g.vendor.rows = append(g.vendor.rows, row{ID: i + 1, Created: start.Add(-time.Hour).Add(time.Duration(i) * time.Second / 2), V: fmt.Sprint("v", i)})
	}
	g.stream = &walk.Stream{
		Source: pipeline.SourceIPSCAPE, Name: "activities", Capability: walk.Created,
		Overlap: 15 * time.Minute, Settle: time.Minute, Start: 24 * time.Hour, MaxPages: 1000,
		Fetch: g.vendor.fetch, Map: mapItem,
		CursorRefused: func(err error) bool {
			return vendorapi.KindOf(err) == vendorapi.Refused
		},
	}
	table := &store.TypedTable{Schema: "ipscape", Name: "activities", Key: "activity_id", Columns: []string{"activity_id", "type", "created_at"}}
	g.store = &walkstore.Store{DB: g.db, Table: func(pipeline.Source, string) *store.TypedTable { return table }}
	g.runner = g.newRunner()
	g.key = store.StreamKey{Org: uuid.New(), Account: "default", Source: g.stream.Source, Stream: g.stream.Name}
	return g
}

func (g *rig) newRunner() *walk.Runner {
	return &walk.Runner{
		Store: g.store, Streams: func(walk.Walk) (*walk.Stream, bool) { return g.stream, true }, Now: g.now,
		Log: slog.New(slog.NewTextHandler(g.log, nil)),
	}
}

func (g *rig) now() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.clock
}

func (g *rig) pass(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clock = g.clock.Add(d)
}

// plan makes the next live walk, or finds the open one.
func (g *rig) plan() (w store.Walk, planned store.Planned) {
	g.t.Helper()
	err := g.db.InTx(g.t.Context(), func(tx pgx.Tx) (err error) {
		w, planned, err = g.store.PlanLive(g.t.Context(), tx, g.key, g.stream, g.runner.VendorNow(g.key.Org, g.key.Account, g.key.Source))
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return w, planned
}

// order makes a walk of another kind.
func (g *rig) order(n store.NewWalk) (w store.Walk) {
	g.t.Helper()
	n.Key = g.key
	err := g.db.InTx(g.t.Context(), func(tx pgx.Tx) (err error) {
		if err := g.db.EnsureStream(g.t.Context(), tx, g.key, string(g.stream.Capability)); err != nil {
			return err
		}
		w, err = g.db.CreateWalk(g.t.Context(), tx, n)
		return err
	})
	if err != nil {
		g.t.Fatal(err)
	}
	return w
}

// sync is one live walk from plan to end.
func (g *rig) sync() store.Walk {
	g.t.Helper()
	w, _ := g.plan()
	if err := g.runner.Run(g.t.Context(), w.ID); err != nil {
		g.t.Fatal(err)
	}
	return g.walk(w.ID)
}

func (g *rig) walk(id uuid.UUID) store.Walk {
	g.t.Helper()
	w, err := g.db.Walk(g.t.Context(), g.db.Pool, id)
	if err != nil {
		g.t.Fatal(err)
	}
	return w
}

func (g *rig) state() store.StreamState {
	g.t.Helper()
	s, err := g.db.StreamState(g.t.Context(), g.db.Pool, g.key)
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

// stored is what the typed table and the records say, by id.
func (g *rig) stored() map[int]string {
	g.t.Helper()
	rows, err := g.db.Pool.Query(g.t.Context(), `
		select a.activity_id, a.type
		from ipscape.activities a
		join ops.records r on r.org_id = a.org_id and r.object_id = a.activity_id::text and r.payload ->> 'v' = a.type
		where a.org_id = $1`, g.key.Org)
	if err != nil {
		g.t.Fatal(err)
	}
	got := map[int]string{}
	var id int
	var v string
	if _, err := pgx.ForEachRow(rows, []any{&id, &v}, func() error { got[id] = v; return nil }); err != nil {
		g.t.Fatal(err)
	}
	return got
}

// truth is what the vendor has.
func (g *rig) truth() map[int]string {
	g.vendor.mu.Lock()
	defer g.vendor.mu.Unlock()
	want := map[int]string{}
	for _, r := range g.vendor.rows {
		want[r.ID] = r.V
	}
	return want
}

func (g *rig) exec(sql string, args ...any) {
	g.t.Helper()
	if _, err := g.db.Pool.Exec(g.t.Context(), sql, args...); err != nil {
		g.t.Fatal(err)
	}
}

func refused(op string) error {
	return &vendorapi.Error{Vendor: "ipscape", Op: op, Kind: vendorapi.Refused, Status: 410}
}

func vendorError(kind vendorapi.Kind) error {
	return &vendorapi.Error{Vendor: "ipscape", Op: "listActivities", Kind: kind, After: time.Minute}
}
