package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// A time ahead of our clock counts as of the first look at it; see aheadTime.
const recordsByIDSQL = `
select record_id, account_id, source, stream, object_id, payload::text, observed_at, first_seen_at,
  case when source_time = ahead_time then ahead_seen_at when source_time > observed_at then observed_at else source_time end, zone_assumed
from ops.records
where record_id = any(@ids)`

// tell reads records and their facts. A record whose facts cannot be read goes to quarantine and says nothing.
func (r *Reconciler) tell(ctx context.Context, tx pgx.Tx, f *folded, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	type bad struct {
		rec *pipeline.Record
		err error
	}
	var failed []bad
	var well []factID
	rows, err := tx.Query(ctx, recordsByIDSQL, pgx.StrictNamedArgs{"ids": ids})
	if err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		id, rec, err := scanRecord(rows, f.org)
		if err != nil {
			return err
		}
		facts, err := r.factsOf(rec)
		if err != nil {
			facts = pipeline.Facts{}
			f.unread[id] = true
			failed = append(failed, bad{rec, err})
		} else if f.seeds[id] {
			well = append(well, factID{f.org, rec.Account, string(rec.Source), rec.Stream, rec.ObjectID})
		}
		f.told[id] = pipeline.TellOf(rec, facts)
		f.agentsTold = f.agentsTold || f.seeds[id] && tellsOfAgents(rec)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	if f.shadow {
		return nil
	}
	for _, b := range failed {
		q := QuarantineItem{
			Org: f.org, Account: b.rec.Account, Source: b.rec.Source, Stream: b.rec.Stream, ObjectID: b.rec.ObjectID,
			Reason: ReasonFacts, Error: b.err.Error(), Body: b.rec.Payload,
		}
		if err := r.DB.Quarantine(ctx, tx, q); err != nil {
			return err
		}
	}
	return markFixed(ctx, tx, ReasonFacts, well)
}

// scanRecord reads a row of recordsByIDSQL.
func scanRecord(rows pgx.Rows, org uuid.UUID) (id int64, rec *pipeline.Record, err error) {
	var payload string
	var sourceTime *time.Time
	rec = &pipeline.Record{Org: org}
	if err := rows.Scan(&id, &rec.Account, &rec.Source, &rec.Stream, &rec.ObjectID, &payload, &rec.ObservedAt,
		&rec.FirstSeenAt, &sourceTime, &rec.ZoneAssumed); err != nil {
		return 0, nil, fmt.Errorf("reading a record: %w", err)
	}
	rec.Payload = []byte(payload)
	rec.ObservedAt, rec.FirstSeenAt = rec.ObservedAt.UTC(), rec.FirstSeenAt.UTC()
	if sourceTime != nil {
		rec.SourceTime = sourceTime.UTC()
	}
	return id, rec, nil
}

// factsOf shields the batch from a record that breaks the code that reads it.
func (r *Reconciler) factsOf(rec *pipeline.Record) (facts pipeline.Facts, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading the facts of a %s record panicked: %T", rec.Source, p)
		}
	}()
	return r.Facts(rec)
}
