package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/apiwrite"
)

func eventResource(e *store.CallEvent) resource {
	attributes := eventAttributes{
		ExternalCallID: apiwrite.GivenCallID(e.Call), UserID: e.UserID, LeadID: idText(e.LeadID), EventType: e.Type,
		Direction: e.Direction, DurationSeconds: e.Seconds, Disposition: textPtr(e.Disposition), Notes: e.Notes,
		Metadata: orEmpty(e.Metadata), OccurredAt: formatTime(e.OccurredAt), CreatedAt: formatTime(e.ToldAt),
		UpdatedAt: formatTime(e.UpdatedAt), CallSource: string(e.Call.Dialler),
	}
	return resource{ID: eventID(e.ID), Type: "call_event", Attributes: attributes}
}

// listEvents is GET /v1/dialer/events: the steps of calls, whoever told them, latest first.
func (s *Server) listEvents(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	limit, items := limitOf(values)
	asked := store.EventQuery{Limit: limit + 1}
	var more []errorItem
	add := func(found []errorItem) { items = append(items, found...) }
	asked.Lead, more = idParameter(values, "leadId")
	add(more)
	asked.User, more = word(values, "userId")
	add(more)
	asked.From, more = timeParameter(values, "from")
	add(more)
	asked.To, more = timeParameter(values, "to")
	add(more)
	asked.Type, more = oneOf(values, "eventType", "call_started", "call_answered", "call_ended", "disposition", "transfer", "hold", "resume", "recording")
	add(more)
	asked.After, more = cursor(values)
	add(more)
	if err := invalid(items); err != nil {
		return err
	}
	var page store.EventPage
	err = s.read(r, func(ctx context.Context, from store.Reader) (err error) {
		page, err = from.CallEvents(ctx, organisation(r), asked)
		return err
	})
	if err != nil {
		return err
	}
	data := make([]resource, len(page.Events))
	for i := range page.Events {
		data[i] = eventResource(&page.Events[i])
	}
	return writeCursorPage(w, r, limit, page.Total, data, func(i int) string {
		return cursorOf(store.Position{At: page.Events[i].OccurredAt, ID: page.Events[i].ID})
	})
}

// timelineAttributes tell of one thing that happened; what details hold depends on the kind.
type timelineAttributes struct {
	Kind       string          `json:"kind"`
	OccurredAt string          `json:"occurredAt"`
	Details    json.RawMessage `json:"details"`
}

// leadTimeline is GET /v1/leads/{id}/timeline.
func (s *Server) leadTimeline(w http.ResponseWriter, r *http.Request) error {
	id, ok := parseID(r.PathValue("id"))
	if !ok {
		return notFound()
	}
	values, err := parameters(r)
	if err != nil {
		return err
	}
	limit, items := limitOf(values)
	after, more := cursor(values)
	if err := invalid(append(items, more...)); err != nil {
		return err
	}
	var page store.TimelinePage
	err = s.read(r, func(ctx context.Context, from store.Reader) error {
		lead, err := from.Lead(ctx, organisation(r), id)
		if err != nil {
			return err
		}
		page, err = from.Timeline(ctx, organisation(r), store.TimelineQuery{Lead: lead.ID, After: after, Limit: limit + 1})
		return err
	})
	if err != nil {
		return err
	}
	data := make([]resource, len(page.Entries))
	for i, e := range page.Entries {
		data[i] = resource{ID: e.ID.String(), Type: "timeline_entry", Attributes: timelineAttributes{e.Kind, formatTime(e.At), e.Details}}
	}
	return writeCursorPage(w, r, limit, page.Total, data, func(i int) string {
		return cursorOf(store.Position{At: page.Entries[i].At, ID: page.Entries[i].ID})
	})
}
