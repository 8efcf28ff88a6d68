package store

import (
	"context"
	"errors"
	"fmt"
)

// ErrReadOnly means that the server answers but takes no writes, as a standby after a failover does.
var ErrReadOnly = errors.New("database is read-only")

const writableSQL = `
select pg_is_in_recovery() or current_setting('transaction_read_only')::boolean`

// Writable tells whether the database answers and takes writes: nil when it does, ErrReadOnly when it answers that it does
// not. It writes nothing.
func (db *DB) Writable(ctx context.Context) error {
	var readOnly bool
	err := db.onConn(ctx, func(q Queryer) error { return q.QueryRow(ctx, writableSQL).Scan(&readOnly) })
	if err != nil {
		return fmt.Errorf("probing the database: %w", err)
	}
	if readOnly {
		return ErrReadOnly
	}
	return nil
}
