package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// DestinationIPSCAPE is ipSCAPE's name as a destination, in ops.deliveries.
const DestinationIPSCAPE = "ipscape"

// ReasonNoLead goes with a confirmed do-not-call entry at a dialler that knows leads only, and has none with the phone that may
// still be dialled.
const ReasonNoLead = "no_lead"

// mostLeads is how many leads are completed for one phone without a person's word: it cannot be undone, and a phone of more is a
// switchboard, or what a form was filled in with.
const mostLeads = 20

// ipscapeLeads finds the leads at ipSCAPE that hold a phone and may still be dialled; *store.DB has it.
type ipscapeLeads interface {
	IPSCAPELeadsOf(ctx context.Context, org uuid.UUID, account, phone string) ([]string, error)
}

// IPSCAPEOptOuts offers the one effect of an opt-out at ipSCAPE, which has no do-not-call list that its API could change: the
// leads with the phone are completed, so that they are dialled no more, and read back. It takes no turn ahead of its requests,
// for most phones need none.
func IPSCAPEOptOuts(c *ipscape.Client, leads ipscapeLeads) deliver.Destination {
	return &operations{DestinationIPSCAPE, map[string]deliver.Operation{
		pipeline.OperationAddDNC: {
			Class:      deliver.Repeatable,
			Obligation: true,
			Render: func(v deliver.View) string {
				return "PUT " + c.LeadAddress("{leadId}") + ` isCompleted="true" of each lead with ` + pipeline.MaskPhone(v.Phone)
			},
			Send: func(ctx context.Context, v deliver.View) (pipeline.Outcome, error) {
				ids, err := leads.IPSCAPELeadsOf(ctx, v.Delivery.Org, v.Delivery.Account, v.Phone)
				if err != nil {
					return pipeline.Outcome{}, &vendorapi.Error{Vendor: DestinationIPSCAPE, Op: "update_lead", Kind: vendorapi.Transient, Err: err}
				}
				if len(ids) > mostLeads {
					return pipeline.Outcome{
						State: pipeline.OutcomeUnknown, Reason: pipeline.ReasonNeedsPerson,
						Detail: fmt.Sprintf("%d leads hold the phone, none was completed", len(ids)),
					}, nil
				}
				if err := completeLeads(ctx, c, ids); vendorapi.KindOf(err) == vendorapi.Refused {
					// The leads that the error names may still be dialled: that must not end in silence.
					return pipeline.Outcome{State: pipeline.OutcomeUnknown, Reason: pipeline.ReasonNeedsPerson}, err
				} else if err != nil {
					return pipeline.Outcome{}, err
				}
				if len(ids) == 0 {
					return pipeline.Outcome{State: pipeline.OutcomeConfirmed, Reason: ReasonNoLead}, nil
				}
				return pipeline.Outcome{State: pipeline.OutcomeConfirmed, Detail: fmt.Sprintf("%d leads are complete, read back", len(ids))}, nil
			},
		},
	}}
}

// completeLeads completes every lead that it can: one that is refused must not keep the others dialled (law 13). Those that are
// complete already cost a read only, so that each further try gets further. Its error is that of a lead which may do better next
// time, if there is one; only where no lead can, the refusal stands.
func completeLeads(ctx context.Context, c *ipscape.Client, ids []string) error {
	var refused, open []error
	for i, id := range ids {
		err := c.CompleteLead(ctx, id)
		if err == nil {
			continue
		}
		err = fmt.Errorf("lead %s: %w", id, err)
		switch kind := vendorapi.KindOf(err); {
		case kind == vendorapi.Limited, kind == vendorapi.Denied, ctx.Err() != nil:
			// The whole account's, or there is no time left.
			return fmt.Errorf("with %d of %d leads left: %w", len(ids)-i+len(open)+len(refused), len(ids), err)
		case kind == vendorapi.Refused:
			refused = append(refused, err)
		default:
			open = append(open, err)
		}
	}
	return errors.Join(append(open, refused...)...)
}
