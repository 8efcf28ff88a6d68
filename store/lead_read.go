package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// LeadDetail is a lead as the HTTP API reads it. Nil means that nobody told; times are UTC.
type LeadDetail struct {
	ID               uuid.UUID
	BusinessName     *string
	ContactFirstName *string
	ContactLastName  *string
	Email            *string
	// Phone is as given.
	Phone    *string
	Industry *string
	// MonthlyRevenue and RequestedAmount are exact decimal strings.
	MonthlyRevenue  *string
	RequestedAmount *string
	Source          string
	Priority        string
	// Tags is a JSON array; CustomFields and ExternalIDs are JSON objects.
	Tags            json.RawMessage
	CustomFields    json.RawMessage
	ExternalIDs     json.RawMessage
	Stage           LeadStage
	StageChangedAt  *time.Time
	LastContactedAt *time.Time
	IsDoNotCall     bool
	DNCReason       *string
	DNCAt           *time.Time
	CreatedAt       time.Time
	UpdatedAt       time.Time
	// AdvisorID is a user's id in the API, AdvisorName that user's name where it is known.
	AdvisorID   *string
	AdvisorName *string
}

// LeadStage is the stage a lead is in. All but Key are nil when the organisation has no such stage any more.
type LeadStage struct {
	ID    *uuid.UUID
	Key   string
	Label *string
	Color *string
	Slot  *string
}

// leadColumns are what a row of a lead is read from; advisors are few.
const leadColumns = `  l.lead_id, l.business_name, l.contact_first_name, l.contact_last_name, l.email, l.phone, l.industry,
  l.monthly_revenue::text, l.requested_amount::text, l.source, l.priority, l.tags::text, l.custom_fields::text,
  l.external_ids::text, s.stage_id, l.stage_key, s.label, s.color, s.semantic_slot, l.stage_changed_at,
  l.last_contacted_at, l.is_do_not_call, l.dnc_reason, l.dnc_at, l.created_at, l.updated_at, l.advisor_id,
  (
    select a.name
    from pipeline.agents a
    where l.advisor_id is not null
      and a.org_id = l.org_id
      and (a.agent_id::text = l.advisor_id or a.source = 'api' and a.external_id = l.advisor_id)
    order by a.name
    limit 1
  )`

// Ids of merged leads lead on to the lead they became part of, over several steps if need be. A lead that is there under
// its own id is itself, whatever it once was. Twenty steps end a circle that no reconcile should make.
const leadByIDSQL = `
with recursive chain (lead_id, step) as (
  select @lead_id::uuid, 0
  union all
  select m.into_lead_id, c.step + 1
  from chain c
  join pipeline.lead_merges m on m.org_id = @org_id and m.lead_id = c.lead_id
  where c.step < 20
)
select 1::bigint,
` + leadColumns + `
from chain c
join pipeline.leads l on l.org_id = @org_id and l.lead_id = c.lead_id
left join pipeline.stages s on s.org_id = l.org_id and s.stage_key = l.stage_key
order by c.step
limit 1`

// Lead returns one lead of an organisation, by its own id or by one that was merged into it. It returns ErrNotFound for
// any other id, another organisation's included.
func (db *DB) Lead(ctx context.Context, org, id uuid.UUID) (LeadDetail, error) {
	var lead LeadDetail
	err := db.onConn(ctx, func(q Queryer) (err error) {
		lead, err = leadByID(ctx, q, org, id)
		return err
	})
	return lead, err
}

func leadByID(ctx context.Context, q Queryer, org, id uuid.UUID) (LeadDetail, error) {
	rows, err := q.Query(ctx, leadByIDSQL, pgx.StrictNamedArgs{"org_id": org, "lead_id": id})
	if err != nil {
		return LeadDetail{}, fmt.Errorf("reading lead %s: %w", id, err)
	}
	page, err := collectLeads(rows)
	switch {
	case err != nil:
		return LeadDetail{}, fmt.Errorf("reading lead %s: %w", id, err)
	case len(page.Leads) == 0:
		return LeadDetail{}, fmt.Errorf("lead %s: %w", id, ErrNotFound)
	}
	return page.Leads[0], nil
}

// leadDetailRow receives a row in which every lead column may be null, where a page is empty.
type leadDetailRow struct {
	LeadDetail
	id                              *uuid.UUID
	source, priority, stageKey      *string
	tags, customFields, externalIDs *string
	isDoNotCall                     *bool
	createdAt, updatedAt            *time.Time
}

func collectLeads(rows pgx.Rows) (LeadPage, error) {
	var page LeadPage
	for rows.Next() {
		var r leadDetailRow
		if err := rows.Scan(&page.Total, &r.id, &r.BusinessName, &r.ContactFirstName, &r.ContactLastName, &r.Email,
			&r.Phone, &r.Industry, &r.MonthlyRevenue, &r.RequestedAmount, &r.source, &r.priority, &r.tags,
			&r.customFields, &r.externalIDs, &r.Stage.ID, &r.stageKey, &r.Stage.Label, &r.Stage.Color, &r.Stage.Slot,
			&r.StageChangedAt, &r.LastContactedAt, &r.isDoNotCall, &r.DNCReason, &r.DNCAt, &r.createdAt,
			&r.updatedAt, &r.AdvisorID, &r.AdvisorName); err != nil {
			rows.Close()
			return LeadPage{}, err
		}
		if r.id != nil {
			page.Leads = append(page.Leads, r.detail())
		}
	}
	return page, rows.Err()
}

func (r *leadDetailRow) detail() LeadDetail {
	d := r.LeadDetail
	d.ID, d.Source, d.Priority, d.Stage.Key, d.IsDoNotCall = *r.id, *r.source, *r.priority, *r.stageKey, *r.isDoNotCall
	d.Tags, d.CustomFields, d.ExternalIDs = json.RawMessage(*r.tags), json.RawMessage(*r.customFields), json.RawMessage(*r.externalIDs)
	d.CreatedAt, d.UpdatedAt = r.createdAt.UTC(), r.updatedAt.UTC()
	return d
}
