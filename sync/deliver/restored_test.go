package deliver_test

import (
	"errors"
	"testing"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestRestoredDatabaseRingsNobodyTwice sends deliveries, goes back to a copy of the whole database from before, and goes on.
func TestRestoredDatabaseRingsNobodyTwice(t *testing.T) {
	r := newRig(t)
	convolo := newVendor("convolo")
	e := r.engineOf(always, r.vendor, convolo)
	drain := func() error {
		_, err := e.Drain(t.Context(), r.vendor.name)
		_, err2 := e.Drain(t.Context(), convolo.name)
		return errors.Join(err, err2)
	}
	r.exec(`insert into ops.streams (org_id, account_id, source, stream, capability, covered) values
		($1, 'default', 'ipscape', 'leads', 'created', tstzmultirange(tstzrange($2::timestamptz - interval '10 days', $2)))`, r.org, noon)
	before, lost, err := r.db.Beat(t.Context(), store.Heartbeat{})
	if err != nil || lost != nil {
		t.Fatal(lost, err)
	}
	found, missed, called := r.push("dial_lead"), r.push("insert_lead"), r.pushTo(convolo, "start_call")
	here, backup := storetest.Copy(t, r.pool)
	r.pool, r.db.Pool = here, here
	r.clock.Advance(5 * time.Second)
	if err := drain(); err != nil {
		t.Fatal(err)
	}
	for _, v := range []*vendor{r.vendor, convolo} {
		if len(v.sent) == 0 {
			t.Fatalf("%s got nothing before the loss", v.name)
		}
	}
	last, lost, err := r.db.Beat(t.Context(), before)
	if err != nil || lost != nil || last.Beat != before.Beat+1 {
		t.Fatal(last, lost, err)
	}

	r.pool, r.db.Pool = backup, backup
	r.clock.Advance(time.Second)
	// Even before the next beat: what this process has seen committed is gone.
	_ = drain() // whether it tells of that or puts all aside
	if r.vendor.Sent(found)+r.vendor.Sent(missed)+convolo.Sent(called) != 3 {
		t.Error("something was sent on a database that lost commits")
	}
	_, lost, err = r.db.Beat(t.Context(), last)
	if err != nil || lost == nil || lost.Waiting != 3 || !lost.From.Equal(noon) || !lost.Until.Equal(noon.Add(5*time.Second)) {
		t.Fatalf("loss: %+v, %v", lost, err)
	}
	if n := r.count(`select count(*) from ops.attention where kind = 'lost_commits' and cleared_at is null`); n != 1 {
		t.Errorf("%d open rows of attention", n)
	}
	if n := r.count(`select count(*) from ops.streams where upper(covered) = $1`, noon.Add(-15*time.Minute)); n != 1 {
		t.Error("the coverage of what was lost stands")
	}
	attention, err := r.db.Attention(t.Context())
	if err != nil || len(attention.Notices) != 1 {
		t.Errorf("attention: %+v, %v", attention, err)
	}

	// A lead of the lost time is told again and ordered anew; another one is new indeed; a third is an operator's own order.
	again := r.push("insert_lead")
	r.exec(`update pipeline.leads set first_source_time = $2 where lead_id = (select lead_id from ops.deliveries where id = $1)`, again, noon.Add(2*time.Second))
	r.clock.Advance(time.Minute)
	r.exec(`update ops.deliveries set created_at = $2 where id = $1`, again, r.clock.Now())
	fresh := r.push("insert_lead")
	lead, phone := r.lead()
	r.exec(`update pipeline.leads set first_source_time = $2 where lead_id = $1`, lead, noon.Add(-time.Hour))
	ordered := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone, Dedupe: "operator x"})
	r.vendor.finds(false, "", errors.New("asked too early"))
	if err := drain(); err != nil {
		t.Fatal(err)
	}
	if r.vendor.Sent(found) != 1 || r.vendor.Sent(missed) != 1 || convolo.Sent(called) != 1 || r.vendor.Sent(again) != 0 {
		t.Errorf("sent again: %d, %d, %d, %d", r.vendor.Sent(found), r.vendor.Sent(missed), convolo.Sent(called), r.vendor.Sent(again))
	}
	r.want(fresh, "confirmed", "", "", 1)
	r.want(ordered, "confirmed", "", "", 1)
	if d := r.get(called); d.State != pipeline.DeliveryUnknown || d.Hold != pipeline.HoldPerson || d.Reason != pipeline.ReasonRestored {
		t.Errorf("the call is %s, %s, %s", d.State, d.Hold, d.Reason)
	}
	for _, id := range []string{found.String(), missed.String(), again.String()} {
		if n := r.count(`select count(*) from ops.deliveries where id = $1 and state = 'unknown' and hold = 'search'`, id); n != 1 {
			t.Errorf("delivery %s is not searched for", id)
		}
	}
	// The destination knows them: nothing rings.
	r.vendor.finds(true, "x-1", nil)
	r.clock.Advance(time.Hour)
	if err := drain(); err != nil {
		t.Fatal(err)
	}
	r.want(found, "confirmed", "", "", 1)
	r.want(missed, "confirmed", "", "", 1)
	r.want(again, "confirmed", "", "", 0)
	if _, lost, err := r.db.Beat(t.Context(), last); err != nil || lost != nil {
		t.Errorf("the loss was noticed twice: %+v, %v", lost, err)
	}
}

// TestAnotherDatabaseIsNoLoss: a heartbeat of another database says nothing of this one.
func TestAnotherDatabaseIsNoLoss(t *testing.T) {
	r := newRig(t)
	_, lost, err := r.db.Beat(t.Context(), store.Heartbeat{Beat: 1000, At: noon})
	if err != nil || lost != nil {
		t.Errorf("lost %+v, %v", lost, err)
	}
	id := r.push("dial_lead")
	r.drain(r.engine(deliver.Settings{}))
	r.want(id, "confirmed", "", "", 1)
}
