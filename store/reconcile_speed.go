package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
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

// A lead that was merged may have been pushed under its old id. What a person ordered by hand, of a lead of any age, tells nothing
// of speed.
const leadRingsSQL = `
select distinct coalesce(m.into_lead_id, d.lead_id), d.destination
from ops.deliveries d
left join pipeline.lead_merges m
  on m.org_id = d.org_id and m.lead_id = d.lead_id
where d.org_id = @org
  and d.lead_id = any(@ids::uuid[] || array(
    select o.lead_id
    from pipeline.lead_merges o
    where o.org_id = @org and o.into_lead_id = any(@ids::uuid[])))
  and d.class = 'rings'
  and d.dedupe not like 'operator %'
order by 1, 2`

// leadSteps are the steps that a lead had taken.
type leadSteps struct{ dialled, answered bool }

// watchSteps looks which leads are dialled or answered for the first time, before that is written. They are counted by their
// places; one that nobody pushed is no matter of speed. A lead that this fold merges has taken the steps that any part of it took.
func (r *Reconciler) watchSteps(ctx context.Context, tx pgx.Tx, f *folded) error {
	if r.Sped == nil || r.repairing {
		return nil
	}
	ids := map[uuid.UUID]uuid.UUID{} // to the lead that it is now
	for i := range f.result.Leads {
		if l := &f.result.Leads[i]; !l.FirstDialledAt.IsZero() || !l.FirstAnsweredAt.IsZero() {
			ids[f.ids.IDs[i]] = f.ids.IDs[i]
		}
	}
	if len(ids) == 0 {
		return nil
	}
	for merged, into := range f.ids.Merged {
		if _, ok := ids[into]; ok {
			ids[merged] = into
		}
	}
	was, rings, err := readSteps(ctx, tx, f.org, ids)
	if err != nil {
		return err
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

// readSteps reads how far leads had come, and to which destinations they were pushed, each once.
func readSteps(
	ctx context.Context, tx pgx.Tx, org uuid.UUID, ids map[uuid.UUID]uuid.UUID,
) (was map[uuid.UUID]leadSteps, rings map[uuid.UUID][]string, err error) {
	args := pgx.StrictNamedArgs{"org": org, "ids": slices.Collect(maps.Keys(ids))}
	was, rings = map[uuid.UUID]leadSteps{}, map[uuid.UUID][]string{}
	rows, err := tx.Query(ctx, leadStepsSQL, args)
	if err != nil {
		return nil, nil, fmt.Errorf("asking how far leads had come: %w", err)
	}
	var id uuid.UUID
	var at leadSteps
	if _, err = pgx.ForEachRow(rows, []any{&id, &at.dialled, &at.answered}, func() error {
		before := was[ids[id]]
		was[ids[id]] = leadSteps{before.dialled || at.dialled, before.answered || at.answered}
		return nil
	}); err != nil {
		return nil, nil, fmt.Errorf("asking how far leads had come: %w", err)
	}
	if rows, err = tx.Query(ctx, leadRingsSQL, args); err != nil {
		return nil, nil, fmt.Errorf("asking where leads were pushed: %w", err)
	}
	var destination string
	if _, err = pgx.ForEachRow(rows, []any{&id, &destination}, func() error {
		if now := ids[id]; !slices.Contains(rings[now], destination) {
			rings[now] = append(rings[now], destination)
		}
		return nil
	}); err != nil {
		return nil, nil, fmt.Errorf("asking where leads were pushed: %w", err)
	}
	return was, rings, nil
}

// speedSkew is by how much a lead's creation may lie after a step of it because two clocks disagree.
const speedSkew = time.Minute

// tellSped tells of steps once they are committed, or are sure to be. One that came before the lead, as where a call was known
// first, answered no lead: counted as 0 s it would make all others look slow.
func (r *Reconciler) tellSped(f *folded) {
	if r.Sped == nil || f == nil {
		return
	}
	for _, s := range f.sped {
		if s.took > -speedSkew {
			r.Sped(s.destination, s.step, max(s.took, 0))
		}
	}
}
