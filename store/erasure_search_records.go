package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const recordsSearchSQL = `
select record_id, source || '/' || stream || '/' || object_id, hit
from (
  select record_id, source, stream, object_id,
    not (source = 'operator' and stream = 'do_not_call' and object_id like 'erased-%')
      and (payload::text ~ @pattern and regexp_replace(payload::text, @times, @gap, 'g') ~ @pattern
        or raw is not null and encode(raw, 'escape') ~ @pattern and regexp_replace(encode(raw, 'escape'), @times, @gap, 'g') ~ @pattern) as hit
  from ops.records
  where org_id = @org and record_id > @after
  order by record_id
  limit 20000
) r
order by record_id`

const recordsKeylessSQL = `
select r.record_id
from ops.records r
where r.record_id = any(@ids)
  and not exists (select from ops.record_keys k where k.record_id = r.record_id)`

// searchRecords finds the records that name a person in their text alone. Those that nobody can read, or that give the person's
// address as their lead's, are theirs; the others are of somebody else, and merely mention them.
func (e *Eraser) searchRecords(ctx context.Context, tx pgx.Tx, p *person, pattern string) (theirs []int64, elsewhere []string, err error) {
	hits := map[int64]string{}
	for after := int64(-1); ; {
		rows, err := tx.Query(ctx, recordsSearchSQL, pgx.StrictNamedArgs{
			"org": p.org, "after": after, "pattern": pattern, "times": pipeline.TimePattern, "gap": pipeline.TimeGap,
		})
		if err != nil {
			return nil, nil, fmt.Errorf("searching records: %w", err)
		}
		last := after
		var ref string
		var hit bool
		_, err = pgx.ForEachRow(rows, []any{&last, &ref, &hit}, func() error {
			if hit && !p.records[last] {
				hits[last] = ref
			}
			return nil
		})
		if err != nil {
			return nil, nil, fmt.Errorf("searching records: %w", err)
		}
		if last == after {
			break
		}
		after = last
	}
	if len(hits) == 0 {
		return nil, nil, nil
	}
	if theirs, err = e.ownOf(ctx, tx, p, hits); err != nil {
		return nil, nil, err
	}
	for _, id := range theirs {
		delete(hits, id)
	}
	for _, ref := range hits {
		elsewhere = append(elsewhere, ref)
	}
	return theirs, elsewhere, nil
}

// ownOf picks the records that are the person's own.
func (e *Eraser) ownOf(ctx context.Context, tx pgx.Tx, p *person, hits map[int64]string) (own []int64, err error) {
	ids := make([]int64, 0, len(hits))
	for id := range hits {
		ids = append(ids, id)
	}
	rows, err := tx.Query(ctx, recordsKeylessSQL, pgx.StrictNamedArgs{"ids": ids})
	if err != nil {
		return nil, fmt.Errorf("searching records: %w", err)
	}
	keyless, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("searching records: %w", err)
	}
	err = eachRecord(ctx, tx, p.org, recordsByIDSQL, pgx.StrictNamedArgs{"ids": ids}, func(id int64, rec *pipeline.Record) {
		f, ok := readFacts(e.DB.Erased.Facts, rec)
		// One that tells of nobody may be anything, as an agent or a campaign, unless it cannot be read or has a name in full.
		if ok && namesOf(&pipeline.Facts{Leads: f.Leads})[p.given] || slices.Contains(keyless, id) && (!ok || p.inFull(string(rec.Payload))) {
			own = append(own, id)
		}
	})
	return own, err
}

// inFull tells whether a text has a phone of theirs with its country's code, or an address: neither is read into anything else.
func (p *person) inFull(text string) bool {
	return slices.ContainsFunc(slices.Concat(p.phones(), p.emails()), func(name string) bool { return strings.Contains(strings.ToLower(text), name) })
}
