package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// eachRecord reads an organisation's records one after the other, by recordsByIDSQL or a statement with its columns.
func eachRecord(ctx context.Context, tx pgx.Tx, org uuid.UUID, sql string, args pgx.StrictNamedArgs, each func(id int64, rec *pipeline.Record)) error {
	rows, err := tx.Query(ctx, sql, args)
	if err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		id, rec, err := scanRecord(rows, org)
		if err != nil {
			return err
		}
		each(id, rec)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	return nil
}
