package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/tracing"
)

// IntakeConfig sizes the group commit of posts; zero values take the defaults named there, which were measured
// (docs/performance.md).
type IntakeConfig struct {
	// Enqueue makes the jobs that the committed posts need, in the posts' own transaction (law 2). Nil makes none. It may be
	// called again for posts of a group that failed, and must not use the pool.
	Enqueue func(ctx context.Context, tx pgx.Tx, posts []Post) error
	// Committers is how many groups are committed at once; 2.
	Committers int
	// MaxGroup is the most posts in one transaction; 256.
	MaxGroup int
	// MaxQueued is the most posts that may wait; 4,096. One more is refused.
	MaxQueued int
	// MaxQueuedBytes is the most bytes of bodies that may wait; 64 MiB.
	MaxQueuedBytes int64
	// Timeout is how long a post may take, waiting included; 4 s, so that its sender has its answer within five.
	Timeout time.Duration
}

// maxGroupBytes bounds one transaction by what its bodies weigh.
const maxGroupBytes = 8 << 20

// Intake is the durable landing place of posts: what waits is committed together, and each post is answered after the
// commit. It lingers for nobody, so a lone post costs no more than an insert of its own.
type Intake struct {
	db  *DB
	cfg IntakeConfig

	queue  chan *intakeItem
	queued atomic.Int64 // bytes that wait or are being committed
	wg     sync.WaitGroup

	mu      sync.RWMutex
	stopped bool
}

// intakeItem is a post that waits for its commit.
type intakeItem struct {
	post Post
	done chan error // one answer, buffered: nobody may be waiting any more
	// from is where the post came in, within a trace.
	from tracing.Place
}

// NewIntake makes an intake on the database. Start it before use.
func NewIntake(db *DB, cfg IntakeConfig) *Intake {
	if cfg.Committers <= 0 {
		cfg.Committers = 2
	}
	if cfg.MaxGroup <= 0 {
		cfg.MaxGroup = 256
	}
	if cfg.MaxQueued <= 0 {
		cfg.MaxQueued = 4096
	}
	if cfg.MaxQueuedBytes <= 0 {
		cfg.MaxQueuedBytes = 64 << 20
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 4 * time.Second
	}
	return &Intake{db: db, cfg: cfg, queue: make(chan *intakeItem, cfg.MaxQueued)}
}

// Start begins to commit. Call it once.
func (in *Intake) Start() {
	for range in.cfg.Committers {
		in.wg.Go(in.run)
	}
}

// Stop takes no more posts, commits those that wait, and returns when that is done or ctx ends. Every post gets its answer.
// Stop the HTTP server first.
func (in *Intake) Stop(ctx context.Context) error {
	in.mu.Lock()
	if !in.stopped {
		in.stopped = true
		close(in.queue)
	}
	in.mu.Unlock()
	drained := make(chan struct{})
	go func() {
		in.wg.Wait()
		close(drained)
	}()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping the intake: %w", ctx.Err())
	}
}

// Accept returns nil once the post, its suppressions and its jobs are committed, together. Otherwise the post must count as
// not kept: ErrUnavailable when the queue is full or the database cannot take it in time, another error when the database
// refuses this very post. A caller that goes away (ctx) is no reason to drop what it sent: the post is committed all the
// same.
func (in *Intake) Accept(ctx context.Context, post Post) error {
	item := &intakeItem{post: post, done: make(chan error, 1), from: tracing.PlaceOf(ctx)}
	timer := time.NewTimer(in.cfg.Timeout)
	defer timer.Stop()
	if err := in.push(item); err != nil {
		return err
	}
	var late error
	select {
	case err := <-item.done:
		return err
	case <-timer.C:
		late = fmt.Errorf("%w: not committed within %s", ErrUnavailable, in.cfg.Timeout)
	case <-ctx.Done():
		late = fmt.Errorf("waiting for the commit: %w", ctx.Err())
	}
	// Also where both came at once: what is kept is not told as lost, to be sent again.
	select {
	case err := <-item.done:
		return err
	default:
		return late
	}
}

var errIntakeStopped = fmt.Errorf("%w: intake is stopped", ErrUnavailable)

func (in *Intake) push(item *intakeItem) error {
	// The lock is shared among senders; it only keeps the queue from being closed under one.
	in.mu.RLock()
	defer in.mu.RUnlock()
	if in.stopped {
		return errIntakeStopped
	}
	size := item.post.weight()
	if in.queued.Add(size) > in.cfg.MaxQueuedBytes {
		in.queued.Add(-size)
		return fmt.Errorf("%w: too many bytes wait", ErrUnavailable)
	}
	select {
	case in.queue <- item:
		return nil
	default:
		in.queued.Add(-size)
		return fmt.Errorf("%w: too many posts wait", ErrUnavailable)
	}
}

// weight is what a post takes in memory, roughly.
func (p *Post) weight() int64 { return int64(len(p.Body) + len(p.Query) + 512) }

// run commits group after group until the queue is closed and empty.
func (in *Intake) run() {
	for first := range in.queue {
		group := in.gather(first)
		in.commit(group)
		for _, item := range group {
			in.queued.Add(-item.post.weight())
		}
	}
}

// gather takes what waits now, up to a full group.
func (in *Intake) gather(first *intakeItem) []*intakeItem {
	group := []*intakeItem{first}
	size := first.post.weight()
	for len(group) < in.cfg.MaxGroup && size < maxGroupBytes {
		select {
		case item, open := <-in.queue:
			if !open {
				return group
			}
			group = append(group, item)
			size += item.post.weight()
		default:
			return group
		}
	}
	return group
}

// commit answers every item of a group. It works on a context of its own: no request's end may cut a commit that others
// share.
func (in *Intake) commit(group []*intakeItem) {
	ctx, cancel := context.WithTimeout(context.Background(), in.cfg.Timeout)
	defer cancel()
	// A group has one wake-up job, which goes on in the trace of its first post.
	in.commitAll(group[0].from.On(ctx), group, false)
}

// commitAll commits items in one transaction. A group that the database refuses is halved until the row at fault stands
// alone, so that one bad post never fails the others (law 13), nor one that has to wait for the key of erased people; 256 posts with one bad row take 17 transactions.
// again tells that an earlier try may have kept them.
func (in *Intake) commitAll(ctx context.Context, items []*intakeItem, again bool) {
	again, err := in.tryTwice(ctx, items, again)
	if err == nil || len(items) == 1 || !badRow(err) && !errors.Is(err, ErrErasureKey) {
		if err != nil && Unavailable(err) && !errors.Is(err, ErrUnavailable) {
			err = fmt.Errorf("%w: %s", ErrUnavailable, Loggable(err))
		}
		for _, item := range items {
			item.done <- err
		}
		return
	}
	half := len(items) / 2
	in.commitAll(ctx, items[:half], again)
	in.commitAll(ctx, items[half:], again)
}

// tryTwice tries again at once where the connection or a race was at fault: after a restart of Postgres the pool still
// holds dead connections. Rows have their ids, so a commit that did go through is not doubled. It tells whether one may have.
func (in *Intake) tryTwice(ctx context.Context, items []*intakeItem, again bool) (bool, error) {
	posts := make([]Post, len(items))
	for i, item := range items {
		posts[i] = item.post
	}
	err := in.write(ctx, posts, again)
	if err == nil || !Unavailable(err) {
		return again, err
	}
	if ctx.Err() == nil {
		err = in.write(ctx, posts, true)
	}
	return true, err
}

func (in *Intake) write(ctx context.Context, posts []Post, again bool) (err error) {
	defer func() {
		// A committer that dies would leave every later post without an answer.
		if p := recover(); p != nil {
			err = fmt.Errorf("committing %d posts: panic of type %T", len(posts), p)
		}
	}()
	return in.db.InTx(ctx, func(tx pgx.Tx) error {
		// The lock of who lands comes before those of opt-outs, as an erasure takes them.
		if err := in.db.emptyErased(ctx, tx, posts); err != nil {
			return err
		}
		if err := suppress(ctx, tx, suppressionsOf(posts), in.db.Now()); err != nil {
			return err
		}
		if err := insertPosts(ctx, tx, posts, again); err != nil {
			return err
		}
		if in.cfg.Enqueue == nil {
			return nil
		}
		if err := in.cfg.Enqueue(ctx, tx, posts); err != nil {
			return fmt.Errorf("enqueueing for %d posts: %w", len(posts), err)
		}
		return nil
	})
}
