package deliver_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// stampSQL numbers suppressions and sends while their transactions hold the locks that they share, and a lock is held to the
// commit: the numbers are the order of the commits.
const stampSQL = `
create sequence stamps;
create table stamped_sends (delivery_id uuid, stamp bigint);
create function stamp_send() returns trigger language plpgsql as $$
begin
  if new.kind = 'send' then
    insert into stamped_sends values (new.delivery_id, nextval('stamps'));
  end if;
  return new;
end $$;
create trigger stamp_send after insert on ops.delivery_attempts for each row execute function stamp_send();
create table stamped_suppressions (lead_id uuid, stamp bigint);`

type target struct {
	lead  uuid.UUID
	phone string
	id    uuid.UUID
}

// optOut commits an opt-out as the receiver does: locks, then the row.
func (r *rig) optOut(at target, byKey bool) error {
	ctx := context.Background()
	kind, account, value := "phone", "", at.phone
	if byKey {
		kind, account, value = "convoso_lead", "default", at.lead.String()
	}
	return r.db.InTx(ctx, func(tx pgx.Tx) error {
		if err := store.LockSuppressions(ctx, tx, []string{store.SuppressionLockKey(r.org, kind, account, value)}); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into ops.suppressions values ($1, $2, $3, $4, 'convoso', 'dnc', 'o', 'DNC', now())`,
			r.org, kind, account, value); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `insert into stamped_suppressions values ($1, nextval('stamps'))`, at.lead)
		return err
	})
}

// TestNoSendingAfterASuppression lets opt-outs and drains race (law 6).
func TestNoSendingAfterASuppression(t *testing.T) {
	r := newRig(t)
	r.exec(stampSQL)
	n := 600
	if testing.Short() {
		n = 100
	}
	targets := make([]target, n)
	for i := range targets {
		lead, phone := r.lead()
		r.exec(`insert into pipeline.lead_keys values ($1, 'convoso_lead', 'default', $2::uuid::text, $2::uuid, 'identity', 'e', now())`, r.org, lead)
		targets[i] = target{lead, phone, r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone})}
	}
	// Whoever is being sent opts out somebody a few places on, so that opt-outs meet deliveries just as they are begun.
	place := map[uuid.UUID]int{}
	for i, at := range targets {
		place[at.id] = i
	}
	var all, outs sync.WaitGroup
	var mu sync.Mutex
	out := map[int]bool{}
	confirm := r.vendor.send
	r.vendor.send = func(ctx context.Context, v deliver.View) (pipeline.Outcome, error) {
		mu.Lock()
		next := place[v.Delivery.ID] + 1 + rand.IntN(12)
		fresh := next < n && !out[next]
		out[next] = true
		mu.Unlock()
		if fresh {
			outs.Go(func() {
				if err := r.optOut(targets[next], next%2 == 0); err != nil {
					t.Error(err)
				}
			})
		}
		return confirm(ctx, v)
	}
	for range 2 {
		e := r.engine(deliver.Settings{Workers: 6})
		all.Go(func() {
			if _, err := e.Drain(context.Background(), "dialedin"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	outs.Wait()
	late := r.count(`
		select count(*)
		from stamped_sends s
		join ops.deliveries d on d.id = s.delivery_id
		join stamped_suppressions u on u.lead_id = d.lead_id
		where s.stamp > u.stamp`)
	if late != 0 {
		t.Errorf("%d sends were committed after the opt-out", late)
	}
	before := r.count(`
		select count(*)
		from stamped_sends s
		join ops.deliveries d on d.id = s.delivery_id
		join stamped_suppressions u on u.lead_id = d.lead_id`)
	cancelled := r.count(`select count(*) from ops.deliveries where state = 'cancelled'`)
	optedOut := r.count(`select count(*) from stamped_suppressions`)
	t.Logf("%d opted out: %d sent before, %d cancelled", optedOut, before, cancelled)
	if before+cancelled != optedOut || before == 0 || cancelled == 0 {
		t.Errorf("%d sent before and %d cancelled; want both, and %d together", before, cancelled, optedOut)
	}
}

// waitForLock waits until somebody waits for an advisory lock, or done is closed.
func (r *rig) waitForLock(done <-chan struct{}) {
	r.t.Helper()
	for range 12_000 {
		if r.count(`select count(*) from pg_locks where locktype = 'advisory' and not granted`) > 0 {
			return
		}
		select {
		case <-done:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
	r.t.Fatal("nobody waited for the lock, and nobody was done")
}

// TestSendingWaitsForASuppressionThatIsBeingCommitted has the drain come while the receiver's transaction is open.
func TestSendingWaitsForASuppressionThatIsBeingCommitted(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"phone", "convoso_lead"} {
		t.Run(kind, func(t *testing.T) {
			r := newRig(t)
			ctx := context.Background()
			lead, phone := r.lead()
			r.exec(`insert into pipeline.lead_keys values ($1, 'convoso_lead', 'default', 'k', $2, 'identity', 'e', now())`, r.org, lead)
			id := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone})
			account, value := "", phone
			if kind != "phone" {
				account, value = "default", "k"
			}
			done := make(chan struct{})
			err := r.db.InTx(ctx, func(tx pgx.Tx) error {
				if err := store.LockSuppressions(ctx, tx, []string{store.SuppressionLockKey(r.org, kind, account, value)}); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, `insert into ops.suppressions values ($1, $2, $3, $4, 'convoso', 'dnc', 'o', 'DNC', now())`,
					r.org, kind, account, value); err != nil {
					return err
				}
				e := r.engine(deliver.Settings{})
				go func() {
					defer close(done)
					_, _ = e.Drain(ctx, "dialedin")
				}()
				r.waitForLock(done)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			<-done
			r.want(id, "cancelled", "do_not_call", "", 0)
		})
	}
}

// TestSecondDaemonWaitsForTheFirstAtOnePhone has two daemons begin two deliveries to one phone at the same moment.
func TestSecondDaemonWaitsForTheFirstAtOnePhone(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	first, phone := r.lead()
	second, _ := r.lead()
	r.exec(`update pipeline.leads set phone_e164 = $2, phones = array[$2] where lead_id = $1`, second, phone)
	a := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: first, Phone: phone})
	r.clock.Advance(time.Millisecond)
	b := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: second, Phone: phone})
	owner := uuid.New()
	if _, err := r.db.ClaimDeliveries(ctx, pipeline.DeliveryClaim{
		Destination: "dialedin", Owner: owner, Now: r.clock.Now(), Until: r.clock.Now().Add(20 * time.Second), Limit: 1,
	}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	begun, err := r.db.BeginDeliveries(ctx, pipeline.DeliveryBegin{Owner: owner, IDs: []uuid.UUID{a}, Now: r.clock.Now, Lease: 20 * time.Second},
		func(*pipeline.DeliveryCandidate, time.Time) pipeline.DeliveryDecision {
			e := r.engine(deliver.Settings{})
			go func() {
				defer close(done)
				_, _ = e.Drain(ctx, "dialedin")
			}()
			r.waitForLock(done)
			return pipeline.DeliveryDecision{Send: true, Phone: phone}
		})
	if err != nil || len(begun) != 1 {
		t.Fatalf("begun %d, %v", len(begun), err)
	}
	<-done
	r.want(a, "sending", "", "", 0)
	r.want(b, "ready", "", "phone_busy", 0)
}

func TestTwoDaemonsSendEachOnce(t *testing.T) {
	r := newRig(t)
	ids := make([]uuid.UUID, 200)
	for i := range ids {
		ids[i] = r.push("insert_lead")
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	worked := 0
	for range 3 {
		e := r.engine(deliver.Settings{})
		for range 2 { // wake-ups are not unique: two drains of one daemon
			all.Go(func() {
				n, err := e.Drain(context.Background(), "dialedin")
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				worked += n
			})
		}
	}
	all.Wait()
	for _, id := range ids {
		r.want(id, "confirmed", "", "", 1)
	}
	if worked != len(ids) {
		t.Errorf("worked %d, want %d", worked, len(ids))
	}
}

// TestSamePhoneInOneTransaction has several leads with one phone claimed at once, by several daemons.
func TestSamePhoneInOneTransaction(t *testing.T) {
	r := newRig(t)
	var ids []uuid.UUID
	_, phone := r.lead()
	for range 12 {
		lead, _ := r.lead()
		r.exec(`update pipeline.leads set phone_e164 = $2, phones = array[$2] where lead_id = $1`, lead, phone)
		ids = append(ids, r.order(store.NewDelivery{Operation: "start_call", LeadID: lead, Phone: phone}))
	}
	var all sync.WaitGroup
	for range 3 {
		e := r.engine(deliver.Settings{Workers: 4})
		all.Go(func() { _, _ = e.Drain(context.Background(), "dialedin") })
	}
	all.Wait()
	sent := 0
	for _, id := range ids {
		sent += r.vendor.Sent(id)
	}
	if sent != 1 {
		t.Errorf("%d calls were started to one phone at once", sent)
	}
}

func TestSlowRequestHoldsNobodyUp(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{Workers: 2})
	slow := r.push("insert_lead")
	release := make(chan struct{})
	done := make(chan uuid.UUID, 64)
	confirm := r.vendor.send
	r.vendor.send = func(ctx context.Context, v deliver.View) (pipeline.Outcome, error) {
		if v.Delivery.ID == slow {
			<-release
		}
		done <- v.Delivery.ID
		return confirm(ctx, v)
	}
	for range 20 {
		r.clock.Advance(time.Millisecond)
		r.push("insert_lead")
	}
	finished := make(chan error)
	go func() {
		_, err := e.Drain(context.Background(), "dialedin")
		finished <- err
	}()
	for range 20 {
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Fatal("the slow one holds up the others")
		}
	}
	close(release)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	if n := r.count(`select count(*) from ops.deliveries where state = 'confirmed'`); n != 21 {
		t.Errorf("%d confirmed", n)
	}
}

// TestOneBadRowStopsNobody: a row on which the transaction itself fails is put aside.
func TestOneBadRowStopsNobody(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	bad := r.push("insert_lead")
	good := []uuid.UUID{r.push("insert_lead"), r.push("insert_lead")}
	r.exec(fmt.Sprintf(`
create function refuse() returns trigger language plpgsql as $$
begin
  if new.delivery_id = '%s' then raise exception 'no'; end if;
  return new;
end $$;
create trigger refuse before insert on ops.delivery_attempts for each row execute function refuse();`, bad))
	r.drain(e)
	r.want(bad, "ready", "", "retry", 0)
	for _, id := range good {
		r.want(id, "confirmed", "", "", 1)
	}
}

// TestOutcomeSurvivesADatabaseThatIsAway: the outcome's commit is tried again.
func TestOutcomeSurvivesADatabaseThatIsAway(t *testing.T) {
	r := newRig(t)
	id := r.push("start_call")
	flaky := &flakyStore{DB: r.db, failures: 3}
	e := r.engineOn(flaky, deliver.Settings{})
	r.drain(e)
	r.want(id, "confirmed", "", "", 1)
}
