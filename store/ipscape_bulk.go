package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// States of a bulk create: being sent, taken by the vendor, refused, or nobody knows.
const (
	BulkSending = "sending"
	BulkTaken   = "taken"
	BulkUnknown = "unknown"
	BulkRefused = "refused"
)

// BulkCreate is one request of a bulk create at ipSCAPE.
type BulkCreate struct {
	ID  uuid.UUID
	Org uuid.UUID
	// Account is the vendor account.
	Account string
	// Fingerprint tells which leads it creates.
	Fingerprint []byte
	Lists       []int64
	Leads       int
	// AskedAt is when it was sent (UTC).
	AskedAt time.Time
	State   string
	// UUID and Status are what the vendor answered, empty for nothing.
	UUID, Status string
}

// ErrBulkSent means that the very same leads were sent before, and may be at the vendor.
var ErrBulkSent = errors.New("these leads were sent before")

const bulkLockSQL = `select pg_advisory_xact_lock(hashtextextended('trunkline.bulk.' || @org::text || '.' || @account::text, 0))`

const bulkLatestSQL = `
select bulk_id, org_id, account_id, fingerprint, list_ids, leads, asked_at, state, coalesce(uuid, ''), coalesce(status, '')
from ipscape.bulk_creates
where org_id = @org
  and account_id = @account
  and fingerprint = @fingerprint
  and state <> 'refused'
order by asked_at desc
limit 1`

const bulkInsertSQL = `
insert into ipscape.bulk_creates (org_id, account_id, bulk_id, fingerprint, list_ids, leads, asked_at, state)
values (@org, @account, @id, @fingerprint, @lists, @leads, @asked_at, 'sending')`

// BeginBulk remembers a request before it is sent. It fails with ErrBulkSent when the same leads were sent before and not refused: those
// that are not there may still be in the vendor's queue, and nobody can ask how long.
func (db *DB) BeginBulk(ctx context.Context, b *BulkCreate) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, bulkLockSQL, pgx.StrictNamedArgs{"org": b.Org, "account": b.Account}); err != nil {
			return err
		}
		before, err := latestBulk(ctx, tx, b.Org, b.Account, b.Fingerprint)
		switch {
		case err == nil:
			return fmt.Errorf("%w: at %s, as %s", ErrBulkSent, before.AskedAt.Format(time.RFC3339), orElse(before.UUID, "nobody knows what"))
		case !errors.Is(err, ErrNotFound):
			return err
		}
		_, err = tx.Exec(ctx, bulkInsertSQL, pgx.StrictNamedArgs{
			"org": b.Org, "account": b.Account, "id": b.ID, "fingerprint": b.Fingerprint, "lists": b.Lists, "leads": b.Leads, "asked_at": b.AskedAt,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("remembering a bulk create: %w", err)
	}
	return nil
}

// LatestBulk returns the last request that created these leads, or may have; ErrNotFound where there was none.
func (db *DB) LatestBulk(ctx context.Context, org uuid.UUID, account string, fingerprint []byte) (BulkCreate, error) {
	var b BulkCreate
	err := db.onConn(ctx, func(q Queryer) (err error) {
		b, err = latestBulk(ctx, q, org, account, fingerprint)
		return err
	})
	return b, err
}

func latestBulk(ctx context.Context, q Queryer, org uuid.UUID, account string, fingerprint []byte) (BulkCreate, error) {
	rows, err := q.Query(ctx, bulkLatestSQL, pgx.StrictNamedArgs{"org": org, "account": account, "fingerprint": fingerprint})
	if err != nil {
		return BulkCreate{}, fmt.Errorf("reading a bulk create: %w", err)
	}
	b, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[BulkCreate])
	if err != nil {
		return BulkCreate{}, fmt.Errorf("reading a bulk create: %w", rowMissing(err))
	}
	b.AskedAt = b.AskedAt.UTC()
	return b, nil
}

const bulkSettleSQL = `
update ipscape.bulk_creates
set state = @state,
    uuid = nullif(@uuid, ''),
    status = nullif(@status, ''),
    settled_at = @now
where org_id = @org
  and account_id = @account
  and bulk_id = @id`

// SettleBulk notes what came of a request: its State, UUID and Status.
func (db *DB) SettleBulk(ctx context.Context, b *BulkCreate) error {
	return db.changeBulk(ctx, bulkSettleSQL, pgx.StrictNamedArgs{
		"org": b.Org, "account": b.Account, "id": b.ID, "state": b.State, "uuid": b.UUID, "status": b.Status, "now": db.Now(),
	})
}

const bulkVerifySQL = `
update ipscape.bulk_creates
set found = @found,
    twice = @twice,
    verified_at = @now
where org_id = @org
  and account_id = @account
  and bulk_id = @id`

// NoteBulk notes how many leads of a request were there when somebody looked, and how many of them more than once.
func (db *DB) NoteBulk(ctx context.Context, b *BulkCreate, found, twice int) error {
	return db.changeBulk(ctx, bulkVerifySQL, pgx.StrictNamedArgs{
		"org": b.Org, "account": b.Account, "id": b.ID, "found": found, "twice": twice, "now": db.Now(),
	})
}

func (db *DB) changeBulk(ctx context.Context, statement string, args pgx.StrictNamedArgs) error {
	err := db.onConn(ctx, func(q Queryer) error {
		tag, err := q.Exec(ctx, statement, args)
		if err == nil && tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("noting what came of a bulk create: %w", err)
	}
	return nil
}
