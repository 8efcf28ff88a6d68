package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Gap is a sign that posts were lost: see view analytics.gaps.
type Gap struct {
	Source, Campaign string
	// Kind is GapQuietHour or GapNoDisposition.
	Kind string
	// Since is the hour, or when the first of the calls was told (UTC).
	Since time.Time
	// Missing is how many posts such an hour usually has, or how many calls have no disposition.
	Missing int
}

// The kinds of gaps.
const (
	GapQuietHour     = "quiet_hour"
	GapNoDisposition = "no_disposition"
)

const gapsSQL = `
select source, campaign, kind, since, missing
from analytics.gaps
order by source, campaign, kind, since`

// Gaps lists the signs of lost posts, of all organisations.
func (db *DB) Gaps(ctx context.Context, q Queryer) ([]Gap, error) {
	rows, err := q.Query(ctx, gapsSQL)
	if err != nil {
		return nil, fmt.Errorf("looking for gaps: %w", err)
	}
	gaps, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Gap])
	if err != nil {
		return nil, fmt.Errorf("looking for gaps: %w", err)
	}
	return gaps, nil
}
