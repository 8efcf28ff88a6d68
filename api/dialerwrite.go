package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/apiwrite"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// callIDs are found under these names too (contracts/lendworks.md section 8.1).
var callIDs = map[string][]string{"externalCallId": {"call_id"}}

const maxNotes = 10_000

// eventAttributes are those of contracts/lendworks.md section 8.1; notes and callSource are ours.
type eventAttributes struct {
	ExternalCallID  string          `json:"externalCallId"`
	UserID          *string         `json:"userId"`
	LeadID          *string         `json:"leadId"`
	EventType       string          `json:"eventType"`
	Direction       *string         `json:"direction"`
	DurationSeconds *int            `json:"durationSeconds"`
	Disposition     *string         `json:"disposition"`
	Notes           *string         `json:"notes"`
	Metadata        json.RawMessage `json:"metadata"`
	OccurredAt      string          `json:"occurredAt"`
	CreatedAt       string          `json:"createdAt"`
	UpdatedAt       string          `json:"updatedAt"`
	CallSource      string          `json:"callSource"`
}

func eventID(id uuid.UUID) string { return "evt_" + id.String() }

func orEmpty(object json.RawMessage) json.RawMessage {
	if len(object) == 0 {
		return json.RawMessage("{}")
	}
	return object
}

// postEvent is POST /v1/dialer/events.
func (s *Server) postEvent(w http.ResponseWriter, r *http.Request) error {
	o, body, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	event, lead := s.readEvent(o.snake(callIDs))
	if value, _ := o.find("eventType"); value == nil {
		o.fault("eventType", "is required")
	}
	event.Type = o.enum("eventType", "call_started", "call_answered", "call_ended", "disposition", "transfer", "hold", "resume")
	event.Direction = o.enum("direction", "inbound", "outbound")
	event.Seconds, event.Metadata = o.whole("durationSeconds"), o.object("metadata")
	event.Disposition = o.code("disposition")
	if err := o.err(); err != nil {
		return err
	}
	return s.writeEvent(w, r, body, apiwrite.StreamEvents, &event, lead)
}

// postDisposition is POST /v1/dialer/disposition.
func (s *Server) postDisposition(w http.ResponseWriter, r *http.Request) error {
	o, body, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	event, lead := s.readEvent(o.snake(callIDs))
	event.Type = string(pipeline.EventDisposition)
	if value, _ := o.find("disposition"); value == nil {
		o.fault("disposition", "is required")
	}
	if event.Disposition = o.code("disposition"); event.Disposition == "" && len(o.items) == 0 {
		o.fault("disposition", "must not be empty")
	}
	event.Notes = o.most("notes", maxNotes)
	if err := o.err(); err != nil {
		return err
	}
	return s.writeEvent(w, r, body, apiwrite.StreamDispositions, &event, lead)
}

// readEvent reads what both kinds of event have.
func (s *Server) readEvent(o *object) (apiwrite.Event, uuid.UUID) {
	event := apiwrite.Event{ExternalCallID: o.callID("externalCallId", true)}
	if value, _ := o.find("userId"); value == nil {
		o.fault("userId", "is required")
	}
	event.UserID = o.userID("userId")
	lead := o.id("leadId")
	event.OccurredAt = o.moment("occurredAt", s.cfg.Now())
	event.Call = apiwrite.CallOf(event.ExternalCallID, store.DefaultAccount)
	return event, lead
}

// callID reads a call's id, which is indexed: no longer than any key may be.
func (o *object) callID(field string, must bool) string {
	text := ""
	if must {
		text = o.required(field, 1000)
	} else {
		text, _ = o.text(field, 0, 1000)
	}
	return o.short(field, text)
}

func (o *object) code(field string) string {
	text, _ := o.text(field, 0, 1000)
	return o.short(field, text)
}

func (o *object) short(field, text string) string {
	if len(text) > pipeline.KeyMax {
		o.fault(field, "is longer than 200 bytes")
		return ""
	}
	return text
}

// writeEvent lands an event and answers with it. An event that was told before is the same event, with the same id.
func (s *Server) writeEvent(w http.ResponseWriter, r *http.Request, body []byte, stream string, event *apiwrite.Event, lead uuid.UUID) error {
	return s.write(w, r, body, http.StatusCreated, func(ctx context.Context, tx *store.OwnWrite) (resource, error) {
		given, err := knownLead(ctx, tx, lead, "leadId")
		if err != nil {
			return resource{}, err
		}
		event.Lead = given
		if event.Agent, err = agentOf(ctx, tx, event.UserID); err != nil {
			return resource{}, err
		}
		id := event.StepID()
		record := store.OwnRecord{Stream: stream, ObjectID: id.String(), Payload: event, SourceTime: event.OccurredAt}
		var optOuts []store.Suppression
		if event.OptsOut() && event.Lead != nil {
			if event.Phones, err = tx.Phones(ctx, uuid.MustParse(event.Lead.ID)); err != nil {
				return resource{}, err
			}
			optOuts = suppressions(&apiwrite.OptOut{Lead: *event.Lead, Phones: event.Phones, Reason: event.Disposition}, stream, record.ObjectID)
		}
		if err := tx.Land(ctx, []store.OwnRecord{record}, optOuts); err != nil {
			return resource{}, err
		}
		kept, err := tx.Recorded(ctx, stream, record.ObjectID)
		if err != nil {
			return resource{}, err
		}
		attributes := eventAttributes{
			ExternalCallID: event.ExternalCallID, UserID: &event.UserID, EventType: event.Type, Direction: textPtr(event.Direction),
			DurationSeconds: event.Seconds, Disposition: textPtr(event.Disposition), Notes: textPtr(event.Notes),
			Metadata: orEmpty(event.Metadata), OccurredAt: formatTime(event.OccurredAt), CreatedAt: formatTime(kept.FirstSeenAt),
			UpdatedAt: formatTime(kept.ObservedAt), CallSource: event.Call.Source,
		}
		if event.Lead != nil {
			attributes.LeadID = &event.Lead.ID
		}
		return resource{ID: eventID(id), Type: "call_event", Attributes: attributes}, nil
	})
}

// knownLead finds the lead that a body names, nil for none. One that is not the organisation's is the body's fault.
func knownLead(ctx context.Context, tx *store.OwnWrite, id uuid.UUID, field string) (*apiwrite.LeadRef, error) {
	if id == uuid.Nil {
		return nil, nil
	}
	_, ref, err := leadRef(ctx, tx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, invalid([]errorItem{invalidField(field, "is no lead of this organisation")})
	}
	return ref, err
}

// agentOf is who a userId stands for. Of one that nobody knows a stub is made.
func agentOf(ctx context.Context, tx *store.OwnWrite, user string) (apiwrite.Agent, error) {
	a, err := tx.Agent(ctx, user)
	return apiwrite.Agent{Source: string(a.Source), Account: a.Account, ID: a.ID}, err
}

// postPresence is POST /v1/dialer/presence: the last report counts.
func (s *Server) postPresence(w http.ResponseWriter, r *http.Request) error {
	o, body, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	o.snake(nil)
	for _, field := range []string{"userId", "status"} {
		if value, _ := o.find(field); value == nil {
			o.fault(field, "is required")
		}
	}
	report := apiwrite.Presence{
		UserID: o.userID("userId"), Status: o.enum("status", "online", "on_call", "break", "offline"),
		ExternalCallID: o.callID("currentCallId", false), Metadata: o.object("metadata"),
	}
	lead := o.id("currentLeadId")
	if err := o.err(); err != nil {
		return err
	}
	return s.write(w, r, body, http.StatusOK, func(ctx context.Context, tx *store.OwnWrite) (resource, error) {
		return s.landPresence(ctx, tx, &report, lead)
	})
}

func (s *Server) landPresence(ctx context.Context, tx *store.OwnWrite, report *apiwrite.Presence, lead uuid.UUID) (resource, error) {
	given, err := knownLead(ctx, tx, lead, "currentLeadId")
	if err != nil {
		return resource{}, err
	}
	if given != nil {
		report.LeadID = given.ID
	}
	if report.ExternalCallID != "" {
		call := apiwrite.CallOf(report.ExternalCallID, store.DefaultAccount)
		report.Call = &call
	}
	if report.Agent, err = agentOf(ctx, tx, report.UserID); err != nil {
		return resource{}, err
	}
	report.Since = tx.Now()
	before, err := tx.Recorded(ctx, apiwrite.StreamPresence, report.UserID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return resource{}, err
	}
	var last apiwrite.Presence
	if err == nil && json.Unmarshal(before.Payload, &last) == nil && last.Status == report.Status {
		report.Since = last.Since
	}
	record := store.OwnRecord{Stream: apiwrite.StreamPresence, ObjectID: report.UserID, Payload: report}
	if err := tx.Land(ctx, []store.OwnRecord{record}, nil); err != nil {
		return resource{}, err
	}
	who := pipeline.AgentRef{Source: pipeline.Source(report.Agent.Source), Account: report.Agent.Account, ID: report.Agent.ID}
	agent, err := tx.Presence(ctx, who, dayStart(tx.Now(), s.cfg.Zone))
	if err != nil {
		return resource{}, err
	}
	data := agentResource(&agent, tx.Now())
	if attributes, ok := data.Attributes.(agentAttributes); ok {
		metadata := orEmpty(report.Metadata)
		data.Attributes = presenceAttributes{attributes, &metadata, formatTime(later(tx.Now(), before.ObservedAt))}
	}
	return data, nil
}

// presenceAttributes are an agent's with what the report brought.
type presenceAttributes struct {
	agentAttributes
	Metadata  *json.RawMessage `json:"metadata"`
	UpdatedAt string           `json:"updatedAt"`
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
