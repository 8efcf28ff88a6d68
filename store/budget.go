package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// BudgetKey names the request budget of one vendor account.
type BudgetKey struct {
	Org     uuid.UUID
	Account string
	Source  pipeline.Source
}

func (k BudgetKey) args(a pgx.StrictNamedArgs) pgx.StrictNamedArgs {
	a["org"], a["account"], a["source"] = k.Org, k.Account, string(k.Source)
	return a
}

// String names the account in errors and logs.
func (k BudgetKey) String() string { return string(k.Source) + " account " + k.Account }

// All times of a budget are the database's own, the one clock that all daemons share: a daemon whose clock is ahead would
// take tokens that the others never see again.
const budgetEnsureSQL = `
insert into ops.budgets as b (org_id, account_id, source, tokens, refilled_at)
values (@org, @account, @source, greatest(1, @rate::double precision), clock_timestamp())
on conflict (org_id, account_id, source) do update
set denied_at = null,
    probe_at = null,
    credential_hash = null
where b.denied_at is not null
  and b.credential_hash is distinct from @credential_hash::bytea`

// EnsureBudget makes the account's row, and clears a mark of refused credentials when these are other ones. rate is in
// requests a second.
func (db *DB) EnsureBudget(ctx context.Context, key BudgetKey, rate float64, credentialHash []byte) error {
	args := key.args(pgx.StrictNamedArgs{"rate": rate, "credential_hash": credentialHash})
	return db.budgetExec(ctx, "making the budget of", budgetEnsureSQL, key, args)
}

// Budget is what an account's budget says to one who asks.
type Budget struct {
	// Granted is how many requests may start.
	Granted int
	// Paused is how long the vendor still wants us to wait, 0 when it does not.
	Paused time.Duration
	// Denied tells that the credentials were refused; Probe, that this request may test them again; ProbeIn is when the next
	// one may.
	Denied  bool
	Probe   bool
	ProbeIn time.Duration
	// Wait is when asking again can help, where nothing was granted and the account is neither paused nor denied.
	Wait time.Duration
}

// laneYield is how long after a better lane last had to wait the lanes below it hold back.
const laneYield = time.Second

// probeEvery is how often one request may test credentials that were refused (law 10).
const probeEvery = 10 * time.Minute

// One statement reckons the tokens, decides and takes. Live goes first: while a live request had to wait within the last
// second, nobody else is served. Between the other lanes the seconds of the clock decide: every fifth is the backfill's,
// and in the others it yields to re-reads that had to wait. What the backfill leaves of its second stays in the bucket.
// Below one request a second the turns are as long as one request, or their rhythm and the tokens' could be the same.
const budgetTakeSQL = `
with held as (
  select *
  from ops.budgets
  where org_id = @org
    and account_id = @account
    and source = @source
  for update
), clocked as materialized (
  select *, clock_timestamp() as at
  from held
), reckoned as (
  select *,
    least(greatest(1, @rate::double precision), tokens + greatest(0, extract(epoch from at - refilled_at)) * @rate::double precision) as available,
    coalesce(paused_until > at, false) as paused,
    denied_at is not null as denied,
    coalesce(waiting_live > at - make_interval(secs => @yield), false) as live_waits,
    coalesce(waiting_reread > at - make_interval(secs => @yield), false) as reread_waits,
    floor(extract(epoch from at)::double precision * least(1, @rate::double precision))::bigint % 5 = 0 as backfill_turn
  from clocked
), judged as (
  select *,
    denied and not paused and coalesce(probe_at <= at, true) as probe,
    case
      when paused or denied then 0
      when @rate::double precision = 0 then @most::integer
      when @lane::text = 'live'
        or @lane = 'reread' and not live_waits and not backfill_turn
        or @lane = 'backfill' and not live_waits and (backfill_turn or not reread_waits)
        then least(@most::integer, floor(available)::integer)
      else 0
    end as granted
  from reckoned
)
update ops.budgets b
set tokens = case when @rate::double precision = 0 then b.tokens else j.available - j.granted end,
    refilled_at = greatest(b.refilled_at, j.at),
    waiting_live = case when j.granted = 0 and not j.paused and not j.denied and @lane = 'live' then j.at else b.waiting_live end,
    waiting_reread = case when j.granted = 0 and not j.paused and not j.denied and @lane = 'reread' then j.at else b.waiting_reread end,
    probe_at = case when j.probe then j.at + make_interval(secs => @probe_every) else b.probe_at end
from judged j
where b.org_id = j.org_id
  and b.account_id = j.account_id
  and b.source = j.source
returning j.granted,
  case when j.paused then extract(epoch from j.paused_until - j.at)::double precision else 0 end,
  j.denied,
  j.probe,
  coalesce(extract(epoch from b.probe_at - j.at)::double precision, 0),
  case when @rate::double precision = 0 then 0 else greatest(0, 1 - (j.available - j.granted)) / @rate::double precision end`

// TakeBudget asks for up to most requests in a lane (live, reread or backfill) at the given rate in requests a second; rate
// 0 is no limit. It fails with ErrNotFound where EnsureBudget was never called.
func (db *DB) TakeBudget(ctx context.Context, key BudgetKey, lane string, rate float64, most int) (Budget, error) {
	args := key.args(pgx.StrictNamedArgs{
		"lane": lane, "rate": rate, "most": most, "yield": laneYield.Seconds(), "probe_every": probeEvery.Seconds(),
	})
	return db.readBudget(ctx, key, budgetTakeSQL, args)
}

const budgetLookSQL = `
select 0::integer,
  greatest(0, coalesce(extract(epoch from paused_until - clock_timestamp())::double precision, 0)),
  denied_at is not null,
  denied_at is not null and coalesce(probe_at <= clock_timestamp(), true),
  coalesce(extract(epoch from probe_at - clock_timestamp())::double precision, 0),
  0::double precision
from ops.budgets
where org_id = @org
  and account_id = @account
  and source = @source`

// LookBudget reads whether the account is paused or denied, and takes nothing; Budget.Probe then means that a probe is due.
func (db *DB) LookBudget(ctx context.Context, key BudgetKey) (Budget, error) {
	return db.readBudget(ctx, key, budgetLookSQL, key.args(pgx.StrictNamedArgs{}))
}

func (db *DB) readBudget(ctx context.Context, key BudgetKey, sql string, args pgx.StrictNamedArgs) (Budget, error) {
	var b Budget
	var paused, probeIn, wait float64
	err := db.onConn(ctx, func(q Queryer) error {
		return q.QueryRow(ctx, sql, args).Scan(&b.Granted, &paused, &b.Denied, &b.Probe, &probeIn, &wait)
	})
	if err != nil {
		return Budget{}, fmt.Errorf("asking the budget of %s: %w", key, rowMissing(err))
	}
	b.Paused, b.ProbeIn, b.Wait = seconds(paused), seconds(probeIn), seconds(wait)
	return b, nil
}

func rowMissing(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

func seconds(s float64) time.Duration { return time.Duration(max(s, 0) * float64(time.Second)) }

const budgetPauseSQL = `
update ops.budgets
set paused_until = greatest(paused_until, clock_timestamp() + make_interval(secs => @wait))
where org_id = @org
  and account_id = @account
  and source = @source`

// PauseBudget stops the account for all lanes and daemons for a time; a longer pause that is set already stays.
func (db *DB) PauseBudget(ctx context.Context, key BudgetKey, wait time.Duration) error {
	return db.budgetExec(ctx, "pausing", budgetPauseSQL, key, key.args(pgx.StrictNamedArgs{"wait": wait.Seconds()}))
}

const budgetDenySQL = `
update ops.budgets
set denied_at = coalesce(denied_at, clock_timestamp()),
    probe_at = clock_timestamp() + make_interval(secs => @probe_every),
    credential_hash = @credential_hash
where org_id = @org
  and account_id = @account
  and source = @source`

// DenyBudget marks the account's credentials as refused.
func (db *DB) DenyBudget(ctx context.Context, key BudgetKey, credentialHash []byte) error {
	args := key.args(pgx.StrictNamedArgs{"probe_every": probeEvery.Seconds(), "credential_hash": credentialHash})
	return db.budgetExec(ctx, "marking as denied", budgetDenySQL, key, args)
}

const budgetAcceptSQL = `
update ops.budgets
set denied_at = null,
    probe_at = null,
    credential_hash = null
where org_id = @org
  and account_id = @account
  and source = @source
  and denied_at is not null`

// AcceptBudget clears the mark of refused credentials: a request was accepted, or an operator says so.
func (db *DB) AcceptBudget(ctx context.Context, key BudgetKey) error {
	return db.budgetExec(ctx, "clearing the denial of", budgetAcceptSQL, key, key.args(pgx.StrictNamedArgs{}))
}

func (db *DB) budgetExec(ctx context.Context, doing, sql string, key BudgetKey, args pgx.StrictNamedArgs) error {
	err := db.onConn(ctx, func(q Queryer) error {
		_, err := q.Exec(ctx, sql, args)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, key, err)
	}
	return nil
}
