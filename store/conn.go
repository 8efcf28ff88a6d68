package store

import (
	"context"
)

// onConn runs fn on one connection, without a transaction, waiting for the connection no longer than acquireTimeout.
func (db *DB) onConn(ctx context.Context, fn func(q Queryer) error) error {
	conn, err := db.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return fn(conn)
}
