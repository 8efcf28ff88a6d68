package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// crowdRows fills the tables that a removal looks into with rows of others. %[1]s is the organisation, %[2]d how many.
const crowdRows = `
insert into ops.records (org_id, account_id, source, stream, object_id, payload, content_hash, observed_at, first_seen_at)
  select '%[1]s', 'default', 'ipscape', 'activities', 'o' || g, '{}', '', now(), now() from generate_series(1, %[2]d) g;
insert into ops.record_keys (org_id, kind, account_id, value, role, record_id)
  select '%[1]s', 'ipscape_lead', 'default', g::text, 'lead', 1000000 + g from generate_series(1, %[2]d) g;
insert into ipscape.activities (org_id, account_id, activity_id, observed_at, changed_at)
  select '%[1]s', 'default', 1000000 + g, now(), now() from generate_series(1, %[2]d) g;
insert into ipscape.leads (org_id, account_id, lead_id, observed_at, changed_at)
  select '%[1]s', 'default', 1000000 + g, now(), now() from generate_series(1, %[2]d) g;
insert into ipscape.dial_attempts (org_id, account_id, attempt_id, lead_id, observed_at, changed_at)
  select '%[1]s', 'default', 1000000 + g, 1000000 + g, now(), now() from generate_series(1, %[2]d) g;
insert into ipscape.bulk_creates (org_id, account_id, bulk_id, state, list_ids, leads, asked_at)
  values ('%[1]s', 'default', '%[1]s', 'taken', '{7}', %[2]d, now());
insert into ipscape.bulk_leads (org_id, account_id, list_id, hash, bulk_id)
  select '%[1]s', 'default', 7, sha256(g::text::bytea), '%[1]s' from generate_series(1, %[2]d) g;
insert into convoso.events (org_id, account_id, event_id, inbox_id, type, zone_assumed, observed_at, changed_at)
  select '%[1]s', 'default', 'disposition:x' || g, gen_random_uuid(), 'disposition', false, now(), now() from generate_series(1, %[2]d) g;
insert into convolo.calls (org_id, account_id, call_id, delivery_id, phone, observed_at, changed_at)
  select '%[1]s', 'default', 'x' || g, gen_random_uuid(), '+1202' || g, now(), now() from generate_series(1, %[2]d) g;
insert into dialedin.leads (org_id, account_id, client_id, state, observed_at, changed_at)
  select '%[1]s', 'default', gen_random_uuid(), 'confirmed', now(), now() from generate_series(1, %[2]d) g;
insert into ops.inbox (id, org_id, source, state, received_at, method, content_type, body, duplicate_of)
  select gen_random_uuid(), '%[1]s', 'convoso', 'duplicate', now(), 'POST', '', 'x', gen_random_uuid() from generate_series(1, %[2]d) g;
insert into ops.inbox_facts (org_id, account_id, source, stream, object_id, content_hash, inbox_id)
  select '%[1]s', 'default', 'convoso', 's', 'x' || g, '', gen_random_uuid() from generate_series(1, %[2]d) g;
insert into ops.suppressions (org_id, kind, account_id, value, source, stream, object_id, reason, received_at, folded_at)
  select '%[1]s', 'phone', '', '+1202' || g, 'convoso', 's', 'x' || g, '', now(), now() from generate_series(1, %[2]d) g;
insert into pipeline.leads (org_id, lead_id, email, source, priority, stage_key, content_hash, first_source_time, created_at, updated_at)
  select '%[1]s', gen_random_uuid(), 'P' || g || '@b.example', 'ipscape', 'normal', 'new_lead', '', now(), now(), now() from generate_series(1, %[2]d) g;
insert into pipeline.lead_keys (org_id, kind, account_id, value, lead_id, rule, evidence, linked_at)
  select '%[1]s', 'ipscape_lead', 'default', g::text, gen_random_uuid(), '', '', now() from generate_series(1, %[2]d) g;
insert into pipeline.calls (org_id, source, account_id, external_call_id, content_hash, occurred_at, updated_at)
  select '%[1]s', 'ipscape', 'default', 'x' || g, '', now(), now() from generate_series(1, %[2]d) g;
insert into pipeline.call_events (org_id, source, account_id, external_call_id, event_type, occurred_at, told_by, event_id, told_at)
  select '%[1]s', 'ipscape', 'default', 'x' || g, 'started', now(), '', gen_random_uuid(), now() from generate_series(1, %[2]d) g;
insert into ops.deliveries (id, org_id, account_id, destination, operation, class, lead_id, phone, state, source_time, not_before, created_at, dedupe)
  select gen_random_uuid(), '%[1]s', 'default', 'dialedin', 'insert_lead', 'rings', gen_random_uuid(), '+1202' || g, 'confirmed', now(), now(), now(), g::text
  from generate_series(1, %[2]d) g;
analyze;`

// rowsReadSQL counts what was read of each table, in whole and by index.
const rowsReadSQL = `
select t.schemaname || '.' || t.relname, t.seq_tup_read + coalesce(t.idx_tup_fetch, 0) + coalesce((
  select sum(i.idx_tup_read) from pg_stat_user_indexes i where i.relid = t.relid), 0)
from pg_stat_user_tables t
where t.schemaname in ('ops', 'pipeline', 'ipscape', 'convoso', 'convolo', 'dialedin')`

// TestEraseReadsNoWholeTable erases one of very many: each table is read by index, save those whose texts are searched, once.
func TestEraseReadsNoWholeTable(t *testing.T) {
	t.Parallel()
	const others = 5000
	w := newEraseWorld(t)
	mustExec(t, w.db, fmt.Sprintf(crowdRows, foldOrg, others))
	w.lead("1", 0, "Perth", phone(phoneA), email("jo@a.example"))
	w.land(foldRecord{pipeline.SourceIPSCAPE, "c1", 3, callOf("c1", phoneA)})
	w.drain()
	read := func() map[string]int {
		w.db.Pool.Reset() // connections that end tell what they read
		counts := map[string]int{}
		rows, err := w.db.Pool.Query(t.Context(), rowsReadSQL)
		if err != nil {
			t.Fatal(err)
		}
		var table string
		var n int
		if _, err := pgx.ForEachRow(rows, []any{&table, &n}, func() error { counts[table] = n; return nil }); err != nil {
			t.Fatal(err)
		}
		return counts
	}
	settled := func() (counts map[string]int) {
		for last := -1; ; time.Sleep(50 * time.Millisecond) {
			counts = read()
			sum := 0
			for _, n := range counts {
				sum += n
			}
			if sum == last {
				return counts
			}
			last = sum
		}
	}
	before := settled()
	started := time.Now()
	w.erase(store.Identity{Phone: phoneA})
	t.Logf("erased beside %d others in %v", others, time.Since(started))
	for table, n := range settled() {
		most := others / 10
		switch {
		case table == "ops.records", strings.HasPrefix(table, "ops.inbox_2"), table == "ops.inbox_default":
			most = 5 * others / 2 // an entry of the index and the row, for the text
		}
		if n -= before[table]; n > most {
			t.Errorf("%s: %d rows or entries read, of %d rows of others", table, n, others)
		}
	}
}

// TestEraseHoldsUpNobody stops a removal in its midst: whoever lands goes on, what names the person is kept out, and a webhook
// that was ordered since the search goes too.
func TestEraseHoldsUpNobody(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.routes("convolo", "")
	w.lead("1", 1, "Perth", phone(phoneA))
	mustExec(t, w.db, `insert into pipeline.blocked_phones (org_id, phone, blocked_at) values ($1, $2, now())`, foldOrg, phoneA)
	mustExec(t, w.db, `insert into ops.quarantine (id, org_id, account_id, source, stream, object_id, reason, error, body, body_hash, first_seen_at, last_seen_at)
		values (gen_random_uuid(), $1, 'default', 'convoso', 's', 'lead ' || $2, 'r', 'e', '', '', now(), now())`, foldOrg, phoneA)
	w.eraser.Patience = time.Minute
	land := func(org uuid.UUID, object, number string) store.Landed {
		t.Helper()
		payload, _ := json.Marshal(callOf(object, number))
		var landed store.Landed
		err := w.db.InTx(t.Context(), func(tx pgx.Tx) (err error) {
			if _, err = tx.Exec(t.Context(), `set local lock_timeout = '5s'`); err != nil {
				return err
			}
			landed, err = w.db.Land(t.Context(), tx, store.Target{Org: org, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "s"},
				[]store.LandRecord{{ObjectID: object, Payload: payload, ObservedAt: foldStart}}, store.LandOptions{})
			return err
		})
		if err != nil {
			t.Errorf("landing %s: %v", object, err)
		}
		return landed
	}
	waiting := func(kind string) {
		t.Helper()
		for over := time.Now().Add(time.Minute); w.count(`select count(*) from pg_locks l join pg_stat_activity a using (pid)
			where a.datname = current_database() and l.locktype = $1 and not l.granted`, kind) == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(over) {
				t.Fatalf("nobody waits for a lock of kind %s", kind)
			}
		}
	}
	erased := make(chan error, 1)
	elsewhere := uuid.New()
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `select from ops.deliveries where phone = $1 for update`, phoneA); err != nil {
			return err
		}
		err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
			_, err := w.db.Land(t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "s"},
				[]store.LandRecord{{ObjectID: "c0", Payload: []byte(`{}`), ObservedAt: foldStart}}, store.LandOptions{})
			go func() {
				_, err := w.eraser.Erase(t.Context(), foldOrg, store.Identity{Phone: phoneA})
				erased <- err
			}()
			waiting("advisory")
			if land(elsewhere, "elsewhere", phoneB).New != 1 {
				t.Error("another organisation waits for the erasure of one")
			}
			return err
		})
		waiting("transactionid")
		if land(foldOrg, "other", phoneB).New != 1 || land(foldOrg, "own", phoneA).Erased != 1 {
			t.Error("while it removes: somebody else's is not landed, or the person's is")
		}
		mustExec(t, w.db, `insert into ops.webhook_events (event_id, org_id, event, subject, data, occurred_at, created_at, dedupe)
			values (gen_random_uuid(), $1, 'lead.created', 's', json_build_object('phone', $2::text), now(), $3, 'd')`, foldOrg, phoneA, w.db.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-erased; err != nil {
		t.Fatal(err)
	}
	w.drain()
	if n := w.holding(phoneA) + w.count(`select (select count(*) from ops.webhook_events) + (select count(*) from pipeline.blocked_phones)
		+ (select count(*) from ops.quarantine where object_id like '%' || $1 || '%')`, phoneA); n > 0 {
		t.Errorf("%d rows hold the phone", n)
	}
	w.agrees("in the end")
}
