package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
)

func TestGaps(t *testing.T) {
	t.Parallel()
	db := &store.DB{Pool: storetest.DB(t), Log: discard(), Clock: time.Now}
	org, err := db.EnsureDefault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	event := func(campaign, kind, state, call string, at time.Time) {
		t.Helper()
		n++
		mustExec(t, db, `insert into convoso.events (org_id, account_id, event_id, inbox_id, type, state, call_log_id, campaign, zone_assumed, observed_at, changed_at)
			values ($1, 'default', $2, gen_random_uuid(), $3, $4, $5, nullif($6, ''), false, $7, $7)`, org.ID, fmt.Sprint("e", n), kind, state, call, campaign, at)
	}
	hour := time.Now().UTC().Truncate(time.Hour).Add(-8 * time.Hour) // no call below comes then
	posts := func(campaign string, weeks, count int) {
		t.Helper()
		for i := range count {
			event(campaign, "disposition", "", fmt.Sprint(campaign, weeks, i), hour.Add(-time.Duration(weeks)*7*24*time.Hour+time.Duration(i)*time.Second))
		}
	}
	// Medians of the four weeks: 10 (quiet now), 10 (one post now), 9.5, and 10 in an hour that was not a day ago.
	for weeks, count := range map[int]int{1: 0, 2: 10, 3: 10, 4: 30} {
		posts("Lost", weeks, count)
		posts("Alive", weeks, count)
	}
	posts("Alive", 0, 1)
	for weeks, count := range map[int]int{1: 0, 2: 9, 3: 10, 4: 30} {
		posts("Small", weeks, count)
	}
	for weeks, count := range map[int]int{1: 12, 2: 12, 3: 12, 4: 0} {
		hour = hour.Add(-48 * time.Hour)
		posts("Long ago", weeks, count)
		hour = hour.Add(48 * time.Hour)
	}
	// Calls: one without an end, one too young, one too old, one whose disposition anybody told.
	ago := func(d time.Duration) time.Time { return time.Now().UTC().Truncate(time.Microsecond).Add(-d) }
	first := ago(5 * time.Hour)
	event("Lost", "call_event", "started", "open-1", first)
	event("Lost", "call_event", "started", "open-2", ago(3*time.Hour))
	event("Lost", "call_event", "ended", "open-2", ago(3*time.Hour))
	event("", "call_event", "started", "open-3", ago(119*time.Minute))
	event("", "call_event", "started", "open-4", ago(8*24*time.Hour))
	event("", "call_event", "started", "told", ago(5*time.Hour))
	mustExec(t, db, `insert into pipeline.calls (org_id, source, account_id, external_call_id, disposition_raw, content_hash, occurred_at, updated_at)
		values ($1, 'convoso', 'default', 'told', 'CB', '', now(), now()), ($1, 'convoso', 'default', 'open-1', null, '', now(), now()),
		  ($1, 'ipscape', 'default', 'open-2', 'CB', '', now(), now())`, org.ID)
	got, err := db.Gaps(t.Context(), db.Pool)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		got[i].Since = got[i].Since.UTC()
	}
	want := []store.Gap{
		{Source: "convoso", Campaign: "Lost", Kind: store.GapNoDisposition, Since: first, Missing: 2},
		{Source: "convoso", Campaign: "Lost", Kind: store.GapQuietHour, Since: hour, Missing: 10},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var holes int
	err = db.Pool.QueryRow(t.Context(), `select holes from analytics.freshness where org_id = $1 and source = 'convoso' and stream = 'posts' and lag_s is null
		and last_success_at > now() - interval '3 hours'`, org.ID).Scan(&holes)
	if err != nil || holes != len(want) {
		t.Errorf("freshness: %d holes, %v", holes, err)
	}
}
