package pipeline

import (
	"encoding/json"
	"time"
)

// Facts is what one record says, in the pipeline's words. A vendor package makes it by a pure function of the record.
// Absent says nothing: empty strings, nil pointers and zero times leave what others said alone.
type Facts struct {
	Leads []LeadFact
	Calls []CallFact
	DNC   []DNCFact
	// Presence is what agents are doing.
	Presence []PresenceFact
	// Unlinks keep leads apart.
	Unlinks []UnlinkFact `json:",omitempty"`
}

// Field names an attribute of a lead, in snake case as in analytics.lead_field_sources.
type Field string

// The fields of a lead. Amounts are exact decimal strings; FieldPhone is E.164 where valid, else as given.
const (
	FieldBusinessName     Field = "business_name"
	FieldContactFirstName Field = "contact_first_name"
	FieldContactLastName  Field = "contact_last_name"
	FieldEmail            Field = "email"
	FieldPhone            Field = "phone"
	FieldIndustry         Field = "industry"
	FieldMonthlyRevenue   Field = "monthly_revenue"
	FieldRequestedAmount  Field = "requested_amount"
	FieldSource           Field = "source"
	FieldPriority         Field = "priority"
	FieldTimezone         Field = "timezone" // IANA name
	FieldCity             Field = "city"
	FieldState            Field = "state"
	FieldPostalCode       Field = "postal_code"
	// FieldTags is a JSON array of strings.
	FieldTags Field = "tags"
	// FieldCustom is a JSON object.
	FieldCustom Field = "custom_fields"
	// FieldDialPhone is the E.164 form of a FieldPhone that is kept as given.
	FieldDialPhone Field = "phone_e164"
	// FieldAdvisor is the primary advisor's id in the API.
	FieldAdvisor Field = "advisor_id"
)

// LeadFact is what a record says of one lead.
type LeadFact struct {
	// Keys are the lead's identities. The first strong one is how the record itself names the lead; without a strong
	// one the phone does.
	Keys []Key
	// Fields holds what the record says; an empty value clears the field, which only a write by API or operator does.
	Fields map[Field]string
	// CreatedAt is the lead's own age: the earliest time the source tells of it (UTC), zero when it tells none.
	CreatedAt time.Time
	// Replace has the FieldCustom of this fact stand alone, instead of being laid over what weaker facts said.
	Replace bool `json:",omitempty"`
	// Stage is the stage that somebody set at the record's time; empty = none.
	Stage string `json:",omitempty"`
	// Told is what we told this record's source of the lead, by time. Where the source says the like of it, it repeats us, and says
	// nothing of its own.
	Told []ToldValues `json:",omitempty"`
}

// ToldValues are the values of a lead's fields that we told somebody at a time (UTC), in the words in which they tell them back.
type ToldValues struct {
	At     time.Time
	Fields map[Field]string
}

// Direction of a call.
type Direction string

// Directions, as the LendWorks contract spells them.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
)

// CallFact is what a record says of one call.
type CallFact struct {
	Key CallKey
	// Lead holds references to the call's lead, strongest first. A reference links the call; it makes no lead.
	Lead      []Key
	Direction Direction
	Campaign  string
	Agent     AgentRef
	// FromNumber and ToNumber are E.164 where valid, else as given.
	FromNumber, ToNumber             string
	StartedAt, AnsweredAt, EndedAt   time.Time
	TalkSeconds                      *int
	Disposition                      string // the dialler's raw code
	DispositionName                  string // the dialler's own words for it
	RecordingURL                     string
	RecordingDeleted                 *bool
	Notes                            string
	ParentExternalID, RootExternalID string
	// GivenID is the call's id as a client of our API gave it, where that is another text than Key.ExternalID.
	GivenID string `json:",omitempty"`
	// Codes is whose vocabulary Disposition and those of the events belong to; empty = the dialler's.
	Codes  Source `json:",omitempty"`
	Events []CallEvent
}

// AgentRef is an agent as a dialler names them.
type AgentRef struct {
	ID, Name, Email string
	// Source and Account are who names the agent; empty = the call's own dialler and account.
	Source  Source `json:",omitempty"`
	Account string `json:",omitempty"`
}

// EventType is a step in a call's life, as LendWorks spells it.
type EventType string

// Event types of contracts/lendworks.md section 8.1, and the recording that becomes known.
const (
	EventStarted     EventType = "call_started"
	EventAnswered    EventType = "call_answered"
	EventEnded       EventType = "call_ended"
	EventDisposition EventType = "disposition"
	EventTransfer    EventType = "transfer"
	EventHold        EventType = "hold"
	EventResume      EventType = "resume"
	EventRecording   EventType = "recording"
)

// CallEvent is one step of a call.
type CallEvent struct {
	Type EventType
	// OccurredAt is UTC.
	OccurredAt  time.Time
	Disposition string
	// Codes is whose vocabulary Disposition belongs to; empty = the dialler's.
	Codes Source `json:",omitempty"`
	// Agent, Direction and Seconds are the step's own; empty and nil = the call's.
	Agent     AgentRef  `json:",omitzero"`
	Direction Direction `json:",omitempty"`
	Seconds   *int      `json:",omitempty"`
	// Notes, and Metadata as a JSON object, are what a client of our API added.
	Notes    string          `json:",omitempty"`
	Metadata json.RawMessage `json:",omitempty"`
}

// PresenceStatus is what an agent is doing, as LendWorks spells it.
type PresenceStatus string

// States of contracts/lendworks.md section 8.2.
const (
	PresenceOnline  PresenceStatus = "online"
	PresenceOnCall  PresenceStatus = "on_call"
	PresenceBreak   PresenceStatus = "break"
	PresenceOffline PresenceStatus = "offline"
)

// PresenceFact is what a record says of what one agent is doing.
type PresenceFact struct {
	// Agent has Source and Account set.
	Agent  AgentRef
	Status PresenceStatus
	// Since is when the status was taken (UTC).
	Since time.Time
	// CallID is the current call's id as given, Call its key; empty and zero = none.
	CallID string
	Call   CallKey
	// LeadID is our id of the lead that the agent is busy with, empty = none.
	LeadID string
	// Metadata is a JSON object, nil = none.
	Metadata json.RawMessage
}

// DNCFact is an opt-out, or its lift.
type DNCFact struct {
	// Phone is the number in E.164, empty when only the vendor's lead was named.
	Phone string
	// Lead names the lead by key where the post told no usable phone.
	Lead []Key
	// Call names the call in which somebody opted out, where the post told neither phone nor the vendor's lead; the zero
	// value is none. The opt-out is for the lead of that call, or else for the number at its other end.
	Call   CallKey
	Reason string
	Since  time.Time
	// Lift cancels the opt-outs of the same phone or lead that were first seen before it.
	Lift bool
}
