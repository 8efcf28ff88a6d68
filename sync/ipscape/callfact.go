package ipscape

import (
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// activityFacts makes a call of an activity. What is no call (e-mail, chat) says nothing to the pipeline yet.
func (s Settings) activityFacts(payload []byte) (pipeline.Facts, error) {
	a, _, err := s.parseActivity(payload)
	if err != nil {
		return pipeline.Facts{}, err
	}
	kind := strings.ToLower(strings.TrimSpace(a.kind.v))
	if !strings.HasPrefix(kind, "call.") {
		return pipeline.Facts{}, nil
	}
	call := pipeline.CallFact{
		Key:              pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: s.Account, ExternalID: a.id.id()},
		Direction:        direction(kind),
		Campaign:         a.campaignName.v,
		Agent:            pipeline.AgentRef{ID: a.agent.id(), Name: a.agentName.v},
		StartedAt:        a.times.created.t,
		AnsweredAt:       a.times.answered.t,
		EndedAt:          a.times.hangUp.t,
		TalkSeconds:      talkSeconds(&a.durations),
		Disposition:      pipeline.CutCode(a.wrapCode.v),
		DispositionName:  a.wrapText.v,
		RecordingURL:     a.recording.uri.v,
		ParentExternalID: otherID(a.parent, a.id),
		RootExternalID:   otherID(a.root, a.id),
		Events:           callEvents(a),
	}
	if call.Campaign == "" {
		call.Campaign = a.campaign.id()
	}
	if a.recording.deleted.ok {
		call.RecordingDeleted = &a.recording.deleted.v
	}
	s.parties(&call, a)
	return pipeline.Facts{Calls: []pipeline.CallFact{call}}, nil
}

// direction knows the two types that the vendor documents; of others only the prefix means something.
func direction(kind string) pipeline.Direction {
	switch kind {
	case "call.inbound":
		return pipeline.Inbound
	case "call.outbound":
		return pipeline.Outbound
	}
	return ""
}

// parties fills in the numbers, and the lead by the vendor's id and by the customer's side of the call.
func (s Settings) parties(call *pipeline.CallFact, a *activity) {
	from := pipeline.ParsePhone(a.source.v, s.Region)
	to := pipeline.ParsePhone(a.destination.v, s.Region)
	// phoneNumber is the lead's number wherever it occurs, so it serves calls of unknown direction too. Reading a number takes
	// longer than all the rest, and mostly it is the destination.
	dialled := to
	if a.phone.v != a.destination.v {
		dialled = pipeline.ParsePhone(a.phone.v, s.Region)
	}
	if to.Raw == "" && call.Direction == pipeline.Outbound {
		to = dialled
	}
	call.FromNumber, call.ToNumber = from.Best(), to.Best()

	customer := dialled
	switch {
	case call.Direction == pipeline.Inbound:
		customer = from
	case call.Direction == pipeline.Outbound && to.Valid:
		customer = to
	}
	if id := a.lead.id(); id != "" {
		call.Lead = append(call.Lead, pipeline.Key{Kind: pipeline.KeyIPSCAPELead, Account: s.Account, Value: id})
	}
	if customer.Valid {
		call.Lead = append(call.Lead, pipeline.Key{Kind: pipeline.KeyPhone, Value: customer.E164})
	}
}

// talkSeconds is what inbound calls name talk; outbound ones only have interaction.
func talkSeconds(d *durations) *int {
	for _, n := range [...]number{d.talk, d.interaction} {
		if n.ok && n.v >= 0 {
			seconds := int(n.v)
			return &seconds
		}
	}
	return nil
}

// otherID returns id as text unless it is the activity's own.
func otherID(id, own number) string {
	if id.v == own.v {
		return ""
	}
	return id.id()
}

func callEvents(a *activity) []pipeline.CallEvent {
	t := &a.times
	events := make([]pipeline.CallEvent, 0, 5)
	add := func(kind pipeline.EventType, at instant, disposition string) {
		if at.ok {
			events = append(events, pipeline.CallEvent{Type: kind, OccurredAt: at.t, Disposition: disposition})
		}
	}
	add(pipeline.EventStarted, t.created, "")
	add(pipeline.EventAnswered, t.answered, "")
	add(pipeline.EventEnded, t.hangUp, "")
	if a.recording.media.id() != "" || a.recording.uri.v != "" {
		// The vendor does not say when a recording became known; it is complete when the call ends.
		add(pipeline.EventRecording, firstOf(t.hangUp, t.answered, t.created), "")
	}
	if a.wrapCode.v != "" {
		add(pipeline.EventDisposition, t.wrapUp, pipeline.CutCode(a.wrapCode.v))
	}
	return events
}

func firstOf(times ...instant) instant {
	for _, t := range times {
		if t.ok {
			return t
		}
	}
	return instant{}
}
