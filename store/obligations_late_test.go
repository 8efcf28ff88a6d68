package store_test

import (
	"encoding/json"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// uploaded has ipSCAPE tell of one of its leads now: with a phone, dialled or complete.
func (w *pushWorld) uploaded(id, e164 string, complete bool) {
	w.t.Helper()
	payload, err := json.Marshal(pipeline.Facts{Leads: []pipeline.LeadFact{{
		Keys: []pipeline.Key{ipscapeLead(id), phone(e164)}, Fields: map[pipeline.Field]string{pipeline.FieldCity: w.db.Now().String()},
	}}})
	if err != nil {
		w.t.Fatal(err)
	}
	mustExec(w.t, w.db, `insert into ipscape.leads (org_id, account_id, lead_id, completed, observed_at, changed_at) values ($1, 'default', $2::text::bigint, $3, $4, $4)
		on conflict (org_id, account_id, lead_id) do update set completed = excluded.completed`, foldOrg, id, complete, w.db.Now())
	if err := w.db.InTx(w.t.Context(), func(tx pgx.Tx) error {
		_, err := w.db.Land(w.t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "leads"},
			[]store.LandRecord{{ObjectID: id, Payload: payload, SourceTime: w.db.Now(), ObservedAt: w.db.Now()}}, store.LandOptions{Bump: true})
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	w.drain()
}

// TestLeadThatComesAfterItsOptOut obliges ipSCAPE once more for each lead that is uploaded there, or dialled again, after its person
// opted out: it knows no list, so that what was told before does not hold for it.
func TestLeadThatComesAfterItsOptOut(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	w.rec.Blockers = []string{"dialedin", "ipscape"}
	owed := func(what string, want int) {
		t.Helper()
		if got := w.obliged()["ipscape"]; len(got) != want || want > 0 && got[0] != phoneA {
			t.Errorf("%s: %v is to be told to ipscape, want %d times %s", what, got, want, phoneA)
		}
	}
	told := func() {
		mustExec(t, w.db, `update ops.deliveries set state = 'confirmed', sending_at = $1, settled_at = $1 where state = 'ready'`, w.db.Now())
	}
	missing := func(what string, want int) {
		t.Helper()
		for i := range 2 {
			if n, err := w.rec.ObligeMissing(t.Context()); err != nil || n != want*(1-i) {
				t.Errorf("%s: look %d ordered %d, want %d; %v", what, i+1, n, want*(1-i), err)
			}
		}
	}
	w.uploaded("7001", phoneA, false)
	w.at(61)
	w.tell(pipeline.SourceConvoso, "o1", 10, pipeline.DNCFact{Phone: phoneA, Reason: "DNC"})
	owed("an opt-out", 1)
	told()
	missing("a lead that was there", 0)

	w.at(62)
	w.woken = nil
	w.uploaded("7002", phoneA, false)
	owed("a lead that comes later", 1)
	if len(w.woken) != 1 || w.woken[0] != "ipscape" {
		t.Errorf("woken %v", w.woken)
	}
	w.at(63)
	w.uploaded("7002", phoneA, false)
	w.uploaded("7003", phoneB, false)
	owed("read again before that was told, and a lead of somebody else", 1)
	told()
	missing("what a fold ordered", 0)

	w.at(64)
	w.uploaded("7001", phoneA, true)
	w.uploaded("7002", phoneA, true)
	owed("read again as complete", 0)
	w.at(65)
	w.uploaded("7002", phoneA, false)
	owed("dialled again", 1)
	told()

	w.at(66)
	w.rec.Blockers = nil
	w.uploaded("7004", phoneA, false)
	owed("folded by a command that knows no dialler", 0)
	w.rec.Blockers = []string{"dialedin", "ipscape"}
	missing("what a command folded", 1)
	owed("what a command folded", 1)
	told()
	missing("and told", 0)

	w.at(67)
	w.tell(pipeline.SourceOperator, "l1", 67, pipeline.DNCFact{Phone: phoneA, Lift: true})
	w.uploaded("7005", phoneA, false)
	owed("after the lift", 0)
	missing("after the lift", 0)
	if got := w.obliged()["dialedin"]; len(got) != 0 {
		t.Errorf("dialedin, which has a list, is told again of %v", got)
	}
}

// TestLateOptOutBehindManySettledOnes has more opt-outs than one look takes up whose entry was ordered already and cancelled: none of
// them is ordered again, and none keeps the one behind them from being ordered.
func TestLateOptOutBehindManySettledOnes(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	w.rec.Blockers = nil
	w.uploaded("7001", phoneA, false)
	w.at(61)
	w.tell(pipeline.SourceConvoso, "o1", 10, pipeline.DNCFact{Phone: phoneA, Reason: "DNC"})
	w.rec.Blockers = []string{"ipscape"}
	if n, err := w.rec.ObligeMissing(t.Context()); err != nil || n != 1 {
		t.Fatalf("ordered %d, %v; want the entry itself", n, err)
	}
	mustExec(t, w.db, `update ops.deliveries set state = 'confirmed', sending_at = $1, settled_at = $1`, w.db.Now())
	mustExec(t, w.db, `insert into pipeline.do_not_call (org_id, phone, reason, source, since, evidence, updated_at)
		select org_id, '+1201555' || lpad(n::text, 4, '0'), reason, source, since, evidence, updated_at
		from pipeline.do_not_call, generate_series(1, 600) n where phone = $1`, phoneA)
	mustExec(t, w.db, `insert into ops.record_keys
		select k.org_id, k.kind, k.account_id, '+1201555' || lpad(n::text, 4, '0'), k.role, k.record_id, k.identity
		from ops.record_keys k, generate_series(1, 600) n where k.kind = 'phone' and k.role = 'lead' and k.value = $1`, phoneA)
	mustExec(t, w.db, `insert into ops.deliveries (id, org_id, account_id, destination, operation, class, phone, state, source_time, not_before, created_at, settled_at, dedupe)
		select gen_random_uuid(), n.org_id, r.account_id, 'ipscape', 'dnc_add', 'repeatable', n.phone, 'cancelled', r.changed_at, r.changed_at, $1, $1,
			n.phone || ' late ' || r.account_id || ' ' || (extract(epoch from r.changed_at) * 1000000)::bigint
		from pipeline.do_not_call n, ops.records r where n.phone like '+1201555%' and r.source = 'ipscape'`, w.db.Now())
	w.at(62)
	w.rec.Blockers = nil
	w.uploaded("7002", phoneA, false)
	w.rec.Blockers = []string{"ipscape"}
	for look, want := range []int{1, 0} {
		if n, err := w.rec.ObligeMissing(t.Context()); err != nil || n != want {
			t.Errorf("look %d ordered %d, want %d; %v", look+1, n, want, err)
		}
	}
}
