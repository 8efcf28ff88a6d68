package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Speed is how fast the leads of the last day were taken care of, in seconds from their creation: the median of each step, and
// nil where no lead got that far.
type Speed struct {
	Leads                                    int
	Ready, Sent, Accepted, Dialled, Answered *float64
}

// speedSpan is how far back Speed looks.
const speedSpan = 24 * time.Hour

const speedSQL = `
select
  count(*),
  percentile_cont(0.5) within group (order by s.ready_s),
  percentile_cont(0.5) within group (order by s.sent_s),
  percentile_cont(0.5) within group (order by s.accepted_s),
  percentile_cont(0.5) within group (order by s.dialled_s),
  percentile_cont(0.5) within group (order by s.answered_s)
from analytics.speed_to_lead s
where s.created_at > @since
  and s.ready_at is not null`

// Speed reads how fast the last day's leads were that are pushed anywhere.
func (db *DB) Speed(ctx context.Context) (Speed, error) {
	var s Speed
	err := db.Pool.QueryRow(ctx, speedSQL, pgx.StrictNamedArgs{"since": db.Now().Add(-speedSpan)}).
		Scan(&s.Leads, &s.Ready, &s.Sent, &s.Accepted, &s.Dialled, &s.Answered)
	if err != nil {
		return s, fmt.Errorf("reading how fast leads were taken care of: %w", err)
	}
	return s, nil
}
