package deliver

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Preview is what would become of a delivery if it were ordered and due now.
type Preview struct {
	// WouldSend tells whether every check passes; WouldRing whether the request then rings a phone, at once or by being a lead
	// that a dialler may dial; WouldDial whether it makes a phone ring by itself, now.
	WouldSend, WouldRing, WouldDial bool
	// Phone is the number that the request is about, in E.164.
	Phone string
	// Request is the masked request, also when a check fails; empty for an operation that is not known.
	Request string
	// Notes say what of the lead the destination will cut or ignore.
	Notes []string
	// Checks is a JSON object of each check and its verdict.
	Checks json.RawMessage
	// Change is what becomes of the delivery when a check fails.
	Change pipeline.DeliveryChange
}

// Preview runs all checks on a delivery that is not ordered, and changes nothing. Its Org, Account, Destination, Operation,
// Class, LeadID and SourceTime must be set.
func (e *Engine) Preview(ctx context.Context, d pipeline.Delivery) (Preview, error) {
	var p Preview
	err := e.store.PreviewDelivery(ctx, d, func(c *pipeline.DeliveryCandidate, _ time.Time) pipeline.DeliveryDecision {
		c.Delivery.ID = uuid.Nil // there is none
		now := e.now()
		r := &round{engine: e, taken: map[phoneOf]bool{}}
		decision := r.decide(c, now)
		one := e.prepare(c, now)
		p = Preview{
			WouldSend: decision.Send, WouldRing: decision.Send && one.class == Rings, WouldDial: decision.Dials, Phone: decision.Phone,
			Request: decision.Request, Checks: decision.Checks, Change: decision.Change,
		}
		if !decision.Send && one.known {
			p.Request = e.renderQuietly(one)
		}
		if one.known && one.op.Notes != nil {
			p.Notes = e.notesQuietly(one)
		}
		return decision
	})
	return p, err
}

// renderQuietly renders a request that would not be sent; a lead that cannot be rendered has no request.
func (e *Engine) renderQuietly(c *checked) (request string) {
	v := c.view()
	defer func() {
		if p := recover(); p != nil {
			e.panicked("rendering", v, p)
		}
	}()
	return c.op.Render(v)
}

func (e *Engine) notesQuietly(c *checked) (notes []string) {
	v := c.view()
	defer func() {
		if p := recover(); p != nil {
			e.panicked("reading the notes on", v, p)
		}
	}()
	return c.op.Notes(v)
}
