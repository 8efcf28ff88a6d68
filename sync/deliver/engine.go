package deliver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/tracing"
)

// Settings are the engine's limits. A zero value means the default.
type Settings struct {
	// Workers bounds the requests of one drain that are under way (4).
	Workers int
	// Lease is how long a claim lasts unless it is renewed; at most 20 s (law 2), which is the default.
	Lease time.Duration
	// ReconcileDelay is the wait before a search and between two (30 s): a destination may show late what it took.
	ReconcileDelay time.Duration
	// WebhookWait is how long an unknown outcome waits for the destination to tell by itself (24 h).
	WebhookWait time.Duration
	// PhoneQuiet is the wait between two ringing deliveries to one phone at one destination (5 min; negative = none).
	PhoneQuiet time.Duration
	// DialQuiet is the wait after somebody dialled a phone or spoke on it, on whatever dialler, before it is made to ring again
	// (30 s; negative = none). An import that does not dial does not wait.
	DialQuiet time.Duration
	// UnknownQuiet is how long an unknown outcome keeps others from the same phone (1 h; negative = not at all).
	UnknownQuiet time.Duration
	// KeyedFor is how long destinations remember a key (24 h).
	KeyedFor time.Duration
	// DeniedWait is the wait after refused credentials (10 min, law 10).
	DeniedWait time.Duration
	// SendTimeout bounds one request (1 min). The wait for the account's budget comes before it, and is part of DrainFor; only
	// where there is no Turner is it part of the request.
	SendTimeout time.Duration
	// SettleFor bounds the tries to commit an outcome while the database is away (15 s). Outcomes that wait together wait once.
	SettleFor time.Duration
	// DrainFor is how long a drain takes up new work before it returns (30 s). Whatever runs the drain must allow SendTimeout,
	// SettleFor and the transaction that begins a request (10 s at most) on top: a cancelled request may have been sent.
	DrainFor time.Duration
	// RetryBase and RetryMax bound the waits between requests that had no effect (5 s, 15 min).
	RetryBase, RetryMax time.Duration
}

func orDefault(v *time.Duration, fallback time.Duration) {
	if *v == 0 {
		*v = fallback
	}
}

const maxLease = 20 * time.Second

func (s Settings) withDefaults() Settings {
	if s.Workers <= 0 {
		s.Workers = 4
	}
	orDefault(&s.Lease, maxLease)
	s.Lease = min(s.Lease, maxLease)
	orDefault(&s.ReconcileDelay, 30*time.Second)
	orDefault(&s.WebhookWait, 24*time.Hour)
	orDefault(&s.PhoneQuiet, 5*time.Minute)
	orDefault(&s.DialQuiet, 30*time.Second)
	orDefault(&s.UnknownQuiet, time.Hour)
	orDefault(&s.KeyedFor, 24*time.Hour)
	orDefault(&s.DeniedWait, 10*time.Minute)
	orDefault(&s.SendTimeout, time.Minute)
	orDefault(&s.SettleFor, 15*time.Second)
	orDefault(&s.DrainFor, 30*time.Second)
	orDefault(&s.RetryBase, 5*time.Second)
	orDefault(&s.RetryMax, 15*time.Minute)
	return s
}

// Config is what an engine is made of. All but Observe, Sped, Trace and Settings must be set.
type Config struct {
	Store        Store
	Destinations []Destination
	Hours        Hours
	// Owner names this daemon in leases and attempts. No two engines may share one.
	Owner uuid.UUID
	Now   func() time.Time
	Log   *slog.Logger
	// Observe is told of every committed step: the delivery's new state, and its reason or what it is held for.
	Observe func(destination, operation, state, reason string)
	// Sped is told how long after its lead came to be a ringing delivery got to a step: sent or accepted.
	Sped func(destination, step string, took time.Duration)
	// Trace is told of every delivery as it is decided, sent and settled.
	Trace    *tracing.Tracer
	Settings Settings
}

// Engine works the outbox. Its methods are safe for concurrent use.
type Engine struct {
	store        Store
	destinations map[string]Destination
	hours        Hours
	owner        uuid.UUID
	clock        func() time.Time
	log          *slog.Logger
	observer     func(destination, operation, state, reason string)
	sped         func(destination, step string, took time.Duration)
	trace        *tracing.Tracer
	set          Settings

	// quiet is closed by Quiesce.
	quiet chan struct{}
	hush  sync.Once

	mu   sync.Mutex
	hand map[uuid.UUID]struct{} // what this engine has claimed and not yet given back
}

// New makes an engine.
func New(c Config) (*Engine, error) {
	if c.Store == nil || c.Hours == nil || c.Now == nil || c.Log == nil || c.Owner == uuid.Nil {
		return nil, errors.New("delivery engine: store, hours, owner, clock and log must be set")
	}
	e := &Engine{
		store: c.Store, destinations: map[string]Destination{}, hours: c.Hours, owner: c.Owner, clock: c.Now, log: c.Log,
		observer: c.Observe, sped: c.Sped, trace: c.Trace, set: c.Settings.withDefaults(), hand: map[uuid.UUID]struct{}{},
		quiet: make(chan struct{}),
	}
	for _, d := range c.Destinations {
		if _, twice := e.destinations[d.Name()]; twice {
			return nil, fmt.Errorf("delivery engine: destination %s is given twice", d.Name())
		}
		e.destinations[d.Name()] = d
	}
	return e, nil
}

// Destinations lists the destinations that the engine serves, by name.
func (e *Engine) Destinations() []string { return slices.Sorted(maps.Keys(e.destinations)) }

func (e *Engine) now() time.Time { return e.clock().UTC().Truncate(time.Microsecond) }

func (e *Engine) observe(destination, operation string, change pipeline.DeliveryChange) {
	if e.observer == nil {
		return
	}
	reason := change.Reason
	if change.State == pipeline.DeliveryReady && change.Hold != "" {
		reason = change.Hold
	}
	e.observer(destination, operation, string(change.State), reason)
}

// tellSpeed tells how fast a lead got to a step, of the first request only that left and was heard. What a person orders, which is
// free of the age rule and may be of a lead of last year, tells nothing of speed.
func (e *Engine) tellSpeed(d *pipeline.Delivery, step string, at time.Time) {
	if e.sped != nil && d.Class == Rings && !d.SentBefore && !d.SourceTime.IsZero() && !d.ExpiresAt.IsZero() {
		e.sped(d.Destination, step, max(at.Sub(d.SourceTime), 0))
	}
}

// take notes claimed deliveries as being in hand, and returns those that were not already.
func (e *Engine) take(claimed []pipeline.ClaimedDelivery) []pipeline.ClaimedDelivery {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(claimed, func(c pipeline.ClaimedDelivery) bool {
		_, had := e.hand[c.ID]
		e.hand[c.ID] = struct{}{}
		return had
	})
}

func (e *Engine) drop(id uuid.UUID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.hand, id)
}

func (e *Engine) inHand() []uuid.UUID {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]uuid.UUID, 0, len(e.hand))
	for id := range e.hand {
		ids = append(ids, id)
	}
	return ids
}

// dbTimeout bounds one transaction of the engine.
const dbTimeout = 10 * time.Second

// lasting returns a context for a write that a stop must not cut: half a commit is an unknown outcome.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), dbTimeout)
}
