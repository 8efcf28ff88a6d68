package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/operator"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func newObligationWorld(t *testing.T) *pushWorld {
	t.Helper()
	w := newPushWorld(t)
	w.rec.Blockers = []string{"dialedin", "convolo"}
	w.at(60)
	return w
}

// tell lands one opt-out, or lift, told at a minute.
func (w *pushWorld) tell(source pipeline.Source, object string, minute int, fact pipeline.DNCFact) {
	w.t.Helper()
	w.land(foldRecord{source, object, minute, pipeline.Facts{DNC: []pipeline.DNCFact{fact}}})
	w.drain()
}

// obliged lists the do-not-call orders by destination.
func (w *pushWorld) obliged() map[string][]string {
	w.t.Helper()
	rows, err := w.db.Pool.Query(w.t.Context(), `select destination, phone from ops.deliveries where operation = 'dnc_add' and class = 'repeatable'
		and lead_id is null and expires_at is null and state = 'ready' and org_id = $1`, foldOrg)
	if err != nil {
		w.t.Fatal(err)
	}
	got := map[string][]string{}
	var destination, phone string
	if _, err := pgx.ForEachRow(rows, []any{&destination, &phone}, func() error {
		got[destination] = append(got[destination], phone)
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return got
}

func (w *pushWorld) wantObliged(what string, phones ...string) {
	w.t.Helper()
	want := map[string][]string{}
	if len(phones) > 0 {
		want = map[string][]string{"dialedin": phones, "convolo": phones}
	}
	sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	if diff := cmp.Diff(want, w.obliged(), sorted); diff != "" {
		w.t.Errorf("%s: obligations (-want +got):\n%s", what, diff)
	}
}

type dncState struct {
	Reason, Source, Evidence string
	Since                    time.Time
	Lifted                   *time.Time
}

func (w *pushWorld) dnc(phone string) *dncState {
	w.t.Helper()
	var s dncState
	err := w.db.Pool.QueryRow(w.t.Context(), `select reason, source, evidence, since, lifted_at from pipeline.do_not_call
		where org_id = $1 and phone = $2`, foldOrg, phone).Scan(&s.Reason, &s.Source, &s.Evidence, &s.Since, &s.Lifted)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	s.Since = s.Since.UTC()
	if s.Lifted != nil {
		*s.Lifted = s.Lifted.UTC()
	}
	return &s
}

func minute(n int) time.Time { return foldStart.Add(time.Duration(n) * time.Minute) }

func TestOptOutObligesEachBlockerOnce(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	w.tell(pipeline.SourceConvoso, "o1", 10, pipeline.DNCFact{Phone: phoneA, Reason: "DNC"})
	w.wantObliged("an opt-out", phoneA)
	if got := slices.Sorted(slices.Values(w.woken)); !slices.Equal(got, []string{"convolo", "dialedin"}) {
		t.Errorf("woken %v", got)
	}
	want := &dncState{Reason: "DNC", Source: "convoso", Evidence: "convoso/s/o1", Since: minute(10)}
	if diff := cmp.Diff(want, w.dnc(phoneA)); diff != "" {
		t.Errorf("do-not-call (-want +got):\n%s", diff)
	}
	w.woken = nil
	w.tell(pipeline.SourceConvoso, "o1", 11, pipeline.DNCFact{Phone: phoneA, Reason: "DNCX"})
	w.tell(pipeline.SourceIPSCAPE, "o2", 12, pipeline.DNCFact{Phone: phoneA, Reason: "stop"})
	w.wantObliged("told again by two", phoneA)
	if len(w.woken) != 0 {
		t.Errorf("woken %v for what is known", w.woken)
	}
	// Lifted by an operator, and the old opt-out read once more: it stays lifted (law 6).
	w.tell(pipeline.SourceOperator, "l1", 20, pipeline.DNCFact{Phone: phoneA, Lift: true})
	if s := w.dnc(phoneA); s == nil || s.Lifted == nil || !s.Lifted.Equal(minute(20)) {
		t.Errorf("after the lift: %+v", s)
	}
	w.tell(pipeline.SourceConvoso, "o1", 21, pipeline.DNCFact{Phone: phoneA, Reason: "DNC"})
	if s := w.dnc(phoneA); s == nil || s.Lifted == nil {
		t.Errorf("a late re-read brought the opt-out back: %+v", s)
	}
	w.wantObliged("lifted", phoneA)
	w.tell(pipeline.SourceConvoso, "o3", 30, pipeline.DNCFact{Phone: phoneA, Reason: "DNC"})
	if s := w.dnc(phoneA); s == nil || s.Lifted != nil || s.Evidence != "convoso/s/o3" {
		t.Errorf("after a new opt-out: %+v", s)
	}
	w.wantObliged("a new opt-out after a lift", phoneA, phoneA)
	w.tell(pipeline.SourceConvoso, "o3", 31, pipeline.DNCFact{Phone: phoneB, Reason: "DNC"})
	if s := w.dnc(phoneA); s == nil || s.Lifted == nil {
		t.Errorf("the record that opted out says another phone now, and this one is %+v", s)
	}
	w.wantObliged("another phone", phoneA, phoneA, phoneB)
	w.tell(pipeline.SourceConvoso, "o3", 32, pipeline.DNCFact{Phone: phoneA, Reason: "DNC"})
	if s := w.dnc(phoneB); s != nil {
		t.Errorf("nobody opts phone B out any more, and it is %+v", s)
	}
	w.wantObliged("the same opt-out once more", phoneA, phoneA, phoneB)
}

// Law 6: what was ready to ring is cancelled in the transaction that writes the opt-out down; nothing else is.
func TestOptOutCancelsWhatIsReady(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	insert := func(dedupe, class, state, phone string, org uuid.UUID) {
		insertDelivery(t, w.db, org, dedupe, class, state, phone, uuid.New())
	}
	insert("hit", "rings", "ready", phoneA, foldOrg)
	for _, state := range []string{"sending", "unknown", "confirmed", "rejected", "expired"} {
		insert(state, "rings", state, phoneA, foldOrg)
	}
	insert("update", "repeatable", "ready", phoneA, foldOrg)
	insert("phone", "rings", "ready", phoneB, foldOrg)
	insert("org", "rings", "ready", phoneA, uuid.New())
	mustExec(t, w.db, `update ops.deliveries set hold = 'call_window'`)
	w.tell(pipeline.SourceConvoso, "o1", 10, pipeline.DNCFact{Phone: phoneA, Reason: "DNC"})
	rows, err := w.db.Pool.Query(t.Context(), `select dedupe from ops.deliveries where state = 'cancelled' and reason = 'do_not_call'
		and settled_at = $1 and hold is null`, w.db.Now())
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || !slices.Equal(got, []string{"hit"}) {
		t.Errorf("cancelled %v (%v), want the one that was ready to ring the phone", got, err)
	}
	if n := countRows(t, w.db, `select count(*) from ops.deliveries where state = 'cancelled'`); n != 1 {
		t.Errorf("%d cancelled", n)
	}
}

func ipscapeLead(id string) pipeline.Key {
	return pipeline.Key{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: id}
}

// An opt-out that names only the vendor's lead counts for its phones, those that come later too.
func TestOptOutByLeadKey(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	w.routes("dialedin", "")
	w.lead("1", 60, "Salem", phone(phoneA))
	w.lead("2", 61, "Salem", phone(phoneB))
	w.tell(pipeline.SourceIPSCAPE, "o1", 62, pipeline.DNCFact{Lead: []pipeline.Key{ipscapeLead("1")}, Reason: "dnc"})
	w.wantObliged("its phone", phoneA)
	if s := w.dnc(phoneB); s != nil {
		t.Errorf("another lead's phone is %+v", s)
	}
	n := countRows(t, w.db, `select count(*) from ops.deliveries where state = 'cancelled' and operation = 'insert_lead' and phone = $1`, phoneA)
	if n != 1 {
		t.Errorf("%d of the lead's deliveries are cancelled, want 1", n)
	}
	n = countRows(t, w.db, `select count(*) from pipeline.leads where is_do_not_call = (phone_e164 = $1) and coalesce(dnc_reason, '') = case when is_do_not_call then 'dnc' else '' end`, phoneA)
	if n != 2 {
		t.Errorf("%d of 2 leads are marked as they should be", n)
	}
	const late = "+15032221113"
	w.lead("1", 63, "Salem", phone(phoneA), phone(late))
	w.wantObliged("a phone that comes later", phoneA, late)
	// An opt-out of a lead that nobody knows yet waits for it.
	w.tell(pipeline.SourceIPSCAPE, "o2", 64, pipeline.DNCFact{Lead: []pipeline.Key{ipscapeLead("3")}, Reason: "dnc"})
	const third = "+15032221114"
	w.lead("3", 65, "Salem", phone(third))
	w.wantObliged("a lead that comes later", phoneA, late, third)
	if got := w.rung(); slices.Contains(got, "dialedin insert_lead "+third) {
		t.Errorf("a lead that had opted out is delivered: %v", got)
	}
}

// suppress notes an opt-out as the receiver does, and returns how many hold.
func (w *pushWorld) suppress(kind, account, value, object string, org uuid.UUID) {
	w.t.Helper()
	mustExec(w.t, w.db, `insert into ops.suppressions (org_id, kind, account_id, value, source, stream, object_id, reason, received_at)
		values ($1, $2, $3, $4, 'convoso', 's', $5, 'DNC', $6)`, org, kind, account, value, object, foldStart)
}

func (w *pushWorld) holding() []string {
	w.t.Helper()
	rows, err := w.db.Pool.Query(w.t.Context(), `select kind || ' ' || object_id from ops.suppressions where folded_at is null order by 1`)
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func TestSuppressionHoldsUntilItsRecordIsFolded(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	w.suppress("phone", "", phoneA, "o1", foldOrg)
	w.suppress("convoso_lead", "default", "7", "o1", foldOrg)
	w.suppress("phone", "", phoneA, "o2", foldOrg)
	w.suppress("phone", "", phoneA, "o1", uuid.New())
	w.tell(pipeline.SourceIPSCAPE, "o1", 9, pipeline.DNCFact{Phone: phoneB, Reason: "DNC"})
	if got := w.holding(); len(got) != 4 {
		t.Errorf("%v hold, want all 4: another source's record was folded", got)
	}
	w.tell(pipeline.SourceConvoso, "o1", 10, pipeline.DNCFact{Phone: phoneA, Lead: []pipeline.Key{{Kind: pipeline.KeyConvosoLead, Account: "default", Value: "7"}}})
	if got := w.holding(); !slices.Equal(got, []string{"phone o1", "phone o2"}) {
		t.Errorf("%v hold, want those of the other record and the other organisation", got)
	}
	if n := countRows(t, w.db, `select count(*) from ops.suppressions where folded_at = $1`, w.db.Now()); n != 2 {
		t.Errorf("%d were folded now, want 2", n)
	}
}

// A record that cannot be read says nothing, so the pipeline does not take the opt-out over: the suppression has to hold.
func TestSuppressionHoldsWhileItsRecordIsUnreadable(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	facts := w.rec.Facts
	w.rec.Facts = func(r *pipeline.Record) (pipeline.Facts, error) {
		if r.ObjectID == "bad" {
			return pipeline.Facts{}, errors.New("no rule")
		}
		return facts(r)
	}
	w.suppress("phone", "", phoneA, "bad", foldOrg)
	w.suppress("phone", "", phoneB, "good", foldOrg)
	for _, object := range []string{"bad", "good"} {
		w.land(foldRecord{pipeline.SourceConvoso, object, 10, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: map[string]string{"bad": phoneA, "good": phoneB}[object]}}}})
	}
	w.drain()
	if n := countRows(t, w.db, `select count(*) from ops.quarantine where object_id = 'bad' and reason = 'facts'`); n != 1 {
		t.Errorf("%d rows in quarantine, want the record's", n)
	}
	if got := w.holding(); !slices.Equal(got, []string{"phone bad"}) {
		t.Errorf("%v hold, want that of the record which could not be read", got)
	}
}

// When the wake-up fails the opt-out is not half written: suppression and ready deliveries stay as they were.
func TestOptOutFailsWithItsWakeUp(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	w.suppress("phone", "", phoneA, "o1", foldOrg)
	insertDelivery(t, w.db, foldOrg, "hit", "rings", "ready", phoneA, uuid.New())
	w.rec.Wake = func(context.Context, pgx.Tx, []string) error { return errors.New("no jobs today") }
	w.land(foldRecord{pipeline.SourceConvoso, "o1", 10, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phoneA}}}})
	if _, err := w.rec.Drain(t.Context()); err == nil {
		t.Error("folded without a wake-up")
	}
	if w.dnc(phoneA) != nil || len(w.holding()) != 1 || len(w.obliged()) != 0 {
		t.Error("half an opt-out was committed")
	}
	if n := countRows(t, w.db, `select count(*) from ops.deliveries where state = 'ready'`); n != 1 {
		t.Error("the delivery was cancelled by a transaction that failed")
	}
}

// A dialler that cannot be told is blocked here, and has a row that says so: one an opt-out, settled, never sent.
func TestLocalBlocksAreShown(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	w.rec.Blockers, w.rec.LocalBlockers = []string{"dialedin"}, []string{"convolo", "convoso"}
	for range 2 {
		w.tell(pipeline.SourceConvoso, "o1", 10, pipeline.DNCFact{Phone: phoneA, Reason: "DNC"})
	}
	rows, err := w.db.Pool.Query(t.Context(), `select destination || ' ' || state || ' ' || coalesce(reason, '') || ' ' || (settled_at is not null)
		from ops.deliveries where operation = 'dnc_add' and phone = $1 order by 1`, phoneA)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	want := []string{"convolo confirmed local_block true", "convoso confirmed local_block true", "dialedin ready  false"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("obligations %q (%v), want %q", got, err, want)
	}
}

// Opt-outs that were folded without knowing a dialler, by a command or before it was set up, are owed to it all the same.
func TestObligationsThatNobodyOrderedAreOrdered(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	w.rec.Blockers, w.rec.LocalBlockers = nil, []string{"dialedin"}
	w.tell(pipeline.SourceConvoso, "1", 1, pipeline.DNCFact{Phone: "+15032221111", Reason: "DNC"})
	w.tell(pipeline.SourceConvoso, "2", 2, pipeline.DNCFact{Phone: "+15032221112", Reason: "DNC"})
	w.tell(pipeline.SourceOperator, "3", 3, pipeline.DNCFact{Phone: "+15032221112", Lift: true})
	w.wantObliged("at first")

	w.rec.Blockers, w.rec.LocalBlockers = []string{"dialedin", "convolo"}, nil
	w.tell(pipeline.SourceConvoso, "4", 4, pipeline.DNCFact{Phone: "+15032221113", Reason: "DNC"})
	for range 2 {
		if _, err := w.rec.ObligeMissing(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantObliged("what holds, once", "+15032221111", "+15032221113")
	}
	// What is lifted and told again is ordered again by its own fold, and by nobody else.
	w.tell(pipeline.SourceOperator, "5", 5, pipeline.DNCFact{Phone: "+15032221113", Lift: true})
	w.at(70)
	w.tell(pipeline.SourceConvoso, "6", 65, pipeline.DNCFact{Phone: "+15032221113", Reason: "DNC"})
	if n, err := w.rec.ObligeMissing(t.Context()); err != nil || n != 0 {
		t.Errorf("%d ordered, %v; the fold had ordered them", n, err)
	}
}

// What is owed is owed for the opt-out that holds: an order of before a lift counts for nothing, one that a source's clock has in
// the future counts at once, and however many there are, all are ordered.
func TestObligationsOfTheOptOutThatHolds(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	want := func(what string, n int) {
		t.Helper()
		for _, n := range []int{n, 0} { // the second time nothing is left
			if got, err := w.rec.ObligeMissing(t.Context()); err != nil || got != n {
				t.Errorf("%s: %d ordered, %v; want %d", what, got, err, n)
			}
		}
	}
	w.tell(pipeline.SourceConvoso, "ahead", 60, pipeline.DNCFact{Phone: phoneA, Reason: "DNC", Since: minute(600)})
	want("told of a time to come", 0)
	w.tell(pipeline.SourceConvoso, "first", 60, pipeline.DNCFact{Phone: phoneB, Reason: "DNC"})
	w.tell(pipeline.SourceOperator, "lift", 61, pipeline.DNCFact{Phone: phoneB, Lift: true})
	want("lifted", 0)
	w.at(70)
	blockers := w.rec.Blockers
	w.rec.Blockers = nil
	w.tell(pipeline.SourceConvoso, "again", 65, pipeline.DNCFact{Phone: phoneB, Reason: "DNC"})
	w.rec.Blockers = blockers
	want("told again to who knew no dialler", len(blockers))
	mustExec(t, w.db, `insert into pipeline.do_not_call (org_id, phone, reason, source, since, evidence, updated_at)
		select $1, '+1212555' || n, 'DNC', 'convoso', $2, '', $2 from generate_series(1000, 1300) n`, foldOrg, minute(70))
	want("301 phones", 301*len(blockers))
}

// An opt-out that is told after a lift is owed anew also where it is of as long ago as the one that was lifted.
func TestObligationsAfterALift(t *testing.T) {
	t.Parallel()
	w := newObligationWorld(t)
	facts, blockers := w.rec.Facts, w.rec.Blockers
	w.rec.Facts = func(r *pipeline.Record) (pipeline.Facts, error) {
		if r.Stream == operator.StreamDoNotCall {
			return operator.Facts(r)
		}
		return facts(r)
	}
	for n := range 3 {
		w.at(60 + 10*n)
		w.rec.Blockers = nil
		w.tell(pipeline.SourceConvoso, fmt.Sprint("o", n), 60+10*n, pipeline.DNCFact{Phone: phoneA, Reason: "DNC", Since: minute(5)})
		w.rec.Blockers = blockers
		for _, want := range []int{len(blockers), 0} { // the second time nothing is left
			if got, err := w.rec.ObligeMissing(t.Context()); err != nil || got != want {
				t.Errorf("told after %d lifts: %d ordered, %v; want %d", n, got, err, want)
			}
		}
		w.at(65 + 10*n)
		lift, err := operator.DoNotCall{Phone: phoneA, Lift: true, At: w.db.Now()}.Record(foldOrg, "default")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.db.LandOrder(t.Context(), &lift, "", "", nil); err != nil {
			t.Fatal(err)
		}
		w.drain()
		if s := w.dnc(phoneA); s == nil || s.Lifted == nil || !s.Since.Equal(minute(5)) {
			t.Fatalf("after the lift: %+v", s)
		}
		if got, err := w.rec.ObligeMissing(t.Context()); err != nil || got != 0 {
			t.Errorf("lifted: %d ordered, %v", got, err)
		}
	}
}
