package storetest

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestOnServer(t *testing.T) {
	t.Parallel()
	dsn, err := onServer("postgres://u:p@host:5433/main?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := dsn("other"), "postgres://u:p@host:5433/other?sslmode=disable"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := onServer("host=x password=hunter2"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v, want one without the password", err)
	}
}

// A second process on a server that outlives it: it cleans up after the killed and leaves the living alone.
func TestAbandonedDatabasesAreSwept(t *testing.T) {
	t.Parallel()
	if os.Getenv("TRUNKLINE_TEST_DATABASE_URL") != "" {
		t.Skip("makes a server of its own to be named")
	}
	here := server(t)
	ctx := t.Context()
	const dead = namePrefix + "0badcafe_template"
	if err := here.exec(ctx, "create database %s", dead); err != nil {
		t.Fatal(err)
	}
	living := EmptyDSN(t)
	holder, err := pgx.Connect(ctx, here.dsn("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = holder.Close(context.Background()) }()
	if _, err := holder.Exec(ctx, "select pg_advisory_lock(hashtextextended($1, 0))", here.prefix); err != nil {
		t.Fatal(err)
	}
	other := process{named: true, admin: here.admin, dsn: here.dsn, prefix: namePrefix + "11111111"}
	if err := other.lease(ctx); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.lessor.Close(context.Background()) }()
	if conn, err := pgx.Connect(ctx, here.dsn(dead)); err == nil {
		_ = conn.Close(ctx)
		t.Error("the database of a killed process is still there")
	}
	conn, err := pgx.Connect(ctx, living)
	if err != nil {
		t.Fatalf("the database of a living process is gone: %v", err)
	}
	_ = conn.Close(ctx)
}
