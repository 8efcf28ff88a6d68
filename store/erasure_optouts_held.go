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
	return eachRecord(ctx, m.tx, m.p.org, recordsByIDSQL, pgx.StrictNamedArgs{"ids": m.seeds}, func(_ int64, rec *pipeline.Record) {
		if f, ok := readFacts(m.e.DB.Erased.Facts, rec); ok {
			m.told = append(m.told, m.toldBy(rec, &f)...)
		}
	})
}

// toldBy lists the opt-outs that a record tells. One that names no phone is told of each that the person has.
func (m *removal) toldBy(rec *pipeline.Record, f *pipeline.Facts) (told []toldOptOut) {
	for i := range f.DNC {
		d := &f.DNC[i]
		if d.Lift {
			continue
		}
		since := sinceOf(d, rec.SourceTime, rec.ObservedAt)
		phones := []string{d.Phone}
		if d.Phone == "" {
			phones = slices.Compact(slices.Sorted(slices.Values(slices.Concat(m.kept, m.p.phones()))))
		}
		for _, phone := range phones {
			told = append(told, toldOptOut{rec.Account, string(rec.Source) + "/" + rec.Stream + "/" + rec.ObjectID, phone, since})
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
