package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// liveIDs begin above all ids of the seed.
const liveIDs = 1_000_000_000_000

// TestBackfillBesideLive reads a month of history while new calls go on coming in. The vendor's log has to show that a live
// request that waits lets at most one of the backfill go first (law 10); pausing, a kill, resuming and cancelling do what they say;
// in the end everything is here, the live position is where live walks brought it, and nobody was rung.
func TestBackfillBesideLive(t *testing.T) {
	t.Parallel()
	rows, page, rate := 1_500, 10, "5"
	if fullSize() {
		rows, page, rate = 200_000, 100, "8"
	}
	r := newRig(t, sandbox.Options{Seed: 61, Activities: rows, Leads: rows / 20, Posts: -1, Span: 30 * 24 * time.Hour, PageSize: page}, map[string]string{
		"IPSCAPE_RATE": rate, "IPSCAPE_START": "30m", "IPSCAPE_OVERLAP": "5s",
	})
	live := time.Now().Add(-50 * time.Minute)
	box := r.box.IPSCAPE()
	pattern := box.Activities()[0]
	d := r.serve(nil)
	r.settled(3 * time.Minute)
	if n := one[int](r, `select count(*) from ipscape.activities`); n != 0 {
		t.Fatalf("%d activities are here before the backfill", n)
	}

	from := time.Now().Add(-31 * 24 * time.Hour).UTC().Format(time.RFC3339)
	start := func(streams ...string) string {
		got := inProcess(t, r.env, nil, slices.Concat([]string{"backfill", "start", "ipscape"}, streams, []string{"--from", from})...)
		if got.code != exitDone {
			t.Fatal(got)
		}
		return strings.TrimSpace(got.stdout)
	}
	do := func(verb, id string) {
		if got := inProcess(t, r.env, nil, "backfill", verb, id); got.code != exitDone {
			t.Fatal(got)
		}
	}
	state := func(id string) string { return one[string](r, `select state from ops.backfills where id = $1`, id) }
	// history are the requests of backfills, in the order in which they came in.
	history := func() (n int) {
		for _, q := range r.listed() {
			if !newerThan(q, live) {
				n++
			}
		}
		return n
	}
	began, added := time.Now(), 0
	// come lets calls come in: so many that a live tick has pages enough to be held up between them.
	come := func() {
		for range 15 * page {
			a := pattern
			added++
			a.ID, a.RootID, a.Created = int64(liveIDs+added), 0, time.Now().UTC()
			a.Answered, a.HangUp, a.WrapUp, a.JoinQueue, a.LateUntil = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
			box.AddActivities(a)
		}
		want := added
		eventually(r, 2*time.Minute, func() string {
			if n := one[int](r, `select count(*) from ipscape.activities where activity_id > $1`, liveIDs); n != want {
				return fmt.Sprintf("%d live calls, %d are here", want, n)
			}
			return ""
		})
	}

	first := start("activities", "leads")
	eventually(r, time.Minute, func() string {
		if n := history(); n < 2*20 {
			return fmt.Sprintf("the backfill to be at work: %d requests", n)
		}
		return ""
	})
	come()
	come()
	if now := state(first); now != "running" {
		t.Fatalf("the backfill is %s after the first live calls: they had nothing beside them", now)
	}
	r.yielded(live)

	do("pause", first)
	if now := state(first); now != "paused" {
		t.Fatalf("pause has returned and the backfill is %s", now)
	}
	// Pages that were asked for ahead are still read; then there is quiet.
	before := -1
	eventually(r, time.Minute, func() string {
		last := before
		if before = history(); before != last {
			time.Sleep(6 * time.Second)
			return "the paused backfill to be quiet"
		}
		return ""
	})
	come()
	if after := history(); after != before {
		t.Errorf("%d requests of a paused backfill", after-before)
	}
	do("resume", first)
	eventually(r, time.Minute, func() string {
		if history() < before+20 {
			return "the resumed backfill to go on"
		}
		return ""
	})
	second := start("activities")
	do("cancel", second)
	d.kill()
	r.serve(nil)
	come()
	eventually(r, 20*time.Minute, func() string {
		if now := state(first); now != "done" {
			return "the backfill is " + now
		}
		return ""
	})
	t.Logf("%d rows of history and %d live after %s", rows, added, time.Since(began).Round(time.Second))
	r.settled(20 * time.Minute)

	if now := state(second); now != "cancelled" {
		t.Errorf("the second backfill is %s", now)
	}
	if want, got := len(box.Activities()), one[int](r, `select count(*) from ipscape.activities`); got != want {
		t.Errorf("%d activities, the vendor holds %d", got, want)
	}
	if want, got := len(box.Leads()), one[int](r, `select count(*) from ipscape.leads`); got != want {
		t.Errorf("%d leads, the vendor holds %d", got, want)
	}
	if n := one[int](r, `select count(*) from ops.streams where source = 'ipscape' and origin < $1`, live); n != 0 {
		t.Errorf("a backfill moved the origin of %d live streams", n)
	}
	if n := one[int](r, `select count(*) from ops.walks where backfill_id = $1 and state <> 'cancelled'`, uuid.MustParse(second)); n != 0 {
		t.Errorf("%d windows of the cancelled backfill are not", n)
	}
	for _, q := range r.box.Requests() {
		if q.Vendor == sandbox.VendorDialedIn || q.Vendor == sandbox.VendorConvolo {
			t.Fatalf("the backfill reached %s: %s", q.Vendor, q.Op)
		}
	}
	r.yielded(live)
	r.lawful()
}

// listed are the requests for lists of ipSCAPE, in the order in which they came in.
func (r *rig) listed() []sandbox.Request {
	requests := slices.DeleteFunc(r.box.Requests(), func(q sandbox.Request) bool {
		return q.Op != sandbox.OpListActivities && q.Op != sandbox.OpListLeads
	})
	slices.SortStableFunc(requests, func(a, b sandbox.Request) int { return a.Time.Compare(b.Time) })
	return requests
}

// newerThan says that a request asks for a window that begins after t; a list of leads has another name for it.
func newerThan(q sandbox.Request, t time.Time) bool {
	for name, value := range q.Filters {
		if at, err := time.Parse(time.RFC3339, value); err == nil && strings.HasSuffix(name, "From") {
			return at.After(t)
		}
	}
	return false
}

// yielded checks the order of requests: after a page of a live walk its next one is ready at once, and waits.
func (r *rig) yielded(live time.Time) {
	r.Helper()
	pages, between, most, late := 0, 0, 0, 0
	for _, q := range r.listed() {
		switch {
		case !newerThan(q, live):
			between++
		case q.Op != sandbox.OpListActivities:
		case q.Cursor == "":
			between = 0
		default:
			pages++
			if most = max(most, between); between > 1 {
				late++
			}
			between = 0
		}
	}
	r.Logf("%d live requests that waited, at most %d of the backfill before one, %d times more than one", pages, most, late)
	// On a machine that is too busy to commit a page in the time of one request, a live walk does not wait for the budget but for
	// the database, and then the budget is rightly somebody else's.
	if pages < 20 || late > pages/10 || fullSize() && late > 0 {
		r.Errorf("of %d live requests %d let more than one of the backfill go first, up to %d", pages, late, most)
	}
}
