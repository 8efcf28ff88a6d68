package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Suppression is an opt-out that a post carries. It holds from the commit of the post's bytes until reconcile has folded
// the record that the post becomes (law 6).
type Suppression struct {
	// Kind is pipeline.KeyPhone, or the kind of the vendor's lead key where the post told no usable phone.
	Kind string
	// Account is the vendor account of a lead key, empty for a phone.
	Account string
	// Value is the phone in E.164, or the lead key's value.
	Value string
	// Stream and ObjectID name the record to come.
	Stream   string
	ObjectID string
	// Reason is the raw code.
	Reason string
}

// SuppressionLockKey names the advisory lock under which an opt-out of this phone or lead key is committed, and under
// which a ringing delivery to it moves to sending. Take it with LockSuppressions.
func SuppressionLockKey(org uuid.UUID, kind, account, value string) string {
	return strings.Join([]string{"suppression", org.String(), kind, account, value}, "|")
}

// The locks are taken in the order of their numbers, whatever the keys: every taker goes the same way round, so that two
// can never wait for each other.
const suppressionsLockSQL = `
select pg_advisory_xact_lock(l.lock)
from (
  select distinct hashtextextended(k.key, 0) as lock
  from unnest(@keys::text[]) as k (key)
  order by 1
) l`

// LockSuppressions takes the locks of keys made by SuppressionLockKey and holds them until the transaction ends. Take them
// in one call, and before any row of ops.deliveries is locked or changed: intake takes locks first and rows second.
func LockSuppressions(ctx context.Context, tx pgx.Tx, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, suppressionsLockSQL, pgx.StrictNamedArgs{"keys": keys}); err != nil {
		return fmt.Errorf("locking %d suppressions: %w", len(keys), err)
	}
	return nil
}

// suppressionRow is one row of ops.suppressions.
type suppressionRow struct {
	Suppression
	org        uuid.UUID
	source     string
	receivedAt time.Time
}

// identity compares what the primary key holds.
func (r suppressionRow) identity(o suppressionRow) int {
	return cmp.Or(
		slices.Compare(r.org[:], o.org[:]),
		strings.Compare(r.Kind, o.Kind), strings.Compare(r.Account, o.Account), strings.Compare(r.Value, o.Value),
		strings.Compare(r.source, o.source), strings.Compare(r.Stream, o.Stream), strings.Compare(r.ObjectID, o.ObjectID),
	)
}

const maxSuppressionText = 500

// suppressionsOf lists the suppressions of posts, each identity once and as first received.
func suppressionsOf(posts []Post) []suppressionRow {
	var rows []suppressionRow
	for i := range posts {
		p := &posts[i]
		for _, s := range p.Suppressions {
			if s.Value == "" {
				continue
			}
			s.Kind, s.Account = cleanText(s.Kind, maxSuppressionText), cleanText(s.Account, maxSuppressionText)
			s.Value, s.Stream = cleanText(s.Value, maxSuppressionText), cleanText(s.Stream, maxSuppressionText)
			s.ObjectID, s.Reason = cleanText(s.ObjectID, maxSuppressionText), cleanText(s.Reason, maxSuppressionText)
			rows = append(rows, suppressionRow{s, p.Org, p.Source, p.ReceivedAt.UTC().Truncate(time.Microsecond)})
		}
	}
	slices.SortStableFunc(rows, func(a, b suppressionRow) int {
		return cmp.Or(a.identity(b), a.receivedAt.Compare(b.receivedAt))
	})
	return slices.CompactFunc(rows, func(a, b suppressionRow) bool { return a.identity(b) == 0 })
}

// suppress commits the posts' opt-outs in tx: takes their locks, notes them, and cancels what was ready to ring them.
func suppress(ctx context.Context, tx pgx.Tx, rows []suppressionRow, now time.Time) error {
	if len(rows) == 0 {
		return nil
	}
	keys := make([]string, len(rows))
	for i, r := range rows {
		keys[i] = SuppressionLockKey(r.org, r.Kind, r.Account, r.Value)
	}
	if err := LockSuppressions(ctx, tx, keys); err != nil {
		return err
	}
	if err := upsertSuppressions(ctx, tx, rows); err != nil {
		return err
	}
	return cancelSuppressed(ctx, tx, rows, now)
}

// One that is told again, in the same words, is the same opt-out: if it has been folded the pipeline knows it, and if it was
// lifted since, hearing of it again does not bring it back (law 6). A new one comes with an identity of its own.
const suppressionsUpsertSQL = `
insert into ops.suppressions (org_id, kind, account_id, value, source, stream, object_id, reason, received_at)
select s.org_id, s.kind, s.account_id, s.value, s.source, s.stream, s.object_id, s.reason, s.received_at
from unnest(@org_ids::uuid[], @kinds::text[], @accounts::text[], @values::text[], @sources::text[], @streams::text[],
  @objects::text[], @reasons::text[], @received::timestamptz[])
  as s (org_id, kind, account_id, value, source, stream, object_id, reason, received_at)
on conflict (org_id, kind, account_id, value, source, stream, object_id) do nothing`

func upsertSuppressions(ctx context.Context, tx pgx.Tx, rows []suppressionRow) error {
	orgs, kinds, accounts, values := splitKeys(rows)
	n := len(rows)
	sources, streams, objects, reasons := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	received := make([]time.Time, n)
	for i, r := range rows {
		sources[i], streams[i], objects[i], reasons[i], received[i] = r.source, r.Stream, r.ObjectID, r.Reason, r.receivedAt
	}
	_, err := tx.Exec(ctx, suppressionsUpsertSQL, pgx.StrictNamedArgs{
		"org_ids": orgs, "kinds": kinds, "accounts": accounts, "values": values, "sources": sources, "streams": streams,
		"objects": objects, "reasons": reasons, "received": received,
	})
	if err != nil {
		return fmt.Errorf("noting %d suppressions: %w", n, err)
	}
	return nil
}

// What names a phone and what names a lead are found apart, each by its own index.
const deliveriesSuppressSQL = `
with told as (
  select *
  from unnest(@org_ids::uuid[], @kinds::text[], @accounts::text[], @values::text[]) as t (org_id, kind, account_id, value)
), hit as (
  select d.id
  from told t
  join ops.deliveries d on d.org_id = t.org_id and d.phone = t.value
  where t.kind = @phone
    and d.state = 'ready'
  union
  select d.id
  from told t
  join pipeline.lead_keys k
    on k.org_id = t.org_id and k.kind = t.kind and k.account_id = t.account_id and k.value = t.value
  join ops.deliveries d on d.org_id = k.org_id and d.lead_id = k.lead_id
  where t.kind <> @phone
    and d.state = 'ready'
), locked as (
  select d.id
  from hit
  join ops.deliveries d on d.id = hit.id
  where d.state = 'ready'
    and d.class = 'rings'
  order by d.id
  for update of d
)
update ops.deliveries d
set state = 'cancelled',
    reason = 'do_not_call',
    settled_at = @settled_at,
    hold = null,
    lease_owner = null,
    lease_until = null
from locked
where d.id = locked.id`

func cancelSuppressed(ctx context.Context, tx pgx.Tx, rows []suppressionRow, now time.Time) error {
	orgs, kinds, accounts, values := splitKeys(rows)
	_, err := tx.Exec(ctx, deliveriesSuppressSQL, pgx.StrictNamedArgs{
		"org_ids": orgs, "kinds": kinds, "accounts": accounts, "values": values,
		"phone": string(pipeline.KeyPhone), "settled_at": now,
	})
	if err != nil {
		return fmt.Errorf("cancelling deliveries of %d suppressions: %w", len(rows), err)
	}
	return nil
}

func splitKeys(rows []suppressionRow) (orgs []pgtype.UUID, kinds, accounts, values []string) {
	for _, r := range rows {
		orgs = append(orgs, pgtype.UUID{Bytes: r.org, Valid: true})
		kinds, accounts, values = append(kinds, r.Kind), append(accounts, r.Account), append(values, r.Value)
	}
	return orgs, kinds, accounts, values
}
