package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// What was suppressed with the post is suppressed for the record that stays, until that is folded: there is no moment in
// which the opt-out holds nowhere (law 6).
const suppressionsKeepSQL = `
insert into ops.suppressions (org_id, kind, account_id, value, source, stream, object_id, reason, received_at)
values (@org, 'phone', '', @phone, 'operator', @kept_stream, @kept_object, @reason, @now)
on conflict do nothing`

const suppressionsDropSQL = `
delete from ops.suppressions
where org_id = @org and source = @source and stream = @stream and object_id = @object_id`

const optOutsOfObjectSQL = `
select kind, account_id, value, received_at
from ops.suppressions
where org_id = @org and source = @source and stream = @stream and object_id = @object_id and folded_at is null`

// optOutsOf lists the phones that a record which is kept out asks not to call, and since when.
func (db *DB) optOutsOf(ctx context.Context, tx pgx.Tx, key *ErasureKey, t *Target, r *LandRecord, facts *pipeline.Facts) (map[string]time.Time, error) {
	phones, names := map[string]time.Time{}, map[keyName]bool{}
	nameless, first := false, r.ObservedAt
	for i := range facts.DNC {
		d := &facts.DNC[i]
		if d.Lift {
			continue
		}
		since := sinceOf(d, r.SourceTime, r.ObservedAt)
		if d.Phone != "" {
			phones[d.Phone] = since
			continue
		}
		if since.Before(first) {
			first = since
		}
		for _, k := range d.Lead {
			names[canonical(nameOf(k))] = true
		}
		if len(d.Lead) == 0 && d.Call.ExternalID != "" {
			names[keyName{callKind(d.Call.Dialler), d.Call.Account, d.Call.ExternalID}] = true
		}
		nameless = nameless || len(d.Lead) == 0 && d.Call.ExternalID == ""
	}
	// What came with it holds, whatever can be read in it.
	rows, err := tx.Query(ctx, optOutsOfObjectSQL, pgx.StrictNamedArgs{
		"org": t.Org, "source": string(t.Source), "stream": t.Stream, "object_id": r.ObjectID,
	})
	if err != nil {
		return nil, fmt.Errorf("reading what was suppressed: %w", err)
	}
	var n keyName
	var received time.Time
	_, err = pgx.ForEachRow(rows, []any{&n.Kind, &n.Account, &n.Value, &received}, func() error {
		if n.Kind != string(pipeline.KeyPhone) {
			names[n] = true
		} else if _, ok := phones[n.Value]; !ok {
			phones[n.Value] = received.UTC()
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading what was suppressed: %w", err)
	}
	known := !nameless
	if len(names) > 0 {
		var others []string
		var all bool
		if others, all, err = key.phonesOf(ctx, tx, t.Org, names); err != nil {
			return nil, err
		}
		for _, phone := range others {
			if _, ok := phones[phone]; !ok {
				phones[phone] = first.UTC()
			}
		}
		known = known && all
	}
	if known {
		return phones, nil
	}
	return phones, db.Quarantine(ctx, tx, QuarantineItem{
		Org: t.Org, Account: t.Account, Source: t.Source, Stream: t.Stream, ObjectID: r.ObjectID, Reason: reasonOptOutOfErased,
		Error: "somebody who was erased opted out by the id of a lead or call alone, and no phone is kept for it: ask the source for the number, and add it with trunkline dnc add",
	})
}

// keepOptOuts lands what a record that is kept out says of phones that must not be called. It returns the records that it wrote.
func (db *DB) keepOptOuts(ctx context.Context, tx pgx.Tx, key *ErasureKey, t *Target, r *LandRecord, facts *pipeline.Facts) (ids []int64, err error) {
	phones, err := db.optOutsOf(ctx, tx, key, t, r, facts)
	if err != nil {
		return nil, err
	}
	for _, phone := range slices.Sorted(maps.Keys(phones)) {
		told := toldOptOut{t.Account, string(t.Source) + "/" + t.Stream + "/" + r.ObjectID, phone, phones[phone]}
		kept, err := db.keepOptOut(ctx, tx, key, t.Org, &told)
		if err != nil {
			return nil, err
		}
		if len(kept.ids) == 0 {
			continue
		}
		ids = append(ids, kept.ids...)
		_, err = tx.Exec(ctx, suppressionsKeepSQL, pgx.StrictNamedArgs{
			"org": t.Org, "phone": phone, "kept_stream": keptOptOuts, "kept_object": kept.object, "reason": KeptReason, "now": db.Now(),
		})
		if err != nil {
			return nil, fmt.Errorf("keeping an opt-out: %w", err)
		}
	}
	_, err = tx.Exec(ctx, suppressionsDropSQL, pgx.StrictNamedArgs{
		"org": t.Org, "source": string(t.Source), "stream": t.Stream, "object_id": r.ObjectID,
	})
	if err != nil {
		return nil, fmt.Errorf("keeping an opt-out: %w", err)
	}
	return ids, nil
}
