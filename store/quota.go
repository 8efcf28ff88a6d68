package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// usageKept is how long it is known how much a key was used.
const usageKept = 400 * 24 * time.Hour

const usageEnsureSQL = `
insert into ops.api_usage (key_id, month, requests)
values (@key_id, @month, 0)
on conflict do nothing`

// The row is locked first and then read, for a snapshot of before the lock would count too few.
const usageTakeSQL = `
with held as (
  select *
  from ops.api_usage
  where key_id = @key_id
    and month = @month
  for update
), counted as (
  select greatest(0, requests - @back::bigint) as used
  from held
), granted as (
  select used, greatest(0, least(@most::bigint, @quota::bigint - used)) as n
  from counted
)
update ops.api_usage u
set requests = g.used + g.n
from granted g
where u.key_id = @key_id
  and u.month = @month
returning g.n::integer`

// TakeQuota leases up to most of the quota requests that a family of keys (APIKey.Family) has in a month, and returns back requests that
// were leased before and not used. The month is its first day (UTC). 0 means that the quota is used up, or leased.
func (db *DB) TakeQuota(ctx context.Context, family uuid.UUID, month time.Time, quota int64, most, back int) (int, error) {
	granted := 0
	args := pgx.StrictNamedArgs{"key_id": family, "month": month, "quota": quota, "most": most, "back": back}
	err := db.onConn(ctx, func(q Queryer) error {
		take := func() error { return q.QueryRow(ctx, usageTakeSQL, args).Scan(&granted) }
		err := take()
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if _, err := q.Exec(ctx, usageEnsureSQL, pgx.StrictNamedArgs{"key_id": family, "month": month}); err != nil {
			return err
		}
		return take()
	})
	if err != nil {
		return 0, fmt.Errorf("leasing the monthly quota of api key %s: %w", family, err)
	}
	return granted, nil
}

const usagePruneSQL = `
delete from ops.api_usage
where month < @before::timestamptz`

// pruneUsage forgets months long past.
func pruneUsage(ctx context.Context, tx pgx.Tx, now time.Time) error {
	if _, err := tx.Exec(ctx, usagePruneSQL, pgx.StrictNamedArgs{"before": now.Add(-usageKept)}); err != nil {
		return fmt.Errorf("pruning the use of api keys: %w", err)
	}
	return nil
}
