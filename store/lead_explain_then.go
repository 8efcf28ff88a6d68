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

// Records of leads that were one with it.
const splitRecordsSQL = `
select distinct r.record_id
from pipeline.lead_splits s
join pipeline.lead_keys k
  on k.org_id = s.org_id and k.lead_id = case when s.lead_id = @lead_id then s.split_from else s.lead_id end
join ops.record_keys r
  on r.org_id = k.org_id and r.kind = k.kind and r.account_id = k.account_id and r.value = k.value and r.role = 'lead'
where s.org_id = @org
  and (s.lead_id = @lead_id or s.split_from = @lead_id)
  and k.rule in ('identity', 'strong_key')
limit 1000`

// Of each record the version that stood here at a time: the first that was replaced after it, else the present one where
// that was written by then.
const recordsAsOfSQL = `
select r.record_id, r.account_id, r.source, r.stream, r.object_id, v.payload::text, v.observed_at, r.first_seen_at,
  case when v.source_time = r.ahead_time then r.ahead_seen_at when v.source_time > v.observed_at then v.observed_at else v.source_time end,
  v.zone_assumed
from ops.records r
left join lateral (
  select v.payload, v.observed_at, v.source_time, v.zone_assumed, v.replaced_at
  from ops.record_history v
  where v.org_id = r.org_id and v.account_id = r.account_id and v.source = r.source and v.stream = r.stream
    and v.object_id = r.object_id and v.replaced_at > @at
  order by v.replaced_at
  limit 1
) h on true
cross join lateral (
  select coalesce(h.payload, r.payload) as payload, coalesce(h.observed_at, r.observed_at) as observed_at,
    case when h.replaced_at is null then r.source_time else h.source_time end as source_time, coalesce(h.zone_assumed, r.zone_assumed) as zone_assumed
) v
where r.record_id = any(@ids)
  and r.first_seen_at <= @at
  and (h.replaced_at is not null or r.changed_at <= @at)`

// asOf folds what belonged together with some records at a time. Those are found by the keys of now, and by those that they and
// what they lead to had then.
func (r *Reconciler) asOf(ctx context.Context, tx pgx.Tx, f *folded, seeds []int64, at time.Time) error {
	var then []keyName
	known := map[keyName]bool{}
	for {
		var err error
		if f.region, err = loadClosure(ctx, tx, f.org, seeds, then, f.rules.Blocked, nil); err != nil {
			return err
		}
		if f.told, err = r.toldAsOf(ctx, tx, f, at); err != nil {
			return err
		}
		before := len(then)
		for _, t := range f.told {
			for k := range keysOf(t.Facts) {
				if here := f.region.keys[k.keyName] || k.phone() && f.region.phones[k.Value]; !here && !known[k.keyName] {
					known[k.keyName] = true
					then = append(then, k.keyName)
				}
			}
		}
		if len(then) == before {
			break
		}
	}
	f.rules.Blocked = f.region.shared
	f.result = pipeline.Fold(slices.Collect(maps.Values(f.told)), f.rules)
	return nil
}

// toldAsOf reads the records of the region as they stood at a time.
func (r *Reconciler) toldAsOf(ctx context.Context, tx pgx.Tx, f *folded, at time.Time) (map[int64]pipeline.Told, error) {
	ids := slices.Sorted(maps.Keys(f.region.records))
	told := map[int64]pipeline.Told{}
	err := eachRecord(ctx, tx, f.org, recordsAsOfSQL, pgx.StrictNamedArgs{"ids": ids, "at": at}, func(id int64, version *pipeline.Record) {
		facts, err := r.factsOf(version)
		if err != nil {
			facts = pipeline.Facts{} // it says nothing that this version of the program understands
		}
		told[id] = pipeline.TellOf(version, facts)
	})
	if err != nil {
		return nil, fmt.Errorf("as of then: %w", err)
	}
	return told, nil
}
