package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// outbox is a fold's output without a fold: pending deliveries of subjects, in order.
func (w *hookWorld) order(endpoint uuid.UUID, subjects ...string) {
	w.t.Helper()
	mustExec(w.t, w.db, `
with events as (
  insert into ops.webhook_events (event_id, org_id, event, subject, data, occurred_at, created_at, dedupe)
  select gen_random_uuid(), $1, 'lead.created', s, '{}', $3, $3, gen_random_uuid() from unnest($4::text[]) with ordinality as n (s, ord) order by ord
  returning *
)
insert into ops.webhook_deliveries (delivery_id, org_id, endpoint_id, event_id, event, subject, position, next_at, created_at)
select gen_random_uuid(), $1, $2, event_id, event, subject, position, $3, $3 from events`, foldOrg, endpoint, w.db.Now(), subjects)
}

func (w *hookWorld) claim(key string, limit, per int) []pipeline.WebhookSend {
	w.t.Helper()
	now := w.db.Now()
	list, err := w.db.ClaimWebhooks(w.t.Context(), pipeline.WebhookClaim{
		Owner: hookOwner, Now: now, Until: now.Add(20 * time.Second), KeyID: key, Limit: limit, PerEndpoint: per, Suspect: 10,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

var hookOwner = uuid.New()

func (w *hookWorld) settle(s pipeline.WebhookSend, delivered bool) pipeline.WebhookHealth {
	w.t.Helper()
	now := w.db.Now()
	end := pipeline.WebhookEnd{
		DeliveryID: s.DeliveryID, EndpointID: s.EndpointID, Owner: hookOwner, Delivered: delivered, Outcome: "test", StartedAt: now, FinishedAt: now,
		NextAt: now.Add(time.Minute), Suspect: 10,
		Judge: func(failures int, _ time.Time) (time.Duration, bool) {
			if failures < 10 {
				return 0, false
			}
			return 2 * time.Minute, failures >= 12
		},
	}
	health, err := w.db.SettleWebhook(w.t.Context(), end)
	if err != nil {
		w.t.Fatal(err)
	}
	return health
}

func TestClaimWebhooksKeepsOrder(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	one, other := w.endpoint("lead.created"), w.endpoint("lead.created")
	w.order(one.ID, "a", "a", "b")
	w.order(other.ID, "a")
	if got := w.claim("another key", 10, 4); len(got) != 0 {
		t.Errorf("%d claimed with another key", len(got))
	}
	first := w.claim("k", 10, 4)
	if len(first) != 3 {
		t.Fatalf("%d claimed, want the first of each subject and endpoint", len(first))
	}
	if again := w.claim("k", 10, 4); len(again) != 0 {
		t.Errorf("%d claimed twice", len(again))
	}
	var failing pipeline.WebhookSend
	for _, s := range first {
		var subject string
		if err := w.db.Pool.QueryRow(t.Context(), `select subject from ops.webhook_deliveries where delivery_id = $1`, s.DeliveryID).Scan(&subject); err != nil {
			t.Fatal(err)
		}
		if s.EndpointID == one.ID && subject == "a" {
			failing = s
			w.settle(s, false)
		} else {
			w.settle(s, true)
		}
	}
	if got := w.claim("k", 10, 4); len(got) != 0 {
		t.Errorf("%d claimed past the one that failed", len(got))
	}
	if next, err := w.db.NextWebhook(t.Context(), "k", w.db.Now()); err != nil || !next.Equal(w.db.Now().Add(time.Minute)) {
		t.Errorf("next is due at %v, %v", next, err)
	}
	w.at(2)
	if got := w.claim("k", 10, 4); len(got) != 1 || got[0].DeliveryID != failing.DeliveryID || got[0].Tries != 1 {
		t.Fatalf("claimed %+v, want the one that failed", got)
	}
	w.settle(failing, true)
	if got := w.claim("k", 10, 4); len(got) != 1 {
		t.Errorf("%d claimed, want the one that waited for its turn", len(got))
	}
	// A daemon that died gives its claim away with its lease.
	w.at(3)
	if got := w.claim("k", 10, 4); len(got) != 1 {
		t.Errorf("%d claimed after the lease ran out", len(got))
	}
}

func TestWebhookBreaker(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	e := w.endpoint("lead.created")
	var subjects []string
	for range 30 {
		subjects = append(subjects, uuid.NewString())
	}
	w.order(e.ID, subjects...)
	if got := w.claim("k", 100, 4); len(got) != 4 {
		t.Fatalf("%d under way at one endpoint, want 4", len(got))
	}
	mustExec(t, w.db, `update ops.webhook_deliveries set lease_until = null`)
	opened := 0
	for range 10 {
		if w.settle(w.claim("k", 1, 4)[0], false).Opened {
			opened++
		}
	}
	if opened != 1 {
		t.Errorf("the breaker opened %d times in ten failures", opened)
	}
	if got := w.claim("k", 10, 4); len(got) != 0 {
		t.Errorf("%d claimed through an open breaker", len(got))
	}
	w.at(2)
	probe := w.claim("k", 10, 4)
	if len(probe) != 1 {
		t.Fatalf("%d claimed to probe", len(probe))
	}
	w.settle(probe[0], false)
	w.at(4)
	probe = w.claim("k", 10, 4)
	w.settle(probe[0], true)
	// Those that failed wait no longer.
	if n := w.count(`select count(*) from ops.webhook_deliveries where state = 'pending' and next_at <= $1`, w.db.Now()); n != 29 {
		t.Errorf("%d are due after the endpoint came back, want 29", n)
	}
	if got := w.claim("k", 10, 4); len(got) != 4 {
		t.Errorf("%d claimed after the endpoint came back", len(got))
	}
	// Past the bound it is switched off, and says so.
	mustExec(t, w.db, `update ops.webhook_deliveries set lease_until = null`)
	mustExec(t, w.db, `update ops.webhook_endpoints set failures = 11`)
	if health := w.settle(w.claim("k", 1, 4)[0], false); !health.Disabled {
		t.Errorf("health %+v", health)
	}
	list, err := w.db.WebhookEndpoints(t.Context(), foldOrg)
	if err != nil || len(list) != 1 || list[0].IsActive || list[0].DisabledAt == nil || *list[0].DisabledReason != "failing" {
		t.Errorf("endpoint %+v, %v", list, err)
	}
	// A delivery that is sent again begins anew; one of an endpoint that is off is not.
	resend := func(id uuid.UUID) (n int, err error) {
		err = w.db.InTx(t.Context(), func(tx pgx.Tx) error { n, err = w.db.ResendWebhook(t.Context(), tx, id); return err })
		return n, err
	}
	if _, err := resend(probe[0].DeliveryID); !errors.Is(err, store.ErrInactive) {
		t.Errorf("sending again to an endpoint that is off: %v", err)
	}
	on := true
	if _, err := w.db.UpdateWebhookEndpoint(t.Context(), foldOrg, e.ID, store.WebhookPatch{IsActive: &on}); err != nil {
		t.Fatal(err)
	}
	if n, err := resend(probe[0].EventID); n != 1 || err != nil {
		t.Errorf("sending an event again: %d, %v", n, err)
	}
	if _, err := resend(uuid.New()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("sending again what there is not: %v", err)
	}
}

func (w *hookWorld) count(sql string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.Pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestUpkeepForgetsWebhooks(t *testing.T) {
	t.Parallel()
	w := newHookWorld(t)
	e := w.endpoint("lead.created")
	w.order(e.ID, "old")
	w.at(60)
	w.order(e.ID, "new")
	u := &store.Upkeeper{DB: w.db, Retention: store.Retention{History: time.Hour * 1e5, Inbox: time.Hour * 1e5, Webhooks: 30 * time.Minute}}
	if err := u.Upkeep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.count(`select count(*) from ops.webhook_deliveries`); n != 1 {
		t.Errorf("%d deliveries are left", n)
	}
}
