package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// TestFirstSyncRingsNobody is law 7: what was there before the daemon is read, and nobody is called for it, young as some
// of it may be. A lead that comes later is pushed, which shows that pushing works.
func TestFirstSyncRingsNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 15, Activities: 200, Leads: 120, Posts: 80}, nil)
	d := r.serve(nil)
	r.post(d)
	r.settled(3 * time.Minute)
	young := one[int](r, `select count(*) from pipeline.leads where first_source_time > now() - interval '24 hours' and not is_do_not_call`)
	if all := one[int](r, `select count(*) from ipscape.leads`); all != 120 || young < 6 {
		t.Fatalf("%d leads were read and %d of the pipeline's are young: the test proves nothing", all, young)
	}
	if n := one[int](r, `select count(*) from ops.deliveries where class = 'rings'`); n != 0 {
		t.Errorf("the first sync ordered %d deliveries that ring", n)
	}
	if inserts, calls := r.box.DialedIn().Attempts(), len(r.box.Convolo().Calls()); inserts+calls != 0 {
		t.Errorf("the first sync made %d inserts and %d calls", inserts, calls)
	}
	t.Logf("%d leads younger than a day were read and nobody was called", young)
	r.box.IPSCAPE().AddLeads(youngLeads(1, 3)...)
	r.settled(3 * time.Minute)
	r.checkSentOnce(3)
	r.checkOptOuts()
	r.lawful()
}

// checkOptOuts compares the phones that opted out with the pipeline's do-not-call and DialedIn's.
func (r *rig) checkOptOuts() {
	r.Helper()
	truth := r.box.Convoso().TruthOf(r.box.Convoso().Acked()).OptedOut
	ours := list[string](r, `select phone from pipeline.do_not_call where lifted_at is null order by phone`)
	if len(truth) == 0 || !slices.Equal(truth, ours) {
		r.Errorf("opted out: %d phones by the posts, %d by us", len(truth), len(ours))
	}
	var told []string
	for _, phone := range truth {
		told = append(told, strings.TrimPrefix(phone, "+1"))
	}
	if there := r.box.DialedIn().DNC(); !slices.Equal(told, there) {
		r.Errorf("DialedIn was told of %d opt-outs of %d", len(there), len(told))
	}
}

// TestOptOutBeforeThePush holds the pushes of two leads by the call window; one of them then opts out. When the window opens
// only the other one is called. A third opted out before ipSCAPE told of it at all; neither is
// dialled there any more.
func TestOptOutBeforeThePush(t *testing.T) {
	t.Parallel()
	r := newRig(t, emptied(16), nil)
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	// Two hours that lie well away from now, on the leads' clocks.
	hour := time.Now().In(zone).Hour()
	closed := map[string]string{"TRUNKLINE_CALL_WINDOW": fmt.Sprintf("%02d:00-%02d:00", (hour+8)%24, (hour+10)%24)}
	d := r.serve(closed)
	optOut := func(i int) {
		r.post(d, sandbox.NewPost(sandbox.EventDNC, map[string]any{
			"lead_id": fmt.Sprint(990_000 + i), "phone_number": strings.TrimPrefix(youngPhone(i), "+1"), "phone_code": "1", "status": "DNC",
			"call_log_id": fmt.Sprint(990_000_000 + i), "call_date": fmt.Sprint(time.Now().Unix()),
		}))
	}
	optOut(3)
	r.box.IPSCAPE().AddLeads(youngLeads(1, 3)...)
	eventually(t, time.Minute, func() string {
		held := list[string](r, `select state || ' ' || coalesce(hold, '') from ops.deliveries where class = 'rings'`)
		if len(held) < 4 || slices.ContainsFunc(held, func(s string) bool { return s != "ready call_window" }) {
			return fmt.Sprintf("four deliveries to be held, there are %q", held)
		}
		return ""
	})
	optOut(2)
	eventually(t, time.Minute, func() string {
		if n := one[int](r, `select count(*) from ops.deliveries where state = 'cancelled' and reason = 'do_not_call' and phone = $1`, youngPhone(2)); n != 2 {
			return fmt.Sprintf("both deliveries to the phone that opted out to be cancelled, %d are", n)
		}
		return ""
	})
	d.signal(sigterm)
	if code := d.wait(time.Minute); code != exitDone {
		t.Fatalf("exit %d", code)
	}
	r.serve(nil)
	r.settled(3 * time.Minute)
	called := map[string]bool{}
	for _, l := range r.box.DialedIn().Leads() {
		called["+1"+l.Phone] = true
	}
	for _, c := range r.box.Convolo().Calls() {
		called[c.Phone] = true
	}
	if len(called) != 1 || !called[youngPhone(1)] {
		t.Errorf("%d phones were called, want the one that did not opt out", len(called))
	}
	if n := one[int](r, `select count(*) from ops.deliveries where class = 'rings' and phone = $1`, youngPhone(3)); n != 0 {
		t.Errorf("%d deliveries were ordered to a phone known to have opted out", n)
	}
	// Whoever opted out is complete at ipSCAPE: the second, which it told of before, and the third, which came later and took a
	// further row.
	for _, l := range r.box.IPSCAPE().Leads() {
		if want := l.Phones[0] != youngPhone(1); l.Completed != want {
			t.Errorf("lead %d: completed %t", l.ID, l.Completed)
		}
	}
	if told := list[string](r, `select destination || ' ' || state || ' ' || coalesce(reason, '-') from ops.deliveries where operation = 'dnc_add' and phone = any($1)
		order by 1`, []string{youngPhone(2), youngPhone(3)}); fmt.Sprint(told) != "[convolo confirmed local_block convolo confirmed local_block convoso confirmed local_block "+
		"convoso confirmed local_block dialedin confirmed - dialedin confirmed - ipscape confirmed - ipscape confirmed - ipscape confirmed no_lead]" {
		t.Errorf("obligations: %q", told)
	}
	r.checkOptOuts()
	r.lawful()
}
