package jobs_test

import (
	"fmt"
	"testing"

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
	u := &jobs.Unknowns{DB: w.db, Log: w.db.Log, Key: key}
	var entry jobs.StreamEntry
	for _, e := range jobs.IPSCAPE(jobs.IPSCAPEConfig{Unknowns: u}) {
		if e.Stream.Name == ipscape.StreamActivities {
			entry = e
		}
	}
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
}
