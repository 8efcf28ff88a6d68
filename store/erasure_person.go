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

// hashes are the names under which nothing of them is to be kept again. The e-mail address as text is hashed as it is as a key.
func (p *person) hashes() map[keyName]bool {
	all := maps.Clone(p.names)
	for _, phone := range p.phones() {
		for _, digits := range pipeline.Digits(phone) {
			all[keyName{Kind: kindDigits, Value: digits}] = true
		}
	}
	return all
}

// What is found of them later is sealed too.
const erasureHashesSQL = `
insert into ops.erasure_hashes as h (org_id, hash, kind, erasure_id, sealed)
select @org, n.hash, n.kind, @id, n.sealed
from unnest(@hashes::bytea[], @kinds::text[], @sealed::bytea[]) as n (hash, kind, sealed)
order by n.hash
on conflict (org_id, hash) do update
set sealed = excluded.sealed
where h.erasure_id = excluded.erasure_id and excluded.sealed is not null`

const phonesOfLeadsSQL = `
select distinct value
from pipeline.lead_keys
where org_id = @org and lead_id = any(@leads) and kind = 'phone'`

// keepHashes keeps out what names the person from when it is committed; tx holds the lock of who lands alone. The ids of their
// leads and calls hold their phones sealed, those too that others have: an opt-out by such an id is for each of them.
func (p *person) keepHashes(ctx context.Context, tx pgx.Tx, key *ErasureKey, id uuid.UUID) error {
	rows, err := tx.Query(ctx, phonesOfLeadsSQL, pgx.StrictNamedArgs{"org": p.org, "leads": p.leads})
	if err != nil {
		return fmt.Errorf("reading phones of leads: %w", err)
	}
	phones, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("reading phones of leads: %w", err)
	}
	phones = append(phones, p.phones()...)
	slices.Sort(phones)
	phones = slices.Compact(phones)
	var hashes, sealed [][]byte
	var kinds []string
	for n := range p.hashes() {
		var own []byte
		if n.sealable() {
			if own, err = key.seal(p.org, n, phones); err != nil {
				return err
			}
		}
		hashes, kinds, sealed = append(hashes, key.hashOf(p.org, n)), append(kinds, n.Kind), append(sealed, own)
	}
	_, err = tx.Exec(ctx, erasureHashesSQL, pgx.StrictNamedArgs{"org": p.org, "id": id, "hashes": hashes, "kinds": kinds, "sealed": sealed})
	if err != nil {
		return fmt.Errorf("keeping the hashes: %w", err)
	}
	return nil
}

const hashesKeptSQL = `
select count(*)
from ops.erasure_hashes
where org_id = @org and hash = any(@hashes)`

// kept tells whether each name of the person is kept as a hash.
func (p *person) kept(ctx context.Context, tx pgx.Tx, key *ErasureKey) (bool, error) {
	var hashes [][]byte
	for n := range p.hashes() {
		hashes = append(hashes, key.hashOf(p.org, n))
	}
	var kept int
	if err := tx.QueryRow(ctx, hashesKeptSQL, pgx.StrictNamedArgs{"org": p.org, "hashes": hashes}).Scan(&kept); err != nil {
		return false, fmt.Errorf("asking which hashes are kept: %w", err)
	}
	return kept == len(hashes), nil
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

const otherHoldersSQL = `
select distinct o.value
from pipeline.lead_keys o
where o.org_id = @org and o.kind = @kind and o.account_id = '' and o.value = any(@values) and not o.lead_id = any(@leads)
union
select distinct lower(l.email)
from pipeline.leads l
where l.org_id = @org and @kind = 'email' and lower(l.email) = any(@values) and not l.lead_id = any(@leads)`

// addTold adds what their records told of them in fields that another source overruled: e-mail addresses that nobody else has.
func (p *person) addTold(ctx context.Context, tx pgx.Tx, facts func(*pipeline.Record) (pipeline.Facts, error)) error {
	told := map[string]bool{}
	rows, err := tx.Query(ctx, recordsByIDSQL, pgx.StrictNamedArgs{"ids": slices.Collect(maps.Keys(p.records))})
	if err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		_, rec, err := scanRecord(rows, p.org)
		if err != nil {
			return err
		}
		if f, ok := readFacts(facts, rec); ok {
			for i := range f.Leads {
				for n := range namesOf(&pipeline.Facts{Leads: f.Leads[i : i+1]}) {
					if n.Kind == string(pipeline.KeyEmail) {
						told[n.Value] = true
					}
				}
			}
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading records: %w", err)
	}
	if len(told) == 0 {
		return nil
	}
	others, err := tx.Query(ctx, otherHoldersSQL, pgx.StrictNamedArgs{
		"org": p.org, "kind": string(pipeline.KeyEmail), "values": slices.Collect(maps.Keys(told)), "leads": p.leads,
	})
	if err != nil {
		return fmt.Errorf("asking who else has an address: %w", err)
	}
	shared, err := pgx.CollectRows(others, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("asking who else has an address: %w", err)
	}
	for email := range told {
		if !slices.Contains(shared, email) {
			p.names[keyName{Kind: string(pipeline.KeyEmail), Value: email}] = true
		}
	}
	return nil
}

// readFacts shields the caller from a record that breaks the code that reads it.
func readFacts(facts func(*pipeline.Record) (pipeline.Facts, error), rec *pipeline.Record) (f pipeline.Facts, ok bool) {
	defer func() {
		if recover() != nil {
			f, ok = pipeline.Facts{}, false
		}
	}()
	f, err := facts(rec)
	return f, err == nil
}
