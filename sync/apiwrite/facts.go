package apiwrite

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Settings is what reading the records takes.
type Settings struct {
	// Region is where a phone without country code is at home (ISO 3166).
	Region string
}

// Facts returns what a record of source api says. It reads the payload and nothing else.
func (s Settings) Facts(rec *pipeline.Record) (pipeline.Facts, error) {
	var facts pipeline.Facts
	var err error
	switch rec.Stream {
	case StreamLeads:
		facts, err = read(rec, s.lead)
	case StreamLeadFields:
		facts, err = read(rec, s.field)
	case StreamStages:
		facts, err = read(rec, stage)
	case StreamOptOuts:
		facts, err = read(rec, optOut)
	case StreamEvents, StreamDispositions:
		facts, err = read(rec, event)
	case StreamPresence:
		facts, err = read(rec, presence)
	default:
		err = fmt.Errorf("source api has no stream %s", rec.Stream)
	}
	if err != nil {
		return pipeline.Facts{}, fmt.Errorf("reading record %s/%s: %w", rec.Stream, rec.ObjectID, err)
	}
	return facts, nil
}

func read[T any](rec *pipeline.Record, say func(*T) (pipeline.Facts, error)) (pipeline.Facts, error) {
	var payload T
	if err := json.Unmarshal(rec.Payload, &payload); err != nil {
		return pipeline.Facts{}, err
	}
	return say(&payload)
}

// fields maps the API's names to the pipeline's.
var fields = map[string]pipeline.Field{
	"businessName":       pipeline.FieldBusinessName,
	"contactFirstName":   pipeline.FieldContactFirstName,
	"contactLastName":    pipeline.FieldContactLastName,
	"email":              pipeline.FieldEmail,
	"phone":              pipeline.FieldPhone,
	"industry":           pipeline.FieldIndustry,
	"monthlyRevenue":     pipeline.FieldMonthlyRevenue,
	"requestedAmount":    pipeline.FieldRequestedAmount,
	"source":             pipeline.FieldSource,
	"priority":           pipeline.FieldPriority,
	"tags":               pipeline.FieldTags,
	"customFields":       pipeline.FieldCustom,
	"primaryAdvisorId":   pipeline.FieldAdvisor,
	"assignToAdvisorId":  pipeline.FieldAdvisor,
	"contactId":          "",
	"primaryAdvisorName": "",
}

func (s Settings) lead(p *Lead) (pipeline.Facts, error) {
	fact := pipeline.LeadFact{Keys: p.Lead.keys(), Fields: map[pipeline.Field]string{}, Stage: p.Stage}
	for name, value := range p.Fields {
		if err := s.say(&fact, name, value); err != nil {
			return pipeline.Facts{}, err
		}
	}
	return pipeline.Facts{Leads: []pipeline.LeadFact{fact}}, nil
}

// field says one field. What it holds replaces the value there was, also of the custom fields (interface.md section 4).
func (s Settings) field(p *Field) (pipeline.Facts, error) {
	fact := pipeline.LeadFact{Keys: p.Lead.keys(), Fields: map[pipeline.Field]string{}, Replace: true}
	if err := s.say(&fact, p.Field, p.Value); err != nil {
		return pipeline.Facts{}, err
	}
	return pipeline.Facts{Leads: []pipeline.LeadFact{fact}}, nil
}

// say adds a field to a fact, with the keys that it brings.
func (s Settings) say(fact *pipeline.LeadFact, name string, value json.RawMessage) error {
	field, known := fields[name]
	if !known {
		return fmt.Errorf("a lead has no field %s", name)
	}
	if field == "" {
		return nil
	}
	text, err := textOf(field, value)
	if err != nil {
		return fmt.Errorf("field %s: %w", name, err)
	}
	fact.Fields[field] = text
	if field == pipeline.FieldPhone {
		phone := pipeline.ParsePhone(text, s.Region)
		fact.Fields[pipeline.FieldDialPhone] = phone.E164
		if phone.Valid {
			fact.Keys = append(fact.Keys, pipeline.Key{Kind: pipeline.KeyPhone, Value: phone.E164})
		}
	}
	if email := strings.ToLower(text); field == pipeline.FieldEmail && email != "" && len(email) <= pipeline.KeyMax {
		fact.Keys = append(fact.Keys, pipeline.Key{Kind: pipeline.KeyEmail, Value: email})
	}
	return nil
}

// textOf returns a value as the fold takes it: objects and arrays as JSON, null as nothing.
func textOf(field pipeline.Field, value json.RawMessage) (string, error) {
	switch {
	case len(value) == 0 || string(value) == "null":
		return "", nil
	case field == pipeline.FieldTags, field == pipeline.FieldCustom:
		return string(value), nil
	}
	var text string
	err := json.Unmarshal(value, &text)
	return text, err
}

func stage(p *Stage) (pipeline.Facts, error) {
	return pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: p.Lead.keys(), Stage: p.Stage}}}, nil
}

func optOut(p *OptOut) (pipeline.Facts, error) {
	return pipeline.Facts{
		Leads: []pipeline.LeadFact{{Keys: p.Lead.keys()}},
		DNC:   optOuts(&p.Lead, p.Phones, p.Reason, pipeline.CallKey{}),
	}, nil
}

// optOuts opts out a lead by its keys, and each of its phones: also one that too many leads share to be on the list for
// the lead's sake. Without a lead it is the call's.
func optOuts(lead *LeadRef, phones []string, reason string, call pipeline.CallKey) []pipeline.DNCFact {
	base := pipeline.DNCFact{Lead: lead.keys(), Reason: reason}
	if len(base.Lead) == 0 {
		base.Call = call
	}
	facts := []pipeline.DNCFact{base}
	for _, phone := range phones {
		facts = append(facts, pipeline.DNCFact{Phone: phone, Lead: base.Lead, Reason: reason})
	}
	return facts
}

func event(p *Event) (pipeline.Facts, error) {
	key := p.Call.key()
	agent := p.Agent.ref()
	who := agent
	if agent.Source == key.Dialler && agent.Account == key.Account {
		who.Source, who.Account = "", "" // the dialler's own
	}
	call := pipeline.CallFact{
		Key: key, Lead: p.Lead.keys(), Direction: pipeline.Direction(p.Direction), Agent: who,
		Disposition: p.Disposition, Codes: pipeline.SourceAPI, Notes: p.Notes,
	}
	if p.ExternalCallID != key.ExternalID {
		call.GivenID = p.ExternalCallID
	}
	step := pipeline.CallEvent{
		Type: pipeline.EventType(p.Type), OccurredAt: p.OccurredAt.UTC(), Disposition: p.Disposition, Codes: pipeline.SourceAPI,
		Agent: agent, Direction: call.Direction, Seconds: p.Seconds, Notes: p.Notes, Metadata: p.Metadata,
	}
	switch step.Type {
	case pipeline.EventStarted:
		call.StartedAt = step.OccurredAt
	case pipeline.EventAnswered:
		call.AnsweredAt = step.OccurredAt
	case pipeline.EventEnded:
		call.EndedAt, call.TalkSeconds = step.OccurredAt, p.Seconds
	case pipeline.EventDisposition:
		call.TalkSeconds = p.Seconds
	case pipeline.EventTransfer, pipeline.EventHold, pipeline.EventResume, pipeline.EventRecording:
	}
	call.Events = []pipeline.CallEvent{step}
	facts := pipeline.Facts{Calls: []pipeline.CallFact{call}}
	if p.OptsOut() {
		facts.DNC = optOuts(p.Lead, p.Phones, p.Disposition, key)
		if p.Lead != nil {
			// The keys have to name a lead for the opt-out to find it.
			facts.Leads = []pipeline.LeadFact{{Keys: p.Lead.keys()}}
		}
	}
	return facts, nil
}

func presence(p *Presence) (pipeline.Facts, error) {
	return pipeline.Facts{Presence: []pipeline.PresenceFact{{
		Agent: p.Agent.ref(), Status: pipeline.PresenceStatus(p.Status), Since: p.Since.UTC(), CallID: p.ExternalCallID,
		Call: p.Call.key(), LeadID: p.LeadID, Metadata: p.Metadata,
	}}}, nil
}
