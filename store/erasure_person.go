package store

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// person is whom an erasure is about, and all by which they are known here.
type person struct {
	org uuid.UUID
	// given is the phone or e-mail address that was named.
	given keyName
	// leads are theirs, those too that gave way to another one.
	leads []uuid.UUID
	// names are what their records are found by: phones and e-mail addresses that nobody else has, their leads, their calls.
	names map[keyName]bool
	// records are theirs; calls are the keys of their calls.
	records map[int64]bool
	calls   map[keyName]bool
}

func (p *person) of(kind pipeline.KeyKind) []string {
	var values []string
	for n := range p.names {
		if n.Kind == string(kind) {
			values = append(values, n.Value)
		}
	}
	slices.Sort(values)
	return values
}

func (p *person) phones() []string { return p.of(pipeline.KeyPhone) }

func (p *person) emails() []string { return p.of(pipeline.KeyEmail) }

// pattern finds them in text; see pipeline.MentionPattern. Our own ids of their leads count too.
func (p *person) pattern() string {
	pattern := pipeline.MentionPattern(p.phones(), p.emails())
	for _, id := range p.leads {
		pattern += "|" + id.String()
	}
	return pattern
}

// named tells whether something is theirs by its names or its text.
func (p *person) named(names map[keyName]bool, text string, re *regexp.Regexp) bool {
	for n := range names {
		if p.names[canonical(n)] {
			return true
		}
	}
	return re.MatchString(text)
}

const leadsOfNameSQL = `
select k.lead_id
from pipeline.lead_keys k
where k.org_id = @org and k.kind = @kind and k.account_id = '' and k.value = @value
union
select l.lead_id
from pipeline.leads l
where l.org_id = @org and @kind = 'email' and lower(l.email) = @value
union
select k.lead_id
from ops.record_keys r
join pipeline.lead_keys k
  on k.org_id = r.org_id and k.kind = r.kind and k.account_id = r.account_id and k.value = r.value and k.kind not in ('phone', 'email')
where r.org_id = @org and r.record_id = any(@records) and r.role = 'lead'
order by 1`

// A name that somebody else has too does not go with one of those who have it.
const namesOfLeadsSQL = `
select k.kind, k.account_id, k.value
from pipeline.lead_keys k
where k.org_id = @org and k.lead_id = any(@leads)
  and (k.kind not in ('phone', 'email') or not exists (
    select
    from pipeline.lead_keys o
    where o.org_id = k.org_id and o.kind = k.kind and o.account_id = k.account_id and o.value = k.value and not o.lead_id = any(@leads)))
union
select 'email', '', lower(l.email)
from pipeline.leads l
where l.org_id = @org and l.lead_id = any(@leads) and l.email is not null
  and not exists (
    select
    from pipeline.leads o
    where o.org_id = l.org_id and lower(o.email) = lower(l.email) and not o.lead_id = any(@leads))`

const erasedMergesSQL = `
select lead_id
from pipeline.lead_merges
where org_id = @org and into_lead_id = any(@leads)`

const callsOfLeadsSQL = `
select 'call:' || source, account_id, external_call_id
from pipeline.calls
where org_id = @org and lead_id = any(@leads)`

// What only says that a phone must not be called stays.
const recordsOfNamesSQL = `
select k.record_id, k.kind, k.account_id, k.value
from unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
join ops.record_keys k
  on k.org_id = @org and k.kind = n.kind and k.account_id = n.account_id and k.value = n.value
join ops.records r on r.record_id = k.record_id
where not (r.source = 'operator' and r.stream = 'do_not_call' and r.object_id like 'erased-%')`

const callsOfRecordsSQL = `
select distinct kind, account_id, value
from ops.record_keys
where org_id = @org and record_id = any(@records) and kind like 'call:%'`

// findPerson gathers everything by which somebody is known. of are records that are theirs beside those which their names
// find: what was found by its text.
func findPerson(ctx context.Context, tx pgx.Tx, org uuid.UUID, given keyName, of []int64) (*person, error) {
	p := &person{org: org, given: given, names: map[keyName]bool{given: true}, records: map[int64]bool{}, calls: map[keyName]bool{}}
	var err error
	collect := func(sql string, args pgx.StrictNamedArgs) []uuid.UUID {
		var ids []uuid.UUID
		if err == nil {
			var rows pgx.Rows
			if rows, err = tx.Query(ctx, sql, args); err == nil {
				ids, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
			}
		}
		return ids
	}
	p.leads = collect(leadsOfNameSQL, pgx.StrictNamedArgs{"org": org, "kind": given.Kind, "value": given.Value, "records": of})
	p.leads = append(p.leads, collect(erasedMergesSQL, pgx.StrictNamedArgs{"org": org, "leads": p.leads})...)
	if err != nil {
		return nil, fmt.Errorf("finding the leads: %w", err)
	}
	for _, id := range p.leads {
		p.names[keyName{Kind: string(pipeline.KeyLead), Value: id.String()}] = true
	}
	names, err := readNames(ctx, tx, namesOfLeadsSQL, pgx.StrictNamedArgs{"org": org, "leads": p.leads})
	if err != nil {
		return nil, fmt.Errorf("finding the names of leads: %w", err)
	}
	for _, n := range names {
		if n = canonical(n); n.names() {
			p.names[n] = true
		}
	}
	calls, err := readNames(ctx, tx, callsOfLeadsSQL, pgx.StrictNamedArgs{"org": org, "leads": p.leads})
	if err != nil {
		return nil, fmt.Errorf("finding the calls of leads: %w", err)
	}
	for _, id := range of {
		p.records[id] = true
	}
	if err := p.find(ctx, tx, slices.Collect(maps.Keys(p.names))); err != nil {
		return nil, err
	}
	return p, p.follow(ctx, tx, calls)
}

// foundRecord is a record and the name that it was found by.
type foundRecord struct {
	id int64
	by keyName
}

func (p *person) recordsOf(ctx context.Context, tx pgx.Tx, names []keyName) ([]foundRecord, error) {
	kinds, accounts, values := columns(names)
	rows, err := tx.Query(ctx, recordsOfNamesSQL, pgx.StrictNamedArgs{"org": p.org, "kinds": kinds, "accounts": accounts, "values": values})
	if err != nil {
		return nil, fmt.Errorf("finding records: %w", err)
	}
	var found []foundRecord
	var f foundRecord
	_, err = pgx.ForEachRow(rows, []any{&f.id, &f.by.Kind, &f.by.Account, &f.by.Value}, func() error {
		found = append(found, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("finding records: %w", err)
	}
	return found, nil
}

// find finds the records of the person's own names.
func (p *person) find(ctx context.Context, tx pgx.Tx, names []keyName) error {
	found, err := p.recordsOf(ctx, tx, names)
	for _, f := range found {
		p.records[f.id] = true
	}
	return err
}

// A record is of somebody else if it names a lead that is not the person's, or nothing of the person's at all.
const strangersSQL = `
select k.record_id
from ops.record_keys k
left join (
  select kind, account_id, value
  from unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
  union
  select kind, account_id, value
  from pipeline.lead_keys
  where org_id = @org and lead_id = any(@leads)
) n on n.kind = k.kind and n.account_id = k.account_id and n.value = k.value
where k.record_id = any(@ids) and k.role in ('lead', 'ref') and k.kind not like 'call:%'
group by k.record_id
having bool_or(k.kind <> 'phone' and n.value is null) or not bool_or(n.value is not null)`

// follow finds the records of calls, and the calls that those and the person's other records tell of, until there are no more. It
// goes from call to call, as an attempt to its activity, and never to another lead: a call that somebody else's records name too,
// as where an API client gives every call the same id, is nobody's name.
func (p *person) follow(ctx context.Context, tx pgx.Tx, todo []keyName) error {
	asked := map[keyName]bool{}
	for {
		calls, err := readNames(ctx, tx, callsOfRecordsSQL, pgx.StrictNamedArgs{"org": p.org, "records": slices.Collect(maps.Keys(p.records))})
		if err != nil {
			return fmt.Errorf("finding calls: %w", err)
		}
		todo = slices.DeleteFunc(append(todo, calls...), func(n keyName) bool { return asked[n] })
		if len(todo) == 0 {
			return nil
		}
		found, err := p.recordsOf(ctx, tx, todo)
		if err != nil {
			return err
		}
		var ids []int64
		for _, f := range found {
			if !p.records[f.id] {
				ids = append(ids, f.id)
			}
		}
		kinds, accounts, values := columns(slices.Collect(maps.Keys(p.names)))
		rows, err := tx.Query(ctx, strangersSQL, pgx.StrictNamedArgs{
			"org": p.org, "leads": p.leads, "ids": ids, "kinds": kinds, "accounts": accounts, "values": values,
		})
		if err != nil {
			return fmt.Errorf("finding whose calls they are: %w", err)
		}
		strangers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return fmt.Errorf("finding whose calls they are: %w", err)
		}
		shared := map[keyName]bool{}
		for _, f := range found {
			if slices.Contains(strangers, f.id) {
				shared[f.by] = true
			}
		}
		for _, f := range found {
			if !shared[f.by] {
				p.records[f.id] = true
			}
		}
		for _, n := range todo {
			asked[n] = true
			if !shared[n] {
				p.calls[n], p.names[n] = true, true
			}
		}
		todo = nil
	}
}

func readNames(ctx context.Context, tx pgx.Tx, sql string, args pgx.StrictNamedArgs) ([]keyName, error) {
	rows, err := tx.Query(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	var names []keyName
	var n keyName
	_, err = pgx.ForEachRow(rows, []any{&n.Kind, &n.Account, &n.Value}, func() error {
		names = append(names, n)
		return nil
	})
	return names, err
}
