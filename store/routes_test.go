package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestPushOrdersOneDeliveryADestination(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.routes("dialedin", "", "dialedin", "source=ipscape", "convolo", "stage=new_lead", "convolo", "stage=won", "of_a_later_version", "")
	if _, err := w.db.SetEnvironmentRoutes(t.Context(), uuid.New(), []store.Route{{Destination: "convolo"}}); err != nil {
		t.Fatal(err)
	}
	w.at(10)
	w.lead("1", 5, "Salem", phone(phoneA))
	both := []string{"convolo start_call " + phoneA, "dialedin insert_lead " + phoneA}
	w.want("a young lead", both...)
	if got := slices.Sorted(slices.Values(w.woken)); !slices.Equal(got, []string{"convolo", "dialedin"}) {
		t.Errorf("woken %v", got)
	}
	n := countRows(t, w.db, `select count(*) from ops.deliveries d join pipeline.leads l using (org_id, lead_id)
		where d.org_id = $1 and d.account_id = 'default' and d.class = 'rings' and d.state = 'ready' and d.source_time = $2 and d.expires_at = $3
		  and d.not_before = $4 and d.created_at = $4`, foldOrg, foldStart.Add(5*time.Minute), foldStart.Add(5*time.Minute+24*time.Hour), w.db.Now())
	if n != 2 {
		t.Errorf("%d deliveries are about the lead, ready now, and expire by its age; want 2", n)
	}
	// Told again, changed, called: it has been delivered.
	w.woken = nil
	w.lead("1", 6, "Bend", phone(phoneA), phone(phoneB))
	w.land(foldRecord{pipeline.SourceIPSCAPE, "c1", 7, pipeline.Facts{Calls: []pipeline.CallFact{{
		Key: pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: "default", ExternalID: "c1"}, Direction: pipeline.Outbound,
		Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "1"}}, StartedAt: foldStart.Add(7 * time.Minute),
	}}}})
	w.drain()
	mustExec(t, w.db, `update ops.deliveries set state = 'expired'`)
	w.lead("1", 8, "Salem", phone(phoneB))
	w.want("after changes", both...)
	if len(w.woken) != 0 {
		t.Errorf("woken %v for nothing", w.woken)
	}
}

// Law 7: only a lead younger than the age rings by itself, and only one that came after its route.
func TestPushByAge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what         string
		route, lead  int // minutes
		created, now int
		want         bool
	}{
		{"young", 0, 45, 0, 60, true},
		{"a minute below the age", 0, 31, 0, 60, true},
		{"as old as the age", 0, 30, 0, 60, false},
		{"older", 0, 10, 0, 60, false},
		{"came before the route", 50, 49, 0, 60, false},
		{"came with the route", 50, 50, 0, 60, true},
		{"told after the route, made before it", 50, 55, 49, 60, false},
		{"told now, made long ago", 0, 60, 10, 60, false},
	} {
		w := newPushWorld(t)
		w.rec.MaxAge = 30 * time.Minute
		w.now = time.Duration(c.route)*time.Minute + 900*time.Millisecond // vendors' times have whole seconds
		w.routes("dialedin", "")
		w.at(c.now)
		fact := pipeline.LeadFact{Keys: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "1"}, phone(phoneA)}}
		if c.created > 0 {
			fact.CreatedAt = foldStart.Add(time.Duration(c.created) * time.Minute)
		}
		w.land(foldRecord{pipeline.SourceIPSCAPE, "1", c.lead, pipeline.Facts{Leads: []pipeline.LeadFact{fact}}})
		w.drain()
		var want []string
		if c.want {
			want = []string{"dialedin insert_lead " + phoneA}
		}
		w.want(c.what, want...)
	}
}

func TestRouteThatComesBackIsNew(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	created := func() (at time.Time) {
		t.Helper()
		if err := w.db.Pool.QueryRow(t.Context(), `select created_at from ops.routes where removed_at is null and origin = 'environment'`).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at.UTC()
	}
	mustExec(t, w.db, `insert into ops.routes (route_id, org_id, destination, condition, origin, created_at)
		values (gen_random_uuid(), $1, 'convolo', 'stage=won', 'operator', now())`, foldOrg)
	w.routes("dialedin", "tag=a&source=b")
	w.at(5)
	if gone := w.routes("dialedin", "source=b&tag=a"); len(gone) != 0 {
		t.Errorf("a restart took %v away", gone)
	}
	if at := created(); !at.Equal(foldStart) {
		t.Errorf("after a restart the route is of %s, want its age kept", at)
	}
	if gone := w.routes("dialedin", "", "dialedin", ""); !slices.Equal(gone, []string{"dialedin source=b&tag=a"}) {
		t.Errorf("with another condition %v went", gone)
	}
	if at := created(); !at.Equal(foldStart.Add(5 * time.Minute)) {
		t.Errorf("with another condition the route is of %s, want a new one", at)
	}
	w.at(10)
	w.routes()
	w.at(20)
	w.lead("1", 15, "Salem", phone(phoneA))
	w.want("without a route")
	w.routes("dialedin", "")
	w.at(30)
	w.lead("1", 16, "Bend", phone(phoneA))
	w.want("a lead that came while the route was away")
	w.lead("2", 25, "Bend", phone(phoneB))
	w.want("a lead that came after it was back", "dialedin insert_lead "+phoneB)
	if n := countRows(t, w.db, `select count(*) from ops.routes where origin = 'operator' and removed_at is null`); n != 1 {
		t.Error("the operator's route was taken away")
	}
}

func TestPushNeedsAPhoneAndLeave(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.routes("dialedin", "")
	w.at(30)
	w.lead("1", 10, "Salem")
	w.want("no phone")
	w.lead("1", 11, "Salem", phone(phoneA))
	w.want("a phone at last", "dialedin insert_lead "+phoneA)
	w.land(foldRecord{pipeline.SourceConvoso, "o", 12, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phoneB, Reason: "DNC"}}}})
	w.lead("2", 13, "Bend", phone(phoneB))
	w.want("a lead that opted out", "dialedin insert_lead "+phoneA)
}

func lend(id string) pipeline.Key { return pipeline.Key{Kind: pipeline.KeyLendWorks, Value: id} }

// A lead that merged into another may have been delivered under the id that gave way.
func TestPushRemembersOverAMerge(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.routes("dialedin", "")
	w.at(30)
	w.lead("1", 10, "Salem")
	w.lead("2", 11, "Salem", phone(phoneA))
	once := []string{"dialedin insert_lead " + phoneA}
	w.want("the younger lead", once...)
	w.lead("1", 12, "Salem", lend("x"))
	w.lead("2", 13, "Salem", lend("x"), phone(phoneA))
	if n := countRows(t, w.db, `select count(*) from pipeline.lead_merges m join ops.deliveries d on d.lead_id = m.lead_id`); n != 1 {
		t.Fatalf("%d merges of the delivered id, want 1", n)
	}
	w.want("merged", once...)
	w.lead("2", 14, "Bend", lend("x"), phone(phoneA))
	w.want("merged and changed", once...)
	// And over a second merge.
	w.lead("0", 9, "Salem", lend("y"))
	w.lead("1", 15, "Salem", lend("x"), lend("y"))
	w.want("merged twice", once...)
}

// Law 7: a split never pushes again, whether the part that goes is new or gets back the id that it had before the merge.
func TestPushNotAfterASplit(t *testing.T) {
	t.Parallel()
	once := []string{"dialedin insert_lead " + phoneA}
	t.Run("new part", func(t *testing.T) {
		t.Parallel()
		w := newPushWorld(t)
		w.routes("dialedin", "")
		w.at(30)
		w.lead("1", 10, "Salem", lend("x"), phone(phoneA))
		w.lead("2", 11, "Salem", lend("x"))
		w.want("one lead", once...)
		w.lead("2", 12, "Salem", phone(phoneB))
		if n := countRows(t, w.db, `select count(*) from pipeline.leads where split_from is not null`); n != 1 {
			t.Fatalf("%d leads are split off, want 1", n)
		}
		w.want("split", once...)
		w.lead("2", 13, "Bend", phone(phoneB))
		w.want("split and changed", once...)
	})
	t.Run("part with its old id", func(t *testing.T) {
		t.Parallel()
		w := newPushWorld(t)
		w.routes("dialedin", "")
		w.at(30)
		w.lead("1", 10, "Salem")
		w.lead("2", 11, "Salem")
		w.lead("1", 12, "Salem", lend("x"))
		w.lead("2", 13, "Salem", lend("x"), phone(phoneA))
		w.want("merged", once...)
		w.lead("2", 14, "Salem", phone(phoneA))
		if n := countRows(t, w.db, `select count(*) from pipeline.leads`); n != 2 {
			t.Fatalf("%d leads after the split, want 2", n)
		}
		w.want("split", once...)
		w.lead("2", 15, "Bend", phone(phoneA))
		w.want("split and changed", once...)
	})
}

// When the wake-up fails nothing of the batch is committed, so that no delivery waits for nobody.
func TestPushFailsWithItsWakeUp(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.routes("dialedin", "")
	w.at(30)
	wake, broken := w.rec.Wake, errors.New("no jobs today")
	w.rec.Wake = func(context.Context, pgx.Tx, []string) error { return broken }
	payload := fmt.Appendf(nil, `{"Leads": [{"Keys": [{"Kind": "phone", "Value": %q}]}]}`, phoneA)
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := w.db.Land(t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "s"},
			[]store.LandRecord{{ObjectID: "1", Payload: payload, ObservedAt: foldStart.Add(20 * time.Minute)}}, store.LandOptions{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.rec.Drain(t.Context()); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
	w.want("nothing")
	if n := countRows(t, w.db, `select (select count(*) from ops.reconcile_queue) - (select count(*) from pipeline.leads)`); n != 1 {
		t.Errorf("the record is not left to fold")
	}
	w.rec.Wake = wake
	w.drain()
	w.want("afterwards", "dialedin insert_lead "+phoneA)
}

// TestPushOfAMergedLeadByHand: a delivery that is open under the id of a lead that was merged is the lead's own.
func TestPushOfAMergedLeadByHand(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.at(10)
	w.lead("1", 5, "Salem", phone(phoneA))
	var lead uuid.UUID
	if err := w.db.Pool.QueryRow(t.Context(), `select lead_id from pipeline.leads`).Scan(&lead); err != nil {
		t.Fatal(err)
	}
	old := uuid.New()
	mustExec(t, w.db, `insert into pipeline.lead_merges (org_id, lead_id, into_lead_id, merged_at) values ($1, $2, $3, now())`, foldOrg, old, lead)
	insertDelivery(t, w.db, foldOrg, "old", "rings", "unknown", phoneA, old)
	push := func() error {
		plan, err := w.db.PlanPush(t.Context(), foldOrg, old, "convolo")
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.db.Push(t.Context(), plan, func(context.Context, pgx.Tx, []string) error { return nil })
		return err
	}
	if err := push(); !errors.Is(err, store.ErrPushOpen) {
		t.Errorf("pushed beside an unknown delivery: %v", err)
	}
	mustExec(t, w.db, `update ops.deliveries set state = 'rejected'`)
	if err := push(); err != nil {
		t.Errorf("pushed after it was settled: %v", err)
	}
}
