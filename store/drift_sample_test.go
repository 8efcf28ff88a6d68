package store_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestDriftSampleHeedsNoGaps: a sample is as large as was asked for, wherever the ids lie, and holds nobody else's objects. The large
// stream has more pages than are read of it.
func TestDriftSampleHeedsNoGaps(t *testing.T) {
	t.Parallel()
	db := intakeDB(t)
	table := &store.TypedTable{Schema: "ipscape", Name: "lead_lists", Key: "list_id", Missing: true}
	small, large, other := uuid.New(), uuid.New(), uuid.New()
	for org, n := range map[uuid.UUID]int{small: 1000, large: 30_000, other: 5000} {
		// All but ten lie beyond a gap; every other one is gone.
		mustExec(t, db, `insert into ipscape.lead_lists (org_id, account_id, list_id, missing_since, observed_at, changed_at)
			select $1, 'default', n + case when n > 20 then 1000000000000 else 0 end, case when n % 2 = 0 then now() end, now(), now()
			from generate_series(1, $2::int) n`, org, n)
	}
	for org, most := range map[uuid.UUID]int{small: 50, large: 10} {
		key := store.StreamKey{Org: org, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "lead_lists"}
		seen := map[string]bool{}
		for range 5 {
			ids, err := db.DriftSample(t.Context(), key, table, most)
			if err != nil || len(ids) != most || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != most {
				t.Fatalf("of %d: %d drawn, %v", most, len(ids), err)
			}
			for _, id := range ids {
				seen[id] = true
			}
			if n := countRows(t, db, `select count(*) from ipscape.lead_lists where org_id = $1 and list_id = any($2::text[]::bigint[]) and missing_since is null`, org, ids); n != most {
				t.Errorf("%d of %d are the organisation's and there", n, most)
			}
		}
		if len(seen) <= most {
			t.Errorf("five samples of %d are all of the same %d", most, len(seen))
		}
	}
}
