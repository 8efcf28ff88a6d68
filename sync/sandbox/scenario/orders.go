package scenario

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/trunkline/trunkline/sync/apiwrite"
	"github.com/trunkline/trunkline/sync/operator"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// apiLead writes to a lead through our API: makes it, changes a field, sets its stage, or opts it out.
func (w *world) apiLead() {
	at := w.seen()
	lead := apiwrite.LeadRef{ID: ourLead(w.rng.IntN(3))}
	switch w.rng.IntN(5) {
	case 0, 1:
		if slices.ContainsFunc(w.out, func(r pipeline.Record) bool { return r.Stream == apiwrite.StreamLeads && r.ObjectID == lead.ID }) {
			return // a lead is made once
		}
		w.land(pipeline.SourceAPI, apiwrite.StreamLeads, lead.ID, jsonOf(apiwrite.Lead{Lead: lead, Fields: map[string]json.RawMessage{
			"businessName": jsonOf("Birch Hill"), "source": jsonOf("web_form"), "phone": jsonOf(w.phone()),
		}}), at, at, false)
	case 2:
		field, value := "customFields", jsonOf(map[string]int{pick(w, "a", "b"): w.rng.IntN(3)})
		if w.rng.IntN(2) == 0 {
			field, value = "contactFirstName", pick(w, jsonOf("Ana"), []byte("null"))
		}
		w.land(pipeline.SourceAPI, apiwrite.StreamLeadFields, lead.ID+"."+field, jsonOf(apiwrite.Field{Lead: lead, Field: field, Value: value, At: at}), at, at, false)
	case 3:
		w.land(pipeline.SourceAPI, apiwrite.StreamStages, fmt.Sprint("stage-", w.next()), jsonOf(apiwrite.Stage{Lead: lead, Stage: pick(w, "qualified", "won", "lost")}), at, at, false)
	default:
		w.land(pipeline.SourceAPI, apiwrite.StreamOptOuts, fmt.Sprint("mark-", w.next()), jsonOf(apiwrite.OptOut{Lead: lead, Phones: []string{w.phone()}, Reason: "asked"}), at, at, false)
	}
}

// apiEvent tells of a call, of our own client's or of Convoso's, or of what a user is doing.
func (w *world) apiEvent() {
	seen := w.seen()
	at := w.about(seen)
	given := pick(w, "own-1", "own-2", fmt.Sprint("convoso-call-", 2001+w.rng.IntN(6)))
	e := apiwrite.Event{
		ExternalCallID: given, UserID: "u-1", Call: apiwrite.CallOf(given, Account), Agent: apiwrite.Agent{Source: "api", Account: Account, ID: pick(w, "u-1", "u-2")},
		Type: string(pick(w, pipeline.EventStarted, pipeline.EventAnswered, pipeline.EventEnded, pipeline.EventDisposition, pipeline.EventTransfer)), OccurredAt: at,
		Notes: pick(w, "", "left a word"),
	}
	if w.rng.IntN(5) == 0 {
		w.land(pipeline.SourceAPI, apiwrite.StreamPresence, e.Agent.ID, jsonOf(apiwrite.Presence{
			UserID: e.Agent.ID, Agent: e.Agent, Status: pick(w, "online", "on_call", "break"), Since: seen, ExternalCallID: given, Call: &e.Call,
		}), seen, seen, false)
		return
	}
	if w.rng.IntN(2) == 0 {
		e.Lead = &apiwrite.LeadRef{ID: ourLead(w.rng.IntN(3))}
	}
	stream := apiwrite.StreamEvents
	if e.Type == string(pipeline.EventDisposition) {
		stream, e.Disposition = apiwrite.StreamDispositions, pick(w, "interested", "callback", "dnc", "odd")
		if e.OptsOut() {
			e.Phones = []string{w.phone()}
		}
	}
	w.land(pipeline.SourceAPI, stream, e.StepID().String(), jsonOf(e), seen, at, false)
}

// order is an operator's: an opt-out or a lift, a lead taken apart, a stage.
func (w *world) order() {
	at := w.seen()
	key := operator.KeyOf(pipeline.Key{Kind: pipeline.KeyIPSCAPELead, Account: Account, Value: fmt.Sprint(7001 + w.rng.IntN(7))})
	switch w.rng.IntN(5) {
	case 0, 1, 2:
		w.doNotCall(at, w.phone(), w.rng.IntN(3) > 0)
	case 3:
		convoso := operator.KeyOf(pipeline.Key{Kind: pipeline.KeyConvosoLead, Account: Account, Value: fmt.Sprint(481 + w.rng.IntN(5))})
		apart := pick(w, operator.KeyOf(pipeline.Key{Kind: pipeline.KeyPhone, Value: w.phone()}), convoso, operator.KeyOf(pipeline.Key{Kind: pipeline.KeyCustomer, Account: Account, Value: "K1"}))
		w.land(pipeline.SourceOperator, operator.StreamUnlinks, w.orderID(), jsonOf(operator.Unlink{Key: apart, From: []operator.Key{key, convoso}, At: at}), at, at, false)
	default:
		w.land(pipeline.SourceOperator, operator.StreamStages, w.orderID(), jsonOf(operator.Stage{Key: key, Stage: pick(w, "qualified", "lost"), At: at}), at, at, false)
	}
}

func (w *world) doNotCall(at time.Time, phone string, lift bool) {
	w.land(pipeline.SourceOperator, operator.StreamDoNotCall, w.orderID(), jsonOf(operator.DoNotCall{Phone: phone, Lift: lift, At: at}), at, at, false)
}

func (w *world) orderID() string { return fmt.Sprint("order-", w.next()) }
