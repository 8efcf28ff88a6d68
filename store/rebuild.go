package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What a Difference says of a row of the pipeline.
const (
	// RowMissing is a row that the records tell and the table has not.
	RowMissing = "missing"
	// RowExtra is a row that no record tells.
	RowExtra = "extra"
	// RowDiffers is a row with other values than the records tell.
	RowDiffers = "differs"
)

// Difference is one row in which the pipeline and a fold over all records disagree.
type Difference struct {
	// Table is leads, lead_keys, calls, call_events, do_not_call, presence, agents or record_keys.
	Table string
	// Key names the row without our own ids: a lead by one of its keys, a call by dialler, account and external id.
	Key string
	// LeadID is the lead's id, the nil UUID for rows of other tables.
	LeadID uuid.UUID
	// Change is RowMissing, RowExtra or RowDiffers.
	Change string
	// Columns are the values that differ; empty for a row that is missing or extra.
	Columns []ColumnDifference
}

// ColumnDifference is one value, as JSON text; empty means that there is none.
type ColumnDifference struct {
	Column, Stored, Told string
}

// Comparison is what comparing an organisation's pipeline with its records found.
type Comparison struct {
	// Records, Leads, Calls and DNC count what was folded.
	Records, Leads, Calls, DNC int
	// Differing counts the rows that differ.
	Differing int
	// Unsettled counts records that landed and wait to be folded, SetAside those in quarantine because they cannot be. What
	// they belong to is not compared.
	Unsettled, SetAside int
	// StoredHash and ToldHash are content hashes over keys, never over our own ids, of the pipeline as it is and as the
	// records tell it. They are equal where nothing differs.
	StoredHash, ToldHash string

	// seeds are records from which to fold anew what differs.
	seeds []int64
	// surplus tells that there are rows that no fold reaches.
	surplus bool
}

// CompareOptions say how to compare.
type CompareOptions struct {
	// Diff is called with each difference; it may be nil.
	Diff func(Difference) error
	// Progress is called now and then with how many records are done of how many; it may be nil.
	Progress func(done, total int)
}

// comparePage is how many records are folded at a time, with all that belongs to them.
const comparePage = 1000

// compareTries is how often a comparison is begun again that lost a race.
const compareTries = 3

// errCompared ends a comparison's transaction, which must leave nothing behind.
var errCompared = errors.New("compared")

// Compare folds all records of an organisation anew, and compares the outcome row by row with the pipeline. It reads one
// snapshot, so that nobody waits for it, goes from region to region, so that memory stays bounded, and leaves nothing behind.
func (r *Reconciler) Compare(ctx context.Context, org uuid.UUID, o CompareOptions) (Comparison, error) {
	told := false
	diff := o.Diff
	o.Diff = func(d Difference) error {
		told = true
		if diff == nil {
			return nil
		}
		return diff(d)
	}
	for try := 1; ; try++ {
		c, err := r.compareOnce(ctx, org, o)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "40001" && try < compareTries && (!told || diff == nil) {
			continue
		}
		if err != nil {
			return Comparison{}, fmt.Errorf("comparing the pipeline of organisation %s with its records: %w", org, err)
		}
		return c, nil
	}
}

// The whole comparison is one transaction, and whoever reads its output may be slow.
const compareTimeoutsSQL = `
select set_config('statement_timeout', '600s', true), set_config('idle_in_transaction_session_timeout', '600s', true)`

func (r *Reconciler) compareOnce(ctx context.Context, org uuid.UUID, o CompareOptions) (Comparison, error) {
	c := &comparison{
		r: r, org: org, o: o, visited: recordSet{}, unsettled: recordSet{}, phones: map[string]bool{}, gone: map[string]bool{},
		keyless: map[uuid.UUID]bool{}, seeds: map[int64]bool{},
	}
	conn, err := r.DB.acquire(ctx)
	if err != nil {
		return Comparison{}, err
	}
	defer conn.Release()
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, compareTimeoutsSQL); err != nil {
			return err
		}
		c.tx = tx
		if err := c.run(ctx); err != nil {
			return err
		}
		return errCompared
	})
	if !errors.Is(err, errCompared) {
		return Comparison{}, err
	}
	c.out.StoredHash, c.out.ToldHash = c.stored.String(), c.told.String()
	c.out.seeds = slices.Sorted(maps.Keys(c.seeds))
	return c.out, nil
}
