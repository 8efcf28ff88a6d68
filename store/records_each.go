package store

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Rejected is a record that Postgres would not take, by its index in the batch.
type Rejected struct {
	Index int
	Err   error
}

// LandEach is Land, but a record that Postgres refuses does not stop the others (law 13): the batch is halved until the bad
// ones stand alone, and they are returned for quarantine. An error means that the transaction cannot go on.
func (db *DB) LandEach(ctx context.Context, tx pgx.Tx, t Target, recs []LandRecord, o LandOptions) (Landed, []Rejected, error) {
	if len(recs) == 0 {
		return Landed{}, nil, nil
	}
	var landed Landed
	var failed error
	err := pgx.BeginFunc(ctx, tx, func(sp pgx.Tx) error {
		landed, failed = db.Land(ctx, sp, t, recs, o)
		return failed
	})
	switch {
	case err == nil:
		return landed, nil, nil
	case failed == nil, ctx.Err() != nil, !refusedData(failed):
		return Landed{}, nil, err
	case len(recs) == 1:
		return Landed{}, []Rejected{{Index: 0, Err: failed}}, nil
	}
	// In halves of a fixed order, as Land takes its locks: two walks over the same objects must not wait for each other.
	if !slices.IsSortedFunc(recs, byObject) {
		return db.landSorted(ctx, tx, t, recs, o)
	}
	half := len(recs) / 2
	landed, bad, err := db.LandEach(ctx, tx, t, recs[:half], o)
	if err != nil {
		return Landed{}, nil, err
	}
	more, moreBad, err := db.LandEach(ctx, tx, t, recs[half:], o)
	if err != nil {
		return Landed{}, nil, err
	}
	landed.add(more)
	for _, r := range moreBad {
		bad = append(bad, Rejected{Index: half + r.Index, Err: r.Err})
	}
	return landed, bad, nil
}

func byObject(a, b LandRecord) int { return strings.Compare(a.ObjectID, b.ObjectID) }

// landSorted is LandEach on the records in the order of their ids.
func (db *DB) landSorted(ctx context.Context, tx pgx.Tx, t Target, recs []LandRecord, o LandOptions) (Landed, []Rejected, error) {
	order := make([]int, len(recs))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return byObject(recs[a], recs[b]) })
	sorted := make([]LandRecord, len(recs))
	for i, at := range order {
		sorted[i] = recs[at]
	}
	landed, bad, err := db.LandEach(ctx, tx, t, sorted, o)
	for i := range bad {
		bad[i].Index = order[bad[i].Index]
	}
	return landed, bad, err
}

// refusedData tells whether what was written caused the error, and not the statement, the server or the way there.
func refusedData(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		// A value that pgx could not encode never reached the server.
		return !Unavailable(err) && !errors.Is(err, errVanished)
	}
	if badRow(err) {
		return true
	}
	// Two records of one batch may share a typed row, which one statement cannot write twice; and a value that cannot be
	// encoded in the midst of a COPY makes the server report our own abort.
	return pgErr.Code == "21000" || pgErr.Code == "57014" && strings.HasPrefix(pgErr.Message, "COPY from stdin failed")
}
