package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestUnknownsAreCounted reads items with fields, types and values that nobody knows: each is counted by its name, of a vendor that makes
// names up not all, and nothing that may be a phone number is kept as a name.
func TestUnknownsAreCounted(t *testing.T) {
	t.Parallel()
	w := newJobsWorld(t)
	key := store.StreamKey{Org: uuid.New(), Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE}
	var u *jobs.Unknowns
	var entry jobs.StreamEntry
	start := func() {
		u = &jobs.Unknowns{DB: w.db, Log: w.db.Log, Key: key}
		for _, e := range jobs.IPSCAPE(jobs.IPSCAPEConfig{Unknowns: u}) {
			if e.Stream.Name == ipscape.StreamActivities {
				entry = e
			}
		}
	}
	start()
	read := func(raw string) {
		t.Helper()
		if _, err := entry.Stream.Map([]byte(raw)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		read(fmt.Sprintf(`{"type":"fax.sent","data":{"activityId":%d,"mood":1,"phoneIndex":"first"}}`, i+1))
		u.Flush(t.Context())
	}
	read(`{"type":"call.inbound","data":{"activityId":9,"+61400111222":1}}`)
	for i := range 210 {
		read(fmt.Sprintf(`{"type":"t%d","data":{"activityId":9}}`, i))
	}
	u.Flush(t.Context())
	rows, err := w.db.Pool.Query(t.Context(), `select concat_ws(' ', stream, kind, name, seen) from ops.unknowns where org_id = $1 and name !~ '^t[0-9]' order by kind, name collate "C"`, key.Org)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	want := []string{
		"activities field (digits) 1", "activities field mood 3", "activities type (others) 11", "activities type fax.sent 3", "activities value phone_index 3",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}

	// A daemon that starts anew begins with the room that is left, not with all of it; a name that is there already goes on, also after
	// as many new ones as there is room for.
	start()
	for i := range 210 {
		read(fmt.Sprintf(`{"type":"s%d","data":{"activityId":9}}`, i))
	}
	u.Flush(t.Context())
	read(`{"type":"fax.sent","data":{"activityId":9}}`)
	u.Flush(t.Context())
	var told string
	err = w.db.Pool.QueryRow(t.Context(), `select concat_ws(' ', count(*), sum(seen), sum(seen) filter (where name = '(others)'), sum(seen) filter (where name = 'fax.sent'))
from ops.unknowns where org_id = $1 and kind = 'type'`, key.Org).Scan(&told)
	if want := "201 424 221 4"; err != nil || told != want {
		t.Errorf("types, times, others and a known one: %q, want %q, %v", told, want, err)
	}
}

// TestUnknownsOfTheLastJobs counts while the workers stop: that is written too.
func TestUnknownsOfTheLastJobs(t *testing.T) {
	t.Parallel()
	w := newJobsWorld(t)
	u := &jobs.Unknowns{DB: w.db, Log: w.db.Log, Key: store.StreamKey{Org: uuid.New(), Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE}}
	workers, err := jobs.NewWorkers(jobs.WorkersConfig{
		Pool: w.db.Pool, Log: w.db.Log, Now: time.Now, Reconcile: idle{}, Inbox: idle{}, Webhooks: idle{}, Deliver: deliverIdle{}, Upkeep: idle{}, Unknowns: u,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := workers.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	loops, stop := context.WithCancel(t.Context())
	stop()
	u.Run(loops)
	for _, e := range jobs.IPSCAPE(jobs.IPSCAPEConfig{Unknowns: u}) {
		if e.Stream.Name == ipscape.StreamActivities {
			if _, err := e.Stream.Map([]byte(`{"type":"fax.sent","data":{"activityId":1}}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := workers.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := w.db.Pool.QueryRow(t.Context(), `select count(*) from ops.unknowns where org_id = $1`, u.Key.Org).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d names are kept, %v", n, err)
	}
}
