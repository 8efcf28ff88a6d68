package store_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
)

func readGauges(t *testing.T, db *store.DB) store.Gauges {
	t.Helper()
	g, err := db.Gauges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]store.CountOf{g.Jobs, g.Deliveries, g.Quarantine} {
		slices.SortFunc(list, func(a, b store.CountOf) int { return cmp.Or(cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B)) })
	}
	slices.SortFunc(g.Streams, func(a, b store.StreamGauge) int { return cmp.Compare(a.Stream, b.Stream) })
	return g
}

func TestGauges(t *testing.T) {
	t.Parallel()
	db := &store.DB{Pool: storetest.DB(t), Log: discard(), Clock: func() time.Time { return foldStart.Add(time.Hour) }}
	if diff := gocmp.Diff(store.Gauges{}, readGauges(t, db), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("an empty database (-want +got):\n%s", diff)
	}
	mustExec(t, db, `insert into river.river_job (kind, state, queue, max_attempts, args, scheduled_at, finalized_at)
		select k, s::river.river_job_state, 'default', 1, '{}', $1::timestamptz + a, case when s in ('completed', 'discarded') then $1::timestamptz end
		from (values ('walk', 'available', interval '50 min'), ('walk', 'available', interval '58 min'), ('walk', 'running', interval '0'),
		  ('inbox', 'completed', interval '0'), ('inbox', 'discarded', interval '0'), ('inbox', 'scheduled', interval '0')) j (k, s, a)`, foldStart)
	insertDelivery(t, db, foldOrg, "1", "rings", "ready", phoneA, uuid.New())
	insertDelivery(t, db, foldOrg, "2", "rings", "ready", phoneB, uuid.New())
	insertDelivery(t, db, uuid.New(), "3", "rings", "unknown", phoneA, uuid.New())
	mustExec(t, db, `insert into ops.quarantine (id, org_id, account_id, source, stream, object_id, reason, error, body, body_hash, first_seen_at, last_seen_at, state)
		select gen_random_uuid(), $1, 'default', 'ipscape', 'leads', n::text, '', '', '', '', now(), now(), s
		from unnest(array['open', 'open', 'fixed', 'discarded']) with ordinality as q (s, n)`, foldOrg)
	mustExec(t, db, `insert into ops.inbox (id, org_id, source, state, received_at, method, content_type, body)
		select gen_random_uuid(), $1, 'convoso', s, $2, '', '', '' from unnest(array['new', 'new', 'done']) s`, foldOrg, foldStart)
	mustExec(t, db, `insert into ops.reconcile_queue (org_id, record_id) values ($1, 1), ($1, 2), ($1, 3)`, foldOrg)
	mustExec(t, db, `insert into pipeline.do_not_call (org_id, phone, reason, source, since, lifted_at, evidence, updated_at)
		values ($1, '+1', '', '', now(), null, '', now()), ($1, '+2', '', '', now(), now(), '', now())`, foldOrg)
	mustExec(t, db, `insert into ops.streams (org_id, account_id, source, stream, capability, origin, covered, last_success_at)
		values ($1, 'default', 'ipscape', 'leads', 'created', $2, tstzmultirange(tstzrange($2, $3), tstzrange($4, $5)), $5),
		  ($1, 'default', 'ipscape', 'never', 'created', null, '{}', null)`,
		foldOrg, foldStart, foldStart.Add(time.Minute), foldStart.Add(2*time.Minute), foldStart.Add(3*time.Minute))
	g := readGauges(t, db)
	streams := g.Streams
	g.Streams = nil
	want := store.Gauges{
		Jobs:       []store.CountOf{{A: "inbox", B: "discarded", Count: 1}, {A: "inbox", B: "scheduled", Count: 1}, {A: "walk", B: "available", Count: 2}, {A: "walk", B: "running", Count: 1}},
		Deliveries: []store.CountOf{{A: "convolo", B: "ready", Count: 2}, {A: "convolo", B: "unknown", Count: 1}},
		Quarantine: []store.CountOf{{A: "ipscape", B: "leads", Count: 2}},
		Gaps:       []store.CountOf{},
		OldestJob:  600, Inbox: 2, Unfolded: 3, DNC: 1,
	}
	if diff := gocmp.Diff(want, g); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(streams) != 2 || streams[0].LastSuccess == nil || *streams[0].LastSuccess != float64(foldStart.Add(3*time.Minute).Unix()) ||
		streams[0].Holes != 1 || streams[0].Lag == nil || *streams[0].Lag < 3600 {
		t.Errorf("streams are %+v", streams)
	}
	if len(streams) == 2 && (streams[1].LastSuccess != nil || streams[1].Lag != nil || streams[1].Holes != 0) {
		t.Errorf("a stream that was never read is %+v", streams[1])
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	empty, err := w.db.Counts(t.Context())
	if err != nil || empty != (store.Counts{}) {
		t.Errorf("an empty database: %+v, %v", empty, err)
	}
	w.routes("dialedin", "")
	w.at(30)
	w.lead("1", 10, "Salem", phone(phoneA))
	w.lead("2", 11, "Salem", phone("+61412345678"))
	insertDelivery(t, w.db, foldOrg, "x", "rings", "expired", phoneA, uuid.New())
	mustExec(t, w.db, `insert into ops.inbox (id, org_id, source, state, received_at, method, content_type, body)
		select gen_random_uuid(), $1, 'convoso', s, $2, '', '', '' from unnest(array['new', 'done', 'duplicate', 'unparsable', 'unclassified', 'quarantined']) s`, foldOrg, foldStart)
	mustExec(t, w.db, `insert into pipeline.do_not_call (org_id, phone, reason, source, since, evidence, updated_at)
		values ($1, '+1503', '', '', now(), '', now()), ($1, '+61', '', '', now(), '', now())`, foldOrg)
	got, err := w.db.Counts(t.Context())
	want := store.Counts{Posts: 6, PostsOpen: 1, PostsDuplicate: 1, PostsConvoso: 6, PostsBad: 3, Leads: 2, KeysIPSCAPE: 2, DNC: 2, DNCNorthAmerican: 1}
	if err != nil || got != want {
		t.Errorf("counts %+v (%v), want %+v", got, err, want)
	}
	deliveries, err := w.db.DeliveryCounts(t.Context(), w.db.Pool)
	wantD := []store.DeliveryCount{
		{Destination: "convolo", Operation: "start_call", State: "expired", Count: 1},
		{Destination: "dialedin", Operation: "insert_lead", State: "ready", Count: 2},
	}
	if diff := gocmp.Diff(wantD, deliveries); err != nil || diff != "" {
		t.Errorf("deliveries (%v, -want +got):\n%s", err, diff)
	}
}
