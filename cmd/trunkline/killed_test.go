package main

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// killed is what one kill left behind.
type killed struct {
	walk   uuid.UUID
	cursor string
	pages  int
	rows   int
	state  string
	// next is when the next daemon was started: every later request is its, or one of its successors'.
	next time.Time
}

// TestKilledDuringTheFirstSync kills the daemon ten times at random moments of a first sync. What the last one leaves must
// be what the vendor holds, and pages whose rows were committed must not be asked for again by the walk.
func TestKilledDuringTheFirstSync(t *testing.T) {
	t.Parallel()
	rows, kills := 20_000, 10
	if testing.Short() {
		rows, kills = 3_000, 3
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("KILL_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("KILL_SEED=%d repeats the moments of the kills", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	r := newRig(t, sandbox.Options{Seed: 11, Activities: rows, Leads: -1, Posts: -1, PageSize: 100, Latency: 15 * time.Millisecond},
		map[string]string{"IPSCAPE_RATE": "0"})
	r.addOutbound(rows / 10)
	began := time.Now()
	var all []killed
	for i := range kills {
		d := r.serve(nil)
		k := r.killSomewhere(d, random, rows/100, kills-i)
		if k.state != "running" {
			t.Fatalf("kill %d came when the walk was %s after %d pages: it proves nothing", i+1, k.state, k.pages)
		}
		t.Logf("kill %d after %s: %d of %d pages and %d rows were committed", i+1, time.Since(began).Round(time.Millisecond), k.pages, rows/100, k.rows)
		if i > 0 {
			// The first takeover waits for the dead daemon's lease to run out. The others are spared that: 20 s each.
			r.exec(`update ops.walks set lease_until = clock_timestamp() where lease_until is not null`)
		}
		k.next = time.Now()
		all = append(all, k)
	}
	r.serve(nil)
	r.settled(3 * time.Minute)
	t.Logf("settled after %s", time.Since(began).Round(time.Millisecond))
	r.lawful()
	r.checkResumed(all)
	r.exec(`analyze`)
	r.checkActivities()
	r.checkCalls()
	for _, table := range []string{"ops.quarantine", "ops.reconcile_queue"} {
		if n := one[int](r, `select count(*) from `+table); n != 0 {
			t.Errorf("%s holds %d rows", table, n)
		}
	}
}

// addOutbound gives every tenth call a lead of its own. The seed would give each lead of a few a great many calls, all of
// which are folded again with every new one.
func (r *rig) addOutbound(n int) {
	leads := youngLeads(1, n)
	for i := range leads {
		leads[i].Created = leads[i].Created.Add(-48 * time.Hour)
	}
	r.box.IPSCAPE().AddLeads(leads...)
	for i, a := range r.box.IPSCAPE().Activities() {
		if i%10 != 0 || i/10 >= n {
			continue
		}
		l := leads[i/10]
		a.Type, a.LeadID, a.Phone, a.PhoneIndex, a.AttemptID = sandbox.TypeOutbound, l.ID, l.Phones[0], 1, int64(700_000+i)
		a.Source, a.Destination, a.QualityScore, a.JoinQueue = "+61290001111", l.Phones[0], 0, time.Time{}
		r.box.IPSCAPE().AddActivities(a)
	}
}

const firstWalkSQL = `
from ops.walks
where source = 'ipscape' and stream = 'activities' and kind = 'live'
order by created_at
limit 1`

// killSomewhere lets the walk go on by a random number of pages and then for a random moment, so that the kill may hit a
// request, a transaction or the fold.
func (r *rig) killSomewhere(d *child, random *rand.Rand, pages, left int) killed {
	r.Helper()
	begun := one[int](r, `select coalesce((select pages `+firstWalkSQL+`), 0)`)
	target := begun + 1 + random.IntN(max(1, 2*(pages-begun-pages/3)/(left+1)))
	eventually(r, 3*time.Minute, func() string {
		if at := one[int](r, `select coalesce((select pages `+firstWalkSQL+`), 0)`); at < target {
			return fmt.Sprintf("page %d, it is at %d", target, at)
		}
		return ""
	})
	time.Sleep(time.Duration(random.IntN(60_000)) * time.Microsecond)
	d.kill()
	// What the daemon had sent may still be committed by the server: look once its sessions have gone.
	eventually(r, time.Minute, func() string {
		if n := one[int](r, `select count(*) from pg_stat_activity where datname = current_database() and application_name like 'trunkline%'`); n > 0 {
			return fmt.Sprintf("%d sessions of the dead daemon", n)
		}
		return ""
	})
	var k killed
	if err := r.db.QueryRow(r.Context(), `select id, cursor, pages, rows, state `+firstWalkSQL).Scan(&k.walk, &k.cursor, &k.pages, &k.rows, &k.state); err != nil {
		r.Fatal(err)
	}
	return k
}

// checkResumed reads the vendor's own log: after each kill the walk went on with the very cursor that was committed last,
// and asked for nothing before it ever again.
func (r *rig) checkResumed(all []killed) {
	r.Helper()
	requests := slices.DeleteFunc(r.box.Requests(), func(q sandbox.Request) bool { return q.Op != sandbox.OpListActivities })
	slices.SortStableFunc(requests, func(a, b sandbox.Request) int { return a.Time.Compare(b.Time) })
	// Walks are told apart by the window they ask for; the first request of all belongs to the first walk.
	window := func(q sandbox.Request) string {
		return q.Filters["createdTimestampFrom"] + " to " + q.Filters["createdTimestampTo"]
	}
	first := window(requests[0])
	requests = slices.DeleteFunc(requests, func(q sandbox.Request) bool { return window(q) != first })
	// place is where in the list a page is: pages are asked for in order, so it is the order of first requests.
	place := map[string]int{}
	for _, q := range requests {
		if _, seen := place[q.Cursor]; !seen {
			place[q.Cursor] = len(place)
		}
	}
	again := 0
	for i, k := range all {
		if k.walk != all[0].walk {
			r.Fatalf("kill %d: the walk is %s, it was %s: the window was begun anew", i+1, k.walk, all[0].walk)
		}
		committed, asked := place[k.cursor]
		if !asked || committed != k.pages {
			r.Errorf("kill %d: %d pages were committed and the cursor is of page %d", i+1, k.pages, committed)
		}
		later := slices.DeleteFunc(slices.Clone(requests), func(q sandbox.Request) bool { return q.Time.Before(k.next) })
		if len(later) == 0 || later[0].Cursor != k.cursor {
			r.Errorf("kill %d: the walk did not go on with the committed cursor", i+1)
		}
		for _, q := range later {
			if place[q.Cursor] < committed {
				again++
			}
		}
	}
	if again > 0 {
		r.Errorf("%d requests were for pages whose rows had been committed", again)
	}
	if restarts := one[int](r, `select restarts `+firstWalkSQL); restarts != 0 {
		r.Errorf("the walk restarted %d times", restarts)
	}
	r.Logf("%d requests for %d pages, %d of them again; none for a page that was committed", len(requests), len(place), len(requests)-len(place))
}

// sameRows compares two lists of rows by checksum, and shows where they differ.
func (r *rig) sameRows(what string, truth, ours []string) {
	r.Helper()
	slices.Sort(truth)
	slices.Sort(ours)
	want, got := sha256.Sum256([]byte(strings.Join(truth, "\n"))), sha256.Sum256([]byte(strings.Join(ours, "\n")))
	if want != got || len(truth) == 0 {
		diff := cmp.Diff(truth, ours)
		r.Errorf("%s: the vendor holds %d rows, we have %d (-vendor +ours):\n%.4000s", what, len(truth), len(ours), diff)
		return
	}
	r.Logf("%s: %d rows, SHA-256 %x", what, len(ours), got[:6])
}

// line writes a row the same way from both sides: "-" for what is absent.
func line(values ...any) string {
	parts := make([]string, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case time.Time:
			if parts[i] = "-"; !v.IsZero() {
				parts[i] = v.UTC().Format(time.RFC3339)
			}
		default:
			if parts[i] = fmt.Sprint(v); parts[i] == "0" || parts[i] == "" {
				parts[i] = "-"
			}
		}
	}
	return strings.Join(parts, "|")
}

const rfc3339 = `to_char(%[1]s at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`

// columns is a select list that writes rows as line does.
func columns(texts []string, times ...string) string {
	var parts []string
	for _, c := range texts {
		parts = append(parts, "coalesce(nullif(nullif("+c+"::text, '0'), ''), '-')")
	}
	for _, c := range times {
		parts = append(parts, "coalesce("+fmt.Sprintf(rfc3339, c)+", '-')")
	}
	return "concat_ws('|', " + strings.Join(parts, ", ") + ")"
}

func (r *rig) checkActivities() {
	r.Helper()
	var truth []string
	for _, a := range r.box.IPSCAPE().Activities() {
		media, length, deleted := int64(0), 0, ""
		if a.Recording != nil {
			media, length, deleted = a.Recording.MediaID, a.Recording.Duration, fmt.Sprint(a.Recording.Deleted)
		}
		truth = append(truth, line(a.ID, a.Type, a.LeadID, a.AttemptID, a.ParentID, a.RootID, a.CampaignID, a.CampaignName, a.AgentID, a.AgentName,
			a.Source, a.Destination, a.StatusID, a.StatusName, a.WrapCode, a.WrapDescription, media, length, deleted, a.QualityScore,
			a.Created, a.JoinQueue, a.Answered, a.HangUp, a.WrapUp))
	}
	r.sameRows("ipscape.activities", truth, list[string](r, `select `+columns([]string{
		"activity_id", "type", "lead_id", "attempt_id", "parent_activity_id", "root_activity_id", "campaign_id", "campaign_name", "agent_id", "agent_full_name",
		"source", "destination", "status_id", "status_name", "wrap_code", "wrap_description", "recording_media_id", "recording_duration_s", "recording_deleted", "quality_score",
	}, "created_at", "join_queue_at", "answered_at", "hung_up_at", "wrapped_up_at")+` from ipscape.activities`))
}

func (r *rig) checkCalls() {
	r.Helper()
	var truth []string
	for _, a := range r.box.IPSCAPE().Activities() {
		direction := strings.TrimPrefix(a.Type, "call.")
		talk := a.Durations["interaction"]
		if t, has := a.Durations["talk"]; has {
			talk = t
		}
		truth = append(truth, line(a.ID, direction, a.LeadID, a.AgentID, a.AgentName, a.CampaignName, a.WrapCode, a.WrapDescription, talk,
			a.Created, a.Answered, a.HangUp))
	}
	// An inbound call knows its lead by phone only; that is reconcile's own test. An outbound one names it.
	r.sameRows("pipeline.calls", truth, list[string](r, `select `+columns([]string{
		"c.external_call_id", "c.direction",
		`(select k.value from pipeline.lead_keys k where k.org_id = c.org_id and k.lead_id = c.lead_id and k.kind = 'ipscape_lead'
		    and c.direction = 'outbound' and k.value = a.lead_id::text)`,
		"c.agent_external_id", "c.agent_name", "c.campaign_name", "c.disposition_raw", "c.disposition_name", "c.talk_s",
	}, "c.started_at", "c.answered_at", "c.ended_at")+`
	from pipeline.calls c
	left join ipscape.activities a on a.org_id = c.org_id and a.account_id = c.account_id and a.activity_id = c.external_call_id::bigint
	where c.source = 'ipscape'`))
}
