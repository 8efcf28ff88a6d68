package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/trunkline/trunkline/store"
)

func TestUnavailable(t *testing.T) {
	t.Parallel()
	code := func(c string) error { return fmt.Errorf("writing: %w", &pgconn.PgError{Code: c}) }
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("some fault of ours"), false},
		{store.ErrNotFound, false},
		{store.ErrBusy, true},
		{fmt.Errorf("writing: %w", store.ErrUnavailable), true},
		{fmt.Errorf("writing: %w", context.DeadlineExceeded), true},
		{io.ErrUnexpectedEOF, true},
		{code("57P01"), true},
		{code("57014"), true},
		{code("53300"), true},
		{code("25006"), true},
		{code("40P01"), true},
		{code("08006"), true},
		{code("23505"), false},
		{code("22P02"), false},
		{code("42P01"), false},
		{code(""), false},
	} {
		if got := store.Unavailable(c.err); got != c.want {
			t.Errorf("Unavailable(%v) = %t", c.err, got)
		}
	}
}

func TestLoggableQuotesNoValues(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("writing: %w", &pgconn.PgError{
		Code: "23505", Message: `invalid value "+15035550142"`, Detail: "Key (phone)=(+15035550142)", ConstraintName: "leads_pkey",
	})
	got := store.Loggable(err)
	if strings.Contains(got, "5035550142") || !strings.Contains(got, "23505") || !strings.Contains(got, "leads_pkey") {
		t.Errorf("Loggable = %q", got)
	}
	server := &pgconn.PgError{Severity: "ERROR", Code: "42501", Message: "permission denied for table leads"}
	got = store.Loggable(fmt.Errorf("looking: %w", errors.Join(server, err, store.Quiet(err))))
	if strings.Contains(got, "5035550142") || !strings.HasPrefix(got, "looking: ") || !strings.Contains(got, "permission denied for table leads") {
		t.Errorf("Loggable of several = %q", got)
	}
	if store.Loggable(nil) != "" || store.Loggable(io.EOF) != "EOF" {
		t.Error("other errors are not told as they are")
	}
}
