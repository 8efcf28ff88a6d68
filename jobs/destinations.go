package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// Names of destinations, as in TRUNKLINE_PUSH and ops.deliveries.
const (
	DestinationDialedIn = "dialedin"
	DestinationConvolo  = "convolo"
)

// operations is a deliver.Destination made of a table.
type operations struct {
	name  string
	table map[string]deliver.Operation
}

// Name implements deliver.Destination.
func (o *operations) Name() string { return o.name }

// Operation implements deliver.Destination.
func (o *operations) Operation(name string) (deliver.Operation, bool) {
	op, ok := o.table[name]
	return op, ok
}

// budgeted is a deliver.Destination that is a deliver.Turner too.
type budgeted struct {
	operations
	turn func(context.Context) (context.Context, error)
}

// Turn implements deliver.Turner.
func (b *budgeted) Turn(ctx context.Context) (context.Context, error) { return b.turn(ctx) }

// DialedIn offers what reconcile orders at DialedIn. A lead that is only imported does not wait for the call window; it
// counts as ringing all the same, for a person may dial from the list at once.
func DialedIn(c *dialedin.Client) deliver.Destination {
	return &budgeted{turn: c.Turn, operations: operations{DestinationDialedIn, map[string]deliver.Operation{
		store.OpInsertLead: {
			Class: deliver.Rings,
			Dials: c.Rings(),
			Render: func(v deliver.View) string {
				return rendered(c.Render("InsertLead", v.Lead))(v)
			},
			Notes: func(v deliver.View) []string { return notes(c.Render("InsertLead", v.Lead)) },
			Send:  func(ctx context.Context, v deliver.View) (pipeline.Outcome, error) { return c.Insert(ctx, v.Lead) },
			Search: func(ctx context.Context, v deliver.View) (bool, string, error) {
				return c.Search(ctx, v.Lead.ID)
			},
			// A lead that is missed is sent once more, which is safe only where a duplicate would not be dialled.
			NoResend: !c.SuppressesDuplicates(),
		},
		store.OpUpdateLead: {
			Class:   deliver.Repeatable,
			NoPhone: true,
			Differs: func(v deliver.View) bool { return len(dialedinChanges(c, v)) > 0 },
			Render: func(v deliver.View) string {
				return rendered(c.RenderUpdate(v.Lead, dialedinChanges(c, v)))(v)
			},
			Send: func(ctx context.Context, v deliver.View) (pipeline.Outcome, error) {
				return c.Update(ctx, v.Lead.ID, dialedinChanges(c, v))
			},
		},
		// A dialler that refuses to note an opt-out may ring who asked it not to: that must not end in silence.
		pipeline.OperationAddDNC: {
			Class:      deliver.Repeatable,
			Obligation: true,
			Render: func(v deliver.View) string {
				return rendered(c.Render("InsertDnc", v.Lead))(v)
			},
			Send: func(ctx context.Context, v deliver.View) (pipeline.Outcome, error) {
				o, err := c.InsertDNC(ctx, v.Phone)
				// A number that DialedIn cannot dial need not be kept from it.
				if o.State == pipeline.OutcomeRejected && o.Reason != dialedin.ReasonNotNANP {
					o.State, o.Reason = pipeline.OutcomeUnknown, pipeline.ReasonNeedsPerson
				}
				return o, err
			},
		},
	}}}
}

// dialedinChanges are the fields in which DialedIn was told something else. What is empty now is left as it is there, and so is
// the number that it dials: those cannot be taken back.
func dialedinChanges(c *dialedin.Client, v deliver.View) map[string]string {
	var params store.UpdateParams
	_ = json.Unmarshal(v.Delivery.Params, &params) // ours; an order without any says nothing
	fields, _ := c.Fields(params.Told(v.Lead, v.Was))
	if v.Was == nil {
		return fields
	}
	was, _ := c.Fields(*v.Was)
	maps.DeleteFunc(fields, func(name, value string) bool { return was[name] == value })
	return fields
}

// Tells is store.Reconciler.Tells for the destinations that are set up; one that is not is told all, by a daemon that knows it.
func Tells(destinations []deliver.Destination) func(destination string, params json.RawMessage, was, now pipeline.LeadView) bool {
	differs := map[string]func(deliver.View) bool{}
	for _, d := range destinations {
		if op, ok := d.Operation(store.OpUpdateLead); ok && op.Differs != nil {
			differs[d.Name()] = op.Differs
		}
	}
	return func(destination string, params json.RawMessage, was, now pipeline.LeadView) bool {
		of := differs[destination]
		return of == nil || of(deliver.View{Delivery: pipeline.Delivery{Params: params}, Lead: now, Phone: now.Phone, Was: &was})
	}
}

// Convolo offers the call that rings an agent and then the lead. Convolo cannot be asked what became of a request: an
// unknown one waits for a webhook with our reference, then for a person (law 5).
func Convolo(c *convolo.Client) deliver.Destination {
	return &budgeted{turn: c.Turn, operations: operations{DestinationConvolo, map[string]deliver.Operation{
		store.OpStartCall: {
			Class: deliver.Rings,
			Dials: true,
			Render: func(v deliver.View) string {
				return rendered(c.Render(v.Delivery.ID.String(), v.Lead, nil))(v)
			},
			Notes: func(v deliver.View) []string { return notes(c.Render(v.Delivery.ID.String(), v.Lead, nil)) },
			Send: func(ctx context.Context, v deliver.View) (pipeline.Outcome, error) {
				return c.StartCall(ctx, v.Delivery.ID.String(), v.Lead, nil)
			},
		},
	}}}
}

func notes(r pipeline.Rendered, err error) []string {
	if err != nil {
		return nil // the request says why there is none
	}
	return r.Notes
}

// rendered writes a request on one line, and has the lead's personal data masked: what was sent can be looked up in the
// lead itself, by whoever may.
func rendered(r pipeline.Rendered, err error) func(deliver.View) string {
	return func(v deliver.View) string {
		if err != nil {
			return pipeline.Mask("not sent: "+err.Error(), v.Lead.Personal()...)
		}
		parts := []string{r.Method + " " + r.URL}
		for _, name := range slices.Sorted(maps.Keys(r.Params)) {
			parts = append(parts, fmt.Sprintf("%s=%q", name, pipeline.Mask(r.Params[name], v.Lead.Personal()...)))
		}
		return strings.Join(append(parts, r.Notes...), " ")
	}
}
