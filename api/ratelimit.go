package api

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// RateLeaser leases requests of a key to this daemon, about a second at a time.
type RateLeaser interface {
	TakeRate(ctx context.Context, key uuid.UUID, limit, most int, back int, backSecond int64) (store.RateLease, error)
}

const codeRateLimit = "RATE_LIMIT_EXCEEDED"

// rateLimits are the requests a minute of each tier (contracts/lendworks.md section 5).
var rateLimits = map[store.KeyTier]int{store.TierBasic: 100, store.TierStandard: 1000, store.TierPremium: 10_000}

// rateShare is the part of a minute's requests that a lease takes: small enough that several daemons share what there is,
// large enough that a busy key asks the database about once a second.
const rateShare = 50

// maxRateKeys bounds how many keys are kept in mind.
const maxRateKeys = 4096

// limiter counts the requests of keys in a sliding minute that all daemons share through Postgres. No request asks the
// database while its key has leased requests left, or while it is known that there are none to be had.
type limiter struct {
	leaser RateLeaser
	now    func() time.Time
	log    *slog.Logger
	gone   *absence

	mu   sync.Mutex
	keys map[uuid.UUID]*keyLease
}

// keyLease is what a key has left here.
type keyLease struct {
	mu    sync.Mutex
	limit int
	// left of the lease may begin until its end.
	left  int
	lease store.RateLease
	// dry is until when nothing can be had.
	dry time.Time
	// frees is when the eldest requests leave the window.
	frees time.Time
}

func newLimiter(cfg *Config, gone *absence) *limiter {
	return &limiter{leaser: cfg.Rates, now: cfg.Now, log: cfg.Log, gone: gone, keys: map[uuid.UUID]*keyLease{}}
}

// allowance is what a key has left of its sliding minute, as the headers tell it.
type allowance struct {
	limit, remaining int
	resets           time.Time
	allowed          bool
}

// take takes one request of a key.
func (l *limiter) take(ctx context.Context, key uuid.UUID, limit int) (allowance, error) {
	k := l.key(key, limit)
	if err := l.gone.lock(&k.mu); err != nil {
		return allowance{}, err
	}
	defer k.mu.Unlock()
	now := l.now()
	if (k.left == 0 || !now.Before(k.lease.Until)) && !now.Before(k.dry) {
		if err := l.renew(ctx, key, k, now); err != nil {
			return allowance{}, err
		}
	}
	q := allowance{limit: limit, remaining: k.lease.Left, resets: k.frees}
	if k.left > 0 && now.Before(k.lease.Until) {
		k.left--
		q.allowed = true
		q.remaining += k.left
	}
	return q, nil
}

// renew leases anew and gives back what was left.
func (l *limiter) renew(ctx context.Context, key uuid.UUID, k *keyLease, now time.Time) error {
	if err := l.gone.fresh(now); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rateTimeout)
	defer cancel()
	lease, err := l.leaser.TakeRate(ctx, key, k.limit, max(1, k.limit/rateShare), k.left, k.lease.Second)
	l.gone.note(l.now(), err)
	if err != nil {
		return err
	}
	k.lease, k.left = lease, lease.Granted
	k.frees = now.Add(lease.Free)
	if lease.Granted == 0 {
		// Another daemon may give some back at any time.
		k.dry = now.Add(min(lease.Free, time.Second))
	}
	return nil
}

const rateTimeout = 5 * time.Second

func (l *limiter) key(id uuid.UUID, limit int) *keyLease {
	l.mu.Lock()
	defer l.mu.Unlock()
	k, ok := l.keys[id]
	if !ok || k.limit != limit {
		if len(l.keys) >= maxRateKeys {
			clear(l.keys) // what they leased counts as used for a minute
		}
		k = &keyLease{limit: limit}
		l.keys[id] = k
	}
	return k
}

// loop gives back what is left of leases that ended, so that a key that is used now and then is charged for what it used, until stop.
func (l *limiter) loop(stop <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			l.giveBack(context.Background(), false)
		}
	}
}

// giveBack returns what is left of leases that ended, or of all.
func (l *limiter) giveBack(ctx context.Context, all bool) {
	l.mu.Lock()
	keys := make(map[uuid.UUID]*keyLease, len(l.keys))
	for id, k := range l.keys {
		keys[id] = k
	}
	l.mu.Unlock()
	for id, k := range keys {
		if ctx.Err() != nil {
			return
		}
		k.mu.Lock()
		if now := l.now(); k.left > 0 && (all || !now.Before(k.lease.Until) && l.gone.fresh(now) == nil) {
			ctx, cancel := context.WithTimeout(ctx, rateTimeout)
			_, err := l.leaser.TakeRate(ctx, id, k.limit, 0, k.left, k.lease.Second)
			l.gone.note(l.now(), err)
			if err != nil {
				l.log.WarnContext(ctx, "could not give back requests of an api key", "key_id", id, "error", store.Loggable(err))
			}
			k.left = 0
			cancel()
		}
		k.mu.Unlock()
	}
}

// limit takes one request of the caller's key, says in the headers what is left, and refuses one too many. A caller
// without a tier is not counted.
func (s *Server) limit(w http.ResponseWriter, r *http.Request, caller *principal) error {
	most, counted := rateLimits[caller.tier]
	if s.limiter == nil || !counted {
		return nil
	}
	q, err := s.limiter.take(r.Context(), caller.id, most)
	if store.Unavailable(err) {
		// Nobody can count now. A database that only reads still serves reads, and one that is away refuses by itself.
		s.cfg.Log.DebugContext(r.Context(), "requests cannot be counted", "request_id", exchangeOf(r).id, "error", store.Loggable(err))
		return nil
	}
	if err != nil {
		return err
	}
	now := s.cfg.Now()
	header := w.Header()
	header.Set("X-RateLimit-Limit", strconv.Itoa(q.limit))
	header.Set("X-RateLimit-Remaining", strconv.Itoa(q.remaining))
	header.Set("X-RateLimit-Reset", strconv.FormatInt(int64(math.Ceil(float64(q.resets.UnixMilli())/1000)), 10))
	header.Set("X-RateLimit-Window", strconv.Itoa(int(store.RateWindow/time.Second)))
	if q.allowed {
		return nil
	}
	wait := max(1, int(math.Ceil(q.resets.Sub(now).Seconds())))
	p := newProblem(http.StatusTooManyRequests, codeRateLimit, "too many requests with this API key; wait as long as Retry-After says")
	p.after = time.Duration(wait) * time.Second
	p.items[0].Detail = map[string]any{"retryAfter": wait, "limit": q.limit, "remaining": 0, "resetAt": formatTime(q.resets)}
	return p
}
