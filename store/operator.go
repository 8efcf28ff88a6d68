package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// LandOrder keeps an operator's order, a record of source operator, and has it folded. optOut is the phone in E.164 that the
// order opts out, or empty: it is suppressed with the same commit, and what was ready to ring it is cancelled (law 6). wake is
// called in the transaction; it may be nil. It returns the record's id, for OrderFolded.
func (db *DB) LandOrder(
	ctx context.Context, r *pipeline.Record, optOut, reason string, wake func(context.Context, pgx.Tx) error,
) (int64, error) {
	var id int64
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if optOut != "" {
			rows := []suppressionRow{{Suppression{
				Kind: string(pipeline.KeyPhone), Value: optOut, Stream: r.Stream, ObjectID: r.ObjectID, Reason: reason,
			}, r.Org, string(r.Source), micros(r.ObservedAt)}}
			if err := suppress(ctx, tx, rows, db.Now()); err != nil {
				return err
			}
		}
		landed, err := db.Land(ctx, tx, Target{Org: r.Org, Account: r.Account, Source: r.Source, Stream: r.Stream}, []LandRecord{{
			ObjectID: r.ObjectID, Payload: r.Payload, SourceTime: r.SourceTime, ObservedAt: r.ObservedAt,
		}}, LandOptions{})
		if err != nil {
			return err
		}
		if landed.Erased > 0 {
			return ErrErased
		}
		if len(landed.Records) != 1 {
			return errors.New("the order is kept already")
		}
		id = landed.Records[0]
		if wake == nil {
			return nil
		}
		return wake(ctx, tx)
	})
	if err != nil {
		return 0, fmt.Errorf("keeping an operator's order in %s: %w", r.Stream, Quiet(err))
	}
	return id, nil
}

const orderFoldedSQL = `
select not exists (
  select 1
  from ops.reconcile_queue q
  where q.org_id = @org and q.record_id = @id
)`

// OrderFolded tells whether the pipeline shows a record by now.
func (db *DB) OrderFolded(ctx context.Context, org uuid.UUID, id int64) (bool, error) {
	var folded bool
	err := db.Pool.QueryRow(ctx, orderFoldedSQL, pgx.StrictNamedArgs{"org": org, "id": id}).Scan(&folded)
	if err != nil {
		return false, fmt.Errorf("asking whether an order is folded: %w", err)
	}
	return folded, nil
}

// DoNotCallEntry is a phone that somebody opted out.
type DoNotCallEntry struct {
	Phone  string
	Reason string
	Source string
	// Since is when the opt-out was told, LiftedAt when it was lifted (UTC); nil = it holds.
	Since    time.Time
	LiftedAt *time.Time
	// Folded is false for one that holds already and is on its way into the pipeline.
	Folded bool
}

const doNotCallSQL = `
select n.phone, n.reason, n.source, n.since, n.lifted_at, true as folded
from pipeline.do_not_call n
where n.org_id = @org
  and (@phone = '' or n.phone = @phone)
  and (@lifted or n.lifted_at is null)
union all
select distinct on (s.value) s.value, s.reason, s.source, s.received_at, null::timestamptz, false
from ops.suppressions s
where s.org_id = @org
  and s.kind = 'phone'
  and s.folded_at is null
  and (@phone = '' or s.value = @phone)
  and not exists (
    select 1
    from pipeline.do_not_call n
    where n.org_id = s.org_id and n.phone = s.value and n.lifted_at is null
  )
order by 1`

// DoNotCalls lists the phones that must not be called, and with lifted those too that no longer are; phone empty means all.
func (db *DB) DoNotCalls(ctx context.Context, org uuid.UUID, phone string, lifted bool) ([]DoNotCallEntry, error) {
	rows, err := db.Pool.Query(ctx, doNotCallSQL, pgx.StrictNamedArgs{"org": org, "phone": phone, "lifted": lifted})
	if err != nil {
		return nil, fmt.Errorf("reading do-not-call: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[DoNotCallEntry])
}

// Obligation is the duty to tell one dialler of one opt-out.
type Obligation struct {
	ID          uuid.UUID
	Destination string
	Phone       string
	State       string
	Reason      *string
	Attempts    int
	CreatedAt   time.Time
	SettledAt   *time.Time
}

const obligationsSQL = `
select d.id, d.destination, d.phone, d.state, d.reason, d.attempts, d.created_at, d.settled_at
from ops.deliveries d
where d.org_id = @org
  and d.operation = @operation
  and d.phone = @phone
order by d.created_at, d.destination`

// Obligations lists what the diallers were told, or are to be told, of a phone's opt-outs, oldest first.
func (db *DB) Obligations(ctx context.Context, org uuid.UUID, phone string) ([]Obligation, error) {
	rows, err := db.Pool.Query(ctx, obligationsSQL, pgx.StrictNamedArgs{"org": org, "phone": phone, "operation": pipeline.OperationAddDNC})
	if err != nil {
		return nil, fmt.Errorf("reading obligations of an opt-out: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Obligation])
}
