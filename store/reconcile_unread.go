package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A record whose facts cannot be read at present says nothing, and may be the one that opted somebody out. So nothing is taken back
// that it may have told (law 6): it keeps the keys of its opt-outs, by which later folds of the same phone or lead find it again, and
// while one is among what is folded no phone leaves the list (writeDNC) and no lead loses its flag.

// keysNow are the keys that a record has by its facts; had are those it has in ops.record_keys.
func (f *folded) keysNow(id int64, had map[recordKey]bool) map[recordKey]bool {
	has := keysOf(f.told[id].Facts)
	if f.unread[id] {
		for k := range had {
			if k.Role == roleDNC {
				has[k] = true
			}
		}
	}
	return has
}

const leadOptOutsSQL = `
select lead_id, coalesce(dnc_reason, ''), dnc_at
from pipeline.leads
where org_id = @org and lead_id = any(@ids) and is_do_not_call`

// keepOptOuts leaves leads opted out that are so here, where something that was not read may say why.
func (f *folded) keepOptOuts(ctx context.Context, tx pgx.Tx) error {
	if len(f.unread) == 0 {
		return nil
	}
	at := map[uuid.UUID]int{}
	for i, id := range f.ids.IDs {
		at[id] = i
	}
	rows, err := tx.Query(ctx, leadOptOutsSQL, planned, pgx.StrictNamedArgs{"org": f.org, "ids": f.ids.IDs})
	if err != nil {
		return fmt.Errorf("reading which leads are opted out: %w", err)
	}
	var id uuid.UUID
	var reason string
	var since *time.Time
	_, err = pgx.ForEachRow(rows, []any{&id, &reason, &since}, func() error {
		if l := &f.result.Leads[at[id]]; !l.DNC {
			l.DNC, l.DNCReason, l.DNCAt = true, reason, timeOf(since)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading which leads are opted out: %w", err)
	}
	return nil
}
