package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// DestinationLendWorks is LendWorks' name, as in TRUNKLINE_PUSH and ops.deliveries.
const DestinationLendWorks = "lendworks"

// LendWorks offers leads to be created. A request is repeated with the same key, and so always with the same body: the lead as
// it was when the delivery was ordered.
func LendWorks(c *lendworks.Client) deliver.Destination {
	return &budgeted{turn: c.Turn, operations: operations{DestinationLendWorks, map[string]deliver.Operation{
		store.OpInsertLead: {
			Class:   deliver.Keyed,
			NoPhone: true,
			Render: func(v deliver.View) string {
				body, notes := lendworks.LeadBody(orderedLead(v), true)
				r := c.RenderCreate(createKey(v), body)
				r.Notes = notes
				return rendered(r, nil)(v)
			},
			Send: func(ctx context.Context, v deliver.View) (pipeline.Outcome, error) {
				body, _ := lendworks.LeadBody(orderedLead(v), true)
				return c.CreateLead(ctx, createKey(v), body)
			},
		},
		store.OpUpdateLead: {
			Class:   deliver.Repeatable,
			NoPhone: true,
			Differs: func(v deliver.View) bool { return len(lendworksChanges(v)) > 0 },
			Render: func(v deliver.View) string {
				return rendered(c.RenderUpdate(updateKey(v), v.KnownAs, lendworksChanges(v)), nil)(v)
			},
			Send: func(ctx context.Context, v deliver.View) (pipeline.Outcome, error) {
				if v.KnownAs == "" {
					return pipeline.Outcome{State: pipeline.OutcomeRejected, Reason: lendworks.ReasonNotFound}, nil
				}
				return c.UpdateLead(ctx, updateKey(v), v.KnownAs, lendworksChanges(v))
			},
		},
	}}}
}

// updateKey is of one request: a change may be repeated, and be another one by then.
func updateKey(v deliver.View) string {
	return lendworks.KeyOf(v.Delivery.Operation, fmt.Sprintf("%s-%d", v.Delivery.ID, v.Delivery.SendingAt.UnixMicro()))
}

// lendworksChanges is what LendWorks was told otherwise, and did not say itself: what comes from there is not told back. What is
// empty now is left as it is there. Tags and custom fields are left too: they would replace what is there, which is LendWorks'
// users' as well (contract section 7.2).
func lendworksChanges(v deliver.View) map[string]any {
	var params store.UpdateParams
	_ = json.Unmarshal(v.Delivery.Params, &params) // ours; an order without any says nothing
	body, _ := lendworks.LeadBody(params.Told(v.Lead, v.Was), false)
	if v.Was != nil {
		told := *v.Was
		// A lead of which nobody said so is told without, and is of normal priority in its row.
		told.Priority = cmp.Or(told.Priority, "normal")
		was, _ := lendworks.LeadBody(told, false)
		maps.DeleteFunc(body, func(name string, value any) bool { return reflect.DeepEqual(was[name], value) })
	}
	for _, field := range params.Theirs {
		delete(body, lendworks.Attribute(field))
	}
	delete(body, "tags")
	delete(body, "customFields")
	return body
}

func createKey(v deliver.View) string {
	return lendworks.KeyOf(v.Delivery.Operation, v.Delivery.ID.String())
}

// orderedLead is the lead as the delivery's order has it, or as it is now where the order has none.
func orderedLead(v deliver.View) pipeline.LeadView {
	var params struct {
		Lead *pipeline.LeadView `json:"lead"`
	}
	if json.Unmarshal(v.Delivery.Params, &params) == nil && params.Lead != nil {
		return *params.Lead
	}
	return v.Lead
}

// LendWorksConfig says how a LendWorks account is walked; see interface.md section 3 for the variables.
type LendWorksConfig struct {
	Client                 *lendworks.Client
	Settings               lendworks.Settings
	Start, Settle, Overlap time.Duration
	Leads                  Spec
	Rereads                []RereadEntry
}

// LendWorksStreams lists the streams of a LendWorks account: leads. The list knows no filter of time, but it is ordered by
// creation, newest first (contract section 7.1), so a window is read from the top down to its lower end. New leads push others
// to later pages while it is read: some come twice, none is missed. A change of an older lead shows only when it is read
// again.
func LendWorksStreams(c LendWorksConfig) []StreamEntry {
	return []StreamEntry{{
		Spec: c.Leads, Rereads: c.Rereads,
		Stream: &walk.Stream{
			Source: pipeline.SourceLendWorks, Name: lendworks.StreamLeads, Capability: walk.Created,
			Start: c.Start, Settle: c.Settle, Overlap: c.Overlap, MaxPages: 100_000,
			Fetch: c.fetchLeads,
			Map: func(raw []byte) (walk.Item, error) {
				item, err := c.Settings.Lead(raw)
				return walk.Item{ObjectID: item.ObjectID, Payload: item.Payload, Cleaned: item.Cleaned, SourceTime: item.SourceTime}, err
			},
			Reason: func(error) string { return "unreadable" },
		},
	}}
}

func (c LendWorksConfig) fetchLeads(ctx context.Context, r walk.PageRequest, sink walk.Sink) (walk.Page, error) {
	number := 1
	if r.Cursor != "" {
		var err error
		if number, err = strconv.Atoi(r.Cursor); err != nil || number < 2 {
			return walk.Page{}, fmt.Errorf("walk of lendworks leads has a cursor that is no page number")
		}
	}
	list, err := c.Client.ListLeads(ctx, number, "", r.Lane)
	if err != nil {
		return walk.Page{}, err
	}
	if list.Meta.HasMore && len(list.Data) == 0 {
		return walk.Page{}, &vendorapi.Error{
			Vendor: "lendworks", Op: lendworks.StreamLeads, Kind: vendorapi.Malformed, Sent: true, Err: errors.New("an empty page says that there is more"),
		}
	}
	older := 0
	for _, raw := range list.Data {
		// What cannot be read goes to quarantine when it is mapped; it does not end the walk.
		item, err := c.Settings.Lead(raw)
		if err == nil && !item.Created.IsZero() && item.Created.Before(r.From) {
			older++
			continue
		}
		if err := sink.Emit(raw, nil); err != nil {
			return walk.Page{}, err
		}
	}
	page := walk.Page{AskedAt: list.AskedAt, VendorTime: list.VendorTime}
	if list.Meta.HasMore && older == 0 {
		page.Next = strconv.Itoa(number + 1)
	}
	return page, nil
}

// ReadLendWorks returns what the drain of the inbox makes of a LendWorks webhook: one record.
func ReadLendWorks(settings lendworks.Settings) func(store.Post) ([]store.InboxFact, error) {
	return func(p store.Post) ([]store.InboxFact, error) {
		e, err := lendworks.ParseEvent(p.Body)
		if err != nil {
			return nil, err
		}
		rec := store.LandRecord{ObjectID: e.ObjectID, Payload: e.Payload, SourceTime: e.SourceTime, ObservedAt: p.ReceivedAt}
		if e.Cleaned {
			rec.Raw = p.Body
		}
		return []store.InboxFact{{
			Target: store.Target{Org: p.Org, Account: settings.Account, Source: pipeline.SourceLendWorks, Stream: lendworks.StreamEvents},
			Record: rec,
		}}, nil
	}
}
