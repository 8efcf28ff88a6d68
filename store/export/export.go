// Package export writes a view of schema analytics, or a table that analysts may read, to CSV, JSON Lines or Parquet. The rows
// come from one snapshot and pass through one at a time, so memory does not grow with them.
package export

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// Format is the form of an export.
type Format string

// The formats there are.
const (
	CSV     Format = "csv"
	JSONL   Format = "jsonl"
	Parquet Format = "parquet"
)

// Formats lists them.
func Formats() []Format { return []Format{CSV, JSONL, Parquet} }

// Options say what is exported, and how.
type Options struct {
	// Relation is a view of schema analytics by its name, or a view or table with its schema.
	Relation string
	Format   Format
	// Columns are the columns wanted, in their order; none means all.
	Columns []string
	// From and To bound the rows by TimeColumn, half-open, in UTC; a zero time is no bound.
	From, To time.Time
	// TimeColumn is the column that From and To look at; empty means the relation's usual one.
	TimeColumn string
	// Organisation keeps to one organisation, by its id or name; empty means all.
	Organisation string
	// Unguarded leaves cells of a CSV that a spreadsheet would take for a formula as they are.
	Unguarded bool
	// Progress is told how many rows are written so far, from time to time; nil tells nobody.
	Progress func(rows int64)
}

// How often Progress is told, in rows: a power of two less one.
const progressMask = 1<<10 - 1

// Export writes what the options ask for and returns how many rows that were. It reads in one repeatable-read transaction,
// which it only reads in, as whatever role the connection has. An error may leave part of the output written.
func Export(ctx context.Context, conn *pgx.Conn, w io.Writer, o Options) (rows int64, err error) {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, conn, options, func(tx pgx.Tx) error {
		rows, err = exportIn(ctx, tx, w, &o)
		return err
	})
	if err != nil {
		return rows, fmt.Errorf("exporting %s: %w", o.Relation, err)
	}
	return rows, nil
}

// sessionSQL fixes what the text of a value depends on, and lifts the limit on a statement: an export takes as long as it takes.
const sessionSQL = `
select set_config('statement_timeout', '0', true),
       set_config('timezone', 'UTC', true),
       set_config('datestyle', 'ISO', true),
       set_config('intervalstyle', 'iso_8601', true),
       set_config('bytea_output', 'hex', true),
       set_config('extra_float_digits', '1', true)`

func exportIn(ctx context.Context, tx pgx.Tx, w io.Writer, o *Options) (int64, error) {
	if _, err := tx.Exec(ctx, sessionSQL); err != nil {
		return 0, fmt.Errorf("preparing the session: %w", err)
	}
	rel, err := find(ctx, tx, o.Relation)
	if err != nil {
		return 0, err
	}
	q, err := rel.query(ctx, tx, o)
	if err != nil {
		return 0, err
	}
	var out encoder
	switch o.Format {
	case CSV:
		out = newCSV(w, q.columns, !o.Unguarded)
	case JSONL:
		out = newJSONL(w, q.columns)
	case Parquet:
		if out, err = newParquet(ctx, tx, w, q); err != nil {
			return 0, err
		}
	default:
		return 0, fmt.Errorf("no format is called %q", o.Format)
	}
	return stream(ctx, tx, q, out, o.Progress)
}

// encoder writes rows, whose values are Postgres' text of them; nil is null. A value is good until the next call.
type encoder interface {
	write(row [][]byte) error
	close() error
}

// stream has the server send rows as they are read off the connection: nothing is collected on either side.
func stream(ctx context.Context, tx pgx.Tx, q *query, out encoder, progress func(int64)) (n int64, err error) {
	args := append([]any{pgx.QueryResultFormats{pgx.TextFormatCode}}, q.args...)
	rows, err := tx.Query(ctx, q.sql(), args...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := out.write(rows.RawValues()); err != nil {
			return n, err
		}
		if n++; n&progressMask == 0 && progress != nil {
			progress(n)
		}
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	if progress != nil {
		progress(n)
	}
	return n, out.close()
}

// UnknownError says that a view, column or organisation is not there, and what is.
type UnknownError struct {
	// What is "view or table", "column" or "organisation".
	What, Name string
	// Known are those there are.
	Known []string
}

// Error implements error.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("no %s is called %q; there are %s", e.What, e.Name, strings.Join(e.Known, ", "))
}
