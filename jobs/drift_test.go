package jobs_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/walk"
)

// driftRig is an account that has been read and folded.
type driftRig struct {
	*backfillRig
	drift *jobs.Drift
}

func newDriftRig(t *testing.T, opt sandbox.Options) *driftRig {
	t.Helper()
	r := &driftRig{backfillRig: newBackfillRig(t, opt)}
	r.drift = &jobs.Drift{
		DB: r.db, Queue: r.queue, Log: r.db.Log, Now: time.Now, Fold: r.fold, Sample: 500,
		Entry: func(key store.StreamKey) (jobs.StreamEntry, bool) { return *r.entry(key.Stream), true },
	}
	runner := &walk.Runner{
		Store: &walkstore.Store{
			DB: r.db, Table: func(_ pipeline.Source, stream string) *store.TypedTable { return r.entry(stream).Table },
		},
		Streams: func(w walk.Walk) (*walk.Stream, bool) { return r.entry(w.Stream).Stream, true }, Now: time.Now, Log: r.db.Log,
	}
	for _, stream := range []string{"activities", "leads"} {
		var w store.Walk
		err := r.db.InTx(t.Context(), func(tx pgx.Tx) (err error) {
			if err := r.db.EnsureStream(t.Context(), tx, r.key(stream), "created"); err != nil {
				return err
			}
			w, err = r.db.CreateWalk(t.Context(), tx, store.NewWalk{
				Key: r.key(stream), Kind: string(walk.Live), Lane: "live", Window: &store.TimeRange{From: time.Now().Add(-200 * 24 * time.Hour), To: time.Now()},
			})
			return err
		})
		if err == nil {
			err = runner.Run(t.Context(), w.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	r.folded()
	return r
}

func (r *driftRig) key(stream string) store.StreamKey {
	return store.StreamKey{Org: r.org, Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE, Stream: stream}
}

func (r *driftRig) folded() {
	r.t.Helper()
	for r.count(`select count(*) from ops.reconcile_queue`) > 0 {
		if _, err := r.fold.Drain(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// look looks at both streams and lists what is found.
func (r *driftRig) look() []string {
	r.t.Helper()
	var found []string
	for _, stream := range []string{"activities", "leads"} {
		run, err := r.drift.Look(r.t.Context(), r.key(stream))
		if err != nil || run.Error != "" {
			r.t.Fatal(err, run.Error)
		}
		for _, f := range run.Findings {
			found = append(found, fmt.Sprintf("%s %s %s: %s -> %s", stream, f.Kind, f.ObjectID, f.Detail, f.Repair))
		}
	}
	return found
}

// text reads a single text.
func (r *driftRig) text(sql string) string {
	r.t.Helper()
	var s string
	if err := r.db.Pool.QueryRow(r.t.Context(), sql).Scan(&s); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *driftRig) exec(sql string, args ...any) {
	r.t.Helper()
	if tag, err := r.db.Pool.Exec(r.t.Context(), sql, args...); err != nil || tag.RowsAffected() != 1 {
		r.t.Fatal(err, tag)
	}
}

// everythingSQL is a hash of all that a look must leave alone.
const everythingSQL = `
select md5(concat(
  (select string_agg(r::text, ' ' order by record_id) from ops.records r),
  (select count(*) from ops.record_history), (select count(*) from ops.reconcile_queue), (select count(*) from ops.refetch),
  (select string_agg(t::text, ' ' order by lead_id) from ipscape.leads t),
  (select string_agg(t::text, ' ' order by activity_id) from ipscape.activities t),
  (select string_agg(t::text, ' ' order by lead_id) from pipeline.leads t),
  (select string_agg(t::text, ' ' order by external_call_id) from pipeline.calls t),
  (select string_agg(t::text, ' ' order by kind, value) from pipeline.lead_keys t),
  (select string_agg(t::text, ' ' order by t::text) from ops.record_keys t)))`

// TestDrift changes, removes and adds objects at the vendor and rows here, behind everybody's back: a look finds exactly those,
// writes nothing, and its commands mend them.
func TestDrift(t *testing.T) {
	t.Parallel()
	r := newDriftRig(t, sandbox.Options{Seed: 3, Activities: 60, Leads: 25, Posts: -1})
	if found := r.look(); len(found) > 0 {
		t.Fatalf("nothing has drifted yet: %q", found)
	}
	if compared := r.text(`select string_agg(concat_ws(' ', stream, compared, listed), ', ' order by stream) from analytics.drift`); compared != "activities 60 60, leads 25 25" {
		t.Errorf("compared %s", compared)
	}
	v := r.box.IPSCAPE()
	leads, calls := v.Leads(), v.Activities()
	v.UpdateLead(leads[0].ID, func(l *sandbox.Lead) { l.TotalAttempts += 7 })
	v.DeleteLead(leads[1].ID)
	added := leads[2]
	added.ID, added.CustomerKey, added.Phones = 990_001, "behind-our-back", []string{"+61255501234"}
	v.AddLeads(added)
	v.UpdateActivity(calls[0].ID, func(a *sandbox.Activity) { a.CampaignName = "Renamed" })
	v.DeleteActivity(calls[1].ID)
	r.exec(`update ipscape.leads set customer_key = 'wrong' where lead_id = $1`, leads[3].ID)
	r.exec(`delete from ipscape.activities where activity_id = $1`, calls[2].ID)
	r.exec(`update pipeline.leads set business_name = 'wrong' where external_ids ->> 'ipscape' = $1`, fmt.Sprint(leads[4].ID))
	before := r.text(everythingSQL)
	repair := func(stream string, id int64) string {
		return fmt.Sprintf("trunkline drift repair ipscape %s %d", stream, id)
	}
	want := []string{
		fmt.Sprintf("activities extra %d: the vendor no longer has it -> %s", calls[1].ID, repair("activities", calls[1].ID)),
		fmt.Sprintf("activities stale %d: changed there: data.campaignName -> %s", calls[0].ID, repair("activities", calls[0].ID)),
		fmt.Sprintf("leads extra %d: the vendor no longer has it -> %s", leads[1].ID, repair("leads", leads[1].ID)),
		fmt.Sprintf("leads mapped_wrong %d: ipscape.leads: customer_key -> %s", leads[3].ID, repair("leads", leads[3].ID)),
		fmt.Sprintf("leads mapped_wrong %d: pipeline: leads differs (business_name) -> trunkline rebuild", leads[4].ID),
		fmt.Sprintf("leads missing 990001: within what is covered, and not here -> %s", repair("leads", 990_001)),
		fmt.Sprintf("leads stale %d: changed there: outcomesInfo.totalAttempts, timestamps.modified -> %s", leads[0].ID, repair("leads", leads[0].ID)),
	}
	slices.Sort(want)
	found := r.look()
	slices.Sort(found)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if after := r.text(everythingSQL); after != before {
		t.Error("a look has written something")
	}
	counts := `select string_agg(concat_ws(' ', stream, missing, extra, stale, mapped_wrong), ', ' order by stream) from (select * from analytics.drift order by checked_at desc limit 2) d`
	if got := r.text(counts); got != "activities 0 1 1 0, leads 1 1 1 2" {
		t.Errorf("the view says %s", got)
	}
	for _, f := range found {
		command, ok := strings.CutPrefix(f[strings.Index(f, "-> ")+3:], "trunkline drift repair ipscape ")
		if !ok {
			continue
		}
		stream, id, _ := strings.Cut(command, " ")
		if _, err := r.drift.Repair(t.Context(), r.key(stream), id); err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	r.folded()
	compared, err := r.fold.Compare(t.Context(), r.org, store.CompareOptions{})
	if err == nil {
		_, err = r.fold.Repair(t.Context(), r.org, compared, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if found := r.look(); len(found) > 0 {
		t.Errorf("still there after the repairs: %q", found)
	}
}

// TestDriftOfABlindVendor: a vendor that knows none of our objects is a wrong path, and a sample of many rows is no larger than asked.
func TestDriftOfABlindVendor(t *testing.T) {
	t.Parallel()
	r := newDriftRig(t, sandbox.Options{Seed: 5, Activities: 30, Leads: 25, Posts: -1})
	r.drift.Sample = 6
	run, err := r.drift.Look(t.Context(), r.key("activities"))
	if err != nil || run.Compared == 0 || run.Compared > 6 {
		t.Errorf("%d compared, %v; want at most 6", run.Compared, err)
	}
	for _, l := range r.box.IPSCAPE().Leads() {
		r.box.IPSCAPE().DeleteLead(l.ID)
	}
	run, err = r.drift.Look(t.Context(), r.key("leads"))
	if err != nil || len(run.Findings) > 0 || !strings.Contains(run.Error, "the vendor knows none of") {
		t.Errorf("%d findings, error %q, %v", len(run.Findings), run.Error, err)
	}
}

// TestDriftOfWhatIsRefused: what Postgres does not take, as a payload or in a typed row, is told by its id, and all others are compared.
func TestDriftOfWhatIsRefused(t *testing.T) {
	t.Parallel()
	r := newDriftRig(t, sandbox.Options{Seed: 9, Activities: 1, Leads: 25, Posts: -1})
	leads := r.box.IPSCAPE().Leads()
	payload, row := fmt.Sprint(leads[3].ID), fmt.Sprint(leads[17].ID)
	r.drift.Entry = func(key store.StreamKey) (jobs.StreamEntry, bool) {
		e := *r.entry(key.Stream)
		stream, read := *e.Stream, e.Stream.Map
		attempts := slices.Index(e.Table.Columns, "total_attempts")
		stream.Map = func(raw []byte) (walk.Item, error) {
			item, err := read(raw)
			switch item.ObjectID {
			case payload:
				item.Payload = []byte(`{"x":1e400000}`)
			case row:
				item.Values = slices.Clone(item.Values)
				item.Values[attempts] = int64(1) << 62
			}
			return item, err
		}
		e.Stream = &stream
		return e, true
	}
	r.box.IPSCAPE().UpdateLead(leads[5].ID, func(l *sandbox.Lead) { l.TotalAttempts += 7 })
	look := func() []string {
		run, err := r.drift.Look(t.Context(), r.key("leads"))
		if err != nil || run.Error != "" || run.Compared != 25 {
			t.Fatalf("%d compared, %q, %v", run.Compared, run.Error, err)
		}
		var found []string
		for _, f := range run.Findings {
			found = append(found, fmt.Sprintf("%s %s: %s", f.Kind, f.ObjectID, f.Detail))
		}
		slices.Sort(found)
		return found
	}
	refused := "stale " + payload + ": changed there, to what Postgres refuses (22003)"
	want := []string{
		"mapped_wrong " + row + ": ipscape.leads: a value that Postgres refuses (22003)",
		refused,
		fmt.Sprintf("stale %d: changed there: outcomesInfo.totalAttempts, timestamps.modified", leads[5].ID),
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, look()); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	// The repair puts it into quarantine, where it is known.
	if did, err := r.drift.Repair(t.Context(), r.key("leads"), payload); err != nil || !strings.HasPrefix(did, "put into quarantine") {
		t.Fatal(did, err)
	}
	if n := r.count(`select count(*) from ops.quarantine where state = 'open' and object_id = '` + payload + `'`); n != 1 {
		t.Errorf("%d items in quarantine", n)
	}
	if found := look(); slices.Contains(found, refused) {
		t.Errorf("what lies in quarantine is still found: %q", found)
	}
}

// TestDriftRepairLooksTwice: one answer "not found" marks nothing, nor do any number of them from a vendor that finds nothing else.
func TestDriftRepairLooksTwice(t *testing.T) {
	t.Parallel()
	r := newDriftRig(t, sandbox.Options{Seed: 7, Activities: 1, Leads: 6, Posts: -1})
	leads := r.box.IPSCAPE().Leads()
	repair := func(id int64) (string, error) {
		return r.drift.Repair(t.Context(), r.key("leads"), fmt.Sprint(id))
	}
	missing := func() int64 {
		return int64(r.count(`select count(*) from ipscape.leads where missing_since is not null`))
	}
	asked := 0
	get := r.entry("leads").Get
	r.drift.Entry = func(key store.StreamKey) (jobs.StreamEntry, bool) {
		e := *r.entry(key.Stream)
		e.Get = func(ctx context.Context, id string) ([]byte, time.Time, error) {
			if asked++; asked == 1 {
				return nil, time.Time{}, fmt.Errorf("a gateway that knows nothing: %w", jobs.ErrGone)
			}
			return get(ctx, id)
		}
		return e, true
	}
	if did, err := repair(leads[0].ID); err != nil || did != "read again" || missing() != 0 {
		t.Errorf("after one answer: %s, %v, %d marked", did, err, missing())
	}
	r.box.IPSCAPE().DeleteLead(leads[0].ID)
	if did, err := repair(leads[0].ID); err != nil || did != "marked as gone" || missing() != 1 {
		t.Errorf("what is gone: %s, %v, %d marked", did, err, missing())
	}
	for _, l := range leads[1:] {
		r.box.IPSCAPE().DeleteLead(l.ID)
	}
	if did, err := repair(leads[1].ID); err == nil || !strings.Contains(err.Error(), "not believed") || missing() != 1 {
		t.Errorf("of a vendor that finds nothing: %s, %v, %d marked", did, err, missing())
	}
	if _, err := r.db.Pool.Exec(t.Context(), `delete from ipscape.leads where lead_id <> $1::bigint`, leads[1].ID); err != nil {
		t.Fatal(err)
	}
	if did, err := repair(leads[1].ID); err == nil || !strings.Contains(err.Error(), "the only one that is here") || missing() != 0 {
		t.Errorf("of the only one: %s, %v, %d marked", did, err, missing())
	}
}
