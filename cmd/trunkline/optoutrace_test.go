package main

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// stampsSQL numbers suppressions and sends inside their transactions, which hold the lock that they share until they are
// committed: the numbers are the order of the commits.
const stampsSQL = `
create sequence public.stamps;
create table public.stamped (what text, phone text, stamp bigint);
create function public.stamp_send() returns trigger language plpgsql as $$
begin
  if new.kind = 'send' then
    insert into public.stamped select 'send', d.phone, nextval('public.stamps') from ops.deliveries d
    where d.id = new.delivery_id and d.class = 'rings';
  end if;
  return new;
end $$;
create function public.stamp_suppression() returns trigger language plpgsql as $$
begin
  if new.kind = 'phone' then
    insert into public.stamped values ('suppression', new.value, nextval('public.stamps'));
  end if;
  return new;
end $$;
create trigger stamp_send after insert on ops.delivery_attempts for each row execute function public.stamp_send();
create trigger stamp_suppression after insert on ops.suppressions for each row execute function public.stamp_suppression();`

// TestOptOutsWhilePushesGoOut is law 6 at work: while a queue of pushes is sent, one number in ten opts out by post. No request
// is begun for a number whose opt-out is committed, DialedIn sees none later than a second after the post was answered, and
// each number is entered at DialedIn, whatever answers get lost.
func TestOptOutsWhilePushesGoOut(t *testing.T) {
	t.Parallel()
	leads := inFull(300, 10_000)
	// A few pushes last long enough for the opt-outs to come in among them; many do so by themselves.
	rate, soon := "30", 15*time.Second
	if fullSize() {
		rate, soon = "0", time.Second
	}
	opt := emptied(18)
	opt.PageSize = 1000
	r := newRig(t, opt, map[string]string{"TRUNKLINE_PUSH": "dialedin", "DIALEDIN_RATE": rate, "DIALEDIN_TIMEOUT": "15s"})
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	hour := time.Now().In(zone).Hour()
	d := r.serve(map[string]string{"TRUNKLINE_CALL_WINDOW": fmt.Sprintf("%02d:00-%02d:00", (hour+8)%24, (hour+10)%24)})
	r.box.IPSCAPE().AddLeads(youngLeads(1, leads)...)
	began := time.Now()
	eventually(t, 10*time.Minute, func() string {
		if n := one[int](r, `select count(*) from ops.deliveries where state = 'ready'`); n < leads {
			return fmt.Sprintf("%d pushes to be queued, there are %d", leads, n)
		}
		return ""
	})
	d.signal(sigterm)
	if code := d.wait(time.Minute); code != exitDone {
		t.Fatalf("exit %d", code)
	}
	t.Logf("%d pushes are queued after %s", leads, time.Since(began).Round(time.Millisecond))
	r.exec(stampsSQL)
	// As autovacuum would, which the tests' server does without: a queue of this depth needs its statistics.
	r.exec(`analyze`)
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorDialedIn, Op: sandbox.OpInsertDNC, Kind: sandbox.FaultCutAfter, Times: -1, Probability: 0.1})
	began = time.Now()
	d = r.serve(nil)
	eventually(t, 10*time.Minute, func() string {
		if n := r.box.DialedIn().Attempts(); n < leads/4 {
			return fmt.Sprintf("a quarter of the pushes to be sent, %d are", n)
		}
		return ""
	})
	answered := r.optOutTenth(d, leads)
	r.settled(15 * time.Minute)
	t.Logf("%d pushes went out and %d opt-outs came in within %s", len(r.box.DialedIn().Leads()), len(answered), time.Since(began).Round(time.Millisecond))

	// The order of the commits.
	if n := one[int](r, `select count(distinct phone) from public.stamped where what = 'suppression'`); n != len(answered) {
		t.Errorf("%d suppressions were stamped, want %d", n, len(answered))
	}
	const both = `select count(*) from public.stamped s join public.stamped u on u.phone = s.phone and u.what = 'suppression' where s.what = 'send'`
	if late := one[int](r, both+` and s.stamp > u.stamp`); late != 0 {
		t.Errorf("%d sends were committed after the opt-out", late)
	}
	before := one[int](r, both)
	cancelled := one[int](r, `select count(*) from ops.deliveries where state = 'cancelled' and reason = 'do_not_call'`)
	if before+cancelled != len(answered) || before == 0 || cancelled == 0 {
		t.Errorf("%d were sent before their opt-out and %d cancelled; want both, and %d together", before, cancelled, len(answered))
	}
	// What DialedIn saw.
	var latest time.Duration
	for _, l := range r.box.DialedIn().Leads() {
		at, out := answered["+1"+l.Phone]
		if late := l.Created.Sub(at); out && late > latest {
			latest = late
		}
	}
	if latest > soon {
		t.Errorf("a number that had opted out was inserted %s after the post was answered", latest)
	}
	if n := len(r.box.DialedIn().Leads()); n != leads-cancelled {
		t.Errorf("%d inserts, want %d less %d cancelled", n, leads, cancelled)
	}
	r.checkObligations(answered)
	t.Logf("%d were sent before their opt-out, the last one %s after the post was answered; %d were cancelled", before, latest, cancelled)
	r.lawful()
}

// optOutTenth posts an opt-out for every tenth number, and returns when each was answered, by phone.
func (r *rig) optOutTenth(d *child, leads int) map[string]time.Time {
	r.Helper()
	var mu sync.Mutex
	answered := map[string]time.Time{}
	queue := make(chan int)
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for i := range queue {
				p := sandbox.NewPost(sandbox.EventDNC, map[string]any{
					"lead_id": fmt.Sprint(990_000 + i), "phone_number": strings.TrimPrefix(youngPhone(i), "+1"), "phone_code": "1", "status": "DNC",
					"call_log_id": fmt.Sprint(990_000_000 + i), "call_date": fmt.Sprint(time.Now().Unix()),
				})
				if err := r.box.Convoso().PostOne(r.Context(), poster, d.url(), p); err != nil {
					r.Errorf("posting an opt-out: %v", err)
				}
				mu.Lock()
				answered[youngPhone(i)] = time.Now()
				mu.Unlock()
			}
		})
	}
	for i := 3; i <= leads; i += 10 {
		queue <- i
	}
	close(queue)
	senders.Wait()
	return answered
}

// checkObligations has one row a number, and DialedIn told at least once and once more for each answer that was lost.
func (r *rig) checkObligations(answered map[string]time.Time) {
	r.Helper()
	phones := list[string](r, `select phone from ops.deliveries where destination = 'dialedin' and operation = 'dnc_add' and state = 'confirmed' order by 1`)
	counts := r.box.DialedIn().DNCInserts()
	if len(phones) != len(answered) || len(counts) != len(answered) {
		r.Errorf("%d obligations are confirmed and %d numbers were entered, want %d", len(phones), len(counts), len(answered))
	}
	told := 0
	for _, phone := range phones {
		n := counts[strings.TrimPrefix(phone, "+1")]
		if _, out := answered[phone]; !out || n == 0 {
			r.Errorf("a number that opted out was entered %d times (opted out: %t)", n, out)
		}
		told += n
	}
	lost := r.box.Faults().Fired(sandbox.FaultCutAfter)
	if told > len(answered)+lost {
		r.Errorf("%d InsertDnc for %d numbers and %d lost answers", told, len(answered), lost)
	}
	r.Logf("%d InsertDnc for %d numbers with %d lost answers", told, len(answered), lost)
}
