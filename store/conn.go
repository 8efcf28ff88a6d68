package store

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"
)

// onConn runs fn on one connection, without a transaction, waiting for the connection no longer than acquireTimeout.
func (db *DB) onConn(ctx context.Context, fn func(q Queryer) error) error {
	if db.pinned != nil {
		return fn(db.pinned)
	}
	conn, err := db.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return fn(conn)
}

// on is the same database, of which all is asked on one connection.
func (db *DB) on(conn *pgxpool.Conn) *DB {
	return &DB{Pool: db.Pool, Log: db.Log, Clock: db.Clock, Erased: db.Erased, pinned: conn}
}
