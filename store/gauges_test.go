package store_test

import (
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
)

func readGauges(t *testing.T, db *store.DB) store.Gauges {
	t.Helper()
	g, err := db.Gauges(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGauges(t *testing.T) {
	t.Parallel()
	db := &store.DB{Pool: storetest.DB(t), Log: discard(), Clock: func() time.Time { return foldStart.Add(time.Hour) }}
	if diff := gocmp.Diff(store.Gauges{}, readGauges(t, db), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("an empty database (-want +got):\n%s", diff)
	}
	if slow, err := db.SlowGauges(t.Context()); err != nil || gocmp.Diff(store.SlowGauges{}, slow, cmpopts.EquateEmpty()) != "" {
		t.Errorf("an empty database: %+v, %v", slow, err)
	}
	mustExec(t, db, `insert into river.river_job (kind, state, queue, max_attempts, args, scheduled_at, finalized_at)
		select k, s::river.river_job_state, 'default', 1, '{}', $1::timestamptz + a, case when s in ('completed', 'discarded') then $1::timestamptz end
		from (values ('walk', 'available', interval '50 min'), ('walk', 'available', interval '58 min'), ('walk', 'running', interval '0'),
		  ('inbox', 'completed', interval '0'), ('inbox', 'discarded', interval '0'), ('inbox', 'scheduled', interval '0')) j (k, s, a)`, foldStart)
	insertDelivery(t, db, foldOrg, "1", "rings", "ready", phoneA, uuid.New())
	insertDelivery(t, db, foldOrg, "2", "rings", "ready", phoneB, uuid.New())
	insertDelivery(t, db, uuid.New(), "3", "rings", "unknown", phoneA, uuid.New())
	insertDelivery(t, db, foldOrg, "4", "repeatable", "ready", phoneA, uuid.New())
	insertDelivery(t, db, foldOrg, "5", "rings", "confirmed", phoneA, uuid.New())
	insertDelivery(t, db, foldOrg, "6", "rings", "cancelled", phoneA, uuid.New())
	mustExec(t, db, `update ops.deliveries set created_at = $1, not_before = $1::timestamptz + interval '15 min', sending_at = case when state = 'unknown' then $1::timestamptz + interval '40 min' end,
		operation = case dedupe when '4' then 'dnc_add' else operation end, destination = case dedupe when '4' then 'dialedin' else destination end,
		reason = case state when 'cancelled' then 'do_not_call' end`, foldStart)
	mustExec(t, db, `insert into ops.budgets (org_id, account_id, source, refilled_at, paused_until, denied_at)
		select gen_random_uuid(), 'default', v, now(), now() + p, d
		from (values ('ipscape', null::interval, null::timestamptz), ('ipscape', '-1 hour', null), ('ipscape', null, now()), ('convolo', '1 hour', null)) a (v, p, d)`)
	mustExec(t, db, `insert into ops.attention (attention_id, kind, detail, since, cleared_at)
		values (gen_random_uuid(), 'lost_commits', '', now(), null), (gen_random_uuid(), 'lost_commits', '', now(), now())`)
	mustExec(t, db, `insert into ops.daemons (daemon_id, host, version, started_at, seen_at)
		select gen_random_uuid(), '', '', $1, $1::timestamptz + s from unnest(array[interval '59 min', interval '59 min 50 s', interval '59 min 55 s']) s`, foldStart)
	mustExec(t, db, `insert into ops.quarantine (id, org_id, account_id, source, stream, object_id, reason, error, body, body_hash, first_seen_at, last_seen_at, state)
		select gen_random_uuid(), $1, 'default', 'ipscape', 'leads', n::text, '', '', '', '', now(), now(), s
		from unnest(array['open', 'open', 'fixed', 'discarded']) with ordinality as q (s, n)`, foldOrg)
	mustExec(t, db, `insert into ops.unknowns (org_id, account_id, source, stream, kind, name, seen, first_seen_at, last_seen_at)
		select gen_random_uuid(), 'default', 'ipscape', 'leads', 'field', f, s, now(), now() from (values ('score', 3), ('score', 4), ('mood', 1)) u (f, s)`)
	mustExec(t, db, `insert into ops.inbox (id, org_id, source, state, received_at, method, content_type, body)
		select gen_random_uuid(), $1, 'convoso', s, $2, '', '', '' from unnest(array['new', 'new', 'done', 'unclassified', 'unparsable', 'unparsable', 'quarantined']) s`, foldOrg, foldStart)
	mustExec(t, db, `insert into ops.reconcile_queue (org_id, record_id, queued_at) select $1, n, $2::timestamptz + n * interval '5 min' from generate_series(1, 3) n`, foldOrg, foldStart)
	mustExec(t, db, `insert into pipeline.do_not_call (org_id, phone, reason, source, since, lifted_at, evidence, updated_at)
		values ($1, '+1', '', '', now(), null, '', now()), ($1, '+2', '', '', now(), now(), '', now())`, foldOrg)
	mustExec(t, db, `insert into ops.streams (org_id, account_id, source, stream, capability, origin, covered, last_success_at)
		values ($1, 'default', 'ipscape', 'leads', 'created', $2, tstzmultirange(tstzrange($2, $3), tstzrange($4, $5)), $5),
		  ($1, 'default', 'ipscape', 'never', 'created', null, '{}', null)`,
		foldOrg, foldStart, foldStart.Add(time.Minute), foldStart.Add(2*time.Minute), foldStart.Add(3*time.Minute))
	mustExec(t, db, `update ops.streams set failures = 3, warning = 'too much is gone' where stream = 'leads'`)
	mustExec(t, db, `insert into ops.schedules (name, spec, zone, last_slot, next_slot, updated_at)
		values ('ipscape.leads', '@every 1m', 'UTC', $1::timestamptz + interval '59 min', $1::timestamptz + interval '1 hour', $1)`, foldStart)
	g := readGauges(t, db)
	streams := g.Streams
	g.Streams = nil
	if len(g.Accounts) > 0 && (g.Accounts[0].PausedFor < 3000 || g.Accounts[0].PausedFor > 3600) {
		t.Errorf("the pause lasts %v s more", g.Accounts[0].PausedFor)
	}
	want := store.Gauges{
		Jobs:     []store.CountOf{{A: "inbox", B: "discarded", Count: 1}, {A: "inbox", B: "scheduled", Count: 1}, {A: "walk", B: "available", Count: 2}, {A: "walk", B: "running", Count: 1}},
		Accounts: []store.AccountGauge{{Vendor: "convolo", Paused: 1}, {Vendor: "ipscape", Closed: 2, Denied: 1}},
		Deliveries: []store.DeliveryGauge{
			{Destination: "convolo", State: "ready", Count: 2, Oldest: 2700},
			{Destination: "convolo", State: "unknown", Count: 1, Oldest: 1200},
			{Destination: "dialedin", State: "ready", Count: 1, Oldest: 2700, OptOuts: 1, OldestOptOut: 3600},
		},
		Quarantine: []store.CountOf{{A: "ipscape", B: "leads", Count: 2}},
		Unknowns:   []store.UnknownGauge{{Source: "ipscape", Stream: "leads", Kind: "field", Names: 2, Seen: 8}},
		OldestJob:  600, Inbox: 2, InboxOldest: 3600, Unfolded: 3, UnfoldedOldest: 3300, Unclassified: 1, Unparsable: 2, Stuck: 1, Daemons: 2, Notices: 1,
	}
	if diff := gocmp.Diff(want, g, cmpopts.IgnoreFields(store.AccountGauge{}, "PausedFor")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(streams) != 2 || streams[0].LastSuccess == nil || *streams[0].LastSuccess != float64(foldStart.Add(3*time.Minute).Unix()) ||
		streams[0].Holes != 1 || streams[0].Lag == nil || *streams[0].Lag < 3600 || streams[0].Failures != 3 || streams[0].Distrusted != 1 ||
		streams[0].Overdue == nil || *streams[0].Overdue != (56*time.Minute).Seconds() {
		t.Errorf("streams are %+v", streams)
	}
	if len(streams) == 2 && (streams[1].LastSuccess != nil || streams[1].Lag != nil || streams[1].Overdue != nil || streams[1].Holes != 0) {
		t.Errorf("a stream that was never read is %+v", streams[1])
	}
	slow, err := db.SlowGauges(t.Context())
	wantSlow := store.SlowGauges{OptedOut: 1, Stopped: []store.CountOf{{A: "convolo", B: "start_call", Count: 1}}}
	if diff := gocmp.Diff(wantSlow, slow, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("what is seldom looked at (%v, -want +got):\n%s", err, diff)
	}
}

// TestGaugesLeaveSettledDeliveries: the price of a scrape follows what is open, not what was ever delivered.
func TestGaugesLeaveSettledDeliveries(t *testing.T) {
	t.Parallel()
	db := &store.DB{Pool: storetest.DB(t), Log: discard()}
	mustExec(t, db, `insert into ops.deliveries (id, org_id, account_id, destination, operation, class, state, source_time, not_before, created_at, dedupe)
		select gen_random_uuid(), $1, 'default', 'convolo', 'start_call', 'rings', case n when 1 then 'ready' else 'confirmed' end, now(), now(), now(), n::text
		from generate_series(1, 5000) n`, foldOrg)
	mustExec(t, db, `analyze ops.deliveries`)
	rows, err := db.Pool.Query(t.Context(), "explain "+store.DeliveryGaugesSQL, pgx.StrictNamedArgs{"now": foldStart, "opt_out": "dnc_add"})
	if err != nil {
		t.Fatal(err)
	}
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if text := strings.Join(plan, "\n"); err != nil || !strings.Contains(text, "using deliveries_") || strings.Contains(text, "Seq Scan") {
		t.Errorf("deliveries are counted by (%v)\n%s", err, text)
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

// TestDriftOverdue: late is what has a schedule and no sample for more than two of its steps. What is off is never late.
func TestDriftOverdue(t *testing.T) {
	t.Parallel()
	now := foldStart.Add(24 * time.Hour)
	db := &store.DB{Pool: storetest.DB(t), Log: discard(), Clock: func() time.Time { return now }}
	for stream, hours := range map[string]int{"activities": 8, "leads": 14, "users": 20} {
		mustExec(t, db, `insert into ops.drift_runs (run_id, org_id, account_id, source, stream, started_at, finished_at, compared, listed, missing, extra, stale, mapped_wrong)
			select gen_random_uuid(), $1, 'default', 'ipscape', $2, at, at, 1, 1, 0, 0, 0, 0 from unnest(array[$3::timestamptz, $3::timestamptz - interval '6 h']) at`, foldOrg, stream, now.Add(-time.Duration(hours)*time.Hour))
	}
	// One that failed before it compared anything is no look.
	mustExec(t, db, `insert into ops.drift_runs (run_id, org_id, account_id, source, stream, started_at, finished_at, compared, listed, missing, extra, stale, mapped_wrong, error)
		select gen_random_uuid(), $1, 'default', 'ipscape', 'leads', $2, $2, 0, 0, 0, 0, 0, 0, 'the vendor failed'`, foldOrg, now.Add(-time.Hour))
	mustExec(t, db, `insert into ops.schedules (name, spec, zone, last_slot, next_slot, updated_at)
		select 'ipscape.' || s || '.drift', '@every 6h', 'UTC', $1::timestamptz, $1::timestamptz + interval '6 h', $1 from unnest(array['activities', 'leads', 'campaigns']) s`, foldStart)
	var keys []store.StreamKey
	for _, stream := range []string{"activities", "leads", "users", "campaigns"} {
		keys = append(keys, store.StreamKey{Org: foldOrg, Account: store.DefaultAccount, Source: "ipscape", Stream: stream})
	}
	late, err := db.DriftOverdue(t.Context(), db.Pool, keys)
	want := []store.DriftLate{{Source: "ipscape", Stream: "activities", Overdue: -4 * 3600}, {Source: "ipscape", Stream: "leads", Overdue: 2 * 3600}}
	if diff := gocmp.Diff(want, late); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
