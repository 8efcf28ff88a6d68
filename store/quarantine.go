package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// ReasonFacts is the reason of records that are stored well and whose facts could not be read. Landing the same content
// once more does not make them well.
const ReasonFacts = "facts"

// ReasonPost is the reason of a post that could not be read or stored.
const ReasonPost = "post"

// QuarantineItem is something that could not be processed.
type QuarantineItem struct {
	Org     uuid.UUID
	Account string
	Source  pipeline.Source
	Stream  string
	// ObjectID is empty where none could be read.
	ObjectID string
	// Reason is a short word for grouping; Error says more, without personal data.
	Reason, Error string
	// Body is the exact bytes.
	Body []byte
	// Context is JSON that a replay needs beside the bytes; nil for none.
	Context json.RawMessage
}

// maxQuarantineError bounds the stored error text, and the short columns beside it.
const (
	maxQuarantineError = 1000
	maxQuarantineName  = 300
)

const quarantineUpsertSQL = `
insert into ops.quarantine as q (id, org_id, account_id, source, stream, object_id, reason, error, body, body_hash, context,
  first_seen_at, last_seen_at)
values (@id, @org, @account, @source, @stream, @object_id, @reason, @error, @body, @body_hash, @context, @now, @now)
on conflict (org_id, account_id, source, stream, object_id, body_hash) do update
set reason = excluded.reason,
    error = excluded.error,
    context = coalesce(excluded.context, q.context),
    seen = q.seen + 1,
    last_seen_at = excluded.last_seen_at,
    state = case when q.state = 'discarded' then q.state else 'open' end`

// Quarantine keeps an item: one row for each bad object, however often it is read again. A row that was fixed opens
// again; one that an operator discarded stays so. Of somebody who was erased the bytes are left out, and the id if it names them.
func (db *DB) Quarantine(ctx context.Context, tx pgx.Tx, item QuarantineItem) error {
	now := db.Now()
	if err := db.scrubItem(ctx, tx, &item); err != nil {
		return fmt.Errorf("quarantining an item of %s.%s: %w", item.Source, item.Stream, err)
	}
	hash := sha256.Sum256(item.Body)
	body := item.Body
	if body == nil {
		body = []byte{}
	}
	var extra *string
	if item.Context != nil {
		text := string(item.Context)
		extra = &text
	}
	_, err := tx.Exec(ctx, quarantineUpsertSQL, pgx.StrictNamedArgs{
		"id": newID(), "org": item.Org, "account": item.Account, "source": string(item.Source), "stream": item.Stream,
		"object_id": cleanText(item.ObjectID, maxQuarantineName), "reason": cleanText(item.Reason, maxQuarantineName),
		"error": cleanText(item.Error, maxQuarantineError), "body": body, "body_hash": hash[:], "context": extra, "now": now,
	})
	if err != nil {
		return fmt.Errorf("quarantining an item of %s.%s: %w", item.Source, item.Stream, err)
	}
	return nil
}

const quarantineOpenSQL = `
select distinct object_id
from ops.quarantine
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and state = 'open'
  and reason <> @facts
  and object_id = any(@object_ids::text[])`

const quarantineSettleSQL = `
update ops.quarantine
set state = 'fixed'
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and state = 'open'
  and reason <> @facts
  and object_id = any(@object_ids::text[])`

// settleQuarantine marks what lay in quarantine of the objects that now landed well. Reading first spares the common case
// a write.
func (l *landing) settleQuarantine(ctx context.Context, obs []*observation) error {
	args := l.args(pgx.StrictNamedArgs{"object_ids": objectIDs(obs), "facts": ReasonFacts})
	rows, err := l.tx.Query(ctx, quarantineOpenSQL, planned, args)
	if err != nil {
		return fmt.Errorf("looking into quarantine: %w", err)
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("looking into quarantine: %w", err)
	}
	if len(open) == 0 {
		return nil
	}
	slices.Sort(open)
	args["object_ids"] = open
	if _, err := l.tx.Exec(ctx, quarantineSettleSQL, planned, args); err != nil {
		return fmt.Errorf("settling quarantine: %w", err)
	}
	return nil
}

const quarantineFixedSQL = `
update ops.quarantine q
set state = 'fixed'
from unnest(@orgs::uuid[], @accounts::text[], @sources::text[], @streams::text[], @objects::text[])
  as f (org_id, account_id, source, stream, object_id)
where q.org_id = f.org_id and q.account_id = f.account_id and q.source = f.source and q.stream = f.stream
  and q.object_id = f.object_id and q.reason = @reason and q.state = 'open'`

// markFixed settles the quarantine of things that have gone well by now.
func markFixed(ctx context.Context, tx pgx.Tx, reason string, things []factID) error {
	if len(things) == 0 {
		return nil
	}
	var c factColumns
	for _, id := range things {
		c.add(id)
	}
	args := c.args()
	args["reason"] = reason
	if _, err := tx.Exec(ctx, quarantineFixedSQL, args); err != nil {
		return fmt.Errorf("settling quarantine: %w", err)
	}
	return nil
}

// QuarantineRow is one item in quarantine.
type QuarantineRow struct {
	ID          uuid.UUID       `db:"id"`
	Org         uuid.UUID       `db:"org_id"`
	Account     string          `db:"account_id"`
	Source      string          `db:"source"`
	Stream      string          `db:"stream"`
	ObjectID    string          `db:"object_id"`
	Reason      string          `db:"reason"`
	Error       string          `db:"error"`
	Body        []byte          `db:"body"`
	Context     json.RawMessage `db:"context"`
	Seen        int             `db:"seen"`
	FirstSeenAt time.Time       `db:"first_seen_at"`
	LastSeenAt  time.Time       `db:"last_seen_at"`
	State       string          `db:"state"`
}

// QuarantineFilter narrows ListQuarantine and CountQuarantine; empty fields match everything.
type QuarantineFilter struct {
	Org    uuid.UUID
	Source string
	Stream string
	// State is open, fixed or discarded.
	State string
	// After is the last id of the page before; Limit 0 means 1,000.
	After uuid.UUID
	Limit int
}

func (f QuarantineFilter) args() pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{"org": uuidOrNull(f.Org), "source": f.Source, "stream": f.Stream, "state": f.State}
}

const quarantineListSQL = `
select id, org_id, account_id, source, stream, object_id, reason, error, body, context, seen, first_seen_at, last_seen_at, state
from ops.quarantine
where (@org::uuid is null or org_id = @org)
  and (@source = '' or source = @source)
  and (@stream = '' or stream = @stream)
  and (@state = '' or state = @state)
  and id > @after
order by id
limit @most`

// ListQuarantine returns items by id, which is the order in which they first came.
func (db *DB) ListQuarantine(ctx context.Context, q Queryer, f QuarantineFilter) ([]QuarantineRow, error) {
	args := f.args()
	args["after"], args["most"] = f.After, f.Limit
	if f.Limit <= 0 {
		args["most"] = 1000
	}
	rows, err := q.Query(ctx, quarantineListSQL, args)
	if err != nil {
		return nil, fmt.Errorf("listing quarantine: %w", err)
	}
	items, err := pgx.CollectRows(rows, pgx.RowToStructByName[QuarantineRow])
	if err != nil {
		return nil, fmt.Errorf("listing quarantine: %w", err)
	}
	for i := range items {
		items[i].FirstSeenAt, items[i].LastSeenAt = items[i].FirstSeenAt.UTC(), items[i].LastSeenAt.UTC()
	}
	return items, nil
}

const quarantineCountSQL = `
select count(*)
from ops.quarantine
where (@org::uuid is null or org_id = @org)
  and (@source = '' or source = @source)
  and (@stream = '' or stream = @stream)
  and (@state = '' or state = @state)`

// CountQuarantine counts the items that match; After and Limit play no part.
func (db *DB) CountQuarantine(ctx context.Context, q Queryer, f QuarantineFilter) (int, error) {
	var n int
	if err := q.QueryRow(ctx, quarantineCountSQL, f.args()).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting quarantine: %w", err)
	}
	return n, nil
}

const quarantineGetSQL = `
select id, org_id, account_id, source, stream, object_id, reason, error, body, context, seen, first_seen_at, last_seen_at, state
from ops.quarantine
where id = @id`

// GetQuarantine returns one item, or ErrNotFound.
func (db *DB) GetQuarantine(ctx context.Context, q Queryer, id uuid.UUID) (QuarantineRow, error) {
	rows, err := q.Query(ctx, quarantineGetSQL, pgx.StrictNamedArgs{"id": id})
	if err != nil {
		return QuarantineRow{}, fmt.Errorf("reading quarantine %s: %w", id, err)
	}
	item, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[QuarantineRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return QuarantineRow{}, fmt.Errorf("quarantine %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return QuarantineRow{}, fmt.Errorf("reading quarantine %s: %w", id, err)
	}
	item.FirstSeenAt, item.LastSeenAt = item.FirstSeenAt.UTC(), item.LastSeenAt.UTC()
	return item, nil
}

const quarantineStateSQL = `
update ops.quarantine
set state = @state
where id = @id
  and state <> @state`

// SetQuarantineState marks one item, after a replay or by an operator's word; state is open, fixed or discarded.
func (db *DB) SetQuarantineState(ctx context.Context, q Queryer, id uuid.UUID, state string) error {
	if _, err := q.Exec(ctx, quarantineStateSQL, pgx.StrictNamedArgs{"id": id, "state": state}); err != nil {
		return fmt.Errorf("marking quarantine %s: %w", id, err)
	}
	return nil
}
