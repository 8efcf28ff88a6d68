package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/pipeline"
)

var (
	foldOrg   = uuid.MustParse("0191f3a0-0000-7000-8000-000000000001")
	foldStart = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
)

// foldWorld is a database whose records' payloads are their facts, so that a test says what a record means.
type foldWorld struct {
	t   *testing.T
	db  *store.DB
	rec *store.Reconciler
}

func newFoldWorld(t *testing.T) *foldWorld {
	t.Helper()
	db := &store.DB{
		Pool: storetest.DB(t), Log: slog.New(slog.DiscardHandler),
		Clock: func() time.Time { return foldStart.Add(time.Hour) },
	}
	return &foldWorld{t: t, db: db, rec: &store.Reconciler{
		DB: db, MaxAge: 24 * time.Hour, Blockers: []string{"dialedin"},
		Facts: func(r *pipeline.Record) (pipeline.Facts, error) {
			var f pipeline.Facts
			return f, json.Unmarshal(r.Payload, &f)
		},
	}}
}

// foldRecord is one observation of an object.
type foldRecord struct {
	source pipeline.Source
	object string
	minute int
	facts  pipeline.Facts
}

func (r foldRecord) at() time.Time { return foldStart.Add(time.Duration(r.minute) * time.Minute) }

func (w *foldWorld) land(recs ...foldRecord) {
	w.t.Helper()
	for _, r := range recs {
		payload, err := json.Marshal(r.facts)
		if err != nil {
			w.t.Fatal(err)
		}
		err = w.db.InTx(w.t.Context(), func(tx pgx.Tx) error {
			_, err := w.db.Land(w.t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: r.source, Stream: "s"},
				[]store.LandRecord{{ObjectID: r.object, Payload: payload, SourceTime: r.at(), ObservedAt: r.at()}}, store.LandOptions{Bump: true})
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *foldWorld) drain() {
	w.t.Helper()
	if _, err := w.rec.Drain(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// picture is the pipeline without our own ids: leads by their keys, calls with their lead's keys.
type picture struct {
	Leads, Calls, DNC []string
}

func (w *foldWorld) stored() picture {
	w.t.Helper()
	ctx := w.t.Context()
	text := func(sql string) []string {
		rows, err := w.db.Pool.Query(ctx, sql)
		if err != nil {
			w.t.Fatal(err)
		}
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			w.t.Fatal(err)
		}
		slices.Sort(list)
		return list
	}
	const keys = `(select coalesce(string_agg(k.kind || ':' || k.value || ':' || k.rule, ',' order by k.kind collate "C", k.value collate "C"), '') from pipeline.lead_keys k where k.lead_id = `
	return picture{
		Leads: text(`select ` + keys + `l.lead_id) || ' ' || l.stage_key || ' ' || coalesce(l.city, '') || ' ' || l.is_do_not_call || ' ' || l.attempts from pipeline.leads l`),
		Calls: text(`select c.external_call_id || ' ' || coalesce(c.disposition, '') || ' [' || coalesce(` + keys + `c.lead_id), '') || '] ' || (select count(*) from pipeline.call_events e where e.external_call_id = c.external_call_id) from pipeline.calls c`),
		DNC:   text(`select phone || ' ' || (lifted_at is null) || ' ' || reason from pipeline.do_not_call`),
	}
}

// pure folds the same records without a database: of each object the latest observation.
func pure(recs []foldRecord) picture {
	type id struct {
		source pipeline.Source
		object string
	}
	latest, first := map[id]foldRecord{}, map[id]int{}
	for _, r := range recs {
		k := id{r.source, r.object}
		if old, ok := latest[k]; !ok || r.minute > old.minute {
			latest[k] = r
		}
		if at, ok := first[k]; !ok || r.minute < at {
			first[k] = r.minute
		}
	}
	var told []pipeline.Told
	for k, r := range latest {
		payload, _ := json.Marshal(r.facts)
		rec := pipeline.Record{
			Source: k.source, Stream: "s", ObjectID: k.object, Payload: payload, ObservedAt: r.at(), SourceTime: r.at(),
			FirstSeenAt: foldStart.Add(time.Duration(first[k]) * time.Minute),
		}
		told = append(told, pipeline.TellOf(&rec, r.facts))
	}
	res := pipeline.Fold(told, pipeline.Rules{})
	return pictureOf(&res)
}

// pictureOf is what the tables have to say of a fold.
func pictureOf(res *pipeline.Result) picture {
	keysOf := func(l *pipeline.Lead) string {
		var parts []string
		for _, k := range l.Keys {
			parts = append(parts, string(k.Kind)+":"+k.Value+":"+k.Rule)
		}
		return strings.Join(parts, ",")
	}
	var p picture
	for i := range res.Leads {
		l := &res.Leads[i]
		p.Leads = append(p.Leads, fmt.Sprintf("%s %s %s %t %d", keysOf(l), l.Stage, l.Fields[pipeline.FieldCity].Value, l.DNC, l.Attempts))
	}
	for i := range res.Calls {
		c := &res.Calls[i]
		lead := ""
		if c.Lead >= 0 {
			lead = keysOf(&res.Leads[c.Lead])
		}
		p.Calls = append(p.Calls, fmt.Sprintf("%s %s [%s] %d", c.Key.ExternalID, c.Disposition, lead, len(c.Events)))
	}
	for i := range res.DNC {
		d := &res.DNC[i]
		p.DNC = append(p.DNC, fmt.Sprintf("%s %t %s", d.Phone, d.Active(), d.Reason))
	}
	slices.Sort(p.Leads)
	slices.Sort(p.Calls)
	slices.Sort(p.DNC)
	return p
}

// TestReconcileEqualsFold lands random records in random order and batches; after each batch the tables must say what one
// fold over everything landed so far says: that what reconcile reads is enough, whatever came before.
func TestReconcileEqualsFold(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 7))
			w := newFoldWorld(t)
			w.rec.Batch = int(seed % 4) // small ones leave much of what belongs together in the queue
			var all []foldRecord
			for range 6 {
				var batch []foldRecord
				for range 1 + rng.IntN(12) {
					batch = append(batch, randomRecord(rng))
				}
				all = append(all, batch...)
				rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
				w.land(batch...)
				w.drain()
				if diff := cmp.Diff(pure(all), w.stored(), cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("after %d records (-fold +tables):\n%s", len(all), diff)
				}
			}
		})
	}
}

// randomRecord is one of few objects, of which most belong together.
func randomRecord(rng *rand.Rand) foldRecord { return randomRecordOf(rng, 1) }

// randomRecordOf is one of so many times as many objects. Minutes are unique per draw of an object, so that two observations never
// tie in time with different words.
func randomRecordOf(rng *rand.Rand, spread int) foldRecord {
	phone := func() pipeline.Key {
		return pipeline.Key{Kind: pipeline.KeyPhone, Value: fmt.Sprintf("+1503222%04d", 1110+rng.IntN(3*spread))}
	}
	var keys []pipeline.Key
	if rng.IntN(2) == 0 {
		keys = append(keys, pipeline.Key{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: fmt.Sprint(rng.IntN(9 * spread))})
	}
	if rng.IntN(3) == 0 {
		keys = append(keys, pipeline.Key{Kind: pipeline.KeyConvosoLead, Account: "default", Value: fmt.Sprint(rng.IntN(5 * spread))})
	}
	for range rng.IntN(3) {
		keys = append(keys, phone())
	}
	if rng.IntN(5) == 0 {
		keys = []pipeline.Key{phone()} // known by its phone alone
	}
	r := foldRecord{source: pipeline.SourceIPSCAPE, object: fmt.Sprint(rng.IntN(18 * spread)), minute: rng.IntN(1 << 20)}
	if rng.IntN(3) > 0 {
		r.facts.Leads = []pipeline.LeadFact{{Keys: keys, Fields: map[pipeline.Field]string{pipeline.FieldCity: string(rune('A' + rng.IntN(4)))}}}
	}
	if rng.IntN(3) == 0 {
		r.facts.Calls = []pipeline.CallFact{{
			Key:  pipeline.CallKey{Dialler: pipeline.SourceConvoso, Account: "default", ExternalID: fmt.Sprint(rng.IntN(6 * spread))},
			Lead: keys, Direction: pipeline.Outbound, StartedAt: r.at(), Disposition: []string{"", "CB", "NI", "NA"}[rng.IntN(4)],
			Events: []pipeline.CallEvent{{Type: pipeline.EventStarted, OccurredAt: r.at()}},
		}}
	}
	if rng.IntN(5) == 0 {
		fact := pipeline.DNCFact{Reason: "DNC", Lift: rng.IntN(4) == 0}
		if rng.IntN(2) == 0 {
			fact.Phone = phone().Value
		} else {
			fact.Lead = keys
		}
		r.facts.DNC = []pipeline.DNCFact{fact}
	}
	if rng.IntN(10) == 0 {
		// What an operator took apart: keys of leads that may be there, now or later.
		r.source, r.facts = pipeline.SourceOperator, pipeline.Facts{Unlinks: []pipeline.UnlinkFact{{
			Key: []pipeline.Key{phone(), {Kind: pipeline.KeyConvosoLead, Account: "default", Value: fmt.Sprint(rng.IntN(5 * spread))}}[rng.IntN(2)],
			From: []pipeline.Key{
				{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: fmt.Sprint(rng.IntN(9 * spread))},
				{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: fmt.Sprint(rng.IntN(9 * spread))},
				{Kind: pipeline.KeyConvosoLead, Account: "default", Value: fmt.Sprint(rng.IntN(5 * spread))},
			},
		}}}
	}
	return r
}

// landAt lands a fact of Convoso lead 1: told of one minute, seen in another.
func (w *foldWorld) landAt(object, city string, told, seen int) {
	w.t.Helper()
	payload, err := json.Marshal(pipeline.Facts{Leads: []pipeline.LeadFact{{
		Keys:   []pipeline.Key{{Kind: pipeline.KeyConvosoLead, Account: "default", Value: "1"}},
		Fields: map[pipeline.Field]string{pipeline.FieldCity: city},
	}}})
	if err != nil {
		w.t.Fatal(err)
	}
	minute := func(n int) time.Time { return foldStart.Add(time.Duration(n) * time.Minute) }
	err = w.db.InTx(w.t.Context(), func(tx pgx.Tx) error {
		_, err := w.db.Land(w.t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceConvoso, Stream: "s"},
			[]store.LandRecord{{ObjectID: object, Payload: payload, SourceTime: minute(told), ObservedAt: minute(seen)}}, store.LandOptions{Bump: true})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestReconcileHearsOfEarlierSightings: of two facts told of the same moment the later seen one wins, until it turns out to
// have been seen first.
func TestReconcileHearsOfEarlierSightings(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	land := func(object, city string, seen int) {
		t.Helper()
		w.landAt(object, city, 0, seen)
		w.drain()
	}
	city := func() (got string) {
		t.Helper()
		if err := w.db.Pool.QueryRow(t.Context(), `select city from pipeline.leads`).Scan(&got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	land("a", "Salem", 5)
	land("b", "Bend", 7)
	if got := city(); got != "Bend" {
		t.Fatalf("city = %s, want that of the later seen fact", got)
	}
	land("b", "Bend", 9)
	if got := city(); got != "Bend" {
		t.Fatalf("city = %s after a repeat", got)
	}
	land("a", "Salem", 11)
	if got := city(); got != "Bend" {
		t.Fatalf("city = %s: a repeat overtook what was told in between", got)
	}
	land("b", "Bend", 3)
	if got := city(); got != "Salem" {
		t.Fatalf("city = %s, want that of the fact which now was seen last", got)
	}
}

func TestMain(m *testing.M) { storetest.Main(m) }

func TestReconcileKeepsIDsOverMergeAndSplit(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	lead := func(id string, minute int, phone string) foldRecord {
		return foldRecord{pipeline.SourceIPSCAPE, id, minute, pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: []pipeline.Key{
			{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: id}, {Kind: pipeline.KeyPhone, Value: phone},
		}}}}}
	}
	id := func(value string) string {
		var got string
		err := w.db.Pool.QueryRow(context.Background(), `select lead_id::text from pipeline.lead_keys where kind = 'ipscape_lead' and value = $1`, value).Scan(&got)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	w.land(lead("1", 1, "+15032221111"), lead("2", 2, "+15032221112"))
	w.drain()
	one, two := id("1"), id("2")
	w.land(lead("2", 3, "+15032221111"))
	w.drain()
	if id("2") != one {
		t.Fatalf("merged lead has id %s, want the elder's %s", id("2"), one)
	}
	var into string
	if err := w.db.Pool.QueryRow(t.Context(), `select into_lead_id::text from pipeline.lead_merges where lead_id = $1`, two).Scan(&into); err != nil || into != one {
		t.Fatalf("merged id resolves to %q (%v), want %s", into, err, one)
	}
	w.land(lead("2", 4, "+15032221112"))
	w.drain()
	if id("1") != one || id("2") != two {
		t.Fatalf("after the split ids are %s and %s, want %s and %s", id("1"), id("2"), one, two)
	}
}
