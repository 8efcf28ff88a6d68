package store

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// QuarantineGroup is what lies in quarantine for one reason, with one item to look at.
type QuarantineGroup struct {
	Source, Stream, Reason string
	// Shape is the error with everything that varies from item to item left out.
	Shape string
	Items int
	// Seen counts how often they were read.
	Seen                    int
	FirstSeenAt, LastSeenAt time.Time
	// Example is the newest item.
	Example uuid.UUID
}

const quarantineHeadsSQL = `
select id, source, stream, reason, error, seen, first_seen_at, last_seen_at
from ops.quarantine
where org_id = @org
  and (@source = '' or source = @source)
  and state = @state
  and id > @after
order by id
limit 5000`

// QuarantineGroups groups an organisation's items of one state by source, stream and the shape of their errors, those with
// most items first; source empty means all.
func (db *DB) QuarantineGroups(ctx context.Context, org uuid.UUID, source, state string) ([]QuarantineGroup, error) {
	groups := map[[4]string]*QuarantineGroup{}
	for after := uuid.Nil; ; {
		rows, err := db.Pool.Query(ctx, quarantineHeadsSQL, pgx.StrictNamedArgs{"org": org, "source": source, "state": state, "after": after})
		if err != nil {
			return nil, fmt.Errorf("grouping quarantine: %w", err)
		}
		last := after
		var g QuarantineGroup
		var text string
		_, err = pgx.ForEachRow(rows, []any{&last, &g.Source, &g.Stream, &g.Reason, &text, &g.Seen, &g.FirstSeenAt, &g.LastSeenAt}, func() error {
			g.Shape, g.Example, g.Items = errorShape(text), last, 1
			g.FirstSeenAt, g.LastSeenAt = g.FirstSeenAt.UTC(), g.LastSeenAt.UTC()
			if found := groups[g.key()]; found != nil {
				found.join(&g)
			} else {
				one := g
				groups[g.key()] = &one
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("grouping quarantine: %w", err)
		}
		if last == after {
			break
		}
		after = last
	}
	return sortedGroups(groups), nil
}

func (g *QuarantineGroup) join(o *QuarantineGroup) {
	g.Items++
	g.Seen += o.Seen
	g.Example = o.Example
	if o.FirstSeenAt.Before(g.FirstSeenAt) {
		g.FirstSeenAt = o.FirstSeenAt
	}
	if o.LastSeenAt.After(g.LastSeenAt) {
		g.LastSeenAt = o.LastSeenAt
	}
}

// varying is what makes two errors of one shape differ: what is quoted, ids and numbers.
var varying = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[+-]?\d[\d.,:TZ-]*`)

func errorShape(text string) string { return varying.ReplaceAllString(text, "…") }

const quarantineRecordSQL = `
select record_id
from ops.records
where org_id = @org and account_id = @account and source = @source and stream = @stream and object_id = @object_id`

const queueAddSQL = `insert into ops.reconcile_queue (org_id, record_id, queued_at) values (@org, @id, @now)`

// RequeueQuarantined hands the record of an item of reason ReasonFacts to the fold again. It returns the record's id, and
// ErrNotFound where the record is gone.
func (db *DB) RequeueQuarantined(ctx context.Context, tx pgx.Tx, item *QuarantineRow) (int64, error) {
	var id int64
	err := tx.QueryRow(ctx, quarantineRecordSQL, pgx.StrictNamedArgs{
		"org": item.Org, "account": item.Account, "source": item.Source, "stream": item.Stream, "object_id": item.ObjectID,
	}).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("finding the record of quarantine %s: %w", item.ID, rowMissing(err))
	}
	if _, err := tx.Exec(ctx, queueAddSQL, pgx.StrictNamedArgs{"org": item.Org, "id": id, "now": db.Now()}); err != nil {
		return 0, fmt.Errorf("queueing record %d: %w", id, err)
	}
	return id, nil
}

const recordsWaitSQL = `
select count(*)
from ops.reconcile_queue
where record_id = any(@ids)`

// RecordsWaiting counts those of the records that wait to be folded.
func (db *DB) RecordsWaiting(ctx context.Context, ids []int64) (int, error) {
	var n int
	if err := db.Pool.QueryRow(ctx, recordsWaitSQL, pgx.StrictNamedArgs{"ids": ids}).Scan(&n); err != nil {
		return 0, fmt.Errorf("asking which records wait to be folded: %w", err)
	}
	return n, nil
}

// Target is where an item of a walk belongs.
func (r *QuarantineRow) Target(table *TypedTable) Target {
	return Target{Org: r.Org, Account: r.Account, Source: pipeline.Source(r.Source), Stream: r.Stream, Table: table}
}

// Post tells whether the item is a post, and which one.
func (r *QuarantineRow) Post() (uuid.UUID, bool) {
	id, err := uuid.Parse(r.ObjectID)
	return id, r.Stream == inboxStream && err == nil
}

const quarantineIDsSQL = `
select id
from ops.quarantine
where (@org::uuid is null or org_id = @org)
  and (@source = '' or source = @source)
  and (@stream = '' or stream = @stream)
  and (@state = '' or state = @state)
  and id > @after
order by id
limit @most`

// QuarantineIDs returns ids of items, in their order.
func (db *DB) QuarantineIDs(ctx context.Context, f QuarantineFilter) ([]uuid.UUID, error) {
	args := f.args()
	args["after"], args["most"] = f.After, f.Limit
	rows, err := db.Pool.Query(ctx, quarantineIDsSQL, args)
	if err != nil {
		return nil, fmt.Errorf("listing quarantine: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("listing quarantine: %w", err)
	}
	return ids, nil
}
