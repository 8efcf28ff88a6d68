package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// What conditions of routes ask of a lead, in the words in which the fold asked when the delivery was ordered.
const conditionLeadsSQL = `
select l.lead_id, l.stage_key, l.field_sources::text,
  array(
    select distinct k.evidence
    from pipeline.lead_keys k
    where k.org_id = l.org_id and k.lead_id = l.lead_id) as evidence
from unnest(@orgs::uuid[], @ids::uuid[]) as g (org_id, lead_id)
join pipeline.leads l
  on l.org_id = g.org_id and l.lead_id = g.lead_id`

// noteUnrouted finds the deliveries that a route ordered and that no route wants any more: all that lead there were removed, or
// take other leads than this one has become. Leads are read only where a route has a condition. An update needs a route of any
// condition, as when it is ordered. What a person or an opt-out ordered needs none.
func noteUnrouted(ctx context.Context, q Queryer, rows []candidateRow, candidates []pipeline.DeliveryCandidate) error {
	var orgs, ids []uuid.UUID
	conditions := map[int][]pipeline.Condition{}
	for i := range rows {
		r := &rows[i]
		if r.Routes == nil || r.FoundLeadID == nil {
			continue
		}
		list, always, err := routeConditions(*r.Routes)
		if err != nil {
			return fmt.Errorf("reading the routes of delivery %s: %w", r.ID, err)
		}
		switch {
		case len(list) == 0:
			candidates[i].Unrouted = true
		case !always && r.Operation != OpUpdateLead:
			conditions[i], orgs, ids = list, append(orgs, r.OrgID), append(ids, *r.FoundLeadID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	leads, err := conditionLeads(ctx, q, orgs, ids)
	if err != nil {
		return err
	}
	for i, list := range conditions {
		lead := leads[*rows[i].FoundLeadID]
		candidates[i].Unrouted = lead != nil
		for _, c := range list {
			if lead != nil && c.Matches(lead) {
				candidates[i].Unrouted = false
			}
		}
	}
	return nil
}

// routeConditions reads conditions, and tells whether one of them takes every lead.
func routeConditions(texts []string) (list []pipeline.Condition, always bool, err error) {
	for _, text := range texts {
		c, err := pipeline.ParseCondition(text)
		if err != nil {
			return nil, false, err
		}
		list, always = append(list, c), always || text == ""
	}
	return list, always, nil
}

func conditionLeads(ctx context.Context, q Queryer, orgs, ids []uuid.UUID) (map[uuid.UUID]*pipeline.Lead, error) {
	rows, err := q.Query(ctx, conditionLeadsSQL, pgx.StrictNamedArgs{"orgs": orgs, "ids": ids})
	if err != nil {
		return nil, fmt.Errorf("reading leads for the conditions of routes: %w", err)
	}
	leads := map[uuid.UUID]*pipeline.Lead{}
	var id uuid.UUID
	var stage, fields string
	var evidence []string
	_, err = pgx.ForEachRow(rows, []any{&id, &stage, &fields, &evidence}, func() error {
		lead := &pipeline.Lead{Stage: stage}
		for _, e := range evidence {
			lead.Keys = append(lead.Keys, pipeline.LinkedKey{Evidence: e})
		}
		leads[id] = lead
		return json.Unmarshal([]byte(fields), &lead.Fields)
	})
	if err != nil {
		return nil, fmt.Errorf("reading leads for the conditions of routes: %w", err)
	}
	return leads, nil
}
