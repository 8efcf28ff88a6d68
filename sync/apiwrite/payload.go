package apiwrite

import (
	"encoding/json"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Streams of source api. A record is never a mixture of several writes, so that any order of the same writes folds alike:
// what was said at creation is one object, each field that was said later is an object of its own, and so is each step.
const (
	// StreamLeads holds what a create said of a lead, but for its phone and e-mail; the object is our lead id.
	StreamLeads = "leads"
	// StreamLeadFields holds the last word on one field; the object is lead id, dot, field.
	StreamLeadFields = "lead_fields"
	// StreamStages holds stages set by hand, each an object.
	StreamStages = "stages"
	// StreamOptOuts holds leads marked do-not-call, each mark an object.
	StreamOptOuts = "do_not_call"
	// StreamEvents and StreamDispositions hold call events; the object is the step of the call.
	StreamEvents       = "events"
	StreamDispositions = "dispositions"
	// StreamPresence holds what each user is doing; the object is the user.
	StreamPresence = "presence"
)

// Key is an identity of a lead.
type Key struct {
	Kind    string `json:"kind"`
	Account string `json:"account,omitempty"`
	Value   string `json:"value"`
}

// LeadRef names a lead: by our id, and by the key that a lead told by a vendor is known by. The fold knows no ids of ours
// but those that records carry, so without the key the write would be about a lead of its own.
type LeadRef struct {
	ID   string `json:"id"`
	Keys []Key  `json:"keys,omitempty"`
}

func (r *LeadRef) keys() []pipeline.Key {
	if r == nil || r.ID == "" {
		return nil
	}
	keys := []pipeline.Key{{Kind: pipeline.KeyLead, Value: r.ID}}
	for _, k := range r.Keys {
		keys = append(keys, pipeline.Key{Kind: pipeline.KeyKind(k.Kind), Account: k.Account, Value: k.Value})
	}
	return keys
}

// Lead is a payload of StreamLeads. Fields are named as in the API.
type Lead struct {
	Lead   LeadRef                    `json:"lead"`
	Fields map[string]json.RawMessage `json:"fields"`
	// Stage is the key of the stage that was asked for, empty for the default one.
	Stage string `json:"stage,omitempty"`
	// Rest holds what else the request said.
	Rest map[string]json.RawMessage `json:"rest,omitempty"`
}

// Field is a payload of StreamLeadFields. A null value clears the field.
type Field struct {
	Lead  LeadRef         `json:"lead"`
	Field string          `json:"field"`
	Value json.RawMessage `json:"value"`
	// At makes a value that is said again a word of its own: it may have been overruled in between.
	At time.Time `json:"at"`
}

// Stage is a payload of StreamStages.
type Stage struct {
	Lead  LeadRef `json:"lead"`
	Stage string  `json:"stage"`
}

// OptOut is a payload of StreamOptOuts.
type OptOut struct {
	Lead LeadRef `json:"lead"`
	// Phones are the lead's numbers at that time, in E.164.
	Phones []string `json:"phones,omitempty"`
	Reason string   `json:"reason"`
}

// Agent is who a userId stood for when it was written.
type Agent struct {
	Source  string `json:"source"`
	Account string `json:"account"`
	ID      string `json:"id"`
}

func (a *Agent) ref() pipeline.AgentRef {
	return pipeline.AgentRef{ID: a.ID, Source: pipeline.Source(a.Source), Account: a.Account}
}

// Call is which call an externalCallId stood for.
type Call struct {
	Source  string `json:"source"`
	Account string `json:"account"`
	ID      string `json:"id"`
}

func (c *Call) key() pipeline.CallKey {
	if c == nil {
		return pipeline.CallKey{}
	}
	return pipeline.CallKey{Dialler: pipeline.Source(c.Source), Account: c.Account, ExternalID: c.ID}
}

// Event is a payload of StreamEvents and StreamDispositions.
type Event struct {
	// ExternalCallID and UserID are as given.
	ExternalCallID string          `json:"externalCallId"`
	UserID         string          `json:"userId"`
	Call           Call            `json:"call"`
	Agent          Agent           `json:"agent"`
	Lead           *LeadRef        `json:"lead,omitempty"`
	Type           string          `json:"eventType"`
	Direction      string          `json:"direction,omitempty"`
	Seconds        *int            `json:"durationSeconds,omitempty"`
	Disposition    string          `json:"disposition,omitempty"`
	Notes          string          `json:"notes,omitempty"`
	Metadata       json.RawMessage `json:"metadata,omitempty"`
	OccurredAt     time.Time       `json:"occurredAt"`
	// Phones are the lead's numbers in E.164, told where the event opts somebody out.
	Phones []string `json:"phones,omitempty"`
}

// Presence is a payload of StreamPresence.
type Presence struct {
	UserID string `json:"userId"`
	Agent  Agent  `json:"agent"`
	Status string `json:"status"`
	// Since is when the status was taken: a report that repeats it leaves it.
	Since          time.Time       `json:"since"`
	ExternalCallID string          `json:"currentCallId,omitempty"`
	Call           *Call           `json:"call,omitempty"`
	LeadID         string          `json:"currentLeadId,omitempty"`
	Metadata       json.RawMessage `json:"metadata,omitempty"`
}
