package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Gauges is the state of the daemon's work at one moment, for metrics. What it takes to read it follows indexes of what is open or
// went wrong, so its price does not grow with what went well.
type Gauges struct {
	Streams    []StreamGauge
	Accounts   []AccountGauge
	Jobs       []CountOf // by kind and state
	Deliveries []DeliveryGauge
	Quarantine []CountOf // open items, by source and stream
	Unknowns   []UnknownGauge
	// OldestJob is the age in seconds of the oldest job that waits for a worker.
	OldestJob float64
	// Inbox and Unfolded count posts and records that wait, InboxOldest and UnfoldedOldest are the ages in seconds of the eldest.
	Inbox, InboxOldest, Unfolded, UnfoldedOldest float64
	// Unclassified, Unparsable and Stuck count the posts that are kept though nobody could make use of them.
	Unclassified, Unparsable, Stuck float64
	// KeptOut counts what was told of erased people and not kept, CutOff the erasures that did not come to their end.
	KeptOut, CutOff float64
	// Daemons is how many were heard of in the last quarter of a minute, Notices how many rows of ops.attention are open.
	Daemons, Notices float64
	Webhooks         WebhookGauges
}

// CountOf counts rows by two labels.
type CountOf struct {
	A, B  string
	Count float64
}

// All states but completed, each named: so it follows River's index, which a look at what is not completed would not.
const jobGaugesSQL = `
select kind, state::text, count(*)::double precision
from river.river_job
where state in ('available', 'cancelled', 'discarded', 'pending', 'retryable', 'running', 'scheduled')
group by kind, state
order by kind, state`

const quarantineGaugesSQL = `
select source, stream, count(*)::double precision
from ops.quarantine
where state = 'open'
group by source, stream`

// The queue is looked at once: it has no index by age, and needs none, for it is short or being worked off.
const plainGaugesSQL = `
select
  coalesce((select extract(epoch from @now::timestamptz - min(scheduled_at)) from river.river_job where state = 'available'), 0)::double precision,
  i.posts::double precision,
  coalesce(extract(epoch from @now::timestamptz - i.oldest), 0)::double precision,
  q.records::double precision,
  coalesce(extract(epoch from @now::timestamptz - q.oldest), 0)::double precision,
  b.unclassified::double precision,
  b.unparsable::double precision,
  b.stuck::double precision,
  ((select coalesce(sum(kept_out), 0) from ops.erasures) + (select coalesce(sum(records), 0) from ops.erasure_arrivals))::double precision,
  (select count(*) from ops.erasures where finished_at is null)::double precision,
  (select count(*) from ops.daemons where seen_at > @alive)::double precision,
  (select count(*) from ops.attention where cleared_at is null)::double precision
from (select count(*) as posts, min(received_at) as oldest from ops.inbox where state = 'new') i
cross join (select count(*) as records, min(queued_at) as oldest from ops.reconcile_queue) q
cross join (
  select
    count(*) filter (where state = 'unclassified') as unclassified,
    count(*) filter (where state = 'unparsable') as unparsable,
    count(*) filter (where state = 'quarantined') as stuck
  from ops.inbox
  where state in ('unclassified', 'unparsable', 'quarantined')
) b`

// Gauges reads the state in one snapshot.
func (db *DB) Gauges(ctx context.Context) (Gauges, error) { return db.gauges(ctx, true) }

// WorkGauges reads all of Gauges but Streams, Accounts and Deliveries, of which others tell more.
func (db *DB) WorkGauges(ctx context.Context) (Gauges, error) { return db.gauges(ctx, false) }

func (db *DB) gauges(ctx context.Context, all bool) (Gauges, error) {
	var g Gauges
	now := db.Now()
	err := db.readSnapshot(ctx, func(tx pgx.Tx) (err error) {
		if g.Jobs, err = readAll[CountOf](ctx, tx, jobGaugesSQL); err != nil {
			return err
		}
		if g.Quarantine, err = readAll[CountOf](ctx, tx, quarantineGaugesSQL); err != nil {
			return err
		}
		if g.Webhooks, err = db.WebhookGauges(ctx, tx); err != nil {
			return err
		}
		if err = tx.QueryRow(ctx, plainGaugesSQL, pgx.StrictNamedArgs{"now": now, "alive": now.Add(-daemonAlive)}).Scan(
			&g.OldestJob, &g.Inbox, &g.InboxOldest, &g.Unfolded, &g.UnfoldedOldest, &g.Unclassified, &g.Unparsable, &g.Stuck,
			&g.KeptOut, &g.CutOff, &g.Daemons, &g.Notices); err != nil || !all {
			return err
		}
		if g.Streams, err = readAll[StreamGauge](ctx, tx, streamGaugesSQL, pgx.StrictNamedArgs{"now": now, "default": DefaultAccount}); err != nil {
			return err
		}
		if g.Unknowns, err = readAll[UnknownGauge](ctx, tx, unknownGaugesSQL); err != nil {
			return err
		}
		if g.Accounts, err = readAll[AccountGauge](ctx, tx, accountGaugesSQL); err != nil {
			return err
		}
		g.Deliveries, err = readAll[DeliveryGauge](ctx, tx, deliveryGaugesSQL, pgx.StrictNamedArgs{"now": now, "opt_out": pipeline.OperationAddDNC})
		return err
	})
	if err != nil {
		return g, fmt.Errorf("reading the state of the work: %w", err)
	}
	return g, nil
}

// readSnapshot runs read where all that it reads is of one moment. Compiling such queries would take longer than they do.
func (db *DB) readSnapshot(ctx context.Context, read func(pgx.Tx) error) error {
	return db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `set transaction isolation level repeatable read, read only; set local jit = off`); err != nil {
			return err
		}
		return read(tx)
	})
}

func readAll[T any](ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}
