package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// StoredPost is a post as it lies in the inbox. Times are UTC.
type StoredPost struct {
	ID          uuid.UUID  `db:"id"`
	Org         uuid.UUID  `db:"org_id"`
	Source      string     `db:"source"`
	State       string     `db:"state"`
	ReceivedAt  time.Time  `db:"received_at"`
	Method      string     `db:"method"`
	ContentType string     `db:"content_type"`
	EventPath   string     `db:"event_path"`
	Query       string     `db:"query"`
	Body        []byte     `db:"body"`
	Bytes       int        `db:"bytes"`
	DuplicateOf *uuid.UUID `db:"duplicate_of"`
	Facts       *int       `db:"facts"`
	Attempts    int        `db:"attempts"`
	Error       *string    `db:"error"`
	SettledAt   *time.Time `db:"settled_at"`
}

// InboxFilter narrows InboxPosts. States empty means all; Limit has to be set.
type InboxFilter struct {
	Org    uuid.UUID
	Source string
	States []string
	Limit  int
}

const inboxListSQL = `
select id, org_id, source, state, received_at, method, content_type, event_path, query, ''::bytea as body, length(body) as bytes,
  duplicate_of, facts, attempts, error, settled_at
from ops.inbox
where org_id = @org
  and (@source = '' or source = @source)
  and (cardinality(@states::text[]) = 0 or state = any(@states))
order by received_at desc, id desc
limit @most`

// InboxPosts lists posts without their bodies, newest first.
func (db *DB) InboxPosts(ctx context.Context, f InboxFilter) ([]StoredPost, error) {
	states := f.States
	if states == nil {
		states = []string{}
	}
	rows, err := db.Pool.Query(ctx, inboxListSQL, pgx.StrictNamedArgs{"org": f.Org, "source": f.Source, "states": states, "most": f.Limit})
	if err != nil {
		return nil, fmt.Errorf("listing posts: %w", err)
	}
	posts, err := pgx.CollectRows(rows, pgx.RowToStructByName[StoredPost])
	if err != nil {
		return nil, fmt.Errorf("listing posts: %w", err)
	}
	return posts, nil
}

const inboxGetSQL = `
select id, org_id, source, state, received_at, method, content_type, event_path, query, body, length(body) as bytes,
  duplicate_of, facts, attempts, error, settled_at
from ops.inbox
where id = @id`

// InboxPost returns one post, or ErrNotFound.
func (db *DB) InboxPost(ctx context.Context, id uuid.UUID) (StoredPost, error) {
	rows, err := db.Pool.Query(ctx, inboxGetSQL, pgx.StrictNamedArgs{"id": id})
	if err != nil {
		return StoredPost{}, fmt.Errorf("reading post %s: %w", id, err)
	}
	post, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[StoredPost])
	if err != nil {
		return StoredPost{}, fmt.Errorf("reading post %s: %w", id, rowMissing(err))
	}
	return post, nil
}
