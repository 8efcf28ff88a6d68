package webhook

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/tracing"
)

// Store is the outbox.
type Store interface {
	// ClaimWebhooks leases deliveries that are due, in order of each subject.
	ClaimWebhooks(ctx context.Context, c pipeline.WebhookClaim) ([]pipeline.WebhookSend, error)
	// SettleWebhook commits what a request came to, and what it means for its endpoint.
	SettleWebhook(ctx context.Context, end pipeline.WebhookEnd) (pipeline.WebhookHealth, error)
	// NextWebhook tells when the next delivery that can be claimed is due; zero = there is none.
	NextWebhook(ctx context.Context, keyID string, now time.Time) (time.Time, error)
}

// Settings are the engine's limits. A zero value means the default.
type Settings struct {
	// Workers bounds the requests under way (32), PerEndpoint those to one endpoint (4).
	Workers, PerEndpoint int
	// Lease is how long a claim lasts: 20 s, the most that law 2 allows. It is not renewed, so it is longer than a request.
	Lease time.Duration
	// DrainFor is how long a drain takes up new work (30 s), Linger how far ahead it waits for work to come due (5 s).
	DrainFor, Linger time.Duration
}

func (s Settings) withDefaults() Settings {
	orDefault(&s.Workers, 32)
	orDefault(&s.PerEndpoint, 4)
	orDefault(&s.Lease, 20*time.Second)
	orDefault(&s.DrainFor, 30*time.Second)
	orDefault(&s.Linger, 5*time.Second)
	return s
}

func orDefault[T int | time.Duration](v *T, fallback T) {
	if *v == 0 {
		*v = fallback
	}
}

// Config is what an engine is made of. All but Observe, Trace and Settings must be set.
type Config struct {
	Store  Store
	Keys   *Keyring
	Sender *Sender
	// Owner names this daemon in leases and attempts.
	Owner uuid.UUID
	Now   func() time.Time
	Log   *slog.Logger
	// Observe is told of every request: the event's name and the outcome.
	Observe func(event, outcome string, took time.Duration)
	// Trace is told of every request; nil tells nobody.
	Trace    *tracing.Tracer
	Settings Settings
}

// Engine works the outbox of webhooks. Its methods are safe for concurrent use.
type Engine struct {
	cfg Config
	set Settings
	// quiet is closed by Quiesce.
	quiet chan struct{}
	hush  sync.Once

	mu      sync.Mutex
	running bool
	// kick tells the drain that runs of work it may not have seen.
	kick chan struct{}
}

// New makes an engine.
func New(c Config) (*Engine, error) {
	if c.Store == nil || c.Keys == nil || c.Sender == nil || c.Owner == uuid.Nil || c.Now == nil || c.Log == nil {
		return nil, errors.New("webhook engine: store, keys, sender, owner, clock and log must be set")
	}
	return &Engine{cfg: c, set: c.Settings.withDefaults(), quiet: make(chan struct{}), kick: make(chan struct{}, 1)}, nil
}

// Quiesce makes drains take up nothing more; what is being sent ends in its own time.
func (e *Engine) Quiesce() { e.hush.Do(func() { close(e.quiet) }) }

func (e *Engine) now() time.Time { return e.cfg.Now().UTC().Truncate(time.Microsecond) }

// enter lets one drain of this daemon run; others leave it a word and go.
func (e *Engine) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running {
		select {
		case e.kick <- struct{}{}:
		default:
		}
		return false
	}
	e.running = true
	return true
}

// leave ends the drain, unless somebody left a word meanwhile that must be heeded.
func (e *Engine) leave(heed bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.kick:
		if heed {
			return false
		}
	default:
	}
	e.running = false
	return true
}

// shortest is the shortest pause between two looks for work that is due but that another daemon holds.
const shortest = 200 * time.Millisecond

// Drain sends what is due, and what comes due within a few seconds, and returns how many requests it made. Where a drain of
// this daemon is running already, that one does the work.
func (e *Engine) Drain(ctx context.Context) (int, error) {
	if !e.enter() {
		return 0, nil
	}
	d := &drain{Engine: e, done: make(chan struct{}, e.set.Workers), over: time.NewTimer(e.set.DrainFor)}
	defer d.over.Stop()
	err := d.run(ctx)
	for ; d.flying > 0; d.flying-- {
		<-d.done
	}
	return d.sent, err
}

// drain is one run.
type drain struct {
	*Engine
	done chan struct{}
	over *time.Timer
	// flying counts requests under way, sent all of them.
	flying, sent int
}

func (d *drain) run(ctx context.Context) error {
	for {
		if d.stopped(ctx) {
			d.leave(false)
			return nil
		}
		wait, err := d.step(ctx)
		if err == nil && d.flying == 0 && wait > d.set.Linger {
			if d.leave(true) {
				return nil
			}
			continue
		}
		if err != nil || !d.pause(ctx, wait) {
			d.leave(false)
			return err
		}
	}
}

// step claims and starts what is due, and returns how long it is until more is.
func (d *drain) step(ctx context.Context) (time.Duration, error) {
	keyID, err := d.cfg.Keys.ID()
	if err != nil || keyID == "" {
		// Without a key nothing can be signed: daemons that have it do the work.
		return d.set.Linger + 1, err
	}
	now := d.now()
	if free := d.set.Workers - d.flying; free > 0 {
		claimed, err := d.cfg.Store.ClaimWebhooks(ctx, pipeline.WebhookClaim{
			Owner: d.cfg.Owner, Now: now, Until: now.Add(d.set.Lease), KeyID: keyID, Limit: free,
			PerEndpoint: d.set.PerEndpoint, Suspect: Suspect,
		})
		if err != nil {
			return 0, err
		}
		for i := range claimed {
			d.flying++
			d.sent++
			go func() {
				defer func() { d.done <- struct{}{} }()
				d.deliver(context.WithoutCancel(ctx), &claimed[i])
			}()
		}
	}
	next, err := d.cfg.Store.NextWebhook(ctx, keyID, now)
	if err != nil || next.IsZero() {
		return d.set.Linger + 1, err
	}
	return max(next.Sub(now), shortest), nil
}

// stopped tells whether nothing more is to be taken up.
func (d *drain) stopped(ctx context.Context) bool {
	select {
	case <-d.quiet:
		return true
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// pause waits until there may be something to do, and tells whether the drain goes on.
func (d *drain) pause(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-d.quiet:
		return false
	case <-d.over.C:
		return false
	case <-timer.C:
	case <-d.kick:
	case <-d.done:
		d.flying--
		for d.flying > 0 {
			select {
			case <-d.done:
				d.flying--
				continue
			default:
			}
			break
		}
	}
	return true
}

// settleTimeout bounds the commit of an outcome. One that cannot be committed is sent again once its lease has run out:
// receivers know it by its id.
const settleTimeout = 10 * time.Second

// deliver makes one request and commits what it came to.
func (d *drain) deliver(ctx context.Context, s *pipeline.WebhookSend) {
	started := d.now()
	result := Result{Outcome: OutcomeSecret}
	sending, span := d.startSend(ctx, s)
	secret, err := d.cfg.Keys.Open(s.Sealed, s.EndpointID[:])
	if err == nil {
		result = d.cfg.Sender.Send(sending, Message{
			URL: s.URL, Secret: secret, EventID: s.EventID, Event: s.Event, OccurredAt: s.OccurredAt, Data: s.Data,
		})
	}
	finished := d.now()
	endSend(span, result)
	if d.cfg.Observe != nil {
		d.cfg.Observe(s.Event, result.Outcome, finished.Sub(started))
	}
	end := pipeline.WebhookEnd{
		DeliveryID: s.DeliveryID, EndpointID: s.EndpointID, Owner: d.cfg.Owner, Delivered: result.Delivered(),
		Outcome: result.Outcome, Status: result.Status, StartedAt: started, FinishedAt: finished, Suspect: Suspect, Judge: judge(finished),
	}
	if wait, ok := retryWait(s.DeliveryID, s.Tries+1); ok && !end.Delivered {
		end.NextAt = finished.Add(max(wait, result.After))
	}
	settle, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	health, err := d.cfg.Store.SettleWebhook(settle, end)
	d.tell(settle, s, &end, health, err)
}

func (d *drain) tell(ctx context.Context, s *pipeline.WebhookSend, end *pipeline.WebhookEnd, health pipeline.WebhookHealth, err error) {
	log := d.cfg.Log.With("endpoint_id", s.EndpointID, "delivery_id", s.DeliveryID, "event", s.Event, "outcome", end.Outcome)
	switch {
	case err != nil:
		log.WarnContext(ctx, "outcome of a webhook could not be committed; it will be sent again", "error", err)
	case health.Disabled:
		log.ErrorContext(ctx, "webhook endpoint has failed for days and is switched off", "failures", health.Failures)
	case health.Opened:
		log.WarnContext(ctx, "webhook endpoint fails and is left alone for a while", "failures", health.Failures)
	case !end.Delivered && end.NextAt.IsZero():
		log.WarnContext(ctx, "webhook is given up")
	case !end.Delivered:
		log.DebugContext(ctx, "webhook failed and will be tried again", "next_at", end.NextAt)
	}
}
