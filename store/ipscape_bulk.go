package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// States of a bulk create: being sent, taken by the vendor, refused, nobody knows, or not there when somebody looked long after.
const (
	BulkSending = "sending"
	BulkTaken   = "taken"
	BulkUnknown = "unknown"
	BulkRefused = "refused"
	BulkLost    = "lost"
)

// BulkCreate is one request of a bulk create at ipSCAPE.
type BulkCreate struct {
	ID  uuid.UUID
	Org uuid.UUID
	// Account is the vendor account.
	Account string
	Lists   []int64
	Leads   int
	// AskedAt is when it was sent (UTC).
	AskedAt time.Time
	State   string
	// UUID and Status are what the vendor answered, empty for nothing.
	UUID, Status string
}

// Uncertain tells whether nobody knows if the vendor took the request: who sent it may have been killed.
func (b *BulkCreate) Uncertain() bool { return b.State == BulkSending || b.State == BulkUnknown }

const bulkLockSQL = `select pg_advisory_xact_lock(hashtextextended('trunkline.bulk.' || @org::text || '.' || @account::text, 0))`

const bulkInsertSQL = `
insert into ipscape.bulk_creates (org_id, account_id, bulk_id, list_ids, leads, asked_at, state)
values (@org, @account, @id, @lists, @leads, @asked_at, 'sending')`

const bulkLeadsInsertSQL = `
insert into ipscape.bulk_leads (org_id, account_id, list_id, hash, bulk_id)
select @org, @account, n.list_id, n.hash, @id
from unnest(@lists::bigint[], @hashes::bytea[]) as n (list_id, hash)`

// BeginBulk remembers a request and its leads before it is sent. It fails with a BulkSentError when any of them was sent before and not
// refused: one that is not there may still be in the vendor's queue. Of two that begin at once with the same lead one fails.
func (db *DB) BeginBulk(ctx context.Context, b *BulkCreate, leads []BulkLead) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, bulkLockSQL, pgx.StrictNamedArgs{"org": b.Org, "account": b.Account}); err != nil {
			return err
		}
		known, err := knownBulkLeads(ctx, tx, b.Org, b.Account, leads)
		if err != nil {
			return err
		}
		if len(known) > 0 {
			return &BulkSentError{Known: known}
		}
		_, err = tx.Exec(ctx, bulkInsertSQL, pgx.StrictNamedArgs{
			"org": b.Org, "account": b.Account, "id": b.ID, "lists": b.Lists, "leads": b.Leads, "asked_at": b.AskedAt,
		})
		if err != nil {
			return err
		}
		lists, hashes := bulkColumns(b.Org, leads)
		_, err = tx.Exec(ctx, bulkLeadsInsertSQL, pgx.StrictNamedArgs{"org": b.Org, "account": b.Account, "id": b.ID, "lists": lists, "hashes": hashes})
		return err
	})
	if err != nil {
		return fmt.Errorf("remembering a bulk create: %w", err)
	}
	return nil
}

// A request that was looked into meanwhile, and found there, stays taken.
const bulkSettleSQL = `
update ipscape.bulk_creates
set state = case when state = 'sending' then @state else state end,
    uuid = nullif(@uuid, ''),
    status = nullif(@status, ''),
    settled_at = @now
where org_id = @org
  and account_id = @account
  and bulk_id = @id
returning state`

const bulkFreeSQL = `
delete from ipscape.bulk_leads
where org_id = @org
  and account_id = @account
  and bulk_id = @id
  and coalesce(copies, 0) = 0`

// SettleBulk notes what came of a request: its State, UUID and Status. Leads of a refused one may be sent again.
func (db *DB) SettleBulk(ctx context.Context, b *BulkCreate) error {
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		var state string
		err := tx.QueryRow(ctx, bulkSettleSQL, pgx.StrictNamedArgs{
			"org": b.Org, "account": b.Account, "id": b.ID, "state": b.State, "uuid": b.UUID, "status": b.Status, "now": db.Now(),
		}).Scan(&state)
		if err != nil || state != BulkRefused {
			return rowMissing(err)
		}
		_, err = tx.Exec(ctx, bulkFreeSQL, pgx.StrictNamedArgs{"org": b.Org, "account": b.Account, "id": b.ID})
		return err
	})
	if err != nil {
		return fmt.Errorf("noting what came of bulk create %s: %w", b.ID, err)
	}
	return nil
}
