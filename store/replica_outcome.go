package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/trunkline/trunkline/migrations"
)

// replicaOutcome tells what a read on a replica came to, and whether the replica is to be left alone for a while. An error that is
// no fault of the replica's, such as that of a text that Postgres does not take, is an answer: asked of the primary it would be the
// same.
func replicaOutcome(err error) (outcome string, lasting bool) {
	switch {
	case err == nil:
		return ReplicaServed, false
	case errors.Is(err, errOwnNotShown):
		return ReplicaOwnWrite, false
	case errors.Is(err, errNotShown):
		return ReplicaBehind, false
	case errors.Is(err, errPromoted):
		return ReplicaUnfit, false // one of several it may be; a look tells whether it is the one
	case errors.Is(err, ErrNotFound):
		return ReplicaNotFound, false
	case errors.Is(err, ErrBusy):
		return ReplicaAway, false // it serves others
	case errors.Is(err, errNotTold), errors.Is(err, context.DeadlineExceeded):
		return ReplicaAway, true
	case errors.Is(err, migrations.ErrBehind), errors.Is(err, errNoCopy):
		return ReplicaUnfit, true
	}
	pgErr, refused := errors.AsType[*pgconn.PgError](err)
	_, unconnected := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case unconnected:
		return ReplicaAway, true
	case !refused && Unavailable(err):
		return ReplicaAway, true
	case !refused, badRow(err):
		return ReplicaServed, false
	case lostRace(err):
		return ReplicaConflict, false
	case TookTooLong(err):
		return ReplicaSlow, false // of its own accord: the next may be a short one
	case pgErr.Code == "55P03":
		return ReplicaSlow, true // only replay locks a table there, and it stands still
	case unfitCode(pgErr.Code):
		return ReplicaUnfit, true
	}
	return ReplicaAway, true
}

// unfitCode sorts out what a server says that lacks a table, a column, a right (42), the database (3D) or a schema (3F).
func unfitCode(code string) bool {
	switch code[:min(2, len(code))] {
	case "42", "3D", "3F":
		return true
	}
	return false
}
