package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// demoName marks a database that `trunkline demo` made and may empty again.
const demoName = "Demo"

var (
	// ErrRealAccounts means that a database holds something that no demo put there.
	ErrRealAccounts = errors.New("the database holds real accounts: the demo would destroy them")
	// ErrDemoRuns means that another demo is at work on the database.
	ErrDemoRuns = errors.New("another demo is running on this database")
)

const demoLockSQL = `
select pg_try_advisory_lock(hashtextextended('trunkline.demo', 0))`

// LockForDemo keeps other demos away from the database until the session ends. It fails with ErrDemoRuns where another
// has done so. q must be one session, not a pool.
func LockForDemo(ctx context.Context, q Queryer) error {
	var got bool
	if err := q.QueryRow(ctx, demoLockSQL).Scan(&got); err != nil {
		return fmt.Errorf("locking the database for the demo: %w", err)
	}
	if !got {
		return ErrDemoRuns
	}
	return nil
}

const demoStateSQL = `
select to_regclass('ops.organisations') is not null`

const demoOwnerSQL = `
select
  exists (select from ops.organisations where name = @demo and is_default),
  exists (select from ops.records) or exists (select from ops.inbox) or exists (select from ops.budgets) or exists (select from ops.api_keys)
    or exists (select from ops.organisations where not is_default or receiver_token_hash is not null),
  exists (select from ops.daemons where seen_at > @alive)`

const demoDropSQL = `
drop schema if exists ops, ipscape, convoso, convolo, dialedin, pipeline, analytics, river cascade`

// EmptyForDemo empties the database of what an earlier demo left. It touches nothing where anything else was kept.
func (db *DB) EmptyForDemo(ctx context.Context) error {
	return db.InTx(ctx, func(tx pgx.Tx) error {
		var used, ours, filled, alive bool
		if err := tx.QueryRow(ctx, demoStateSQL).Scan(&used); err != nil {
			return fmt.Errorf("looking at the database: %w", err)
		}
		if !used {
			return nil
		}
		err := tx.QueryRow(ctx, demoOwnerSQL, pgx.StrictNamedArgs{"demo": demoName, "alive": db.Now().Add(-5 * time.Second)}).Scan(&ours, &filled, &alive)
		switch {
		case err != nil:
			return fmt.Errorf("looking at the database: %w", err)
		case !ours && filled:
			return ErrRealAccounts
		case alive:
			return ErrDemoRuns
		}
		if _, err := tx.Exec(ctx, demoDropSQL); err != nil {
			return fmt.Errorf("emptying the database: %w", err)
		}
		return nil
	})
}

const demoMarkSQL = `
update ops.organisations
set name = @demo
where org_id = @org`

// MarkDemo marks the database as one that a demo may empty.
func (db *DB) MarkDemo(ctx context.Context, org uuid.UUID) error {
	if _, err := db.Pool.Exec(ctx, demoMarkSQL, pgx.StrictNamedArgs{"demo": demoName, "org": org}); err != nil {
		return fmt.Errorf("marking the database as a demo's: %w", err)
	}
	return nil
}

// Counts is how much of everything there is: the demo compares it with what the vendors hold.
type Counts struct {
	Activities, IPSCAPELeads         int
	LeadLists, Campaigns, Users      int
	DialAttempts, CampaignStats      int
	Posts, PostsOpen, PostsDuplicate int
	PostsConvoso, PostsConvolo       int
	PostsLendWorks                   int
	PostsBad                         int
	Facts                            int
	Unfolded                         int
	Leads, Calls, CallsConvoso       int
	CallsIPSCAPE                     int
	// CallsConvolo are those that are linked with their lead, and have their row in convolo.calls with its delivery.
	CallsConvolo             int
	KeysIPSCAPE, KeysConvoso int
	KeysLendWorks            int
	DNC, DNCNorthAmerican    int
	Quarantined              int
}

const countsSQL = `
select
  (select count(*) from ipscape.activities),
  (select count(*) from ipscape.leads),
  (select count(*) from ipscape.lead_lists),
  (select count(*) from ipscape.campaigns),
  (select count(*) from ipscape.users),
  (select count(*) from ipscape.dial_attempts),
  (select count(distinct campaign_id) from ipscape.campaign_stats),
  (select count(*) from ops.inbox),
  (select count(*) from ops.inbox where source = 'convoso'),
  (select count(*) from ops.inbox where source = 'convolo'),
  (select count(*) from ops.inbox where source = 'lendworks'),
  (select count(*) from ops.inbox where state = 'new'),
  (select count(*) from ops.inbox where state = 'duplicate'),
  (select count(*) from ops.inbox where state in ('unclassified', 'unparsable', 'quarantined')),
  (select count(*) from convoso.events),
  (select count(*) from ops.reconcile_queue),
  (select count(*) from pipeline.leads),
  (select count(*) from pipeline.calls),
  (select count(*) from pipeline.calls where source = 'convoso'),
  (select count(*) from pipeline.calls where source = 'ipscape'),
  (select count(*)
   from pipeline.calls c
   join convolo.calls v on v.org_id = c.org_id and v.account_id = c.account_id and v.call_id = c.external_call_id
   join ops.deliveries d on d.id = v.delivery_id
   left join pipeline.lead_merges m on m.org_id = d.org_id and m.lead_id = d.lead_id
   where c.source = 'convolo' and c.lead_id in (d.lead_id, m.into_lead_id)),
  (select count(distinct value) from pipeline.lead_keys where kind = 'ipscape_lead'),
  (select count(distinct value) from pipeline.lead_keys where kind = 'convoso_lead'),
  (select count(distinct value) from pipeline.lead_keys where kind = 'lendworks_lead'),
  (select count(*) from pipeline.do_not_call where lifted_at is null),
  (select count(*) from pipeline.do_not_call where lifted_at is null and phone like '+1%'),
  (select count(*) from ops.quarantine where state = 'open')`

// Counts reads all counts in one snapshot.
func (db *DB) Counts(ctx context.Context) (Counts, error) {
	var c Counts
	err := db.Pool.QueryRow(ctx, countsSQL).Scan(
		&c.Activities, &c.IPSCAPELeads, &c.LeadLists, &c.Campaigns, &c.Users, &c.DialAttempts, &c.CampaignStats, &c.Posts, &c.PostsConvoso, &c.PostsConvolo, &c.PostsLendWorks, &c.PostsOpen, &c.PostsDuplicate, &c.PostsBad, &c.Facts, &c.Unfolded, &c.Leads,
		&c.Calls, &c.CallsConvoso, &c.CallsIPSCAPE, &c.CallsConvolo, &c.KeysIPSCAPE, &c.KeysConvoso, &c.KeysLendWorks, &c.DNC, &c.DNCNorthAmerican, &c.Quarantined)
	if err != nil {
		return c, fmt.Errorf("counting: %w", err)
	}
	return c, nil
}

// DeliveryCount is how many deliveries of one kind are in one state.
type DeliveryCount struct {
	Destination, Operation, State, Reason string
	Count                                 int
}

const deliveryCountsSQL = `
select destination, operation, state, coalesce(reason, ''), count(*)
from ops.deliveries
group by 1, 2, 3, 4
order by 1, 2, 3, 4`

// DeliveryCounts counts deliveries by what became of them.
func (db *DB) DeliveryCounts(ctx context.Context, q Queryer) ([]DeliveryCount, error) {
	rows, err := q.Query(ctx, deliveryCountsSQL)
	if err != nil {
		return nil, fmt.Errorf("counting deliveries: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[DeliveryCount])
}
