package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// draining is one drain of the queue. Of a long queue two batches are at work side by side, so that no core is idle while the other one
// writes. That comes to the same as one after the other (law 3), because two that have anything in common never are: the second is
// dropped as soon as it is read, and read again when the first has ended. What every batch writes is written in turn.
type draining struct {
	r *Reconciler
	turn
	keyed map[uuid.UUID]*ahead
	// busy are organisations that somebody else folds, or that have nothing left.
	busy []uuid.UUID
	// last is the organisation whose batch was the last one to begin.
	last uuid.UUID
	// most is how many records the next batch begins with.
	most  int
	total int
	// writing are the batches that are being written, the older one first.
	writing []*batch
}

// Drain folds until nothing is left to fold that another daemon is not at work on, or its turn is over: then it returns
// ErrMore. It returns how many records it folded.
func (r *Reconciler) Drain(ctx context.Context) (int, error) {
	d := &draining{
		r: r, turn: turn{newID(), map[uuid.UUID]bool{}}, keyed: map[uuid.UUID]*ahead{}, busy: []uuid.UUID{}, most: r.batchSize(),
	}
	err := d.run(ctx)
	if ended := d.settle(ctx, 0); ended != nil && (err == nil || errors.Is(err, ErrMore)) {
		err = ended
	}
	return d.total, err
}

func (d *draining) run(ctx context.Context) error {
	for over := d.r.DB.Now().Add(drainTurn); d.r.DB.Now().Before(over); {
		org, err := d.next(ctx)
		switch {
		case err != nil:
			return fmt.Errorf("looking for records to fold: %w", err)
		case org == uuid.Nil && len(d.writing) == 0:
			return nil
		case org == uuid.Nil:
			if err := d.settle(ctx, 0); err != nil {
				return err
			}
			continue
		}
		d.last = org
		keyed, err := d.keyAhead(ctx, org)
		if err != nil {
			return fmt.Errorf("keying records of organisation %s ahead: %w", org, err)
		}
		if keyed {
			continue
		}
		if err := d.fold(ctx, org); err != nil {
			return err
		}
	}
	return ErrMore
}

// Organisations take turns: one with a long queue keeps no other waiting.
const reconcileOrgSQL = `
select org_id
from ops.reconcile_queue
where org_id > @last
  and not org_id = any(@busy)
order by org_id
limit 1`

// next returns the organisation whose turn it is, uuid.Nil for none.
func (d *draining) next(ctx context.Context) (org uuid.UUID, err error) {
	for {
		err = d.r.DB.Pool.QueryRow(ctx, reconcileOrgSQL, pgx.StrictNamedArgs{"busy": d.busy, "last": d.last}).Scan(&org)
		if !errors.Is(err, pgx.ErrNoRows) {
			return org, err
		}
		if d.last == uuid.Nil {
			return uuid.Nil, nil
		}
		d.last = uuid.Nil // round again
	}
}

// fold begins a batch of the organisation. Of a long queue it is still being written when fold returns.
func (d *draining) fold(ctx context.Context, org uuid.UUID) error {
	lock, beside := foldLock(tryFold), 0
	if d.keyed[org].left > 0 {
		if got, err := d.take(ctx, d.r.DB, org); err != nil || !got {
			d.busy = append(d.busy, org)
			return err
		}
		lock, beside = d.beside, 1
	}
	if err := d.settle(ctx, beside); err != nil {
		return err
	}
	b, err := d.r.read(ctx, org, lock, d.most)
	if len(d.writing) > 0 && (err != nil || b.f == nil || b.f.meets(d.writing[0].f)) {
		b.drop(ctx)
		if err := d.settle(ctx, 0); err != nil {
			return err
		}
		b, err = d.r.read(ctx, org, lock, d.most)
	}
	switch {
	case err != nil:
		return d.ended(ctx, b, err)
	case b.f == nil:
		d.busy = append(d.busy, org)
		return nil
	}
	if len(d.writing) > 0 && d.writing[0].org == org {
		b.after = d.writing[0]
	}
	d.writing = append(d.writing, b)
	go func() {
		defer close(b.written)
		b.err = d.r.write(ctx, b)
	}()
	return d.settle(ctx, beside)
}

// settle waits until no more than some batches are being written.
func (d *draining) settle(ctx context.Context, left int) error {
	var failed []*batch
	for len(d.writing) > left {
		b := d.writing[0]
		d.writing = d.writing[1:]
		<-b.written
		if b.err != nil {
			failed, left = append(failed, b), 0 // it is folded again with nothing beside it
			continue
		}
		if err := d.ended(ctx, b, nil); err != nil {
			return err
		}
	}
	var errs []error
	for _, b := range failed {
		errs = append(errs, d.ended(ctx, b, b.err))
	}
	return errors.Join(errs...)
}

// ended counts what a batch came to that ended with err. One that failed is folded again by itself, in smaller parts.
func (d *draining) ended(ctx context.Context, b *batch, err error) error {
	n := 0
	switch {
	case err == nil:
		n, d.most = len(b.f.seeds), d.r.noteFolded(b, d.most)
	case !stops(ctx, err):
		d.most = fewer(d.most)
		n, err = d.r.foldBatch(ctx, b.org, b.lock, &d.most)
	}
	if err != nil {
		return fmt.Errorf("folding records of organisation %s: %w", b.org, err)
	}
	d.total += n
	d.keyed[b.org].left -= n
	return nil
}
