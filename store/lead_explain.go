package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Explanation says why a lead is what it is. Times are UTC.
type Explanation struct {
	LeadID uuid.UUID
	// Given is the id that was asked for, which may have merged into LeadID.
	Given uuid.UUID
	// Merged are the ids that resolve to it; SplitFrom is the lead that it once was part of, the nil UUID for none.
	Merged    []uuid.UUID
	SplitFrom uuid.UUID
	// Leads is the lead; of an earlier time it may have been several, or none.
	Leads []ExplainedLead
}

// ExplainedLead is one lead with what made it.
type ExplainedLead struct {
	Links  []ExplainedLink
	Fields []ExplainedField
	// Stage and the opt-out are as folded.
	Stage          string
	StageChangedAt time.Time
	DNC            bool
	DNCReason      string
	DNCAt          time.Time
	Calls          int
	// Records are the records that tell of the lead, as source/stream/object, weakest first.
	Records []string
}

// ExplainedLink is a key of a lead.
type ExplainedLink struct {
	pipeline.LinkedKey
	// LinkedAt is when the link was made here; zero where that is not known.
	LinkedAt time.Time
}

// ExplainedField is the value of a field and where it comes from.
type ExplainedField struct {
	Field pipeline.Field
	pipeline.Won
	// Record told it; Overruled are those that told something else, strongest first.
	Record    string
	Overruled []OverruledValue
}

// OverruledValue is what a weaker record says of a field.
type OverruledValue struct {
	Value  string
	Record string
	At     time.Time
}

const leadRecordsSQL = `
select distinct r.record_id
from pipeline.lead_keys k
join ops.record_keys r
  on r.org_id = k.org_id and r.kind = k.kind and r.account_id = k.account_id and r.value = k.value and r.role = 'lead'
where k.org_id = @org
  and k.lead_id = @lead_id
  and k.kind <> 'email'
  and (k.rule in ('identity', 'strong_key') or not exists (
    select
    from pipeline.lead_keys s
    where s.org_id = k.org_id and s.lead_id = k.lead_id and s.rule in ('identity', 'strong_key')))
limit 1000`

const leadMergedSQL = `
select lead_id
from pipeline.lead_merges
where org_id = @org and into_lead_id = @lead_id
order by merged_at, lead_id`

const leadSplitSQL = `
select coalesce((select split_from from pipeline.leads where org_id = @org and lead_id = @lead_id), '00000000-0000-0000-0000-000000000000')`

const leadLinkedSQL = `
select kind, account_id, value, linked_at
from pipeline.lead_keys
where org_id = @org and lead_id = @lead_id`

// Explain folds what is known of a lead and says what came from where. With at set it takes each record as it stood here at
// that time, as far as ops.record_history reaches back, and with them what belonged together with the lead by the keys that they
// had then. A record that had such a key then, and names neither this lead nor one that was split from it or it from, is not found.
func (r *Reconciler) Explain(ctx context.Context, org, id uuid.UUID, at time.Time) (Explanation, error) {
	lead, err := r.DB.Lead(ctx, org, id)
	if err != nil {
		return Explanation{}, err
	}
	x := Explanation{LeadID: lead.ID, Given: id}
	err = r.DB.InTx(ctx, func(tx pgx.Tx) error {
		if err := r.explain(ctx, tx, org, &x, at); err != nil {
			return err
		}
		return errCompared
	})
	if err != nil && err != errCompared { //nolint:errorlint // handed through as it is
		return Explanation{}, fmt.Errorf("explaining lead %s: %w", id, err)
	}
	return x, nil
}

func (r *Reconciler) explain(ctx context.Context, tx pgx.Tx, org uuid.UUID, x *Explanation, at time.Time) error {
	args := pgx.StrictNamedArgs{"org": org, "lead_id": x.LeadID}
	rows, err := tx.Query(ctx, leadRecordsSQL, args)
	if err != nil {
		return err
	}
	seeds, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	if rows, err = tx.Query(ctx, leadMergedSQL, args); err != nil {
		return err
	}
	if x.Merged, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID]); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, leadSplitSQL, args).Scan(&x.SplitFrom); err != nil {
		return err
	}
	linked := map[pipeline.Key]time.Time{}
	if rows, err = tx.Query(ctx, leadLinkedSQL, args); err != nil {
		return err
	}
	var k pipeline.Key
	var when time.Time
	if _, err = pgx.ForEachRow(rows, []any{&k.Kind, &k.Account, &k.Value, &when}, func() error { linked[k] = when.UTC(); return nil }); err != nil {
		return err
	}
	f := newFolded(org, r.DB.Now(), seeds)
	f.shadow = true
	if err := r.compute(ctx, tx, f); err != nil {
		return err
	}
	if !at.IsZero() {
		if rows, err = tx.Query(ctx, splitRecordsSQL, args); err != nil {
			return err
		}
		parted, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		if err := r.asOf(ctx, tx, f, append(seeds, parted...), at); err != nil {
			return err
		}
	}
	for i := range f.result.Leads {
		if l := &f.result.Leads[i]; holdsAny(l, linked) {
			x.Leads = append(x.Leads, f.explained(i, linked))
		}
	}
	return nil
}

// holdsAny tells whether a folded lead is the one with these keys: by a strong key, or where it has none by a phone.
func holdsAny(l *pipeline.Lead, linked map[pipeline.Key]time.Time) bool {
	return slices.ContainsFunc(l.LedgerKeys(false), func(k pipeline.Key) bool {
		_, ok := linked[k]
		return ok
	})
}

// explained tells of one folded lead.
func (f *folded) explained(i int, linked map[pipeline.Key]time.Time) ExplainedLead {
	l := &f.result.Leads[i]
	out := ExplainedLead{Stage: l.Stage, StageChangedAt: l.StageChangedAt, DNC: l.DNC, DNCReason: l.DNCReason, DNCAt: l.DNCAt}
	keys := map[pipeline.Key]bool{}
	for _, k := range l.Keys {
		out.Links = append(out.Links, ExplainedLink{LinkedKey: k, LinkedAt: linked[k.Key]})
		keys[k.Key] = true
	}
	for j := range f.result.Calls {
		if f.result.Calls[j].Lead == i {
			out.Calls++
		}
	}
	told := slices.SortedFunc(maps.Values(f.told), func(a, b pipeline.Told) int { return a.Stamp.Compare(b.Stamp) })
	said := map[pipeline.Field][]OverruledValue{}
	for j := range told {
		mine := false
		for n := range told[j].Facts.Leads {
			fact := &told[j].Facts.Leads[n]
			identity, ok := fact.Identity()
			if !ok || !keys[identity] || !identity.Strong() && len(l.LedgerKeys(false)) > 0 && l.LedgerKeys(false)[0].Strong() && !slices.Contains(l.Phones, identity.Value) {
				continue
			}
			mine = true
			for field, value := range fact.Fields {
				said[field] = append(said[field], OverruledValue{Value: value, Record: told[j].Ref, At: told[j].Stamp.At})
			}
		}
		if mine {
			out.Records = append(out.Records, told[j].Ref)
		}
	}
	for field, won := range l.Fields {
		e := ExplainedField{Field: field, Won: won}
		for _, s := range slices.Backward(said[field]) {
			switch {
			case e.Record == "":
				e.Record = s.Record
			case s.Value != won.Value:
				e.Overruled = append(e.Overruled, s)
			}
		}
		out.Fields = append(out.Fields, e)
	}
	slices.SortFunc(out.Fields, func(a, b ExplainedField) int { return cmp.Compare(a.Field, b.Field) })
	return out
}
