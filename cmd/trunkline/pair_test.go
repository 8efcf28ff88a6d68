package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// TestTwoDaemons lets two daemons start at once on one empty database and share the work: each schedule slot is run once and
// nothing is sent twice. Then it kills the one that is in the middle of a walk.
func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 12, Activities: 300, Leads: 60, Posts: 60, PageSize: 20}, nil)
	doors := []*front{r.front(), r.front()}
	var pair []*child
	for _, door := range doors {
		pair = append(pair, startChild(r, r.with(r.box.Env(door.url)), "serve"))
	}
	for _, c := range pair {
		c.waitUp()
	}
	r.traffic(pair)
	r.settled(3 * time.Minute)
	r.checkSlots()
	r.checkSentOnce(pairLeads)
	r.lawful()
	if at := list[string](r, `select distinct by from river.river_job, unnest(attempted_by) as by`); len(at) != 2 {
		t.Errorf("%d daemons did all the work: %q", len(at), at)
	}
	r.killOneOf(pair, doors)
}

const pairLeads = 48

// traffic uploads leads in small lots while posts come in at both daemons, so that both are always at work.
func (r *rig) traffic(pair []*child) {
	r.Helper()
	posted := make(chan error, 1)
	posts := r.box.Convoso().Posts()
	go func() {
		for i, p := range posts {
			if err := r.box.Convoso().PostOne(r.Context(), poster, pair[i%2].url(), p); err != nil {
				posted <- err
				return
			}
		}
		posted <- nil
	}()
	for n := 0; n < pairLeads; n += 4 {
		r.box.IPSCAPE().AddLeads(youngLeads(n, 4)...)
		r.waitSlots(1)
	}
	if err := <-posted; err != nil {
		r.Fatal(err)
	}
}

// waitSlots waits until so many further slots of the schedule of leads were taken.
func (r *rig) waitSlots(n int) {
	r.Helper()
	const sql = `select count(*) from river.river_job where kind = 'walk' and args ->> 'schedule' = 'ipscape.leads'`
	want := one[int](r, sql) + n
	eventually(r, time.Minute, func() string {
		if at := one[int](r, sql); at < want {
			return fmt.Sprintf("slot %d of ipscape.leads, at %d", want, at)
		}
		return ""
	})
}

const slotsSQL = `
select count(*), count(distinct args ->> 'slot'), max((args ->> 'slot')::timestamptz)
from river.river_job
where kind = 'walk' and args ->> 'schedule' = $1`

// checkSlots compares the jobs with ops.schedules, in which each slot is taken once whoever looks.
func (r *rig) checkSlots() {
	r.Helper()
	for _, name := range []string{"ipscape.activities", "ipscape.leads"} {
		// One transaction takes a slot and makes its job, so both are read in one statement's snapshot.
		var jobs, slots int
		var last, latest time.Time
		if err := r.db.QueryRow(r.Context(), `select j.*, s.last_slot from (`+slotsSQL+`) j cross join ops.schedules s where s.name = $1`, name).
			Scan(&jobs, &slots, &latest, &last); err != nil {
			r.Fatal(err)
		}
		if jobs != slots || jobs < 10 {
			r.Errorf("%s: %d jobs for %d slots", name, jobs, slots)
		}
		if !last.Equal(latest) {
			r.Errorf("%s: the last slot is %s, its latest job is for %s", name, last, latest)
		}
		r.Logf("%s: %d jobs, each for a slot of its own", name, jobs)
	}
}

// checkSentOnce has the vendors count: every fresh lead was inserted and called once, but for those that opted out.
func (r *rig) checkSentOnce(leads int) {
	r.Helper()
	for what, counts := range map[string]map[string]int{
		"DialedIn inserts": r.box.DialedIn().AttemptsByClientID(), "Convolo calls": r.box.Convolo().RingsByRef(),
	} {
		for id, n := range counts {
			if n != 1 {
				r.Errorf("%s of %s: %d", what, id, n)
			}
		}
		if len(counts) != leads {
			r.Errorf("%s: %d, of %d fresh leads", what, len(counts), leads)
		}
		r.Logf("%s: %d, none twice", what, len(counts))
	}
	states := list[string](r, `select destination || ' ' || state || ' ' || attempts || ' x ' || count(*) from ops.deliveries
		where class = 'rings' group by destination, state, attempts order by 1`)
	want := []string{fmt.Sprintf("convolo confirmed 1 x %d", leads), fmt.Sprintf("dialedin confirmed 1 x %d", leads)}
	if fmt.Sprint(states) != fmt.Sprint(want) {
		r.Errorf("deliveries: %q, want %q", states, want)
	}
}

// killOneOf makes a walk hang at one of the daemons, kills that one, and times how the other takes over.
func (r *rig) killOneOf(pair []*child, doors []*front) {
	r.Helper()
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: sandbox.OpListActivities, Kind: sandbox.FaultStall})
	holder := -1
	eventually(r, time.Minute, func() string {
		if r.box.Faults().Fired(sandbox.FaultStall) == 0 {
			return "a walk to hang"
		}
		for i, door := range doors {
			if door.waiting("/activities") > 0 {
				holder = i
				return ""
			}
		}
		return "the daemon whose walk hangs"
	})
	var walk uuid.UUID
	eventually(r, time.Minute, func() string {
		running := list[uuid.UUID](r, `select id from ops.walks where stream = 'activities' and state = 'running' and lease_until > clock_timestamp()`)
		if len(running) != 1 {
			return fmt.Sprintf("one walk of activities to be left, %d run", len(running))
		}
		walk = running[0]
		return ""
	})
	// Its other schedules go on meanwhile, so the kill also hits a daemon that takes slots.
	r.waitSlots(1)
	died := time.Now()
	pair[holder].kill()
	slots := map[string]time.Duration{}
	var taken time.Duration
	eventually(r, 2*time.Minute, func() string {
		for _, name := range list[string](r, `select name from ops.schedules where name in ('ipscape.activities', 'ipscape.leads') and last_slot > $1`, died) {
			if _, seen := slots[name]; !seen {
				slots[name] = time.Since(died)
			}
		}
		if state := one[string](r, `select state from ops.walks where id = $1`, walk); state == "done" && taken == 0 {
			taken = time.Since(died)
		}
		if taken == 0 || len(slots) < 2 {
			return fmt.Sprintf("the other daemon to take over: walk %v, schedules %v", taken, slots)
		}
		return ""
	})
	// A machine that is busy with other tests starts nothing on time; it still has to happen, above.
	if fullSize() && taken > 35*time.Second {
		r.Errorf("the walk was done %s after its daemon died, more than 35 s", taken)
	}
	for name, after := range slots {
		if fullSize() && after > 20*time.Second {
			r.Errorf("%s went on %s after the kill, more than 20 s", name, after)
		}
	}
	r.Logf("after kill -9 the walk was done in %s, schedules went on in %v", taken.Round(time.Millisecond), slots)
	r.box.IPSCAPE().AddLeads(youngLeads(pairLeads, 4)...)
	r.settled(3 * time.Minute)
	r.checkSlots()
	r.checkSentOnce(pairLeads + 4)
}
