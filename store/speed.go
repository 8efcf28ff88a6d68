package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Speed is how fast the leads of the last day were taken care of, in seconds from their creation: the median of each step, and
// nil where no lead got that far.
type Speed struct {
	Leads                                    int
	Ready, Sent, Accepted, Dialled, Answered *float64
	// SentIn and DialledIn count leads by the seconds to that step: the first below the first of SpeedBounds, each other from the
	// bound before it, the last from the last bound on. Nil where there are no leads.
	SentIn, DialledIn []int
}

// SpeedBounds are where the buckets of Speed begin and end, in seconds.
func SpeedBounds() []float64 { return []float64{5, 15, 30, 60, 120, 300, 900, 3600, 14400} }

// speedSpan is how far back Speed looks.
const speedSpan = 24 * time.Hour

// offset 0 has the day's leads found by their index, an organisation at a time.
const speedSQL = `
with day as materialized (
  select s.*
  from ops.organisations o
  cross join lateral (
    select *
    from analytics.speed_to_lead
    where org_id = o.org_id
      and created_at > @since
    offset 0
  ) s
  where s.ready_at is not null
), sent as (
  select width_bucket(sent_s::double precision, @bounds::double precision[]) as bucket, count(*) as leads
  from day
  where sent_s is not null
  group by 1
), dialled as (
  select width_bucket(dialled_s::double precision, @bounds::double precision[]) as bucket, count(*) as leads
  from day
  where dialled_s is not null
  group by 1
)
select
  count(*),
  percentile_cont(0.5) within group (order by ready_s),
  percentile_cont(0.5) within group (order by sent_s),
  percentile_cont(0.5) within group (order by accepted_s),
  percentile_cont(0.5) within group (order by dialled_s),
  percentile_cont(0.5) within group (order by answered_s),
  array(select coalesce(h.leads, 0) from generate_series(0, cardinality(@bounds)) as b (n) left join sent h on h.bucket = b.n order by b.n),
  array(select coalesce(h.leads, 0) from generate_series(0, cardinality(@bounds)) as b (n) left join dialled h on h.bucket = b.n order by b.n)
from day`

// Speed reads how fast the last day's leads were that are pushed anywhere.
func (db *DB) Speed(ctx context.Context) (Speed, error) {
	var s Speed
	err := db.Pool.QueryRow(ctx, speedSQL, pgx.StrictNamedArgs{"since": db.Now().Add(-speedSpan), "bounds": SpeedBounds()}).
		Scan(&s.Leads, &s.Ready, &s.Sent, &s.Accepted, &s.Dialled, &s.Answered, &s.SentIn, &s.DialledIn)
	if err != nil {
		return s, fmt.Errorf("reading how fast leads were taken care of: %w", err)
	}
	if s.Leads == 0 {
		s.SentIn, s.DialledIn = nil, nil
	}
	return s, nil
}

// SpeedRow is how fast one lead was taken care of: seconds from its creation, nil for a step that it has not reached.
type SpeedRow struct {
	LeadID                                   uuid.UUID
	CreatedAt                                time.Time
	Ready, Sent, Accepted, Dialled, Answered *int64
}

// SpeedQuery asks for the last day's leads whose Step, sent or dialled, came at least From and less than To seconds after their
// creation; Step empty means all leads that are pushed anywhere.
type SpeedQuery struct {
	Step     string
	From, To float64
	Limit    int
}

const speedRowsSQL = `
select s.lead_id, s.created_at, s.ready_s, s.sent_s, s.accepted_s, s.dialled_s, s.answered_s
from ops.organisations o
cross join lateral (
  select *
  from analytics.speed_to_lead
  where org_id = o.org_id
    and created_at > @since
  offset 0
) s
where s.ready_at is not null
  and case @step when 'sent' then s.sent_s >= @from and s.sent_s < @to
    when 'dialled' then s.dialled_s >= @from and s.dialled_s < @to
    else true end
order by s.created_at desc, s.lead_id
limit @limit`

// SpeedRows lists leads of the last day, newest first.
func (db *DB) SpeedRows(ctx context.Context, q SpeedQuery) ([]SpeedRow, error) {
	rows, err := db.Pool.Query(ctx, speedRowsSQL, pgx.StrictNamedArgs{
		"since": db.Now().Add(-speedSpan), "step": q.Step, "from": q.From, "to": q.To, "limit": q.Limit,
	})
	if err != nil {
		return nil, fmt.Errorf("listing how fast leads were taken care of: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[SpeedRow])
	if err != nil {
		return nil, fmt.Errorf("listing how fast leads were taken care of: %w", err)
	}
	return list, nil
}
