package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Steps of speed to lead that a fold finds out: the first push was ordered, somebody dialled, somebody answered.
const (
	stepReady    = "ready"
	stepDialled  = "dialled"
	stepAnswered = "answered"
)

// sped is one step that a lead has just taken, with the time from its creation.
type sped struct {
	destination, step string
	took              time.Duration
}

const leadStepsSQL = `
select lead_id, first_dialled_at is not null, first_answered_at is not null
from pipeline.leads
where org_id = @org
  and lead_id = any(@ids)`

const leadRingsSQL = `
select distinct lead_id, destination
from ops.deliveries
where org_id = @org
  and lead_id = any(@ids)
  and class = 'rings'`

// watchSteps looks which leads are dialled or answered for the first time, before that is written. They are counted by their
// places; one that nobody pushed is no matter of speed.
func (r *Reconciler) watchSteps(ctx context.Context, tx pgx.Tx, f *folded) error {
	if r.Sped == nil || r.repairing {
		return nil
	}
	var ids []uuid.UUID
	for i := range f.result.Leads {
		if l := &f.result.Leads[i]; !l.FirstDialledAt.IsZero() || !l.FirstAnsweredAt.IsZero() {
			ids = append(ids, f.ids.IDs[i])
		}
	}
	if len(ids) == 0 {
		return nil
	}
	args := pgx.StrictNamedArgs{"org": f.org, "ids": ids}
	type steps struct{ dialled, answered bool }
	was := map[uuid.UUID]steps{}
	rows, err := tx.Query(ctx, leadStepsSQL, args)
	if err != nil {
		return fmt.Errorf("asking how far leads had come: %w", err)
	}
	var id uuid.UUID
	var at steps
	if _, err = pgx.ForEachRow(rows, []any{&id, &at.dialled, &at.answered}, func() error {
		was[id] = at
		return nil
	}); err != nil {
		return fmt.Errorf("asking how far leads had come: %w", err)
	}
	rings := map[uuid.UUID][]string{}
	if rows, err = tx.Query(ctx, leadRingsSQL, args); err != nil {
		return fmt.Errorf("asking where leads were pushed: %w", err)
	}
	var destination string
	if _, err = pgx.ForEachRow(rows, []any{&id, &destination}, func() error {
		rings[id] = append(rings[id], destination)
		return nil
	}); err != nil {
		return fmt.Errorf("asking where leads were pushed: %w", err)
	}
	for i := range f.result.Leads {
		l, id := &f.result.Leads[i], f.ids.IDs[i]
		for _, destination := range rings[id] {
			if !l.FirstDialledAt.IsZero() && !was[id].dialled {
				f.sped = append(f.sped, sped{destination, stepDialled, l.FirstDialledAt.Sub(l.CreatedAt)})
			}
			if !l.FirstAnsweredAt.IsZero() && !was[id].answered {
				f.sped = append(f.sped, sped{destination, stepAnswered, l.FirstAnsweredAt.Sub(l.CreatedAt)})
			}
		}
	}
	return nil
}

// tellSped tells of steps once they are committed, or are sure to be.
func (r *Reconciler) tellSped(f *folded) {
	if r.Sped == nil || f == nil {
		return
	}
	for _, s := range f.sped {
		r.Sped(s.destination, s.step, max(s.took, 0))
	}
}
