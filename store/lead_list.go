package store

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// LeadQuery asks for one page of an organisation's leads, newest first.
type LeadQuery struct {
	// Search asks for leads in whose business name, contact name or e-mail every word begins a word; empty asks for all.
	Search string
	LeadFilter
	// After asks for what comes after a lead of an earlier page; the zero value begins at the newest.
	After Position
	// Offset and Limit count leads; Limit is at least 1.
	Offset int64
	Limit  int
}

// Position is a row's place in a list that is ordered by time and id.
type Position struct {
	At time.Time
	ID uuid.UUID
}

// LeadFilter narrows a list of leads; empty and nil ask for all.
type LeadFilter struct {
	// Stage is a stage's key or id.
	Stage    string
	Priority string
	Source   string
	DNC      *bool
	// Phone finds a lead by any of its numbers in E.164, PhoneGiven by its phone as given.
	Phone, PhoneGiven string
	// ExternalKinds and ExternalID find a lead by its id at a vendor.
	ExternalKinds []pipeline.KeyKind
	ExternalID    string
	// UpdatedSince is inclusive.
	UpdatedSince time.Time
}

func (f *LeadFilter) empty() bool {
	return f.Stage == "" && f.Priority == "" && f.Source == "" && f.DNC == nil && f.Phone == "" && f.PhoneGiven == "" &&
		f.ExternalID == "" && f.UpdatedSince.IsZero()
}

// LeadPage is a page and the exact number of leads that the query finds, of one snapshot.
type LeadPage struct {
	Leads []LeadDetail
	Total int64
}

// The page hangs on the total, so that both are of one snapshot and an empty page still tells the total. Only the page's
// own rows are joined with anything.
const leadsListSQL = `
with total as (
  select count(*) as n
  from pipeline.leads
  where org_id = @org_id
), page as (
  select *
  from pipeline.leads
  where org_id = @org_id
  order by created_at desc, lead_id desc
  limit @limit offset @offset
)
select total.n,
` + leadColumns + `
from total
left join page l on true
left join pipeline.stages s on s.org_id = l.org_id and s.stage_key = l.stage_key
order by l.created_at desc, l.lead_id desc`

const leadsSearchSQL = `
with hit as materialized (
  select lead_id, created_at
  from pipeline.leads
  where org_id = @org_id
    and search @@ to_tsquery('simple', @search)
), total as (
  select count(*) as n
  from hit
), page as (
  select lead_id
  from hit
  order by created_at desc, lead_id desc
  limit @limit offset @offset
)
select total.n,
` + leadColumns + `
from total
left join page on true
left join pipeline.leads l on l.org_id = @org_id and l.lead_id = page.lead_id
left join pipeline.stages s on s.org_id = l.org_id and s.stage_key = l.stage_key
order by l.created_at desc, l.lead_id desc`

// leadFilter holds a lead to what was asked for. What was not asked for is null, and planned away.
const leadFilter = `
    where l.org_id = @org_id
      and (@search::text is null or l.search @@ to_tsquery('simple', @search))
      and (@stage::text is null or l.stage_key = @stage)
      and (@priority::text is null or l.priority = @priority)
      and (@source::text is null or l.source = @source)
      and (@dnc::boolean is null or l.is_do_not_call = @dnc)
      and (@phone::text is null or l.lead_id = any (array (
        select k.lead_id
        from pipeline.lead_keys k
        where k.org_id = @org_id and k.value = @phone and k.kind = 'phone'
        union
        select g.lead_id
        from pipeline.leads g
        where g.org_id = @org_id and g.phone = @phone_given)))
      and (@external_id::text is null or l.lead_id = any (array (
        select k.lead_id
        from pipeline.lead_keys k
        where k.org_id = @org_id and k.value = @external_id and k.kind = any(@external_kinds))))
      and (@updated_since::timestamptz is null or l.updated_at >= @updated_since)`

// The statement is planned for the arguments at hand each time: an index for every filter.
const leadsFilterSQL = `
with total as (
  select count(*) as n
  from pipeline.leads l` + leadFilter + `
), page as (
  select *
  from pipeline.leads l` + leadFilter + `
      and (@after_at::timestamptz is null or (l.created_at, l.lead_id) < (@after_at, @after_id::uuid))
  order by l.created_at desc, l.lead_id desc
  limit @limit offset @offset
)
select total.n,
` + leadColumns + `
from total
left join page l on true
left join pipeline.stages s on s.org_id = l.org_id and s.stage_key = l.stage_key
order by l.created_at desc, l.lead_id desc`

// Leads returns a page of an organisation's leads, newest first by creation, leads of one instant by id.
func (db *DB) Leads(ctx context.Context, org uuid.UUID, query LeadQuery) (LeadPage, error) {
	args := pgx.StrictNamedArgs{"org_id": org, "limit": query.Limit, "offset": query.Offset}
	statement, mode := leadsListSQL, pgx.QueryExecModeCacheStatement
	switch {
	case !query.empty() || query.After != (Position{}):
		statement, mode = leadsFilterSQL, planned
		query.filterArgs(args)
	case strings.TrimSpace(query.Search) != "":
		statement = leadsSearchSQL
		args["search"] = prefixQuery(query.Search)
	}
	var page LeadPage
	err := db.onConn(ctx, func(q Queryer) error {
		if id, err := uuid.Parse(query.Stage); err == nil {
			// Told by its key, a stage is in the plan; found by a subquery it would be none that the planner knows.
			if args["stage"], err = stageKeyOf(ctx, q, org, id); err != nil {
				return err
			}
		}
		rows, err := q.Query(ctx, statement, mode, args)
		if err != nil {
			return err
		}
		page, err = collectLeads(rows)
		return err
	})
	if err != nil {
		return LeadPage{}, fmt.Errorf("listing leads: %w", err)
	}
	return page, nil
}

func (q *LeadQuery) filterArgs(args pgx.StrictNamedArgs) {
	var search, phone *string
	if strings.TrimSpace(q.Search) != "" {
		text := prefixQuery(q.Search)
		search = &text
	}
	if q.Phone != "" || q.PhoneGiven != "" {
		phone = &q.Phone
	}
	kinds := []string{}
	for _, k := range q.ExternalKinds {
		kinds = append(kinds, string(k))
	}
	args["search"], args["stage"], args["priority"], args["source"], args["dnc"] = search, asked(q.Stage), asked(q.Priority), asked(q.Source), q.DNC
	args["phone"], args["phone_given"] = phone, q.PhoneGiven
	args["external_id"], args["external_kinds"] = asked(q.ExternalID), kinds
	args["updated_since"], args["after_at"], args["after_id"] = timeOrNull(q.UpdatedSince), timeOrNull(q.After.At), q.After.ID
}

// asked is a text that was asked for, nil for none.
func asked(text string) *string {
	if text == "" {
		return nil
	}
	clean := cleanText(text, maxSearch)
	return &clean
}

// prefixQuery writes a text search query that asks for every word of text as the beginning of a word. Each word stands in
// quotes, so that none of its characters has a meaning to the query's grammar. A word with punctuation in it, such as half
// an e-mail address, may also be found by its parts: the parser cuts up a part of an address differently from the whole.
func prefixQuery(text string) string {
	var words []string
	for word := range strings.FieldsSeq(cleanText(text, maxSearch)) {
		alternatives := prefixOperand(word)
		parts := strings.FieldsFunc(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
		for i, part := range parts {
			parts[i] = prefixOperand(part)
		}
		if len(parts) > 1 {
			alternatives = "(" + alternatives + " | (" + strings.Join(parts, " & ") + "))"
		}
		words = append(words, alternatives)
	}
	return strings.Join(words, " & ")
}

func prefixOperand(word string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(word) + "':*"
}

// maxSearch bounds a search text, in bytes.
const maxSearch = 1024

// LeadStatements returns what the API runs for a plain list (arguments org_id, limit, offset), a search (search besides, as
// SearchWords writes it) and one lead (org_id, lead_id), for those who measure what is built around them.
func LeadStatements() (list, search, one string) { return leadsListSQL, leadsSearchSQL, leadByIDSQL }

// SearchWords writes a search text as the argument of the statement that searches.
func SearchWords(text string) string { return prefixQuery(text) }

// ExplainLeads returns the plan of a filtered list, for people and tests that ask which index it takes.
func (db *DB) ExplainLeads(ctx context.Context, org uuid.UUID, query LeadQuery) (string, error) {
	args := pgx.StrictNamedArgs{"org_id": org, "limit": query.Limit, "offset": query.Offset}
	query.filterArgs(args)
	var plan []string
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, "explain "+leadsFilterSQL, planned, args)
		if err != nil {
			return err
		}
		plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil {
		return "", fmt.Errorf("explaining a list of leads: %w", err)
	}
	return strings.Join(plan, "\n"), nil
}
