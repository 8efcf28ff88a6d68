package store_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// The worlds below once lost a lead, an opt-out or a whole queue.

func ownLead(id string, minute int, keys ...pipeline.Key) foldRecord {
	own := pipeline.Key{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: id}
	return foldRecord{pipeline.SourceIPSCAPE, id, minute, pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: append([]pipeline.Key{own}, keys...)}}}}
}

func foldPhone(number string) pipeline.Key {
	return pipeline.Key{Kind: pipeline.KeyPhone, Value: number}
}

func customerKey(value string) pipeline.Key {
	return pipeline.Key{Kind: pipeline.KeyCustomer, Account: "default", Value: value}
}

func (w *foldWorld) number(sql string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.Pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestReconcileKeepsALeadWhoseOldPhoneAStrangerHas(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	p := foldPhone("+15032221111")
	told := func(minute int, key pipeline.Key) foldRecord {
		return foldRecord{pipeline.SourceConvoso, "call", minute, pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: []pipeline.Key{key}}}}}
	}
	for _, r := range []foldRecord{
		told(1, p), ownLead("1", 2, p), told(3, ownLead("1", 0).facts.Leads[0].Keys[0]), ownLead("1", 4, foldPhone("+15032221112")), ownLead("2", 5, p),
	} {
		w.land(r)
		w.drain()
	}
	if leads := w.stored().Leads; len(leads) != 2 {
		t.Errorf("leads %v: lead 2 has taken the row of lead 1", leads)
	}
}

func TestReconcileReadsWhatLandsMeanwhile(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	w.land(ownLead("X", 1, customerKey("A")), ownLead("Y", 2, customerKey("A")), ownLead("L2", 3, customerKey("K")))
	w.drain()
	plain, landed := w.rec.Facts, 0
	w.rec.Facts = func(r *pipeline.Record) (pipeline.Facts, error) {
		switch {
		case r.ObjectID == "Y" && landed == 0:
			landed++
			w.land(ownLead("X", 6, customerKey("A"), customerKey("K")))
		case r.ObjectID == "X" && landed == 1:
			landed++
			w.land(ownLead("X", 7, customerKey("A"))) // back again, before its own turn
		}
		return plain(r)
	}
	changed := ownLead("Y", 5, customerKey("A"))
	changed.facts.Leads[0].Fields = map[pipeline.Field]string{pipeline.FieldCity: "B"}
	w.land(changed)
	w.drain()
	if leads := strings.Join(w.stored().Leads, "\n"); !strings.Contains(leads, "ipscape_lead:L2") {
		t.Errorf("lead L2 is gone, though its record says what it always said:\n%s", leads)
	}
}

func TestReconcileSplitNeverPushesAgain(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	_, err := w.db.Pool.Exec(t.Context(),
		`insert into ops.routes (route_id, org_id, destination, origin, created_at) values (gen_random_uuid(), $1, 'dialedin', 'operator', $2)`,
		foldOrg, foldStart.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	a, b := foldPhone("+15032221111"), foldPhone("+15032221112")
	w.land(ownLead("1", 1, a), ownLead("2", 2, a))
	w.drain()
	for i, r := range []foldRecord{ownLead("2", 3, b), ownLead("2", 4, a), ownLead("2", 5, b)} {
		w.land(r)
		w.drain()
		if n := w.number(`select count(*) from ops.deliveries where class = 'rings'`); n != 1 {
			t.Errorf("%d ringing deliveries after step %d, want the one of the lead as it was", n, i+1)
		}
	}
}

func TestReconcileSetsAsideWhatItCannotFold(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	// No index takes such a key; parsers refuse it, and so it stands for whatever they let through.
	long := ""
	for range 200 {
		long += uuid.NewString()
	}
	w.land(ownLead("1", 1, customerKey(long)), ownLead("2", 2, foldPhone("+15032221111")), ownLead("3", 3))
	w.drain()
	if diff := cmp.Diff([]int{2, 0, 1}, []int{
		w.number(`select count(*) from pipeline.leads`), w.number(`select count(*) from ops.reconcile_queue`),
		w.number(`select count(*) from ops.quarantine where object_id = '1' and reason = 'facts' and state = 'open'`),
	}); diff != "" {
		t.Errorf("leads, queued, quarantined (-want +got):\n%s", diff)
	}
	w.land(ownLead("1", 4))
	w.drain()
	if n := w.number(`select count(*) from ops.quarantine where state = 'open'`); n != 0 || w.number(`select count(*) from pipeline.leads`) != 3 {
		t.Errorf("%d items still in quarantine after a version that can be folded", n)
	}
}

func (w *foldWorld) suppress(phone, object string) {
	w.t.Helper()
	in := store.NewIntake(w.db, store.IntakeConfig{})
	in.Start()
	post := store.Post{
		ID: uuid.Must(uuid.NewV7()), Org: foldOrg, Source: "convoso", State: store.PostNew, ReceivedAt: foldStart, Method: "POST", Body: []byte("{}"),
		Suppressions: []store.Suppression{{Kind: string(pipeline.KeyPhone), Value: phone, Stream: "s", ObjectID: object, Reason: "DNC"}},
	}
	if err := errors.Join(in.Accept(w.t.Context(), post), in.Stop(w.t.Context())); err != nil {
		w.t.Fatal(err)
	}
}

func (w *foldWorld) blocked(phone string) {
	w.t.Helper()
	open := w.number(`select count(*) from ops.suppressions where value = $1 and folded_at is null`, phone)
	listed := w.number(`select count(*) from pipeline.do_not_call where phone = $1 and lifted_at is null`, phone)
	if open+listed == 0 {
		w.t.Errorf("nothing keeps %s from being called", phone)
	}
}

func TestSuppressionHoldsUntilItsOwnFactIsFolded(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	const first, second = "+15032221111", "+15032221112"
	w.suppress(first, "o1")
	w.land(foldRecord{pipeline.SourceConvoso, "o1", 1, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: first}}}})
	w.suppress(second, "o1") // acknowledged, its record not landed yet
	w.drain()
	w.blocked(first)
	w.blocked(second)
}

func TestOptOutSurvivesARecordThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	const phone = "+15032221111"
	w.land(foldRecord{pipeline.SourceConvoso, "d", 1, pipeline.Facts{DNC: []pipeline.DNCFact{{Reason: "DNC", Phone: phone}}}}, ownLead("1", 2, foldPhone(phone)))
	w.drain()
	w.blocked(phone)
	plain := w.rec.Facts
	w.rec.Facts = func(r *pipeline.Record) (pipeline.Facts, error) {
		if r.ObjectID == "d" {
			return pipeline.Facts{}, errors.New("cannot read")
		}
		return plain(r)
	}
	w.land(ownLead("1", 3, foldPhone(phone), customerKey("x")))
	w.drain()
	w.blocked(phone)
	if n := w.number(`select count(*) from ops.quarantine where object_id = 'd' and state = 'open'`); n != 1 {
		t.Errorf("%d items in quarantine, want the record that cannot be read", n)
	}
}

func TestReconcileClampsAClockThatIsAhead(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	land := func(object, city string, told, seen int) {
		w.landAt(object, city, told, seen)
		w.drain()
	}
	land("a", "Salem", 500, 5) // told of a time to come
	land("b", "Bend", 7, 7)
	land("a", "Salem", 500, 9)
	w.land(foldRecord{pipeline.SourceConvoso, "c", 20, pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: []pipeline.Key{{Kind: pipeline.KeyConvosoLead, Account: "default", Value: "1"}}}}}})
	w.drain()
	var city string
	if err := w.db.Pool.QueryRow(t.Context(), `select city from pipeline.leads`).Scan(&city); err != nil || city != "Bend" {
		t.Errorf("city = %s (%v), want that of the fact which was seen last", city, err)
	}
}

// A clock that is ahead is held back by the first look at its words, whichever look arrives first and with which other.
func TestReconcileClampsInAnyOrder(t *testing.T) {
	t.Parallel()
	words := func(city string, seen int) store.LandRecord {
		at := foldStart.Add(time.Duration(seen) * time.Minute)
		r := store.LandRecord{ObjectID: city, SourceTime: at, ObservedAt: at}
		if city == "Salem" {
			r.SourceTime = foldStart.Add(500 * time.Minute)
		}
		var err error
		if r.Payload, err = json.Marshal(pipeline.Facts{Leads: []pipeline.LeadFact{{
			Keys:   []pipeline.Key{{Kind: pipeline.KeyConvosoLead, Account: "default", Value: "1"}},
			Fields: map[pipeline.Field]string{pipeline.FieldCity: city},
		}}}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	early, late, other := words("Salem", 5), words("Salem", 9), words("Bend", 7)
	respelt := late
	respelt.Payload = append([]byte(" "), late.Payload...)
	for _, batches := range [][][]store.LandRecord{
		{{early}, {other}, {late}}, {{late}, {other}, {early}}, {{late, early, other}}, {{respelt}, {other}, {early}}, {{other, respelt, early}},
	} {
		w := newFoldWorld(t)
		for _, batch := range batches {
			err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
				target := store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceConvoso, Stream: "s"}
				_, err := w.db.Land(t.Context(), tx, target, batch, store.LandOptions{Bump: true})
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			w.drain()
		}
		if n := w.number(`select count(*) from pipeline.leads where city = 'Bend'`); n != 1 {
			t.Errorf("%d batches: the city is not that of the words first told last", len(batches))
		}
		w.agrees()
	}
}

func TestOptOutByCallHolds(t *testing.T) {
	t.Parallel()
	const phone = "+15032221111"
	key := func(id string) pipeline.CallKey {
		return pipeline.CallKey{Dialler: pipeline.SourceConvoso, Account: "default", ExternalID: id}
	}
	optOut := foldRecord{pipeline.SourceConvoso, "optout", 1, pipeline.Facts{DNC: []pipeline.DNCFact{{Reason: "DNC", Call: key("c1")}}}}
	call := func(id string, minute int) foldRecord {
		return foldRecord{pipeline.SourceConvoso, "call " + id, minute, pipeline.Facts{Calls: []pipeline.CallFact{{
			Key: key(id), Lead: []pipeline.Key{foldPhone(phone)}, Direction: pipeline.Outbound, ToNumber: phone,
		}}}}
	}
	for _, holders := range []int{0, 1, 4} {
		w := newFoldWorld(t)
		for i := range holders {
			w.land(ownLead(string(rune('a'+i)), 10+i, foldPhone(phone)))
			w.drain()
		}
		for _, r := range []foldRecord{optOut, call("c1", 2), call("c2", 3), ownLead("z", 30, foldPhone("+15032221119"))} {
			w.land(r)
			w.drain()
		}
		w.blocked(phone)
		if free := w.number(`select count(*) from pipeline.leads l join pipeline.lead_keys k using (org_id, lead_id) where k.value = $1 and not l.is_do_not_call`, phone); free != 0 {
			t.Errorf("%d of %d leads with the phone may still be called", free, holders)
		}
	}
}

// A lead that is known by a phone alone, which too many share, goes with the last record that names it so.
func TestReconcileDropsALeadOfASharedPhone(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	p := foldPhone("+15032221111")
	bare := func(minute int, key pipeline.Key) foldRecord {
		return foldRecord{pipeline.SourceConvoso, "call", minute, pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: []pipeline.Key{key}}}}}
	}
	w.land(ownLead("1", 1, p), ownLead("2", 2, p), ownLead("3", 3, p), ownLead("4", 4, p), bare(5, p))
	w.drain()
	if leads := w.stored().Leads; len(leads) != 5 {
		t.Fatalf("leads %v, want that of the phone alone beside four", leads)
	}
	w.land(bare(6, pipeline.Key{Kind: pipeline.KeyConvosoLead, Account: "default", Value: "9"}))
	w.drain()
	if leads := w.stored().Leads; len(leads) != 5 {
		t.Errorf("leads %v, want the one that the record tells now beside four", leads)
	}
	w.agrees()
}
