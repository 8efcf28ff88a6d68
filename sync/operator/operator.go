// Package operator is what people order by command: opt-outs and their lifts, leads taken apart, stages. An order is a record of the source operator, so
// that the fold knows it from the records alone and a rebuild comes to the same (law 3). Each order is an object of its own
// that never changes; whatever takes one back is another order.
package operator

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// StreamDoNotCall holds opt-outs and lifts.
const StreamDoNotCall = "do_not_call"

// Reason is the reason of an opt-out for which the operator gave none.
const Reason = "operator"

// DoNotCall opts a phone out, or lifts what opted it out before (law 6).
type DoNotCall struct {
	// Phone is E.164.
	Phone string `json:"phone"`
	Lift  bool   `json:"lift,omitempty"`
	// Reason is the operator's own word.
	Reason string `json:"reason,omitempty"`
	// At is when it was ordered (UTC).
	At time.Time `json:"at"`
}

// Record makes the order's record for an organisation.
func (d DoNotCall) Record(org uuid.UUID, account string) (pipeline.Record, error) {
	if p := pipeline.ParsePhone(d.Phone, ""); !p.Valid || p.E164 != d.Phone {
		return pipeline.Record{}, errors.New("recording an order about a phone: the number is not valid in E.164")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return pipeline.Record{}, fmt.Errorf("recording an order about a phone: %w", err)
	}
	payload, err := json.Marshal(d)
	if err != nil {
		return pipeline.Record{}, fmt.Errorf("recording an order about a phone: %w", err)
	}
	return pipeline.Record{
		Org: org, Account: account, Source: pipeline.SourceOperator, Stream: StreamDoNotCall, ObjectID: id.String(), Payload: payload,
		ObservedAt: d.At, FirstSeenAt: d.At, SourceTime: d.At,
	}, nil
}

// Facts reads a record that this package made. Its errors do not quote the payload.
func Facts(r *pipeline.Record) (pipeline.Facts, error) {
	if r.Stream != StreamDoNotCall {
		return leadFacts(r)
	}
	var d DoNotCall
	if err := json.Unmarshal(r.Payload, &d); err != nil {
		return pipeline.Facts{}, errors.New("an operator's order about a phone cannot be read")
	}
	if p := pipeline.ParsePhone(d.Phone, ""); !p.Valid {
		return pipeline.Facts{}, errors.New("an operator's order names no valid phone")
	}
	reason := d.Reason
	if reason == "" {
		reason = Reason
	}
	return pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: d.Phone, Reason: reason, Since: d.At.UTC(), Lift: d.Lift}}}, nil
}
