package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const ledgerReadSQL = `
select l.kind, l.account_id, l.value, l.lead_id, l.first_source_time
from unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
cross join lateral (
  select r.kind, r.account_id, r.value, r.lead_id, r.first_source_time
  from pipeline.lead_ledger r
  where r.org_id = @org and r.kind = n.kind and r.account_id = n.account_id and r.value = n.value
  offset 0
) l`

const ledgerUpsertSQL = `
insert into pipeline.lead_ledger (org_id, kind, account_id, value, lead_id, first_source_time, handed_out_at)
select @org, n.kind, n.account_id, n.value, n.lead_id, n.first_source_time, @now
from unnest(@kinds::text[], @accounts::text[], @values::text[], @leads::uuid[], @times::timestamptz[])
  as n (kind, account_id, value, lead_id, first_source_time)
on conflict (org_id, kind, account_id, value) do update
set lead_id = excluded.lead_id`

// choose gives the folded leads their ids.
func (f *folded) choose(ctx context.Context, tx pgx.Tx) error {
	var names []keyName
	for i := range f.result.Leads {
		for _, k := range f.result.Leads[i].LedgerKeys(true) {
			names = append(names, nameOf(k))
		}
	}
	kinds, accounts, values := columns(names)
	rows, err := tx.Query(ctx, ledgerReadSQL, pgx.StrictNamedArgs{"org": f.org, "kinds": kinds, "accounts": accounts, "values": values})
	if err != nil {
		return fmt.Errorf("reading the lead ledger: %w", err)
	}
	var ledger []pipeline.LedgerEntry
	var e pipeline.LedgerEntry
	_, err = pgx.ForEachRow(rows, []any{&e.Kind, &e.Account, &e.Value, &e.LeadID, &e.FirstSourceTime}, func() error {
		ledger = append(ledger, e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the lead ledger: %w", err)
	}
	if ledger, err = f.ours(ctx, tx, ledger); err != nil {
		return err
	}
	f.ids = pipeline.AssignIDs(f.result.Leads, ledger, newID)
	return nil
}

// assign gives the folded leads their ids and writes the ledger.
func (f *folded) assign(ctx context.Context, tx pgx.Tx) error {
	if err := f.choose(ctx, tx); err != nil {
		return err
	}
	var kinds, accounts, values []string
	var ids []uuid.UUID
	var times []time.Time
	for _, e := range f.ids.Ledger {
		kinds, accounts, values = append(kinds, string(e.Kind)), append(accounts, e.Account), append(values, e.Value)
		ids, times = append(ids, e.LeadID), append(times, e.FirstSourceTime)
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, ledgerUpsertSQL, pgx.StrictNamedArgs{
		"org": f.org, "now": f.now, "kinds": kinds, "accounts": accounts, "values": values, "leads": ids, "times": times,
	})
	if err != nil {
		return fmt.Errorf("writing the lead ledger: %w", err)
	}
	return nil
}

const leadsOfLedgerSQL = `
select i.lead_id, k.kind, k.account_id, k.value, k.rule
from unnest(@ids::uuid[]) as i (lead_id)
cross join lateral (
  select
  from pipeline.leads
  where org_id = @org and lead_id = i.lead_id
  offset 0) p
left join lateral (
  select kind, account_id, value, rule
  from pipeline.lead_keys
  where org_id = @org and lead_id = i.lead_id
  offset 0) k on true`

// ours leaves out what the ledger says of leads that live elsewhere: those that are there and have no key here, other than
// one that many share.
func (f *folded) ours(ctx context.Context, tx pgx.Tx, ledger []pipeline.LedgerEntry) ([]pipeline.LedgerEntry, error) {
	ids := map[uuid.UUID]bool{}
	for _, e := range ledger {
		ids[e.LeadID] = true
	}
	rows, err := tx.Query(ctx, leadsOfLedgerSQL, planned, pgx.StrictNamedArgs{"org": f.org, "ids": slices.Collect(maps.Keys(ids))})
	if err != nil {
		return nil, fmt.Errorf("reading the leads of the ledger: %w", err)
	}
	type holding struct{ linked, shared, strong bool }
	there := map[uuid.UUID]holding{}
	var id uuid.UUID
	var kind, account, value, rule *string
	_, err = pgx.ForEachRow(rows, []any{&id, &kind, &account, &value, &rule}, func() error {
		h := there[id]
		if kind != nil {
			k := keyName{*kind, *account, *value}
			here := f.region.keys[k] || k.phone() && k.Account == "" && f.region.phones[k.Value]
			shared := *rule == pipeline.RuleShared
			h.linked = h.linked || here && !shared
			h.shared = h.shared || here && shared
			h.strong = h.strong || k.strong()
		}
		there[id] = h
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the leads of the ledger: %w", err)
	}
	return slices.DeleteFunc(ledger, func(e pipeline.LedgerEntry) bool {
		h, ok := there[e.LeadID]
		return ok && !h.linked && (!h.shared || h.strong)
	}), nil
}

// newID returns a UUIDv7, so that rows made together lie together.
func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// leadRecord is a row of pipeline.leads as JSON; keys are columns.
type leadRecord struct {
	OrgID            uuid.UUID                       `json:"org_id"`
	LeadID           uuid.UUID                       `json:"lead_id"`
	BusinessName     *string                         `json:"business_name"`
	ContactFirstName *string                         `json:"contact_first_name"`
	ContactLastName  *string                         `json:"contact_last_name"`
	Email            *string                         `json:"email"`
	Phone            *string                         `json:"phone"`
	PhoneE164        *string                         `json:"phone_e164"`
	Phones           []string                        `json:"phones"`
	Industry         *string                         `json:"industry"`
	MonthlyRevenue   *string                         `json:"monthly_revenue"`
	RequestedAmount  *string                         `json:"requested_amount"`
	Source           string                          `json:"source"`
	Priority         string                          `json:"priority"`
	Timezone         *string                         `json:"timezone"`
	City             *string                         `json:"city"`
	State            *string                         `json:"state"`
	PostalCode       *string                         `json:"postal_code"`
	Tags             json.RawMessage                 `json:"tags"`
	CustomFields     json.RawMessage                 `json:"custom_fields"`
	ExternalIDs      map[string]any                  `json:"external_ids"`
	StageKey         string                          `json:"stage_key"`
	StageChangedAt   *time.Time                      `json:"stage_changed_at"`
	StageHistory     []pipeline.StageChange          `json:"stage_history"`
	AdvisorID        *string                         `json:"advisor_id"`
	LastContactedAt  *time.Time                      `json:"last_contacted_at"`
	Attempts         int                             `json:"attempts"`
	FirstDialledAt   *time.Time                      `json:"first_dialled_at"`
	FirstAnsweredAt  *time.Time                      `json:"first_answered_at"`
	IsDoNotCall      bool                            `json:"is_do_not_call"`
	DNCReason        *string                         `json:"dnc_reason"`
	DNCAt            *time.Time                      `json:"dnc_at"`
	FieldSources     map[pipeline.Field]pipeline.Won `json:"field_sources"`
	ContentHash      string                          `json:"content_hash"`
	FirstSourceTime  time.Time                       `json:"first_source_time"`
	SplitFrom        *uuid.UUID                      `json:"split_from"`
	CreatedAt        time.Time                       `json:"created_at"`
	UpdatedAt        time.Time                       `json:"updated_at"`
}

// defaultPriority is that of a lead of which nobody said any.
const defaultPriority = "normal"

func (f *folded) leadRow(i int) leadRecord {
	l := &f.result.Leads[i]
	text := func(field pipeline.Field) *string { return optional(l.Fields[field].Value) }
	row := leadRecord{
		OrgID: f.org, LeadID: f.ids.IDs[i],
		BusinessName: text(pipeline.FieldBusinessName), ContactFirstName: text(pipeline.FieldContactFirstName),
		ContactLastName: text(pipeline.FieldContactLastName), Email: text(pipeline.FieldEmail),
		Phone: text(pipeline.FieldPhone), PhoneE164: optional(l.DialPhone()), Phones: l.Phones,
		Industry:       text(pipeline.FieldIndustry),
		MonthlyRevenue: amount(l.Fields[pipeline.FieldMonthlyRevenue].Value), RequestedAmount: amount(l.Fields[pipeline.FieldRequestedAmount].Value),
		Source: orElse(l.Fields[pipeline.FieldSource].Value, "manual"), Priority: orElse(l.Fields[pipeline.FieldPriority].Value, defaultPriority),
		Timezone: text(pipeline.FieldTimezone), City: text(pipeline.FieldCity), State: text(pipeline.FieldState),
		PostalCode: text(pipeline.FieldPostalCode),
		Tags:       jsonOr(l.Fields[pipeline.FieldTags].Value, "[]"), CustomFields: jsonOr(l.Fields[pipeline.FieldCustom].Value, "{}"),
		ExternalIDs: externalIDs(l), StageKey: l.Stage, StageChangedAt: optionalTime(l.StageChangedAt),
		StageHistory: l.Stages, AdvisorID: text(pipeline.FieldAdvisor),
		LastContactedAt: optionalTime(l.LastContactedAt), Attempts: l.Attempts, FirstDialledAt: optionalTime(l.FirstDialledAt),
		FirstAnsweredAt: optionalTime(l.FirstAnsweredAt), IsDoNotCall: l.DNC, DNCReason: optional(l.DNCReason),
		DNCAt: optionalTime(l.DNCAt), FieldSources: l.Fields, FirstSourceTime: l.FirstSourceTime,
		CreatedAt: l.CreatedAt, UpdatedAt: f.now,
	}
	if row.Phones == nil {
		row.Phones = []string{}
	}
	if row.StageHistory == nil {
		row.StageHistory = []pipeline.StageChange{}
	}
	if from := f.ids.SplitFrom[i]; from != uuid.Nil {
		row.SplitFrom = &from
	}
	row.ContentHash = contentHash(l)
	return row
}

// contentHash returns the hash of a folded value in the form that bytea takes from JSON.
func contentHash(v any) string {
	// Marshalling these structs cannot fail: they hold strings, numbers, times and maps of them.
	text, _ := json.Marshal(v)
	sum := sha256.Sum256(text)
	return `\x` + hex.EncodeToString(sum[:])
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func jsonOr(s, fallback string) json.RawMessage {
	if !json.Valid([]byte(s)) {
		s = fallback
	}
	return json.RawMessage(s)
}

var decimal = regexp.MustCompile(`^-?\d{1,30}(\.\d{1,10})?$`)

// amount reads money as an exact decimal; what is none stays readable in the record and its field source.
func amount(s string) *string {
	s = strings.NewReplacer(",", "", "$", "", " ", "").Replace(s)
	if !decimal.MatchString(s) {
		return nil
	}
	return &s
}

// externalIDs names the lead's ids at the vendors: a string, or an array where there are several.
func externalIDs(l *pipeline.Lead) map[string]any {
	names := map[pipeline.KeyKind]string{
		pipeline.KeyIPSCAPELead: "ipscape", pipeline.KeyConvosoLead: "convoso", pipeline.KeyLendWorks: "lendworks",
	}
	values := map[string][]string{}
	for _, k := range l.Keys {
		if name, ok := names[k.Kind]; ok {
			values[name] = append(values[name], k.Value)
		}
	}
	ids := map[string]any{}
	for name, list := range values {
		if len(list) == 1 {
			ids[name] = list[0]
		} else {
			ids[name] = list
		}
	}
	return ids
}

const leadHashesSQL = `
select lead_id, content_hash
from pipeline.leads
where org_id = @org and lead_id = any(@ids)`

const leadsUpsertSQL = `
insert into pipeline.leads (
  org_id, lead_id, business_name, contact_first_name, contact_last_name, email, phone, phone_e164, phones, industry,
  monthly_revenue, requested_amount, source, priority, timezone, city, state, postal_code, tags, custom_fields,
  external_ids, stage_key, stage_changed_at, last_contacted_at, attempts, first_dialled_at, first_answered_at,
  is_do_not_call, dnc_reason, dnc_at, field_sources, content_hash, first_source_time, split_from, created_at, updated_at,
  advisor_id, stage_history)
select
  org_id, lead_id, business_name, contact_first_name, contact_last_name, email, phone, phone_e164, phones, industry,
  monthly_revenue, requested_amount, source, priority, timezone, city, state, postal_code, tags, custom_fields,
  external_ids, stage_key, stage_changed_at, last_contacted_at, attempts, first_dialled_at, first_answered_at,
  is_do_not_call, dnc_reason, dnc_at, field_sources, content_hash, first_source_time, split_from, created_at, updated_at,
  advisor_id, stage_history
from jsonb_populate_recordset(null::pipeline.leads, @rows::jsonb)
on conflict (org_id, lead_id) do update
set business_name = excluded.business_name, contact_first_name = excluded.contact_first_name,
  contact_last_name = excluded.contact_last_name, email = excluded.email, phone = excluded.phone,
  phone_e164 = excluded.phone_e164, phones = excluded.phones, industry = excluded.industry,
  monthly_revenue = excluded.monthly_revenue, requested_amount = excluded.requested_amount, source = excluded.source,
  priority = excluded.priority, timezone = excluded.timezone, city = excluded.city, state = excluded.state,
  postal_code = excluded.postal_code, tags = excluded.tags, custom_fields = excluded.custom_fields,
  external_ids = excluded.external_ids, stage_key = excluded.stage_key, stage_changed_at = excluded.stage_changed_at,
  last_contacted_at = excluded.last_contacted_at, attempts = excluded.attempts, first_dialled_at = excluded.first_dialled_at,
  first_answered_at = excluded.first_answered_at, is_do_not_call = excluded.is_do_not_call, dnc_reason = excluded.dnc_reason,
  dnc_at = excluded.dnc_at, field_sources = excluded.field_sources, content_hash = excluded.content_hash,
  first_source_time = excluded.first_source_time, created_at = excluded.created_at, updated_at = excluded.updated_at,
  advisor_id = excluded.advisor_id, stage_history = excluded.stage_history,
  split_from = coalesce(pipeline.leads.split_from, excluded.split_from)`

// writeLeads writes the leads that changed, their keys and merges, and removes leads that are no more. It returns the
// indexes of those that changed.
func (f *folded) writeLeads(ctx context.Context, tx pgx.Tx) ([]int, error) {
	stored, err := hashes[uuid.UUID](ctx, tx, leadHashesSQL, pgx.StrictNamedArgs{"org": f.org, "ids": f.ids.IDs})
	if err != nil {
		return nil, fmt.Errorf("reading leads: %w", err)
	}
	if err := f.unmerge(ctx, tx); err != nil {
		return nil, err
	}
	if err := f.noteSplits(ctx, tx); err != nil {
		return nil, err
	}
	var changed []int
	var rows []leadRecord
	for i := range f.result.Leads {
		row := f.leadRow(i)
		if f.force || stored[row.LeadID] != row.ContentHash {
			changed = append(changed, i)
			rows = append(rows, row)
		}
	}
	if err := f.dropLeads(ctx, tx); err != nil {
		return nil, err
	}
	if err := upsertRows(ctx, tx, leadsUpsertSQL, rows); err != nil {
		return nil, fmt.Errorf("writing leads: %w", err)
	}
	return changed, f.writeLinks(ctx, tx, changed)
}

// hashes reads ids and content hashes into a map of the form that contentHash gives.
func hashes[K comparable](ctx context.Context, tx pgx.Tx, sql string, args pgx.StrictNamedArgs) (map[K]string, error) {
	rows, err := tx.Query(ctx, sql, planned, args)
	if err != nil {
		return nil, err
	}
	found := map[K]string{}
	var id K
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &hash}, func() error {
		found[id] = `\x` + hex.EncodeToString(hash)
		return nil
	})
	return found, err
}

// upsertRows hands rows to a statement that reads them with jsonb_populate_recordset.
func upsertRows[T any](ctx context.Context, tx pgx.Tx, sql string, rows []T) error {
	if len(rows) == 0 {
		return nil
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, sql, pgx.StrictNamedArgs{"rows": json.RawMessage(text)})
	return err
}

const staleLeadsSQL = `
select distinct k.lead_id
from unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
cross join lateral (
  select l.lead_id
  from pipeline.lead_keys l
  where l.org_id = @org and l.kind = n.kind and l.account_id = n.account_id and l.value = n.value and l.rule <> 'shared'
  offset 0
) k
where not k.lead_id = any(@ids)`

// A lead that is known by phones alone, which do not link it, goes with the last record that names it by them.
const staleBareSQL = `
select distinct k.lead_id
from unnest(@phones::text[]) as n (value)
cross join lateral (
  select l.lead_id
  from pipeline.lead_keys l
  where l.org_id = @org and l.kind = 'phone' and l.account_id = '' and l.value = n.value and l.rule <> 'phone'
  offset 0
) k
where not k.lead_id = any(@ids)
  and not exists (
    select
    from pipeline.lead_keys s
    where s.org_id = @org and s.lead_id = k.lead_id and s.kind not in ('phone', 'email'))`

const leadsDeleteSQL = `delete from pipeline.leads where org_id = @org and lead_id = any(@ids)`

const leadKeysDeleteSQL = `delete from pipeline.lead_keys where org_id = @org and lead_id = any(@ids)`

const mergesDeleteSQL = `
delete from pipeline.lead_merges
where org_id = @org and lead_id = any(@ids)
returning lead_id, into_lead_id`

const mergesUpsertSQL = `
with given as (
  select * from unnest(@from::uuid[], @into::uuid[]) as n (lead_id, into_lead_id)
), moved as (
  update pipeline.lead_merges m
  set into_lead_id = g.into_lead_id
  from given g
  where m.org_id = @org and m.into_lead_id = g.lead_id
)
insert into pipeline.lead_merges (org_id, lead_id, into_lead_id, merged_at)
select @org, g.lead_id, g.into_lead_id, @now from given g
on conflict (org_id, lead_id) do update
set into_lead_id = excluded.into_lead_id`

const splitsInsertSQL = `
insert into pipeline.lead_splits (org_id, lead_id, split_from, split_at)
select @org, n.lead_id, n.split_from, @now
from unnest(@leads::uuid[], @from::uuid[]) as n (lead_id, split_from)
on conflict do nothing`

// noteSplits remembers which leads were split off, beyond the life of their rows: a merge deletes those.
func (f *folded) noteSplits(ctx context.Context, tx pgx.Tx) error {
	var leads, from []uuid.UUID
	for i, id := range f.ids.IDs {
		if f.ids.SplitFrom[i] != uuid.Nil {
			leads, from = append(leads, id), append(from, f.ids.SplitFrom[i])
		}
	}
	if len(leads) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, splitsInsertSQL, pgx.StrictNamedArgs{"org": f.org, "now": f.now, "leads": leads, "from": from})
	if err != nil {
		return fmt.Errorf("noting split leads: %w", err)
	}
	return nil
}

// unmerge lets ids that are leads again resolve to nothing else. Such a lead was split off the one it had merged into.
func (f *folded) unmerge(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, mergesDeleteSQL, pgx.StrictNamedArgs{"org": f.org, "ids": f.ids.IDs})
	if err != nil {
		return fmt.Errorf("parting merged leads: %w", err)
	}
	var id, into uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&id, &into}, func() error {
		if i := slices.Index(f.ids.IDs, id); f.ids.SplitFrom[i] == uuid.Nil {
			f.ids.SplitFrom[i] = into
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("parting merged leads: %w", err)
	}
	return nil
}

// stale finds the leads that hold a key of the region and are not among those folded.
func (f *folded) stale(ctx context.Context, tx pgx.Tx) ([]uuid.UUID, error) {
	names := slices.Collect(maps.Keys(f.region.keys))
	for phone := range f.region.phones {
		if !f.region.shared[phone] {
			names = append(names, keyName{string(pipeline.KeyPhone), "", phone})
		}
	}
	kinds, accounts, values := columns(names)
	rows, err := tx.Query(ctx, staleLeadsSQL, pgx.StrictNamedArgs{"org": f.org, "kinds": kinds, "accounts": accounts, "values": values, "ids": f.ids.IDs})
	if err != nil {
		return nil, fmt.Errorf("finding leads that are no more: %w", err)
	}
	stale, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("finding leads that are no more: %w", err)
	}
	args := pgx.StrictNamedArgs{"org": f.org, "phones": slices.Collect(maps.Keys(f.region.whole)), "ids": append(slices.Clone(f.ids.IDs), stale...)}
	if rows, err = tx.Query(ctx, staleBareSQL, args); err != nil {
		return nil, fmt.Errorf("finding leads of a phone that are no more: %w", err)
	}
	bare, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("finding leads of a phone that are no more: %w", err)
	}
	return append(stale, bare...), nil
}

// dropLeads removes the rows of leads that merged into others or lost their last key, and keeps their ids resolving.
func (f *folded) dropLeads(ctx context.Context, tx pgx.Tx) error {
	stale, err := f.stale(ctx, tx)
	if err != nil {
		return err
	}
	var from, into []uuid.UUID
	for old, id := range f.ids.Merged {
		from, into = append(from, old), append(into, id)
		if !slices.Contains(stale, old) {
			stale = append(stale, old)
		}
	}
	for _, step := range []struct {
		sql string
		ids []uuid.UUID
	}{{leadsDeleteSQL, stale}, {leadKeysDeleteSQL, stale}} {
		if len(step.ids) == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, step.sql, pgx.StrictNamedArgs{"org": f.org, "ids": step.ids}); err != nil {
			return fmt.Errorf("removing leads that are no more: %w", err)
		}
	}
	if len(from) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, mergesUpsertSQL, pgx.StrictNamedArgs{"org": f.org, "from": from, "into": into, "now": f.now}); err != nil {
		return fmt.Errorf("noting merged leads: %w", err)
	}
	return nil
}

// linkRow is a row of pipeline.lead_keys as JSON.
type linkRow struct {
	OrgID    uuid.UUID `json:"org_id"`
	Kind     string    `json:"kind"`
	Account  string    `json:"account_id"`
	Value    string    `json:"value"`
	LeadID   uuid.UUID `json:"lead_id"`
	Rule     string    `json:"rule"`
	Evidence string    `json:"evidence"`
	LinkedAt time.Time `json:"linked_at"`
}

const lostLinksSQL = `
delete from pipeline.lead_keys
where ctid = any(array(
  select k.ctid
  from unnest(@ids::uuid[]) as i (lead_id)
  cross join lateral (
    select ctid, lead_id, kind, account_id, value
    from pipeline.lead_keys
    where org_id = @org and lead_id = i.lead_id
    offset 0) k
  where (k.lead_id, k.kind, k.account_id, k.value) not in (
    select n.lead_id, n.kind, n.account_id, n.value
    from jsonb_populate_recordset(null::pipeline.lead_keys, @rows::jsonb) n)))`

const linksUpsertSQL = `
insert into pipeline.lead_keys as k (org_id, kind, account_id, value, lead_id, rule, evidence, linked_at)
select org_id, kind, account_id, value, lead_id, rule, evidence, linked_at
from jsonb_populate_recordset(null::pipeline.lead_keys, @rows::jsonb)
on conflict (org_id, kind, account_id, value, lead_id) do update
set rule = excluded.rule, evidence = excluded.evidence
where k.rule <> excluded.rule or k.evidence <> excluded.evidence`

// writeLinks writes the keys of the leads that changed: their hash covers their keys.
func (f *folded) writeLinks(ctx context.Context, tx pgx.Tx, changed []int) error {
	if len(changed) == 0 {
		return nil
	}
	var rows []linkRow
	var ids []uuid.UUID
	for _, i := range changed {
		ids = append(ids, f.ids.IDs[i])
		for _, k := range f.result.Leads[i].Keys {
			rows = append(rows, linkRow{f.org, string(k.Kind), k.Account, k.Value, f.ids.IDs[i], k.Rule, k.Evidence, f.now})
		}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return fmt.Errorf("writing links: %w", err)
	}
	if _, err := tx.Exec(ctx, lostLinksSQL, planned, pgx.StrictNamedArgs{"org": f.org, "ids": ids, "rows": string(text)}); err != nil {
		return fmt.Errorf("removing links: %w", err)
	}
	if err := upsertRows(ctx, tx, linksUpsertSQL, rows); err != nil {
		return fmt.Errorf("writing links: %w", err)
	}
	return nil
}
