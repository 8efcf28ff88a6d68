package store

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/trunkline/trunkline/migrations"
)

// replicaOutcome tells what a read on a replica came to, and whether the replica is to be left alone for a while. An error that is
// no fault of the replica's, such as that of a statement that took too long, is an answer: asked of the primary it would be the
// same, a second time.
func replicaOutcome(err error) (outcome string, lasting bool) {
	switch {
	case err == nil, TookTooLong(err):
		return ReplicaServed, false
	case errors.Is(err, errNotReplayed):
		return ReplicaBehind, false
	case errors.Is(err, ErrNotFound):
		return ReplicaNotFound, false
	case errors.Is(err, ErrBusy), errors.Is(err, errNotTold):
		return ReplicaAway, true
	case errors.Is(err, migrations.ErrBehind):
		return ReplicaUnfit, true
	}
	pgErr, refused := errors.AsType[*pgconn.PgError](err)
	_, unconnected := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case unconnected:
		return ReplicaAway, true
	case refused && lostRace(err):
		return ReplicaConflict, false
	case refused && unfitCode(pgErr.Code):
		return ReplicaUnfit, true
	case refused, Unavailable(err):
		return ReplicaAway, true
	}
	return ReplicaServed, false
}

// unfitCode sorts out what a server says that lacks a table, a column, a right (42), the database (3D) or a schema (3F).
func unfitCode(code string) bool {
	switch code[:min(2, len(code))] {
	case "42", "3D", "3F":
		return true
	}
	return false
}
