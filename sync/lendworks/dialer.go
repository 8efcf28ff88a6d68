package lendworks

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// CallEvent is a step of a call (contract section 8.1). Empty fields are left out.
type CallEvent struct {
	ExternalCallID string `json:"externalCallId"`
	// UserID is LendWorks' user, not the dialler's agent number: agents are matched by e-mail (ListAgents).
	UserID          string          `json:"userId"`
	LeadID          string          `json:"leadId,omitempty"`
	EventType       string          `json:"eventType"`
	Direction       string          `json:"direction,omitempty"`
	DurationSeconds *int            `json:"durationSeconds,omitempty"`
	Disposition     string          `json:"disposition,omitempty"`
	Metadata        json.RawMessage `json:"metadata,omitempty"`
	OccurredAt      time.Time       `json:"occurredAt"`
}

// PostEvent tells a step of a call. The key is as with CreateLead; whether the vendor knows a repeated step by itself is not
// documented.
func (c *Client) PostEvent(ctx context.Context, key string, e CallEvent) (pipeline.Outcome, error) {
	e.OccurredAt = e.OccurredAt.UTC()
	return c.send(ctx, push{op: opEvent, method: http.MethodPost, path: dialerPaths()[opEvent], key: key, body: e, personal: []string{string(e.Metadata)}})
}

// Disposition is the outcome of a call (contract section 8.3).
type Disposition struct {
	ExternalCallID string    `json:"externalCallId"`
	UserID         string    `json:"userId"`
	LeadID         string    `json:"leadId,omitempty"`
	Disposition    string    `json:"disposition"`
	Notes          string    `json:"notes,omitempty"`
	OccurredAt     time.Time `json:"occurredAt"`
}

// PostDisposition tells the outcome of a call. The key is as with CreateLead.
func (c *Client) PostDisposition(ctx context.Context, key string, d Disposition) (pipeline.Outcome, error) {
	d.OccurredAt = d.OccurredAt.UTC()
	return c.send(ctx, push{op: opDisposition, method: http.MethodPost, path: dialerPaths()[opDisposition], key: key, body: d, personal: []string{d.Notes}})
}

// Presence is what an agent is doing (contract section 8.2): online, on_call, break or offline.
type Presence struct {
	UserID        string          `json:"userId"`
	Status        string          `json:"status"`
	CurrentCallID string          `json:"currentCallId,omitempty"`
	CurrentLeadID string          `json:"currentLeadId,omitempty"`
	Metadata      json.RawMessage `json:"metadata,omitempty"`
}

// SetPresence tells what an agent is doing now. It has no key and no time: the last word stands, so one that was not answered
// must not be told again later.
func (c *Client) SetPresence(ctx context.Context, p Presence) (pipeline.Outcome, error) {
	return c.send(ctx, push{op: opPresence, method: http.MethodPost, path: dialerPaths()[opPresence], body: p, personal: []string{string(p.Metadata)}})
}

// dialerPaths are the paths of what is told of calls and agents.
func dialerPaths() map[string]string {
	return map[string]string{opEvent: "/v1/dialer/events", opDisposition: "/v1/dialer/disposition", opPresence: "/v1/dialer/presence"}
}
