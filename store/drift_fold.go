package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// CompareRecords folds anew what belongs to some records, and returns of each in which of its own rows the pipeline is not what
// the fold says: a call's record has its call, any other the rest. What waits to be folded is left out. Like Compare it leaves
// nothing behind.
func (r *Reconciler) CompareRecords(ctx context.Context, org uuid.UUID, ids []int64) (map[int64][]Difference, error) {
	for try := 1; ; try++ {
		found, err := r.compareRecordsOnce(ctx, org, ids)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "40001" && try < compareTries {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("comparing records of organisation %s with the pipeline: %w", org, err)
		}
		return found, nil
	}
}

func (r *Reconciler) compareRecordsOnce(ctx context.Context, org uuid.UUID, ids []int64) (map[int64][]Difference, error) {
	found := map[int64][]Difference{}
	c := &comparison{r: r, org: org, unsettled: recordSet{}, keyless: map[uuid.UUID]bool{}, seeds: map[int64]bool{}}
	conn, err := r.DB.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, compareTimeoutsSQL); err != nil {
			return err
		}
		c.tx = tx
		if err := c.findUnsettled(ctx); err != nil {
			return err
		}
		keys, err := keysByRecord(ctx, tx, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if c.unsettled.has(id) {
				continue
			}
			own := ownRows(keys[id])
			c.o.Diff = func(d Difference) error {
				if own(&d) {
					found[id] = append(found[id], d)
				}
				return nil
			}
			// Two records of a sample may lie in one region, and each is told its own.
			c.visited, c.phones, c.gone = recordSet{}, map[string]bool{}, map[string]bool{}
			if err := c.rekey(ctx, []int64{id}); err != nil {
				return err
			}
			if err := c.regions(ctx, []int64{id}); err != nil {
				return err
			}
		}
		return errCompared
	})
	if !errors.Is(err, errCompared) {
		return nil, err
	}
	return found, nil
}

// ownRows tells which rows of the pipeline a record with these keys has of its own.
func ownRows(keys map[recordKey]bool) func(*Difference) bool {
	calls := map[string]bool{}
	for k := range keys {
		if call, ok := k.call(); ok && k.Role == roleCall {
			calls[callName(call)] = true
		}
	}
	return func(d *Difference) bool {
		switch d.Table {
		case "record_keys":
			return true
		case "calls", "call_events":
			return calls[d.Key]
		}
		return len(calls) == 0
	}
}
