package store

import (
	"context"
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
}

const scheduleUpsertSQL = `
insert into ops.schedules as s (name, spec, zone, next_slot, updated_at)
values (@name, @spec, @zone, @first, @now)
on conflict (name) do update
set spec = excluded.spec, zone = excluded.zone, next_slot = @next, updated_at = excluded.updated_at
where s.spec <> excluded.spec or s.zone <> excluded.zone`

const schedulesForgetSQL = `delete from ops.schedules where not name = any(@names)`

// EnsureSchedules brings ops.schedules in step with the configuration. A schedule that is new is due at once, unless it is Later; one whose
// spec changed is due when the new spec says; the others keep their due times over restarts.
func (db *DB) EnsureSchedules(ctx context.Context, schedules []Schedule) error {
	now := db.Now()
	return db.InTx(ctx, func(tx pgx.Tx) error {
		names := []string{}
		for _, s := range schedules {
			names = append(names, s.Name)
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
		if _, err := tx.Exec(ctx, schedulesForgetSQL, pgx.StrictNamedArgs{"names": names}); err != nil {
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

// TakeDueSlots hands each due slot to fn in one transaction with the schedule's step to its next slot, so that a slot
// gets its job exactly once whoever asks. After a long absence a schedule catches up with one slot, not with all it missed.
func (db *DB) TakeDueSlots(ctx context.Context, schedules []Schedule, fn func(tx pgx.Tx, name string, slot time.Time) error) (taken int, err error) {
	now := db.Now()
	byName := map[string]Schedule{}
	names := []string{}
	for _, s := range schedules {
		byName[s.Name] = s
		names = append(names, s.Name)
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
			next := byName[d.Name].Next(d.NextSlot)
			if !next.After(now) {
				next = byName[d.Name].Next(now)
			}
			_, err := tx.Exec(ctx, slotTakenSQL, pgx.StrictNamedArgs{"name": d.Name, "slot": d.NextSlot, "next": next, "now": now})
			if err != nil {
				return fmt.Errorf("taking a slot of %s: %w", d.Name, err)
			}
			if err := fn(tx, d.Name, d.NextSlot.UTC()); err != nil {
				return fmt.Errorf("slot of %s: %w", d.Name, err)
			}
		}
		taken = len(slots)
		return nil
	})
	return taken, err
}
