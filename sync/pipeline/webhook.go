package pipeline

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
)

// WebhookEvent is the name of what a webhook tells of.
type WebhookEvent string

// The events. The first two are those of contracts/lendworks.md section 9.3; the others are ours.
const (
	WebhookLeadCreated       WebhookEvent = "lead.created"
	WebhookLeadStatusChanged WebhookEvent = "lead.status_changed"
	WebhookCallEnded         WebhookEvent = "call.ended"
	WebhookCallDisposition   WebhookEvent = "call.disposition"
	WebhookDNCAdded          WebhookEvent = "do_not_call.added"
	WebhookDNCLifted         WebhookEvent = "do_not_call.lifted"
)

// WebhookStageChanged is LendWorks' second name for WebhookLeadStatusChanged; who asks for it is told by it.
const WebhookStageChanged WebhookEvent = "lead.stage_changed"

// WebhookEvents lists what can be subscribed to and will come.
func WebhookEvents() []WebhookEvent {
	return []WebhookEvent{
		WebhookLeadCreated, WebhookLeadStatusChanged, WebhookStageChanged, WebhookCallEnded, WebhookCallDisposition,
		WebhookDNCAdded, WebhookDNCLifted,
	}
}

// WebhookElsewhere lists events that LendWorks has and nothing here brings about: to ask for one is no mistake of a client
// that was made for LendWorks.
func WebhookElsewhere() []WebhookEvent {
	return []WebhookEvent{"application.submitted", "deal.funded", "submission.received", "submission.updated", "submission.withdrawn"}
}

// WantedAs returns the name under which an endpoint that asked for the given events is told of this one, and false when it
// did not ask for it.
func (e WebhookEvent) WantedAs(events []string) (WebhookEvent, bool) {
	if slices.Contains(events, string(e)) {
		return e, true
	}
	return WebhookStageChanged, e == WebhookLeadStatusChanged && slices.Contains(events, string(WebhookStageChanged))
}

// WebhookClaim asks for deliveries of webhooks that are due.
type WebhookClaim struct {
	Owner      uuid.UUID
	Now, Until time.Time
	// KeyID is the fingerprint of the key that the claimer has: it cannot sign for endpoints sealed with another one.
	KeyID string
	// Limit bounds them all, PerEndpoint those of one endpoint that are under way at once. Of an endpoint with Suspect
	// failures in a row, or more, there is one at a time.
	Limit, PerEndpoint, Suspect int
}

// WebhookSend is a claimed delivery with all that it takes to send it.
type WebhookSend struct {
	DeliveryID uuid.UUID
	EndpointID uuid.UUID
	URL        string
	Sealed     []byte
	EventID    uuid.UUID
	Event      string
	OccurredAt time.Time
	Data       json.RawMessage
	// Attempts counts all requests so far, Tries those since the delivery was ordered or sent again.
	Attempts, Tries int
}

// WebhookEnd is what a request came to.
type WebhookEnd struct {
	DeliveryID, EndpointID, Owner uuid.UUID
	Delivered                     bool
	// NextAt is when a request that failed is made again; zero = it is given up.
	NextAt time.Time
	// Outcome is one word, Status the HTTP status or 0.
	Outcome               string
	Status                int
	StartedAt, FinishedAt time.Time
	// Suspect is that of WebhookClaim: a success after as many failures ends the waits of the endpoint's other deliveries.
	Suspect int
	// Judge tells from an endpoint's failures in a row, this one included, how long it is left alone (zero = not at all),
	// and whether it is switched off.
	Judge func(failures int, since time.Time) (open time.Duration, disable bool)
}

// WebhookHealth is how an endpoint stands after a request.
type WebhookHealth struct {
	Failures int
	// Opened and Disabled tell what this request brought about.
	Opened, Disabled bool
}
