package store

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// KeptReason is the reason of an opt-out of which nothing else is kept.
const KeptReason = "opt_out"

// kindOptOut is the kind of the hash of an opt-out that was lifted before its person was erased.
const kindOptOut = "opt-out"

// keptOptOut is a record that says no more than that a phone must not be called.
type keptOptOut struct {
	object string
	// ids are the record's, if it was written.
	ids []int64
}

// toldOptOut is an opt-out as a record told it.
type toldOptOut struct {
	// account and by name the record: its account, and source/stream/object.
	account, by string
	phone       string
	since       time.Time
}

// name is what is hashed of it. Told again it has the same one.
func (o *toldOptOut) name() keyName { return keyName{kindOptOut, o.phone, o.by} }

const optOutLiftedSQL = `
select exists (
  select
  from ops.erasure_hashes
  where org_id = @org and hash = @hash and kind = 'opt-out')`

// keepOptOut lands a record that keeps an opt-out. Its id is the hash of the fact which told it: told again it is the same one,
// and a lift that came between, or before the erasure, holds (law 6).
func (db *DB) keepOptOut(ctx context.Context, tx pgx.Tx, key *ErasureKey, org uuid.UUID, o *toldOptOut) (keptOptOut, error) {
	hash := key.hashOf(org, o.name())
	var lifted bool
	if err := tx.QueryRow(ctx, optOutLiftedSQL, pgx.StrictNamedArgs{"org": org, "hash": hash}).Scan(&lifted); err != nil || lifted {
		return keptOptOut{}, err
	}
	rec, err := db.Erased.OptOut(org, o.account, o.phone, o.since)
	if err != nil {
		return keptOptOut{}, err
	}
	kept := keptOptOut{object: keptPrefix + hex.EncodeToString(hash[:16])}
	target := Target{Org: org, Account: o.account, Source: pipeline.SourceOperator, Stream: keptOptOuts}
	landed, err := db.Land(ctx, tx, target, []LandRecord{{
		ObjectID: kept.object, Payload: rec.Payload, SourceTime: rec.SourceTime, ObservedAt: db.Now(),
	}}, LandOptions{})
	kept.ids = landed.Records
	return kept, err
}

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
		since := d.Since
		if since.IsZero() {
			since = r.ObservedAt
		}
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

// A phone that others have too is on the list for what the person's records told of it, and stays there. Of a lead that must not
// be called every phone does.
const optOutsHeldSQL = `
with told as (
  select k.value as phone, k.role, r.source || '/' || r.stream || '/' || r.object_id as ref
  from ops.record_keys k
  join ops.records r on r.record_id = k.record_id
  where k.record_id = any(@ids) and k.kind = 'phone'
), phones as (
  select unnest(@phones::text[]) as phone
  union
  select phone
  from told
  where role = 'dnc'
), leads as (
  select lead_id, @now::timestamptz as since
  from pipeline.leads
  where org_id = @org and lead_id = any(@leads) and is_do_not_call
  union all
  select k.lead_id, s.received_at
  from pipeline.lead_keys k
  join ops.suppressions s
    on s.org_id = k.org_id and s.kind = k.kind and s.account_id = k.account_id and s.value = k.value and s.folded_at is null
  where k.org_id = @org and k.lead_id = any(@leads) and k.kind not in ('phone', 'email')
)
select phone, min(since)
from (
  select d.phone, d.since
  from pipeline.do_not_call d
  join phones p on p.phone = d.phone
  where d.org_id = @org and d.lifted_at is null
  union all
  select d.phone, d.since
  from told t
  join pipeline.do_not_call d on d.org_id = @org and d.phone = t.phone and d.evidence = t.ref
  where d.lifted_at is null
  union all
  select s.value, s.received_at
  from phones p
  join ops.suppressions s on s.org_id = @org and s.kind = 'phone' and s.account_id = '' and s.value = p.phone
  where s.folded_at is null
  union all
  select k.value, l.since
  from leads l
  join pipeline.lead_keys k on k.org_id = @org and k.lead_id = l.lead_id and k.kind = 'phone'
) o
group by phone
order by phone`

// held reads which opt-outs of the person's hold, and what told them, while their records are still there.
func (m *removal) held(ctx context.Context) error {
	rows, err := m.tx.Query(ctx, optOutsHeldSQL, pgx.StrictNamedArgs{
		"org": m.p.org, "phones": m.p.phones(), "ids": m.seeds, "leads": m.p.leads, "now": m.e.DB.Now(),
	})
	if err != nil {
		return fmt.Errorf("reading opt-outs: %w", err)
	}
	m.since = map[string]time.Time{}
	var phone string
	var since time.Time
	_, err = pgx.ForEachRow(rows, []any{&phone, &since}, func() error {
		m.since[phone] = since.UTC()
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading opt-outs: %w", err)
	}
	m.kept = slices.Sorted(maps.Keys(m.since))
	if rows, err = m.tx.Query(ctx, recordsByIDSQL, pgx.StrictNamedArgs{"ids": m.seeds}); err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		_, rec, err := scanRecord(rows, m.p.org)
		if err != nil {
			return err
		}
		if f, ok := readFacts(m.e.DB.Erased.Facts, rec); ok {
			m.told = append(m.told, m.toldBy(rec, &f)...)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	return nil
}

// toldBy lists the opt-outs that a record tells. One that names no phone is told of each that the person has.
func (m *removal) toldBy(rec *pipeline.Record, f *pipeline.Facts) (told []toldOptOut) {
	for i := range f.DNC {
		d := &f.DNC[i]
		if d.Lift {
			continue
		}
		since := d.Since
		if since.IsZero() {
			since = rec.SourceTime
		}
		if since.IsZero() {
			since = rec.ObservedAt
		}
		phones := []string{d.Phone}
		if d.Phone == "" {
			phones = slices.Compact(slices.Sorted(slices.Values(slices.Concat(m.kept, m.p.phones()))))
		}
		for _, phone := range phones {
			told = append(told, toldOptOut{rec.Account, string(rec.Source) + "/" + rec.Stream + "/" + rec.ObjectID, phone, since.UTC()})
		}
	}
	return told
}

const optOutsLiftedSQL = `
insert into ops.erasure_hashes (org_id, hash, kind, erasure_id)
select @org, n.hash, 'opt-out', @id
from unnest(@hashes::bytea[]) as n (hash)
order by n.hash
on conflict do nothing`

// optOuts keeps the person's opt-outs, as phones of nobody. It is what the person asked for too, and what the law on calls
// wants kept; without the number in clear no dialler could be told of it. Of those that were lifted a hash stays, so that hearing
// of them again does not bring them back.
func (m *removal) optOuts(ctx context.Context) error {
	known := map[string]bool{}
	var lifted [][]byte
	for i := range m.told {
		o := &m.told[i]
		if _, holds := m.since[o.phone]; !holds {
			lifted = append(lifted, m.key.hashOf(m.p.org, o.name()))
			continue
		}
		known[o.phone] = true
		if err := m.keep(ctx, o); err != nil {
			return err
		}
	}
	if _, err := m.tx.Exec(ctx, optOutsLiftedSQL, pgx.StrictNamedArgs{"org": m.p.org, "id": m.r.ID, "hashes": lifted}); err != nil {
		return fmt.Errorf("noting opt-outs that were lifted: %w", err)
	}
	for _, phone := range m.kept {
		if !known[phone] {
			if err := m.keep(ctx, &toldOptOut{DefaultAccount, "erasure", phone, m.since[phone]}); err != nil {
				return err
			}
		}
		m.r.KeptOptOuts++
	}
	kinds, accounts, values := columns(slices.Collect(maps.Keys(m.p.names)))
	return m.exec(ctx, statement{"ops.suppressions", suppressionsEraseSQL, pgx.StrictNamedArgs{
		"org": m.p.org, "kinds": kinds, "accounts": accounts, "values": values,
	}})
}

func (m *removal) keep(ctx context.Context, o *toldOptOut) error {
	kept, err := m.e.DB.keepOptOut(ctx, m.tx, &m.key, m.p.org, o)
	m.seeds = append(m.seeds, kept.ids...)
	return err
}
