package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Schedule is recurring work and when it is due.
type Schedule struct {
	Name string
	Spec string
	Zone string
	// Next returns the first due time after t.
	Next func(t time.Time) time.Time
	// Later makes a new schedule wait for Next; without it, it is due at once.
	Later bool
	// Off takes the schedule away.
	Off bool
}

const scheduleUpsertSQL = `
insert into ops.schedules as s (name, spec, zone, next_slot, updated_at)
values (@name, @spec, @zone, @first, @now)
on conflict (name) do update
set spec = excluded.spec, zone = excluded.zone, next_slot = @next, updated_at = excluded.updated_at
where s.spec <> excluded.spec or s.zone <> excluded.zone`

const schedulesForgetSQL = `
delete from ops.schedules
where name = any(@off)
  or not name = any(@on) and greatest(next_slot, updated_at) < @stale`

// scheduleStale is how long a schedule that nobody takes slots of is remembered. It says nothing of those of the daemon that asks:
// it may have been down for longer.
const scheduleStale = 7 * 24 * time.Hour

// EnsureSchedules brings ops.schedules in step with the configuration. A schedule that is new is due at once, unless it is
// Later; one whose spec changed is due when the new spec says; the others keep their due times over restarts. What this
// daemon knows nothing of is another daemon's, which may have accounts or a version of its own, and stays.
func (db *DB) EnsureSchedules(ctx context.Context, schedules []Schedule) error {
	now := db.Now()
	return db.InTx(ctx, func(tx pgx.Tx) error {
		on, off := []string{}, []string{}
		for _, s := range schedules {
			if s.Off {
				off = append(off, s.Name)
				continue
			}
			on = append(on, s.Name)
			first, next := now, s.Next(now)
			if s.Later {
				first = next
			}
			_, err := tx.Exec(ctx, scheduleUpsertSQL, pgx.StrictNamedArgs{
				"name": s.Name, "spec": s.Spec, "zone": s.Zone, "now": now, "first": first, "next": next,
			})
			if err != nil {
				return fmt.Errorf("writing schedule %s: %w", s.Name, err)
			}
		}
		if _, err := tx.Exec(ctx, schedulesForgetSQL, pgx.StrictNamedArgs{"on": on, "off": off, "stale": now.Add(-scheduleStale)}); err != nil {
			return fmt.Errorf("removing schedules that are off: %w", err)
		}
		return nil
	})
}

const slotsDueSQL = `
select name, next_slot
from ops.schedules
where next_slot <= @now and name = any(@names)
order by next_slot
for update skip locked`

const slotTakenSQL = `
update ops.schedules
set last_slot = @slot, next_slot = @next, updated_at = @now
where name = @name`

// SlotLater is returned by what a slot asks for when it cannot be done yet: the slot is due again at Until, not lost.
type SlotLater struct{ Until time.Time }

// Error implements error.
func (l *SlotLater) Error() string {
	return "the slot has to wait until " + l.Until.Format(time.RFC3339)
}

const slotLaterSQL = `
update ops.schedules
set next_slot = @until, updated_at = @now
where name = @name`

// TakeDueSlots hands each due slot to fn in one transaction with the schedule's step to its next slot, so that a slot
// gets its job exactly once whoever asks. A slot whose fn fails stays due, one that is put off by SlotLater is due then; the
// others are taken. After a long absence a
// schedule catches up with one slot, not with all it missed.
func (db *DB) TakeDueSlots(ctx context.Context, schedules []Schedule, fn func(tx pgx.Tx, name string, slot time.Time) error) (taken int, err error) {
	now := db.Now()
	byName := map[string]Schedule{}
	names := []string{}
	var failed []error
	for _, s := range schedules {
		// One that is off here may be on in another daemon, which takes its slots.
		if !s.Off {
			byName[s.Name] = s
			names = append(names, s.Name)
		}
	}
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, slotsDueSQL, pgx.StrictNamedArgs{"now": now, "names": names})
		if err != nil {
			return fmt.Errorf("reading due schedules: %w", err)
		}
		type due struct {
			Name     string
			NextSlot time.Time
		}
		slots, err := pgx.CollectRows(rows, pgx.RowToStructByPos[due])
		if err != nil {
			return fmt.Errorf("reading due schedules: %w", err)
		}
		for _, d := range slots {
			// A savepoint each: a slot that fails stays due, and keeps nobody else from theirs (law 13).
			err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return takeSlot(ctx, tx, byName[d.Name], d.NextSlot, now, fn) })
			if later, ok := errors.AsType[*SlotLater](err); ok {
				_, err = tx.Exec(ctx, slotLaterSQL, pgx.StrictNamedArgs{"name": d.Name, "until": micros(later.Until), "now": now})
				if err == nil {
					continue
				}
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("slot of %s: %w", d.Name, err))
				continue
			}
			taken++
		}
		return nil
	})
	if err != nil {
		taken = 0
	}
	return taken, errors.Join(append(failed, err)...)
}

func takeSlot(ctx context.Context, tx pgx.Tx, s Schedule, slot, now time.Time, fn func(tx pgx.Tx, name string, slot time.Time) error) error {
	next := s.Next(slot)
	if !next.After(now) {
		next = s.Next(now)
	}
	if _, err := tx.Exec(ctx, slotTakenSQL, pgx.StrictNamedArgs{"name": s.Name, "slot": slot, "next": next, "now": now}); err != nil {
		return fmt.Errorf("taking it: %w", err)
	}
	return fn(tx, s.Name, slot.UTC())
}
