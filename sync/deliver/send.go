package deliver

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// leaveWithin is the part of a lease within which a request must leave once it was committed as being sent. After a longer stall,
// of the machine or of this process, the checks may hold no more, and another daemon may have begun to search for what never left.
const leaveWithin = 4

// stalledWait is the wait before a request that did not leave in time is checked again: a machine that has no time to send would
// only lose more by checking it over and over.
const stalledWait = time.Second

// send makes the request and judges how it ended. A panic, and every error that does not say otherwise, is an outcome that
// is not known.
func (e *Engine) send(ctx context.Context, op Operation, v View) (o ended) {
	if ctx.Err() != nil {
		return ended{Outcome: pipeline.Outcome{State: pipeline.OutcomeNotSent, Reason: "stopped"}, stopped: true}
	}
	if stalled := e.now().Sub(v.Delivery.SendingAt); stalled > e.set.Lease/leaveWithin {
		e.log.Warn("a delivery is checked again: it did not leave in time", "delivery_id", v.Delivery.ID, "destination", v.Delivery.Destination,
			"stalled", stalled)
		return ended{Outcome: pipeline.Outcome{State: pipeline.OutcomeNotSent, Reason: "stalled"}, stopped: true, after: stalledWait}
	}
	stop := ctx
	ctx, cancel := context.WithTimeout(ctx, e.set.SendTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			e.panicked("sending", v, p)
			o = ended{Outcome: pipeline.Outcome{State: pipeline.OutcomeUnknown, Reason: "panic"}, problem: "panic while sending"}
		}
	}()
	outcome, err := op.Send(ctx, v)
	o = judge(outcome, err)
	// Stopped while it waited for its turn: not the destination's fault, and no reason to wait.
	o.stopped = o.State == pipeline.OutcomeNotSent && stop.Err() != nil
	return o
}

// panicked logs a panic by its type and place: its text may quote the lead.
func (e *Engine) panicked(doing string, v View, p any) {
	e.log.Error("a destination's package panicked", "doing", doing, "delivery_id", v.Delivery.ID, "destination", v.Delivery.Destination,
		"operation", v.Delivery.Operation, "panic_type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
}

func judge(outcome pipeline.Outcome, err error) ended {
	o := ended{Outcome: outcome, problem: problemOf(err), after: afterOf(err)}
	if o.State == "" {
		o.State, o.Reason = stateOf(err)
	}
	// A lead that the vendor would refuse is not sent to it.
	v, ok := errors.AsType[*vendorapi.Error](err)
	o.kept = ok && v.Kind == vendorapi.Refused && !v.Sent && v.Status == 0
	return o
}

// stateOf reads an outcome from an error alone.
func stateOf(err error) (pipeline.OutcomeState, string) {
	v, ok := errors.AsType[*vendorapi.Error](err)
	if !ok {
		return pipeline.OutcomeUnknown, "unknown"
	}
	switch v.Kind {
	case vendorapi.Transient:
		if !v.Sent {
			return pipeline.OutcomeNotSent, "not_sent"
		}
		return pipeline.OutcomeUnknown, "unknown"
	case vendorapi.Limited:
		return pipeline.OutcomeLimited, "limited"
	case vendorapi.Denied:
		return pipeline.OutcomeDenied, "denied"
	case vendorapi.Refused:
		return pipeline.OutcomeRejected, "refused"
	case vendorapi.Unknown, vendorapi.Malformed:
		return pipeline.OutcomeUnknown, "unknown"
	default:
		return pipeline.OutcomeUnknown, "unknown"
	}
}

func afterOf(err error) time.Duration {
	if v, ok := errors.AsType[*vendorapi.Error](err); ok {
		return v.After
	}
	return 0
}

// problemOf is an error's text for the row. Vendor errors are masked by their makers; masking again costs little.
func problemOf(err error) string {
	if err == nil {
		return ""
	}
	return vendorapi.Excerpt([]byte(err.Error()))
}

// search asks the destination about an earlier request.
func (e *Engine) search(ctx context.Context, op Operation, v View) (o searched) {
	ctx, cancel := context.WithTimeout(ctx, e.set.SendTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			e.panicked("searching for", v, p)
			o = searched{failed: true, problem: "panic while searching"}
		}
	}()
	found, externalID, err := op.Search(ctx, v)
	switch {
	case err != nil:
		return searched{failed: true, problem: problemOf(err), after: afterOf(err)}
	case found:
		return searched{found: true, externalID: externalID}
	}
	return searched{}
}
