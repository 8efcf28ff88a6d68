package store

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// PostMinute counts the posts of one source in one minute.
type PostMinute struct {
	Source string
	Minute time.Time
	Posts  int
	// Bad are those that nobody understood.
	Bad int
}

// Posts have ids that rise with time, so the last hour is a range of the primary key.
const inboxPaceSQL = `
select source, date_trunc('minute', received_at), count(*), count(*) filter (where state in ('unclassified', 'unparsable', 'quarantined'))
from ops.inbox
where id >= @from
  and received_at >= @since
group by 1, 2
order by 1, 2`

// idSlack is how far the time in a post's id may lie before the time it was received.
const idSlack = time.Minute

// PostPace counts the posts of the last minutes of all organisations, by source and minute; minutes without posts are left out.
func (db *DB) PostPace(ctx context.Context, q Queryer, minutes int) ([]PostMinute, error) {
	since := db.Now().Truncate(time.Minute).Add(-time.Duration(minutes-1) * time.Minute)
	rows, err := q.Query(ctx, inboxPaceSQL, pgx.StrictNamedArgs{"from": idFloor(since.Add(-idSlack)), "since": since})
	if err != nil {
		return nil, fmt.Errorf("counting posts: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[PostMinute])
	if err != nil {
		return nil, fmt.Errorf("counting posts: %w", err)
	}
	return list, nil
}

// idFloor is below every id (UUIDv7) that is made at a time or later.
func idFloor(t time.Time) uuid.UUID {
	var id uuid.UUID
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(t.UnixMilli(), 0)))
	copy(id[:6], ms[2:])
	return id
}

// PostBrowse asks for posts of all organisations, newest first. Empty fields ask for all.
type PostBrowse struct {
	Source string
	States []string
	// Before is the id of the last post of the page before; the zero id for the first page.
	Before uuid.UUID
	Limit  int
}

const inboxBrowseSQL = `
select id, org_id, source, state, received_at, method, content_type, event_path, ''::text as query, ''::bytea as body, length(body) as bytes,
  duplicate_of, facts, attempts, error, settled_at
from ops.inbox
where (@source = '' or source = @source)
  and (cardinality(@states::text[]) = 0 or state = any(@states))
  and (@before::uuid is null or id < @before)
order by id desc
limit @limit`

// Posts that nobody understood are found by an index of their own.
const inboxBrowseBadSQL = `
select id, org_id, source, state, received_at, method, content_type, event_path, ''::text as query, ''::bytea as body, length(body) as bytes,
  duplicate_of, facts, attempts, error, settled_at
from ops.inbox
where state in ('unclassified', 'unparsable', 'quarantined')
  and (@source = '' or source = @source)
  and state = any(@states::text[])
  and (@before::uuid is null or id < @before)
order by id desc
limit @limit`

// BrowsePosts returns at most Limit posts without their bodies and queries.
func (db *DB) BrowsePosts(ctx context.Context, b PostBrowse) ([]StoredPost, error) {
	states, sql := b.States, inboxBrowseSQL
	if states == nil {
		states = []string{}
	}
	if len(states) > 0 && allBad(states) {
		sql = inboxBrowseBadSQL
	}
	var posts []StoredPost
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, sql, pgx.StrictNamedArgs{"source": b.Source, "states": states, "before": uuidOrNull(b.Before), "limit": b.Limit})
		if err != nil {
			return err
		}
		posts, err = pgx.CollectRows(rows, pgx.RowToStructByName[StoredPost])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing posts: %w", err)
	}
	return posts, nil
}

func allBad(states []string) bool {
	for _, s := range states {
		if s != "unclassified" && s != "unparsable" && s != "quarantined" {
			return false
		}
	}
	return true
}
