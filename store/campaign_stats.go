package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// CampaignAsked is a campaign whose statistics are still to be taken.
type CampaignAsked struct {
	ID string
	// Type is as the vendor sent it, empty when it sent none.
	Type string
	// Taken are the kinds and periods that were asked for since, as kind/period.
	Taken []string
}

const campaignsToAskSQL = `
select c.campaign_id::text, coalesce(c.type, ''),
  array(
    select distinct s.kind || '/' || s.period
    from ipscape.campaign_stats s
    where s.org_id = c.org_id
      and s.account_id = c.account_id
      and s.campaign_id = c.campaign_id
      and s.observed_at >= @since)
from ipscape.campaigns c
where c.org_id = @org
  and c.account_id = @account
  and c.missing_since is null
order by c.campaign_id`

// CampaignsToAsk lists the present campaigns of an account, with what was taken of each since a time.
func (db *DB) CampaignsToAsk(ctx context.Context, key StreamKey, since time.Time) ([]CampaignAsked, error) {
	var out []CampaignAsked
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, campaignsToAskSQL, pgx.StrictNamedArgs{"org": key.Org, "account": key.Account, "since": since})
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowToStructByPos[CampaignAsked])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing campaigns of %s: %w", key, err)
	}
	return out, nil
}

// A killed daemon's job is rescued within minutes; until then the account goes without.
const snapshotsGoingSQL = `
select exists (
  select
  from river.river_job
  where kind = 'campaign_stats'
    and state in ('available', 'scheduled', 'retryable', 'running')
    and args ->> 'account' = @account)`

// SnapshotsGoing tells whether snapshots of an account's campaigns are being taken, or wait to be.
func (db *DB) SnapshotsGoing(ctx context.Context, q Queryer, account string) (bool, error) {
	var going bool
	if err := q.QueryRow(ctx, snapshotsGoingSQL, pgx.StrictNamedArgs{"account": account}).Scan(&going); err != nil {
		return false, fmt.Errorf("asking whether snapshots are being taken: %w", err)
	}
	return going, nil
}

// PutSnapshot writes one row of a table whose rows are moments, not the latest state of objects. The same moment written again
// replaces it.
func (db *DB) PutSnapshot(ctx context.Context, key StreamKey, table *TypedTable, values []any, observedAt time.Time) error {
	table.prepare()
	l := landing{t: &Target{Org: key.Org, Account: key.Account, Source: key.Source, Stream: key.Stream, Table: table}, now: db.Now()}
	row, err := l.typedJSON([]*observation{{LandRecord: &LandRecord{Values: values}, observedAt: micros(observedAt)}})
	if err == nil {
		err = db.onConn(ctx, func(q Queryer) error {
			_, err := q.Exec(ctx, table.upsert, row)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("writing a row of %s.%s: %w", table.Schema, table.Name, err)
	}
	return nil
}
