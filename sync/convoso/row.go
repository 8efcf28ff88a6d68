package convoso

import (
	"cmp"
	"time"
)

// EventRow is a fact as a row of convoso.events. Empty texts, a missing duration and a zero time become null.
type EventRow struct {
	// EventID is type and identity: unique within organisation and account.
	EventID   string
	Type      string
	State     string
	CallLogID string
	LeadID    string
	RemoteID  string
	// Phone is E.164 where valid, else as given.
	Phone string
	// Status is the raw code.
	Status     string
	StatusName string
	AgentID    string
	AgentName  string
	AgentEmail string
	Campaign   string
	ListID     string
	Queue      string
	// Direction is outbound, inbound or empty.
	Direction  string
	TermReason string
	// DurationS is the talk time in seconds.
	DurationS    *int
	RecordingURL string
	Notes        string
	// OccurredAt is UTC: Convoso's time, or that of arrival when it told none that can be read.
	OccurredAt time.Time
	// ZoneAssumed flags an OccurredAt that rests on an assumption: of the zone, or of the time as a whole.
	ZoneAssumed bool
	// Unmapped is a JSON object of the keys that have no column of the payload's canonical ones.
	Unmapped []byte
}

// EventColumns returns the columns of convoso.events that Values fills, in its order.
func EventColumns() []string {
	return []string{
		"event_id", "type", "state", "call_log_id", "lead_id", "remote_id", "phone", "status", "status_name", "agent_id",
		"agent_name", "agent_email", "campaign", "list_id", "queue", "direction", "term_reason", "duration_s", "recording_url",
		"notes", "occurred_at", "zone_assumed", "unmapped",
	}
}

// Values returns the row in the order of EventColumns.
func (r EventRow) Values() []any {
	return []any{
		r.EventID, r.Type, orNull(r.State), orNull(r.CallLogID), orNull(r.LeadID), orNull(r.RemoteID), orNull(r.Phone),
		orNull(r.Status), orNull(r.StatusName), orNull(r.AgentID), orNull(r.AgentName), orNull(r.AgentEmail), orNull(r.Campaign),
		orNull(r.ListID), orNull(r.Queue), orNull(r.Direction), orNull(r.TermReason), r.DurationS, orNull(r.RecordingURL),
		orNull(r.Notes), orNull(r.OccurredAt), r.ZoneAssumed, r.Unmapped,
	}
}

// orNull returns nil, which the database takes for null, in place of a zero value.
func orNull[T comparable](value T) any {
	var zero T
	if value == zero {
		return nil
	}
	return value
}

// row returns the fact's row. receivedAt stands in for a time that was not told.
func (v *view) row(objectID string, receivedAt time.Time) (EventRow, error) {
	unmapped, err := marshal(v.unmapped)
	if err != nil {
		return EventRow{}, err
	}
	when := v.occurred()
	if when.at.IsZero() {
		when = moment{receivedAt.UTC().Truncate(time.Microsecond), true}
	}
	f := v.fields
	return EventRow{
		EventID:      v.kind + ":" + objectID,
		Type:         v.kind,
		State:        v.state,
		CallLogID:    f[keyCall],
		LeadID:       f[keyLead],
		RemoteID:     f[keyRemote],
		Phone:        v.phone().Best(),
		Status:       f[keyStatus],
		StatusName:   f[keyStatusName],
		AgentID:      f[keyAgentID],
		AgentName:    f[keyAgentName],
		AgentEmail:   f[keyAgentEmail],
		Campaign:     v.campaign(),
		ListID:       cmp.Or(f[keyListID], f[keyListName]),
		Queue:        cmp.Or(f[keyQueueID], f[keyQueueName]),
		Direction:    string(direction(f[keyDirection])),
		TermReason:   f[keyTermReason],
		DurationS:    readSeconds(f[keyLength]),
		RecordingURL: f[keyRecording],
		Notes:        v.note(),
		OccurredAt:   when.at,
		ZoneAssumed:  when.assumed,
		Unmapped:     unmapped,
	}, nil
}
