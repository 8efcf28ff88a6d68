package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// DeliveryReport is a post's word that one of our deliveries took effect. It counts only where the organisation has sent
// such a delivery to that destination.
type DeliveryReport struct {
	Destination string
	Delivery    uuid.UUID
	// ExternalID is the destination's own id of the effect.
	ExternalID string
	// Join puts what we know of the delivery into the record: the strong keys of its lead.
	Join func(rec *LandRecord, lead []pipeline.Key) error
}

// The keys of a lead that gave way to another one are that one's by now.
const reportedDeliveriesSQL = `
select d.org_id, d.id, d.destination, coalesce(k.kind, ''), coalesce(k.account_id, ''), coalesce(k.value, '')
from unnest(@orgs::uuid[], @ids::uuid[], @destinations::text[]) as n (org_id, id, destination)
join ops.deliveries d on d.id = n.id and d.org_id = n.org_id and d.destination = n.destination and d.sending_at is not null
left join pipeline.lead_merges m on m.org_id = d.org_id and m.lead_id = d.lead_id
left join pipeline.lead_keys k
  on k.org_id = d.org_id and k.lead_id = coalesce(m.into_lead_id, d.lead_id) and k.kind not in ('phone', 'email')
order by k.kind, k.account_id, k.value`

// join completes the records that tell of deliveries of ours, and returns the deliveries to confirm, in a fixed order. The
// lead goes into the record and is not looked up when it is folded: a fold follows from the records alone (law 3).
func join(ctx context.Context, tx pgx.Tx, out []settledPost) ([]ReportedDelivery, error) {
	leads, err := reportedLeads(ctx, tx, out)
	if err != nil {
		return nil, err
	}
	reported := map[uuid.UUID]ReportedDelivery{}
	for i := range out {
		for j := range out[i].facts {
			f := &out[i].facts[j]
			if f.Report == nil {
				continue
			}
			r := ReportedDelivery{Org: f.Target.Org, ID: f.Report.Delivery, Destination: f.Report.Destination}
			lead, ours := leads[r]
			if !ours {
				continue
			}
			if err := f.Report.Join(&f.Record, lead); err != nil {
				return nil, fmt.Errorf("joining a post with delivery %s: %w", r.ID, err)
			}
			r.ExternalID = cmp.Or(f.Report.ExternalID, reported[r.ID].ExternalID)
			reported[r.ID] = r
		}
	}
	return slices.SortedFunc(maps.Values(reported), func(a, b ReportedDelivery) int { return bytes.Compare(a.ID[:], b.ID[:]) }), nil
}

// reportedLeads returns the keys of the leads of deliveries that are ours, by delivery without external id.
func reportedLeads(ctx context.Context, tx pgx.Tx, out []settledPost) (map[ReportedDelivery][]pipeline.Key, error) {
	asked := map[ReportedDelivery]bool{}
	for i := range out {
		for j := range out[i].facts {
			if f := &out[i].facts[j]; f.Report != nil {
				asked[ReportedDelivery{Org: f.Target.Org, ID: f.Report.Delivery, Destination: f.Report.Destination}] = true
			}
		}
	}
	if len(asked) == 0 {
		return nil, nil
	}
	var orgs, ids []uuid.UUID
	var destinations []string
	for r := range asked {
		orgs, ids, destinations = append(orgs, r.Org), append(ids, r.ID), append(destinations, r.Destination)
	}
	rows, err := tx.Query(ctx, reportedDeliveriesSQL, pgx.StrictNamedArgs{"orgs": orgs, "ids": ids, "destinations": destinations})
	if err != nil {
		return nil, fmt.Errorf("looking for reported deliveries: %w", err)
	}
	leads := map[ReportedDelivery][]pipeline.Key{}
	var r ReportedDelivery
	var k pipeline.Key
	_, err = pgx.ForEachRow(rows, []any{&r.Org, &r.ID, &r.Destination, &k.Kind, &k.Account, &k.Value}, func() error {
		if leads[r] == nil {
			leads[r] = []pipeline.Key{}
		}
		if k.Value != "" {
			leads[r] = append(leads[r], k)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for reported deliveries: %w", err)
	}
	return leads, nil
}
