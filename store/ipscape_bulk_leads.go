package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// BulkLead is a lead of a bulk create, by what it is found by at the vendor. With another list or key it is another lead.
type BulkLead struct {
	List int64
	// Key is its customer key.
	Key string
}

// bulkHash stands for a customer key. It has no key of its own: whoever reads it reads the customer keys of ipscape.leads too, and it
// goes when its person is erased.
func bulkHash(org uuid.UUID, key string) []byte {
	sum := sha256.Sum256([]byte("bulk lead\x00" + org.String() + "\x00" + key))
	return sum[:]
}

func bulkColumns(org uuid.UUID, leads []BulkLead) (lists []int64, hashes [][]byte) {
	for _, l := range leads {
		lists, hashes = append(lists, l.List), append(hashes, bulkHash(org, l.Key))
	}
	return lists, hashes
}

// KnownBulkLead is a lead that was sent before, or may have been, or that somebody found at the vendor.
type KnownBulkLead struct {
	// At is its place among those that were asked about.
	At int
	// Bulk is the request that sent it, without its lists; its ID is uuid.Nil where none is known to have.
	Bulk BulkCreate
}

// BulkSentError means that leads were sent before and may be at the vendor.
type BulkSentError struct{ Known []KnownBulkLead }

// Error counts them.
func (e *BulkSentError) Error() string {
	return fmt.Sprintf("%d of the leads were sent before", len(e.Known))
}

const bulkLeadsKnownSQL = `
select (n.at - 1)::integer, l.bulk_id, coalesce(b.leads, 0), b.asked_at, coalesce(b.state, ''), coalesce(b.uuid, ''), coalesce(b.status, '')
from unnest(@lists::bigint[], @hashes::bytea[]) with ordinality as n (list_id, hash, at)
join ipscape.bulk_leads l
  on l.org_id = @org and l.account_id = @account and l.list_id = n.list_id and l.hash = n.hash
left join ipscape.bulk_creates b
  on b.org_id = l.org_id and b.account_id = l.account_id and b.bulk_id = l.bulk_id
order by n.at`

// KnownBulkLeads tells which leads were sent before and not refused, or found at the vendor, in their order.
func (db *DB) KnownBulkLeads(ctx context.Context, org uuid.UUID, account string, leads []BulkLead) ([]KnownBulkLead, error) {
	var known []KnownBulkLead
	err := db.onConn(ctx, func(q Queryer) (err error) {
		known, err = knownBulkLeads(ctx, q, org, account, leads)
		return err
	})
	return known, err
}

func knownBulkLeads(ctx context.Context, q Queryer, org uuid.UUID, account string, leads []BulkLead) ([]KnownBulkLead, error) {
	lists, hashes := bulkColumns(org, leads)
	rows, err := q.Query(ctx, bulkLeadsKnownSQL, pgx.StrictNamedArgs{"org": org, "account": account, "lists": lists, "hashes": hashes})
	if err != nil {
		return nil, fmt.Errorf("asking which leads were sent before: %w", err)
	}
	var known []KnownBulkLead
	k := KnownBulkLead{Bulk: BulkCreate{Org: org, Account: account}}
	b := &k.Bulk
	var id *uuid.UUID
	var askedAt *time.Time
	_, err = pgx.ForEachRow(rows, []any{&k.At, &id, &b.Leads, &askedAt, &b.State, &b.UUID, &b.Status}, func() error {
		b.ID, b.AskedAt = uuid.Nil, timeOf(askedAt)
		if id != nil {
			b.ID = *id
		}
		known = append(known, k)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("asking which leads were sent before: %w", err)
	}
	return known, nil
}

// BulkLook is how many leads of a list and key somebody found at the vendor; 2 for more than one.
type BulkLook struct {
	BulkLead
	Copies int
}

const bulkLeadsFoundSQL = `
insert into ipscape.bulk_leads (org_id, account_id, list_id, hash)
select @org, @account, n.list_id, n.hash
from unnest(@lists::bigint[], @hashes::bytea[], @copies::integer[]) as n (list_id, hash, copies)
where n.copies > 0
on conflict (org_id, account_id, list_id, hash) do nothing`

// What was found once is done, whatever becomes of it there.
const bulkLeadsLookedSQL = `
update ipscape.bulk_leads l
set copies = case when n.copies > 0 then n.copies else coalesce(l.copies, 0) end
from unnest(@lists::bigint[], @hashes::bytea[], @copies::integer[]) as n (list_id, hash, copies)
where l.org_id = @org
  and l.account_id = @account
  and l.list_id = n.list_id
  and l.hash = n.hash
returning l.bulk_id`

const bulkLeadsFreeSQL = `
delete from ipscape.bulk_leads l
using ipscape.bulk_creates b, unnest(@lists::bigint[], @hashes::bytea[]) as n (list_id, hash)
where l.org_id = @org
  and l.account_id = @account
  and l.list_id = n.list_id
  and l.hash = n.hash
  and l.copies = 0
  and b.org_id = l.org_id
  and b.account_id = l.account_id
  and b.bulk_id = l.bulk_id
  and b.asked_at <= @sent_by`

// A request is settled once each of its leads is found or given up.
const bulksLookedSQL = `
update ipscape.bulk_creates b
set found = t.found,
    twice = t.twice,
    verified_at = @now,
    state = case when t.settles then t.state else b.state end,
    settled_at = case when t.settles then @now else b.settled_at end
from (
  select c.bulk_id,
    count(*) filter (where l.copies > 0) as found,
    count(*) filter (where l.copies > 1) as twice,
    c.state in ('sending', 'unknown') and count(*) filter (where l.bulk_id is not null and coalesce(l.copies, 0) = 0) = 0 as settles,
    case when count(*) filter (where l.copies > 0) > 0 then 'taken' else 'lost' end as state
  from ipscape.bulk_creates c
  left join ipscape.bulk_leads l
    on l.org_id = c.org_id and l.account_id = c.account_id and l.bulk_id = c.bulk_id
  where c.org_id = @org
    and c.account_id = @account
    and c.bulk_id = any(@bulks)
  group by c.bulk_id, c.state
) t
where b.org_id = @org
  and b.account_id = @account
  and b.bulk_id = t.bulk_id
returning b.bulk_id, b.state`

// NoteBulkLooks notes which leads are there: no bulk create sends them again, whoever created them. Those that are not, and that were
// sent by sentBy, were never taken: they may be sent again. It returns the state of each request that sent any of the leads.
func (db *DB) NoteBulkLooks(ctx context.Context, org uuid.UUID, account string, looks []BulkLook, sentBy time.Time) (map[uuid.UUID]string, error) {
	leads, copies := make([]BulkLead, len(looks)), make([]int, len(looks))
	for i, l := range looks {
		leads[i], copies[i] = l.BulkLead, l.Copies
	}
	lists, hashes := bulkColumns(org, leads)
	states := map[uuid.UUID]string{}
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, bulkLockSQL, pgx.StrictNamedArgs{"org": org, "account": account}); err != nil {
			return err
		}
		found := pgx.StrictNamedArgs{"org": org, "account": account, "lists": lists, "hashes": hashes, "copies": copies}
		if _, err := tx.Exec(ctx, bulkLeadsFoundSQL, found); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, bulkLeadsLookedSQL, found)
		if err != nil {
			return err
		}
		bulks, err := pgx.CollectRows(rows, pgx.RowTo[*uuid.UUID])
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, bulkLeadsFreeSQL, pgx.StrictNamedArgs{"org": org, "account": account, "lists": lists, "hashes": hashes, "sent_by": sentBy})
		if err != nil {
			return err
		}
		rows, err = tx.Query(ctx, bulksLookedSQL, pgx.StrictNamedArgs{"org": org, "account": account, "bulks": bulks, "now": db.Now()})
		if err != nil {
			return err
		}
		var id uuid.UUID
		var state string
		_, err = pgx.ForEachRow(rows, []any{&id, &state}, func() error { states[id] = state; return nil })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("noting which leads of bulk creates are there: %w", err)
	}
	return states, nil
}
