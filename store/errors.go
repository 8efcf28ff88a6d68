package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

var (
	// ErrNotFound means that there is no such row in the organisation that asked.
	ErrNotFound = errors.New("not found")
	// ErrExists means that a name or a secret is already taken.
	ErrExists = errors.New("already exists")
	// ErrUnavailable means that the database cannot take a write now; the same write may succeed in a moment.
	ErrUnavailable = errors.New("database is unavailable")
)

// Unavailable tells whether err comes from a database that is away, starting, full, read-only or too busy, or from a key that
// is missing here, rather than from what it was asked to do: the same request may succeed later.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return unavailableCode(pgErr.Code)
	}
	var (
		connectErr *pgconn.ConnectError
		netErr     net.Error
	)
	switch {
	case errors.Is(err, ErrBusy), errors.Is(err, ErrUnavailable), errors.Is(err, ErrErasureKey),
		errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, puddle.ErrClosedPool):
		return true
	case errors.As(err, &connectErr), errors.As(err, &netErr):
		return true
	}
	return pgconn.SafeToRetry(err)
}

// unavailableCode sorts SQLSTATE codes: connection trouble (08), lack of resources (53), an operator's doing such as a
// shutdown or a statement timeout (57), a server that became read-only (25006), a transaction that was idle for too long (25P03), lost
// races (40) and lock timeouts (55P03).
func unavailableCode(code string) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", "40", "53", "57":
		return true
	}
	return code == "25006" || code == "25P03" || code == "55P03"
}

// TookTooLong tells whether a statement was ended for its length. Unavailable counts that as the server's fault, which for
// a single row that ever takes so long, or a list that asks for too much, it is not.
func TookTooLong(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "57014"
}

// lostRace tells whether Postgres rolled a transaction back in favour of another one (class 40).
func lostRace(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && len(pgErr.Code) == 5 && pgErr.Code[:2] == "40"
}

// badRow tells whether a row itself was refused (data or integrity, classes 22 and 23), or its sheer size was (54).
func badRow(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) || len(pgErr.Code) != 5 {
		return false
	}
	switch pgErr.Code[:2] {
	case "22", "23", "54":
		return true
	}
	return false
}

// Loggable returns an error's text fit for a log. What Postgres says of data may quote the values of the row it refused: of
// such a refusal only the code and the constraint are left.
func Loggable(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	for _, refusal := range refusals(err, nil) {
		if !quotesNothing(refusal.Code) {
			text = strings.ReplaceAll(text, refusal.Error(), curt(refusal))
		}
	}
	return text
}

// refusals lists what Postgres said in an error and in all that it wraps.
func refusals(err error, found []*pgconn.PgError) []*pgconn.PgError {
	if pgErr, ok := err.(*pgconn.PgError); ok { //nolint:errorlint // this one, not one that it wraps
		return append(found, pgErr)
	}
	switch e := err.(type) { //nolint:errorlint // the tree is walked by hand
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			found = refusals(inner, found)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			found = refusals(inner, found)
		}
	}
	return found
}

// quotesNothing tells whether Postgres' words for a SQLSTATE are about the server, the connection or the schema alone.
func quotesNothing(code string) bool {
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", "25", "28", "3D", "40", "42", "53", "55", "57", "58":
		return true
	}
	return false
}

func curt(refusal *pgconn.PgError) string {
	where := ""
	if refusal.ConstraintName != "" {
		where = ", constraint " + refusal.ConstraintName
	}
	return fmt.Sprintf("postgres refused (SQLSTATE %s%s)", refusal.Code, where)
}

// quietError is a refusal of Postgres that tells no more than Loggable does, and is still what it is to errors.Is and errors.As.
type quietError struct{ err error }

// Quiet hides what an error quotes of rows (law 11), for errors that are logged or stored by who does not know Postgres.
func Quiet(err error) error {
	if _, ok := errors.AsType[*pgconn.PgError](err); !ok {
		return err
	}
	return quietError{err}
}

// Error is Loggable.
func (e quietError) Error() string { return Loggable(e.err) }

// Unwrap returns the error as it was.
func (e quietError) Unwrap() error { return e.err }

// cleanText makes text fit for a text column, which takes neither NUL nor invalid UTF-8, and cuts it to at most limit bytes.
func cleanText(text string, limit int) string {
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", "\uFFFD"), "\uFFFD")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return text
}

func isUniqueViolation(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "23505"
}

func isForeignKeyViolation(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && pgErr.Code == "23503"
}
