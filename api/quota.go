package api

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// QuotaLeaser leases requests of a key's month to this daemon.
type QuotaLeaser interface {
	// TakeQuota takes the first key of those that were rotated into one another: they have one month together.
	TakeQuota(ctx context.Context, family uuid.UUID, month time.Time, quota int64, most, back int) (int, error)
}

const codeMonthlyQuota = "MONTHLY_QUOTA_EXCEEDED"

const (
	// quotaShare is the part of a month's requests that a lease takes, and quotaMost the most of them: that many a daemon that is
	// killed takes with it.
	quotaShare, quotaMost = 1000, 100
	// quotaIdle is after how long a lease that nobody uses is given back.
	quotaIdle = 5 * time.Second
)

// quotas counts the requests of keys that have a monthly quota; all daemons share it through Postgres.
type quotas struct {
	leaser QuotaLeaser
	now    func() time.Time
	log    *slog.Logger
	gone   *absence

	mu   sync.Mutex
	keys map[uuid.UUID]*quotaLease
}

// quotaLease is what a key has left here.
type quotaLease struct {
	mu    sync.Mutex
	quota int64
	month time.Time
	left  int
	used  time.Time
	// dry is until when nothing can be had.
	dry time.Time
}

func newQuotas(cfg *Config, gone *absence) *quotas {
	return &quotas{leaser: cfg.Quotas, now: cfg.Now, log: cfg.Log, gone: gone, keys: map[uuid.UUID]*quotaLease{}}
}

func monthOf(t time.Time) time.Time {
	year, month, _ := t.UTC().Date()
	return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
}

// take takes one request of a key's month, and tells whether there was one.
func (q *quotas) take(ctx context.Context, key uuid.UUID, quota int64) (bool, error) {
	k := q.key(key)
	if err := q.gone.lock(&k.mu); err != nil {
		return false, err
	}
	defer k.mu.Unlock()
	now := q.now()
	if month := monthOf(now); k.month != month || k.quota != quota {
		q.giveBack(context.WithoutCancel(ctx), key, k)
		k.month, k.quota, k.left, k.dry = month, quota, 0, time.Time{}
	}
	if k.left == 0 && !now.Before(k.dry) {
		if err := q.gone.fresh(now); err != nil {
			return false, err
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rateTimeout)
		defer cancel()
		granted, err := q.leaser.TakeQuota(ctx, key, k.month, quota, int(max(1, min(quota/quotaShare, quotaMost))), 0)
		q.gone.note(q.now(), err)
		if err != nil {
			return false, err
		}
		if k.left = granted; granted == 0 {
			k.dry = now.Add(time.Second) // another daemon may give some back at any time
		}
	}
	if k.left == 0 {
		return false, nil
	}
	k.left--
	k.used = now
	return true, nil
}

func (q *quotas) key(id uuid.UUID) *quotaLease {
	q.mu.Lock()
	defer q.mu.Unlock()
	k, ok := q.keys[id]
	if !ok {
		k = &quotaLease{}
		q.keys[id] = k
	}
	return k
}

// giveBack returns what is left of a lease. k.mu is held.
func (q *quotas) giveBack(ctx context.Context, key uuid.UUID, k *quotaLease) {
	if k.left == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, rateTimeout)
	defer cancel()
	_, err := q.leaser.TakeQuota(ctx, key, k.month, k.quota, 0, k.left)
	q.gone.note(q.now(), err)
	if err != nil {
		q.log.WarnContext(ctx, "could not give back requests of an api key's month", "key_id", key, "error", store.Loggable(err))
	}
	k.left = 0
}

// loop gives back what nobody uses, until stop.
func (q *quotas) loop(stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			q.sweep(context.Background(), false)
		}
	}
}

// sweep gives back what nobody used for a while, or everything.
func (q *quotas) sweep(ctx context.Context, all bool) {
	q.mu.Lock()
	keys := make(map[uuid.UUID]*quotaLease, len(q.keys))
	for id, k := range q.keys {
		keys[id] = k
	}
	q.mu.Unlock()
	for id, k := range keys {
		if ctx.Err() != nil {
			return
		}
		k.mu.Lock()
		if now := q.now(); all || now.Sub(k.used) >= quotaIdle && q.gone.fresh(now) == nil {
			q.giveBack(ctx, id, k)
		}
		k.mu.Unlock()
	}
}

// spend takes one request of the caller's month, and refuses where there is none left.
func (s *Server) spend(r *http.Request, caller *principal) error {
	if s.quotas == nil || caller.quota == 0 {
		return nil
	}
	allowed, err := s.quotas.take(r.Context(), caller.family, caller.quota)
	if store.Unavailable(err) {
		// As with the limit a minute: nobody can count now.
		s.cfg.Log.DebugContext(r.Context(), "requests of the month cannot be counted", "request_id", exchangeOf(r).id, "error", store.Loggable(err))
		return nil
	}
	if err != nil || allowed {
		return err
	}
	now := s.cfg.Now()
	resets := monthOf(now).AddDate(0, 1, 0)
	p := newProblem(http.StatusTooManyRequests, codeMonthlyQuota, "the requests that this API key has in a month are used up")
	p.after = time.Duration(math.Ceil(resets.Sub(now).Seconds())) * time.Second
	p.items[0].Detail = map[string]any{"currentPlan": string(caller.tier), "resetAt": formatTime(resets)}
	return p
}
