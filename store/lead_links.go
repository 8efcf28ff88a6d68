package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const leadLinksSQL = `
select kind, account_id, value, rule, evidence
from pipeline.lead_keys
where org_id = @org and lead_id = @lead_id
order by kind, account_id, value`

// LeadLinks returns the keys of a lead, each with its rule and the record that told it.
func (db *DB) LeadLinks(ctx context.Context, org, lead uuid.UUID) ([]pipeline.LinkedKey, error) {
	rows, err := db.Pool.Query(ctx, leadLinksSQL, pgx.StrictNamedArgs{"org": org, "lead_id": lead})
	if err != nil {
		return nil, fmt.Errorf("reading the keys of lead %s: %w", lead, err)
	}
	var links []pipeline.LinkedKey
	var k pipeline.LinkedKey
	_, err = pgx.ForEachRow(rows, []any{&k.Kind, &k.Account, &k.Value, &k.Rule, &k.Evidence}, func() error {
		links = append(links, k)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the keys of lead %s: %w", lead, err)
	}
	return links, nil
}
