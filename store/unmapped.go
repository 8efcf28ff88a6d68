package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// UnmappedSpan is how far back calls are looked at for codes that no rule maps.
const UnmappedSpan = 7 * 24 * time.Hour

// UnmappedCode is a raw code that recent calls carry and no rule maps.
type UnmappedCode struct {
	Org    uuid.UUID
	Source string
	// Code is in upper case, Name the dialler's own words for it, empty where it told none.
	Code, Name string
	Calls      int64
	// LastAt is when the last of the calls was (UTC).
	LastAt time.Time
}

const organisationIDsSQL = `
select org_id
from ops.organisations
order by org_id`

// A client may make up codes without end: the commonest will do.
const recentCodesSQL = `
select source, upper(disposition_raw), coalesce(max(disposition_name), ''), count(*), max(occurred_at)
from pipeline.calls
where org_id = @org
  and occurred_at > @since
  and disposition_raw is not null
group by 1, 2
order by 4 desc, 1, 2
limit 1000`

// UnmappedCodes lists the codes of the calls of the last UnmappedSpan that no rule maps, per organisation, the commonest first.
// Rules are the only fields of the Reconciler that it needs beside DB.
func (r *Reconciler) UnmappedCodes(ctx context.Context) ([]UnmappedCode, error) {
	rows, err := r.DB.Pool.Query(ctx, organisationIDsSQL)
	if err != nil {
		return nil, fmt.Errorf("listing organisations: %w", err)
	}
	orgs, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("listing organisations: %w", err)
	}
	var list []UnmappedCode
	for _, org := range orgs {
		rules, err := r.RulesOf(ctx, r.DB.Pool, org)
		if err != nil {
			return nil, err
		}
		rows, err := r.DB.Pool.Query(ctx, recentCodesSQL, pgx.StrictNamedArgs{"org": org, "since": r.DB.Now().Add(-UnmappedSpan)})
		if err != nil {
			return nil, fmt.Errorf("counting codes: %w", err)
		}
		c := UnmappedCode{Org: org}
		_, err = pgx.ForEachRow(rows, []any{&c.Source, &c.Code, &c.Name, &c.Calls, &c.LastAt}, func() error {
			source := pipeline.Source(c.Source)
			_, mapped := rules.Dispositions.Of(source, c.Code)
			// A client of our API tells of a dialler's call in the API's words.
			if _, ours := rules.Dispositions.Of(pipeline.SourceAPI, c.Code); !mapped && !ours {
				c.LastAt = c.LastAt.UTC()
				list = append(list, c)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("counting codes: %w", err)
		}
	}
	return list, nil
}
