package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// columnsOf turns observations into arrays for unnest. Payloads go as text: an array of jsonb would be read twice.
func columnsOf(obs []*observation) pgx.StrictNamedArgs {
	n := len(obs)
	payloads, raws, hashes := make([]string, n), make([][]byte, n), make([][]byte, n)
	observed, firstSeen, sourceTimes := make([]time.Time, n), make([]time.Time, n), make([]*time.Time, n)
	zones := make([]bool, n)
	for i, o := range obs {
		payloads[i], raws[i], hashes[i] = string(o.Payload), o.Raw, o.hash[:]
		observed[i], firstSeen[i], sourceTimes[i] = o.observedAt, o.firstSeen, timeOrNull(o.SourceTime)
		zones[i] = o.ZoneAssumed
	}
	args := pgx.StrictNamedArgs{
		"payloads": payloads, "raws": raws, "hashes": hashes,
		"observed": observed, "first_seen": firstSeen, "source_times": sourceTimes, "zones": zones,
	}
	args["ahead"], args["ahead_seen"] = aheadOf(obs)
	return args
}

// aheadOf returns the times ahead of our clock, and when they were seen, as arrays for unnest.
func aheadOf(obs []*observation) (told, seen []*time.Time) {
	for _, o := range obs {
		told, seen = append(told, timeOrNull(o.ahead.told)), append(seen, timeOrNull(o.ahead.seen))
	}
	return told, seen
}

// errVanished means that a record was there and then was not, as after an erasure. The whole transaction is to be repeated.
var errVanished = errors.New("a record was removed meanwhile")

// update locks the rows of objects that are stored, decides anew, and writes what the decision says.
func (l *landing) update(ctx context.Context, obs []*observation) error {
	if len(obs) == 0 {
		return nil
	}
	sortObservations(obs)
	stored, err := l.read(ctx, recordsLockSQL, obs)
	if err != nil {
		return fmt.Errorf("locking records: %w", err)
	}
	var touched, replaced []*observation
	for i, o := range obs {
		s := stored[i]
		if s == nil {
			return errVanished
		}
		o.recordID = s.id
		switch l.verdict(o, s) {
		case replace:
			replaced = append(replaced, o)
			continue
		case touch:
			touched = append(touched, o)
		case keep:
		}
		l.count(o, s)
	}
	same, err := l.replaceAll(ctx, replaced)
	if err != nil {
		return err
	}
	l.out.Unchanged += len(same)
	return l.touchAll(ctx, append(touched, same...))
}

const recordsReplaceSQL = `
with given as (
  select g.*, g.payload::jsonb as content
  from unnest(@ids::bigint[], @payloads::text[], @raws::bytea[], @hashes::bytea[], @observed::timestamptz[],
    @first_seen::timestamptz[], @source_times::timestamptz[], @ahead::timestamptz[], @ahead_seen::timestamptz[], @zones::boolean[])
    as g (record_id, payload, raw, hash, observed_at, first_seen, source_time, ahead_time, ahead_seen, zone_assumed)
), differing as materialized (
  select g.*, r.source_time as was
  from given g
  join ops.records r on r.record_id = g.record_id
  where r.payload <> g.content
), kept as (
  insert into ops.record_history (record_id, org_id, account_id, source, stream, object_id, payload, raw, content_hash,
    observed_at, source_time, zone_assumed, replaced_at)
  select r.record_id, r.org_id, r.account_id, r.source, r.stream, r.object_id, r.payload, r.raw, r.content_hash,
    r.observed_at, r.source_time, r.zone_assumed, @now
  from differing d
  join ops.records r on r.record_id = d.record_id
), queued as (
  insert into ops.reconcile_queue (org_id, record_id, queued_at)
  select @org, d.record_id, @now
  from differing d
)
update ops.records r
set payload = d.content,
    raw = d.raw,
    content_hash = d.hash,
    observed_at = d.observed_at,
    first_seen_at = least(r.first_seen_at, d.first_seen),
    source_time = d.source_time,
    ahead_time = greatest(r.ahead_time, d.ahead_time),
    ahead_seen_at = case
      when d.ahead_time = r.ahead_time then least(r.ahead_seen_at, d.ahead_seen)
      when d.ahead_time < r.ahead_time or d.ahead_time is null then r.ahead_seen_at
      else d.ahead_seen
    end,
    zone_assumed = d.zone_assumed,
    changed_at = @now
from differing d
where r.record_id = d.record_id
returning r.record_id, d.was`

// replaceAll writes newer versions over locked rows. It returns the observations whose JSON is as stored, though spelt
// in other bytes.
func (l *landing) replaceAll(ctx context.Context, obs []*observation) (same []*observation, err error) {
	if len(obs) == 0 {
		return nil, nil
	}
	args := columnsOf(obs)
	args["ids"], args["org"], args["now"] = recordIDs(obs), l.t.Org, l.now
	rows, err := l.tx.Query(ctx, recordsReplaceSQL, planned, args)
	if err != nil {
		return nil, fmt.Errorf("replacing records: %w", err)
	}
	written := make(map[int64]time.Time, len(obs))
	var id int64
	var was *time.Time
	if _, err := pgx.ForEachRow(rows, []any{&id, &was}, func() error { written[id] = timeOf(was); return nil }); err != nil {
		return nil, fmt.Errorf("replacing records: %w", err)
	}
	changed := make([]*observation, 0, len(written))
	for _, o := range obs {
		was, ok := written[o.recordID]
		if !ok {
			same = append(same, o)
			continue
		}
		o.landed, o.was = asChange, was
		changed = append(changed, o)
		l.out.Records = append(l.out.Records, o.recordID)
	}
	l.out.Changed += len(changed)
	return same, l.upsertTyped(ctx, changed)
}

// The hash moves together with observed_at: the two decide which of two observations of one instant stays. An earlier
// first_seen_at, or a time ahead of our clock, may change what the fold makes of the record, which is therefore queued.
const recordsTouchSQL = `
with given as materialized (
  select g.*, g.first_seen < r.first_seen_at
      or g.ahead_time is not null and (r.ahead_time is null or g.ahead_time > r.ahead_time or g.ahead_time = r.ahead_time and g.ahead_seen < r.ahead_seen_at)
      as tells
  from unnest(@ids::bigint[], @hashes::bytea[], @observed::timestamptz[], @first_seen::timestamptz[], @ahead::timestamptz[], @ahead_seen::timestamptz[])
    as g (record_id, hash, observed_at, first_seen, ahead_time, ahead_seen)
  join ops.records r using (record_id)
), queued as (
  insert into ops.reconcile_queue (org_id, record_id)
  select r.org_id, r.record_id
  from given g
  join ops.records r using (record_id)
  where g.tells
)
update ops.records r
set observed_at = greatest(r.observed_at, g.observed_at),
    content_hash = case when (g.observed_at, g.hash) > (r.observed_at, r.content_hash) then g.hash else r.content_hash end,
    first_seen_at = least(r.first_seen_at, g.first_seen),
    ahead_time = greatest(r.ahead_time, g.ahead_time),
    ahead_seen_at = case
      when g.ahead_time = r.ahead_time then least(r.ahead_seen_at, g.ahead_seen)
      when g.ahead_time < r.ahead_time or g.ahead_time is null then r.ahead_seen_at
      else g.ahead_seen
    end
from given g
where r.record_id = g.record_id
  and (g.tells or (g.observed_at, g.hash) > (r.observed_at, r.content_hash))`

// touchAll lowers first_seen_at and notes times ahead of our clock, and with LandOptions.Bump raises observed_at, of rows whose
// content stays.
func (l *landing) touchAll(ctx context.Context, obs []*observation) error {
	if len(obs) == 0 {
		return nil
	}
	n := len(obs)
	hashes, observed, firstSeen := make([][]byte, n), make([]*time.Time, n), make([]time.Time, n)
	for i, o := range obs {
		firstSeen[i] = o.firstSeen
		if l.o.bumps(o.ObjectID) {
			hashes[i], observed[i] = o.hash[:], &o.observedAt
		}
	}
	ahead, aheadSeen := aheadOf(obs)
	_, err := l.tx.Exec(ctx, recordsTouchSQL, planned, pgx.StrictNamedArgs{
		"ids": recordIDs(obs), "hashes": hashes, "observed": observed, "first_seen": firstSeen, "ahead": ahead, "ahead_seen": aheadSeen,
	})
	if err != nil {
		return fmt.Errorf("touching records: %w", err)
	}
	return nil
}

func recordIDs(obs []*observation) []int64 {
	ids := make([]int64, len(obs))
	for i, o := range obs {
		ids[i] = o.recordID
	}
	return ids
}
