package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// copyAtLeast is how many new rows are worth a COPY, with the savepoint and the two round trips that it takes beside it.
const copyAtLeast = 20

// insert writes objects that the probe did not find. It returns those that somebody else has stored meanwhile.
func (l *landing) insert(ctx context.Context, obs []*observation) ([]*observation, error) {
	if len(obs) == 0 {
		return nil, nil
	}
	if len(obs) >= copyAtLeast {
		err := pgx.BeginFunc(ctx, l.tx, func(sp pgx.Tx) error { return l.copyNew(ctx, sp, obs) })
		if err == nil {
			l.out.New += len(obs)
			for _, o := range obs {
				l.out.Records = append(l.out.Records, o.recordID)
				o.landed = asNew
			}
			return nil, nil
		}
		if !isUniqueViolation(err) {
			return nil, fmt.Errorf("copying new records: %w", err)
		}
	}
	return l.insertMissing(ctx, obs)
}

// The sequence is looked up once, by the inner select: the look takes longer than all else that a row costs here.
const recordIDsSQL = `
with taken as materialized (
  select nextval((select pg_get_serial_sequence('ops.records', 'record_id')::regclass)) as record_id
  from generate_series(1, @count::integer)
), queued as (
  insert into ops.reconcile_queue (org_id, record_id, queued_at)
  select @org, record_id, @now
  from taken
)
select record_id
from taken`

// copyNew copies records and their typed rows straight in. Their ids are taken first and queued at once, in one statement.
func (l *landing) copyNew(ctx context.Context, tx pgx.Tx, obs []*observation) error {
	rows, err := tx.Query(ctx, recordIDsSQL, pgx.StrictNamedArgs{"count": len(obs), "org": l.t.Org, "now": l.now})
	if err != nil {
		return err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	for i, o := range obs {
		o.recordID = ids[i]
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"ops", "records"},
		[]string{
			"record_id", "org_id", "account_id", "source", "stream", "object_id", "payload", "raw", "content_hash",
			"observed_at", "first_seen_at", "source_time", "ahead_time", "ahead_seen_at", "zone_assumed", "changed_at",
		},
		pgx.CopyFromSlice(len(obs), func(i int) ([]any, error) {
			o := obs[i]
			return []any{
				o.recordID, l.t.Org, l.t.Account, string(l.t.Source), l.t.Stream, o.ObjectID, o.Payload, o.Raw, o.hash[:],
				o.observedAt, o.firstSeen, timeOrNull(o.SourceTime), timeOrNull(o.ahead.told), timeOrNull(o.ahead.seen), o.ZoneAssumed, l.now,
			}, nil
		}))
	if err != nil {
		return err
	}
	return l.copyTyped(ctx, tx, obs)
}

const recordsInsertSQL = `
with written as (
  insert into ops.records (org_id, account_id, source, stream, object_id, payload, raw, content_hash,
    observed_at, first_seen_at, source_time, ahead_time, ahead_seen_at, zone_assumed, changed_at)
  select @org, @account, @source, @stream, g.object_id, g.payload::jsonb, g.raw, g.hash,
    g.observed_at, g.first_seen, g.source_time, g.ahead_time, g.ahead_seen, g.zone_assumed, @now
  from unnest(@object_ids::text[], @payloads::text[], @raws::bytea[], @hashes::bytea[], @observed::timestamptz[],
    @first_seen::timestamptz[], @source_times::timestamptz[], @ahead::timestamptz[], @ahead_seen::timestamptz[], @zones::boolean[])
    with ordinality
    as g (object_id, payload, raw, hash, observed_at, first_seen, source_time, ahead_time, ahead_seen, zone_assumed, ord)
  order by g.ord
  on conflict do nothing
  returning record_id, object_id
), queued as (
  insert into ops.reconcile_queue (org_id, record_id, queued_at)
  select @org, record_id, @now
  from written
)
select record_id, object_id
from written`

// insertMissing writes new objects by one statement, for a few rows or when the COPY met somebody else's.
func (l *landing) insertMissing(ctx context.Context, obs []*observation) ([]*observation, error) {
	args := l.args(columnsOf(obs))
	args["now"] = l.now
	args["object_ids"] = objectIDs(obs)
	rows, err := l.tx.Query(ctx, recordsInsertSQL, planned, args)
	if err != nil {
		return nil, fmt.Errorf("inserting records: %w", err)
	}
	ids := map[string]int64{}
	var id int64
	var object string
	if _, err := pgx.ForEachRow(rows, []any{&id, &object}, func() error { ids[object] = id; return nil }); err != nil {
		return nil, fmt.Errorf("inserting records: %w", err)
	}
	var written, lost []*observation
	for _, o := range obs {
		if id, ok := ids[o.ObjectID]; ok {
			o.recordID, o.landed = id, asNew
			written = append(written, o)
			l.out.Records = append(l.out.Records, id)
		} else {
			lost = append(lost, o)
		}
	}
	l.out.New += len(written)
	return lost, l.upsertTyped(ctx, written)
}
