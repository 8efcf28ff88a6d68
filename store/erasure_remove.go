package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// removal is one transaction that removes what is left of a person.
type removal struct {
	e   *Eraser
	tx  pgx.Tx
	p   *person
	r   *Receipt
	key ErasureKey
	// kept are the phones that stay on the do-not-call list, and seeds the records to fold from.
	kept  []string
	seeds []int64
	// since is since when they are on it, and told what told the opt-outs, the lifted ones too.
	since map[string]time.Time
	told  []toldOptOut
}

// errNames means that a person has names whose hashes are not kept yet.
var errNames = errors.New("a name turned up")

// remove does all that is left in one transaction. It fails with ErrInFlight while a request about the person is under way, and
// with errNames where they have a name by which something could have landed meanwhile. Nobody who lands waits for it: of whom
// it finds here, all names were committed before, so that nothing of theirs lands any more. The fold waits, and with it
// the writes of our API.
func (e *Eraser) remove(ctx context.Context, org uuid.UUID, who Identity, r *Receipt) error {
	key, err := e.DB.Erased.Key("", false)
	if err != nil {
		return err
	}
	return e.DB.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, compareTimeoutsSQL); err != nil {
			return err
		}
		if err := lockFold(ctx, tx, org); err != nil {
			return err
		}
		p, err := e.find(ctx, tx, org, who, r.also)
		if err != nil {
			return err
		}
		kept, err := p.kept(ctx, tx, &key)
		if err != nil {
			return err
		}
		if !kept {
			return errNames
		}
		m := &removal{e: e, tx: tx, p: p, r: r, key: key, seeds: sortedIDs(p.records)}
		for _, step := range []func(context.Context) error{
			m.lock, m.inFlight, m.held, m.vendors, m.inbox, m.records, m.optOuts, m.fold, m.ids, m.deliveries, m.events, m.receipt,
		} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

const phonesToLockSQL = `
select value
from ops.record_keys
where record_id = any(@ids) and kind = 'phone'
union
select value
from pipeline.lead_keys
where org_id = @org and lead_id = any(@leads) and kind = 'phone'`

// lock keeps requests about the person from beginning (law 6's locks), and opt-outs of their phones, shared ones too, from coming
// in unseen. Calls have none of their own there, and may be many.
func (m *removal) lock(ctx context.Context) error {
	rows, err := m.tx.Query(ctx, phonesToLockSQL, pgx.StrictNamedArgs{"ids": m.seeds, "org": m.p.org, "leads": m.p.leads})
	if err != nil {
		return fmt.Errorf("reading phones: %w", err)
	}
	phones, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("reading phones: %w", err)
	}
	var keys []string
	for _, phone := range phones {
		keys = append(keys, SuppressionLockKey(m.p.org, string(pipeline.KeyPhone), "", phone))
	}
	for n := range m.p.names {
		if !m.p.calls[n] {
			keys = append(keys, SuppressionLockKey(m.p.org, n.Kind, n.Account, n.Value))
		}
	}
	return LockSuppressions(ctx, m.tx, keys)
}

// statement is one that removes or empties rows of a table.
type statement struct {
	table, sql string
	args       pgx.StrictNamedArgs
}

func (m *removal) exec(ctx context.Context, statements ...statement) error {
	for _, s := range statements {
		tag, err := m.tx.Exec(ctx, s.sql, s.args)
		if err != nil {
			return fmt.Errorf("erasing from %s: %w", s.table, err)
		}
		m.r.Counts[s.table] += tag.RowsAffected()
	}
	return nil
}

const erasureFinishSQL = `
update ops.erasures e
set finished_at = @now,
  counts = (
    select coalesce(jsonb_object_agg(n.name, n.count), '{}')
    from (
      select t.key as name, sum(t.value::bigint) as count
      from (
        select key, value from jsonb_each_text(e.counts)
        union all
        select key, value from jsonb_each_text(@counts::jsonb)
      ) t
      group by t.key
    ) n)
where e.erasure_id = @id
returning e.started_at, e.finished_at`

// receipt writes down what went, added to what an earlier order removed.
func (m *removal) receipt(ctx context.Context) error {
	maps.DeleteFunc(m.r.Counts, func(_ string, n int64) bool { return n == 0 })
	counts, err := json.Marshal(m.r.Counts)
	if err != nil {
		return fmt.Errorf("writing the receipt: %w", err)
	}
	err = m.tx.QueryRow(ctx, erasureFinishSQL, pgx.StrictNamedArgs{"id": m.r.ID, "now": m.e.DB.Now(), "counts": string(counts)}).Scan(&m.r.StartedAt, &m.r.FinishedAt)
	if err != nil {
		return fmt.Errorf("writing the receipt: %w", err)
	}
	m.r.StartedAt, m.r.FinishedAt = m.r.StartedAt.UTC(), m.r.FinishedAt.UTC()
	return nil
}
