package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// RateWindow is the length of the sliding window in which a key's requests are counted (contracts/lendworks.md section 5).
const RateWindow = time.Minute

// rateLease is how long leased requests may be used.
const rateLease = time.Second

// RateLease is a share of a key's requests that this daemon may let through.
type RateLease struct {
	// Granted requests may begin until the lease ends; Left are still to be had after them.
	Granted, Left int
	// Second names the lease in the window, for the return of what was not used.
	Second int64
	// Until is when the lease ends, by this daemon's clock.
	Until time.Time
	// Free is how long it takes until the eldest requests leave the window; 0 while it is empty.
	Free time.Duration
}

const rateEnsureSQL = `
insert into ops.rate_windows (key_id, updated_at)
values (@key_id, clock_timestamp())
on conflict do nothing`

// Requests count as of the end of their lease, the last moment at which they may begin: so the window never holds more than
// the limit. What an earlier lease left unused is taken out again. All times are the database's own, the one clock that
// all daemons share. The row is locked first and then read, for a snapshot of before the lock would count too few.
const rateTakeSQL = `
with held as (
  select *
  from ops.rate_windows
  where key_id = @key_id
  for update
), clocked as materialized (
  select *, clock_timestamp() as at
  from held
), counted as (
  select c.key_id, c.at,
    floor(extract(epoch from c.at))::bigint + @lease_s::bigint as second,
    coalesce(jsonb_object_agg(e.second, e.used) filter (where e.used > 0), '{}') as leases,
    coalesce(sum(e.used), 0)::integer as used,
    min(e.second::bigint) filter (where e.used > 0) as eldest
  from clocked c
  left join lateral (
    select l.key as second, greatest(0, l.value::integer - case when l.key::bigint = @back_second::bigint then @back::integer else 0 end) as used
    from jsonb_each_text(c.leases) l
    where l.key::bigint > floor(extract(epoch from c.at))::bigint - @window_s::bigint
  ) e on true
  group by c.key_id, c.at
), granted as (
  select *, greatest(0, least(@most::integer, @limit::integer - used)) as n
  from counted
)
update ops.rate_windows w
set leases = case g.n
      when 0 then g.leases
      else g.leases || jsonb_build_object(g.second::text, coalesce((g.leases ->> g.second::text)::integer, 0) + g.n)
    end,
    updated_at = g.at
from granted g
where w.key_id = g.key_id
returning g.n, greatest(0, @limit::integer - g.used - g.n), g.second,
  coalesce(greatest(0.001, extract(epoch from to_timestamp(coalesce(g.eldest, g.second) + @window_s::bigint) - g.at)), 0)::double precision`

// TakeRate leases up to most requests of a key that may make limit requests a minute, and returns what is left unused of
// the lease before it: back requests of backSecond.
func (db *DB) TakeRate(ctx context.Context, key uuid.UUID, limit, most int, back int, backSecond int64) (RateLease, error) {
	var l RateLease
	var free float64
	asked := db.Now()
	args := pgx.StrictNamedArgs{
		"key_id": key, "limit": limit, "most": most, "back": back, "back_second": backSecond,
		"lease_s": int64(rateLease / time.Second), "window_s": int64(RateWindow / time.Second),
	}
	err := db.onConn(ctx, func(q Queryer) error {
		take := func() error {
			return q.QueryRow(ctx, rateTakeSQL, args).Scan(&l.Granted, &l.Left, &l.Second, &free)
		}
		err := take()
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if _, err := q.Exec(ctx, rateEnsureSQL, pgx.StrictNamedArgs{"key_id": key}); err != nil {
			return err
		}
		return take()
	})
	if err != nil {
		return RateLease{}, fmt.Errorf("leasing requests of api key %s: %w", key, err)
	}
	l.Until, l.Free = asked.Add(rateLease), seconds(free)
	return l, nil
}

const ratePruneSQL = `
delete from ops.rate_windows
where updated_at < @now::timestamptz - interval '1 day'`

// pruneRates forgets keys that nobody uses.
func pruneRates(ctx context.Context, tx pgx.Tx, now time.Time) error {
	if _, err := tx.Exec(ctx, ratePruneSQL, pgx.StrictNamedArgs{"now": now}); err != nil {
		return fmt.Errorf("pruning rate windows: %w", err)
	}
	return nil
}
