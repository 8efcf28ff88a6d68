package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// refetchRig is an account whose activities are walked, and what is read again after them. The database's clock runs ahead as
// the test wants.
type refetchRig struct {
	*backfillRig
	refetch *jobs.Refetcher
	runner  *walk.Runner
	ahead   time.Duration
	asked   int
}

func newRefetchRig(t *testing.T) *refetchRig {
	t.Helper()
	r := &refetchRig{backfillRig: newBackfillRig(t, sandbox.Options{Seed: 9, Activities: -1, Leads: -1, Posts: -1})}
	r.db.Clock = func() time.Time { return time.Now().Add(r.ahead) }
	key := store.StreamKey{Org: r.org, Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE}
	r.refetch = jobs.NewRefetcher(&jobs.Refetcher{DB: r.db, Queue: r.queue, Log: r.db.Log, Now: time.Now, Key: key}, r.entries)
	r.runner = &walk.Runner{
		Store: &walkstore.Store{
			DB: r.db, Table: func(_ pipeline.Source, stream string) *store.TypedTable { return r.entry(stream).Table }, Again: r.refetch.Again,
		},
		Streams: func(w walk.Walk) (*walk.Stream, bool) { return r.entry(w.Stream).Stream, true }, Now: time.Now, Log: r.db.Log,
	}
	return r
}

// walk reads the last hour of a stream.
func (r *refetchRig) walk(kind walk.Kind, stream string) {
	r.t.Helper()
	key := r.refetch.Key
	key.Stream = stream
	now := time.Now()
	var w store.Walk
	err := r.db.InTx(r.t.Context(), func(tx pgx.Tx) (err error) {
		if err := r.db.EnsureStream(r.t.Context(), tx, key, "created"); err != nil {
			return err
		}
		w, err = r.db.CreateWalk(r.t.Context(), tx, store.NewWalk{
			Key: key, Kind: string(kind), Lane: "reread", Window: &store.TimeRange{From: now.Add(-time.Hour), To: now.Add(time.Second)},
		})
		return err
	})
	if err == nil {
		err = r.runner.Run(r.t.Context(), w.ID)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// drain lets time pass, reads what is due, and returns which objects were asked for.
func (r *refetchRig) drain(pass time.Duration) []string {
	r.t.Helper()
	r.ahead += pass
	if _, err := r.refetch.Drain(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return r.asks()
}

func (r *refetchRig) asks() []string {
	var asked []string
	all := r.box.Requests()
	for _, q := range all[r.asked:] {
		if q.ID != "" {
			asked = append(asked, q.Op+" "+q.ID)
		}
	}
	r.asked = len(all)
	return asked
}

func (r *refetchRig) want(what string, got []string, want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
		r.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// queued lists what waits to be read again.
func (r *refetchRig) queued() []string {
	r.t.Helper()
	rows, err := r.db.Pool.Query(r.t.Context(), `select stream || ' ' || object_id || ' ' || reason || ' ' || tries from ops.refetch where lease_until is null order by 1`)
	if err != nil {
		r.t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// call is a call to a lead that was uploaded long ago.
func (r *refetchRig) call(id, lead int64) {
	now := time.Now().UTC().Truncate(time.Second)
	r.box.IPSCAPE().AddLeads(sandbox.Lead{ID: lead, CampaignID: 11, ListID: 110, Created: now.Add(-100 * 24 * time.Hour), Phones: []string{fmt.Sprintf("+6140011%04d", lead)}})
	r.box.IPSCAPE().AddActivities(sandbox.Activity{
		ID: id, LeadID: lead, AgentID: 301, AgentName: "A", CampaignID: 11, Created: now.Add(-10 * time.Minute), Answered: now.Add(-9 * time.Minute),
		RecordingStatus: "enabled",
	})
}

func TestRefetchFollowsWhatIsOpen(t *testing.T) {
	t.Parallel()
	r := newRefetchRig(t)
	r.call(501, 41)
	r.walk(walk.Backfill, "activities")
	r.want("a backfill queues nothing", r.queued())
	r.exec(`delete from ops.records`)
	r.walk(walk.Live, "activities")
	r.want("queued", r.queued(), "activities 501 open 0", "leads 41 touched 0")
	if n := r.count(`select count(*) from river.river_job where kind = 'refetch' and state in ('scheduled', 'available')`); n != 1 {
		t.Errorf("%d jobs for what was queued, want one", n)
	}
	r.asks()
	r.want("before its time", r.drain(0))
	r.want("the lead first", r.drain(2*time.Minute), "get_lead 41")
	if n := r.count(`select count(*) from ipscape.leads where lead_id = 41 and missing_since is null`); n != 1 {
		t.Error("the lead was read and is not in its table")
	}
	if n := r.count(`select count(*) from ops.reconcile_queue q join ops.records using (record_id) where stream = 'leads'`); n != 1 {
		t.Errorf("the lead waits %d times for the fold", n)
	}
	r.want("still open", r.drain(4*time.Minute), "get_activity 501")
	r.want("looked for again, later", r.queued(), "activities 501 open 1")
	r.want("not before", r.drain(9*time.Minute))
	r.box.IPSCAPE().UpdateActivity(501, func(a *sandbox.Activity) {
		a.HangUp, a.WrapUp, a.WrapCode = a.Answered.Add(time.Minute), a.Answered.Add(2*time.Minute), 7
		a.Recording = &sandbox.Recording{MediaID: 9, Duration: 60}
	})
	r.want("closed", r.drain(2*time.Minute), "get_activity 501")
	r.want("and its lead is touched", r.queued(), "leads 41 touched 0")
	if n := r.count(`select count(*) from ipscape.activities where wrap_code = '7' and hung_up_at is not null and observed_at > created_at`); n != 1 {
		t.Error("the closed call is not in its table")
	}
	if n := r.count(`select changes from ops.lateness where stream = 'activities' and up_to_s = 300`); n != 1 {
		t.Errorf("%d changes within five minutes of the call are counted, want the wrap-up after three", n)
	}
}

func TestRefetchSkipsRestsAndForgets(t *testing.T) {
	t.Parallel()
	r := newRefetchRig(t)
	for i := range int64(3) {
		r.call(501+i, 41+i)
	}
	r.walk(walk.Live, "activities")
	r.exec(`delete from ops.refetch where stream = 'activities'`)
	r.asks()

	// Without one that was ever found by id a 404 may mean a wrong path.
	path := sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: sandbox.OpGetLead, Kind: sandbox.FaultStatus, Status: 404, Times: 3}
	r.box.Faults().Add(path)
	if got := r.drain(2 * time.Minute); len(got) != 3 {
		t.Errorf("asked for %v", got)
	}
	r.want("nobody is gone", r.queued(), "leads 41 touched 1", "leads 42 touched 1", "leads 43 touched 1")

	// One fails, the others do not wait for it.
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: sandbox.OpGetLead, Kind: sandbox.FaultStatus, Status: 400})
	if got := r.drain(2 * time.Minute); len(got) != 3 {
		t.Errorf("asked for %v", got)
	}
	if left := r.queued(); len(left) != 1 || r.count(`select count(*) from ipscape.leads`) != 2 || r.count(`select tries from ops.refetch where error like '%400%'`) != 2 {
		t.Errorf("left after one failed: %v", left)
	}

	// The vendor asks for a pause: the turn ends, and the object is given back.
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: sandbox.OpGetLead, Kind: sandbox.FaultStatus, Status: 429})
	r.ahead += 10 * time.Minute
	if _, err := r.refetch.Drain(t.Context()); vendorapi.KindOf(err) != vendorapi.Limited {
		t.Errorf("during a pause: %v", err)
	}
	if left := r.queued(); len(left) != 1 {
		t.Errorf("left after a pause: %v", left)
	}
	r.asks()
	if got := r.drain(0); len(got) != 1 {
		t.Errorf("asked for %v", got)
	}
	r.want("all were read", r.queued())

	// What was observed meanwhile is not asked for.
	r.exec(`insert into ops.refetch (org_id, account_id, source, stream, object_id, reason, wanted_at, due_at, queued_at)
		select org_id, account_id, source, stream, object_id, 'touched', observed_at - interval '1 second', now(), now() from ops.records where stream = 'leads'`)
	r.want("seen since", r.drain(0))
	r.want("and forgotten", r.queued())

	// Gone: marked, not deleted; back: unmarked.
	lead, _ := r.lead(42)
	r.box.IPSCAPE().DeleteLead(42)
	touch := `insert into ops.refetch (org_id, account_id, source, stream, object_id, reason, wanted_at, due_at, queued_at)
		select org_id, account_id, source, stream, object_id, 'touched', now(), now(), now() from ops.records where stream = 'leads' and object_id = '42'`
	r.exec(touch)
	r.want("asked", r.drain(0), "get_lead 42")
	if n := r.count(`select count(*) from ipscape.leads where lead_id = 42 and missing_since is not null`); n != 1 || len(r.queued()) != 0 {
		t.Errorf("%d leads are missing, %v queued", n, r.queued())
	}
	r.box.IPSCAPE().AddLeads(lead)
	r.exec(touch)
	r.want("asked", r.drain(0), "get_lead 42")
	if n := r.count(`select count(*) from ipscape.leads where missing_since is not null`) + r.count(`select count(*) from ops.quarantine`); n != 0 {
		t.Error("a lead that is back is missing still")
	}

	// Given up in the end.
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: sandbox.OpGetLead, Kind: sandbox.FaultStatus, Status: 400, Times: -1})
	r.exec(touch)
	r.drain(0)
	r.drain(49 * time.Hour)
	r.want("given up", r.queued())
}

// Many that are not found in a row are no news of the objects: few are marked, and the stream is left alone for a while.
func TestRefetchDoesNotBelieveAWrongPath(t *testing.T) {
	t.Parallel()
	r := newRefetchRig(t)
	for i := range int64(20) {
		r.call(501+i, 41+i)
	}
	r.walk(walk.Live, "activities")
	r.exec(`delete from ops.refetch where stream = 'activities' and object_id <> '501'`)
	r.exec(`delete from river.river_job where kind = 'refetch'`)
	r.asks()
	path := sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: sandbox.OpGetLead, Kind: sandbox.FaultStatus, Status: 404, Times: -1}
	r.box.Faults().Add(path)
	if got := r.drain(2 * time.Minute); len(got) != 5 {
		t.Errorf("asked %d times at a wrong path", len(got))
	}
	if n := r.count(`select count(*) from river.river_job where kind = 'refetch' and state = 'scheduled' and scheduled_at > now() + interval '5 minutes'`); n != 1 {
		t.Errorf("%d jobs for the end of the rest, want one", n)
	}
	r.want("other streams go on", r.drain(4*time.Minute), "get_activity 501")
	if got := r.drain(2 * time.Minute); len(got) != 5 {
		t.Errorf("asked %d times after the rest", len(got))
	}
	r.box.Faults().Clear()
	if r.drain(10 * time.Minute); len(r.queued()) != 1 || r.count(`select count(*) from ipscape.leads`) != 20 {
		t.Errorf("left of 20 leads: %v", r.queued())
	}
	// The path was right, and its gateway loses the vendor: what is there is not marked by the hundred.
	r.exec(`insert into ops.refetch (org_id, account_id, source, stream, object_id, reason, wanted_at, due_at, queued_at)
		select org_id, account_id, source, stream, object_id, 'touched', observed_at + interval '1 hour', now(), now() from ops.records where stream = 'leads'`)
	r.box.Faults().Add(path)
	r.drain(0)
	if n := r.count(`select count(*) from ipscape.leads where missing_since is not null`); n != 3 {
		t.Errorf("%d leads are missing, want the first three that nobody found", n)
	}
}

// What never gets its turn does not wait for ever.
func TestRefetchForgetsWhatIsOld(t *testing.T) {
	t.Parallel()
	r := newRefetchRig(t)
	r.exec(`insert into ops.refetch (org_id, account_id, source, stream, object_id, reason, wanted_at, due_at, queued_at)
		select '` + r.org.String() + `', 'default', 'ipscape', 'nowhere', g::text, 'touched', now(), now(), now() - interval '1 day' * g from generate_series(1, 6) as g`)
	r.want("nobody reads them", r.drain(0))
	r.want("the young", r.queued(), "nowhere 1 touched 0", "nowhere 2 touched 0", "nowhere 3 touched 0")
}

// An object that cannot be stored rests as one that cannot be read.
func TestRefetchGoesOnPastWhatCannotBeStored(t *testing.T) {
	t.Parallel()
	r := newRefetchRig(t)
	r.call(501, 41)
	r.call(502, 42)
	r.walk(walk.Live, "activities")
	r.exec(`delete from ops.refetch where stream = 'activities'`)
	r.exec(`create function refuse() returns trigger language plpgsql as $$ begin raise exception sqlstate '55000' using message = 'not now'; end $$`)
	r.exec(`create trigger refuse before insert on ipscape.leads for each row when (new.lead_id = 41) execute function refuse()`)
	r.asks()
	r.want("both are asked for", r.drain(2*time.Minute), "get_lead 41", "get_lead 42")
	r.want("one rests", r.queued(), "leads 41 touched 1")
}

func (r *refetchRig) lead(id int64) (sandbox.Lead, bool) {
	for _, l := range r.box.IPSCAPE().Leads() {
		if l.ID == id {
			return l, true
		}
	}
	return sandbox.Lead{}, false
}

// A page that was asked for before an object was read by its id does not put the older state back.
func TestRefetchBesideAWalk(t *testing.T) {
	t.Parallel()
	r := newRefetchRig(t)
	r.call(501, 41)
	r.walk(walk.Live, "activities")
	early := r.db.Now()
	key := r.refetch.Key
	key.Stream = "activities"
	r.ahead += time.Hour
	got, ok, err := r.db.ClaimRefetch(t.Context(), key, []string{"activities"}, time.Minute)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	// While it is being asked for, a walk reads it unchanged: that raises its time, so an answer from before is too old.
	r.walk(walk.Lookback, "activities")
	item, err := r.entry("activities").Stream.Map([]byte(`{"type":"call.outbound","data":{"activityId":501,"wrapCode":9}}`))
	if err != nil {
		t.Fatal(err)
	}
	rec := walkstore.Record(&walk.Record{Item: item, ObservedAt: early})
	err = r.db.SettleRefetch(t.Context(), store.Refetched{Refetch: got, Table: r.entry("activities").Table, Record: &rec, AskedAt: early})
	if err != nil {
		t.Fatal(err)
	}
	if n := r.count(`select count(*) from ipscape.activities where wrap_code = '9'`); n != 0 {
		t.Error("an older answer replaced a newer one")
	}
	if len(r.queued()) == 0 {
		t.Error("an older answer took the object off the queue")
	}
}
