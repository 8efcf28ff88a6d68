package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// InboxFact is a record that a post tells.
type InboxFact struct {
	Target Target
	Record LandRecord
	// Report is set where the record tells that one of our deliveries took effect.
	Report *DeliveryReport
	// Row is set where the record is one part of a typed row that several records make up.
	Row *SharedRow
}

// InboxDrain turns posts into records. Its fields are set once, before use.
type InboxDrain struct {
	DB *DB
	// Read says what a post tells. An error, or a panic, puts the post into quarantine.
	Read func(Post) ([]InboxFact, error)
	// Wake is called in the transaction when there is something to fold; it may be nil.
	Wake func(ctx context.Context, tx pgx.Tx) error
}

// drainTurn is how long a drain goes on before it lets its job end; River would cut it off after two minutes.
const drainTurn = time.Minute

// ErrMore means that a drain's turn is over and there is more to do.
var ErrMore = errors.New("there is more to do")

const (
	// inboxBatch is how many posts one transaction takes.
	inboxBatch = 200
	// inboxTries is how often a post that Postgres refuses is tried before it goes to quarantine.
	inboxTries = 3
)

// errWake marks a failure of Wake: no post is at fault, and none may be charged a try for it.
var errWake = errors.New("making a job")

const inboxClaimSQL = `
select id, org_id, source, received_at, method, content_type, event_path, query, body
from ops.inbox
where state = 'new' and not id = any(@skip)
order by received_at
limit @most
for update skip locked`

// Drain works through the posts that nobody has read yet, until none is left or its turn is over: then it returns ErrMore.
// It returns how many it settled. A batch that fails is taken apart, so that one bad post never holds up the others (law 13).
func (d *InboxDrain) Drain(ctx context.Context) (int, error) {
	total := 0
	skip := []uuid.UUID{}
	for over := d.DB.Now().Add(drainTurn); ; {
		if !d.DB.Now().Before(over) {
			return total, ErrMore
		}
		n, err := d.batch(ctx, inboxBatch, skip)
		if err != nil && ctx.Err() == nil && (!Unavailable(err) || TookTooLong(err)) && !errors.Is(err, errWake) {
			// Something in the batch is refused: one by one, to find it.
			var bad uuid.UUID
			n, bad, err = d.oneByOne(ctx, skip)
			if bad != uuid.Nil {
				skip = append(skip, bad)
			}
		}
		total += n
		if err != nil {
			return total, fmt.Errorf("reading posts: %w", err)
		}
		if n == 0 {
			return total, nil
		}
	}
}

// oneByOne settles posts singly until one fails; that one counts a try, and the third failure is its last.
func (d *InboxDrain) oneByOne(ctx context.Context, skip []uuid.UUID) (settled int, bad uuid.UUID, err error) {
	for range inboxBatch {
		var id uuid.UUID
		err := d.DB.InTx(ctx, func(tx pgx.Tx) error {
			posts, err := d.claim(ctx, tx, 1, skip)
			if err != nil || len(posts) == 0 {
				return err
			}
			id = posts[0].ID
			return d.settle(ctx, tx, posts)
		})
		switch {
		case err == nil && id == uuid.Nil:
			return settled, uuid.Nil, nil
		case err == nil:
			settled++
		case id == uuid.Nil || ctx.Err() != nil || Unavailable(err) && !TookTooLong(err) || errors.Is(err, errWake):
			return settled, uuid.Nil, err
		default:
			return settled + 1, id, d.fail(ctx, id, err)
		}
	}
	return settled, uuid.Nil, nil
}

func (d *InboxDrain) batch(ctx context.Context, most int, skip []uuid.UUID) (int, error) {
	n := 0
	err := d.DB.InTx(ctx, func(tx pgx.Tx) error {
		posts, err := d.claim(ctx, tx, most, skip)
		if err != nil || len(posts) == 0 {
			return err
		}
		n = len(posts)
		return d.settle(ctx, tx, posts)
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// One drain at a time: what tells a duplicate is read and written in the same transaction, and two drains would each take
// the same fact for news. A drain waits for the other rather than leave, so that no wake-up is lost.
const inboxLockSQL = `select pg_advisory_xact_lock(hashtextextended('trunkline.inbox', 0))`

func (d *InboxDrain) claim(ctx context.Context, tx pgx.Tx, most int, skip []uuid.UUID) ([]Post, error) {
	if _, err := tx.Exec(ctx, inboxLockSQL); err != nil {
		return nil, fmt.Errorf("waiting for the other drain: %w", err)
	}
	rows, err := tx.Query(ctx, inboxClaimSQL, pgx.StrictNamedArgs{"most": most, "skip": skip})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Post, error) {
		p := Post{State: PostNew}
		err := row.Scan(&p.ID, &p.Org, &p.Source, &p.ReceivedAt, &p.Method, &p.ContentType, &p.EventPath, &p.Query, &p.Body)
		p.ReceivedAt = p.ReceivedAt.UTC()
		return p, err
	})
}

const inboxFailSQL = `
update ops.inbox
set attempts = attempts + 1, error = @error,
  state = case when attempts + 1 >= @tries then 'quarantined' else state end,
  settled_at = case when attempts + 1 >= @tries then @now::timestamptz end
where id = @id and state = 'new'
returning org_id, source, body, state`

// fail counts a try of a post that Postgres refused.
func (d *InboxDrain) fail(ctx context.Context, id uuid.UUID, problem error) error {
	return d.DB.InTx(ctx, func(tx pgx.Tx) error {
		p := Post{ID: id}
		err := tx.QueryRow(ctx, inboxFailSQL, pgx.StrictNamedArgs{
			"id": id, "now": d.DB.Now(), "tries": inboxTries, "error": cleanText(Loggable(problem), maxPostError),
		}).Scan(&p.Org, &p.Source, &p.Body, &p.State)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && p.State == PostNew {
			return nil
		}
		if err != nil {
			return fmt.Errorf("counting a failed try of post %s: %w", id, err)
		}
		return d.quarantine(ctx, tx, &p, problem)
	})
}

const inboxForgetSQL = `
update ops.inbox
set body = '', query = ''
where id = @id`

// quarantine keeps a post that could not be read. Where it names somebody who was erased its bytes are kept nowhere.
func (d *InboxDrain) quarantine(ctx context.Context, tx pgx.Tx, p *Post, problem error) error {
	erased, err := d.DB.scrubbed(ctx, tx, p.Org, slices.Concat(p.Body, []byte{'\n'}, []byte(p.Query)))
	if err != nil {
		return err
	}
	if erased {
		p.Body = nil
		if _, err := tx.Exec(ctx, inboxForgetSQL, pgx.StrictNamedArgs{"id": p.ID}); err != nil {
			return fmt.Errorf("emptying post %s: %w", p.ID, err)
		}
	}
	return d.DB.Quarantine(ctx, tx, quarantineOf(p, problem))
}

const inboxReplaySQL = `
update ops.inbox
set state = 'new', duplicate_of = null, error = null, attempts = 0, settled_at = null
where id = @id`

// ReplayPost hands a post to the drain again, whatever became of it before.
func (db *DB) ReplayPost(ctx context.Context, tx pgx.Tx, id uuid.UUID) (found bool, err error) {
	tag, err := tx.Exec(ctx, inboxReplaySQL, pgx.StrictNamedArgs{"id": id})
	if err != nil {
		return false, fmt.Errorf("replaying post %s: %w", id, err)
	}
	return tag.RowsAffected() > 0, nil
}
