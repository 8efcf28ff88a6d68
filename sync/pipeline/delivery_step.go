package pipeline

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// DeliveryClaim asks for deliveries of one destination that are due.
type DeliveryClaim struct {
	Destination string
	// Owner is the daemon; Until is the end of its lease (law 2).
	Owner      uuid.UUID
	Now, Until time.Time
	Limit      int
}

// ClaimedDelivery is a delivery that is ours until the lease ends.
type ClaimedDelivery struct {
	ID    uuid.UUID
	State DeliveryState
}

// DeliveryCandidate is a delivery and all that decides about it, read at one moment.
type DeliveryCandidate struct {
	Delivery Delivery
	// Lead is the lead as it is now, under the id that the delivery carries, or with nothing but a phone when HasLead is false.
	Lead    LeadView
	HasLead bool
	// FirstSourceTime is the lead's earliest source time as it is known now: a merge or an older record may have moved it
	// since the delivery was ordered. Zero without a lead.
	FirstSourceTime time.Time
	// Phones are all numbers of lead and delivery.
	Phones []string
	// Optout names where an opt-out was found that holds: lead, phone or suppression; empty = nowhere.
	Optout string
	// Lifted tells that an opt-out of the delivery's phone was lifted.
	Lifted bool
	// Unrouted tells that a route ordered the delivery, and that no route wants the lead there any more.
	Unrouted bool
	// Superseded tells that the lead was merged into one that has the same delivery.
	Superseded bool
	// RungAt is the last time another ringing delivery was sent to one of the phones, at this destination, and confirmed.
	RungAt time.Time
	// UnknownAt is the last time another ringing delivery was sent to one of the phones with an outcome that is still unknown.
	UnknownAt time.Time
	// InFlight tells that another ringing delivery to one of the phones is being sent right now.
	InFlight bool
	// DialledAt is the last time that anybody is known to have dialled or spoken on one of the phones: a dialling delivery at any
	// destination that was confirmed, a call of any dialler, an attempt of ipSCAPE's. At most DialCapSpan ago, or zero.
	DialledAt time.Time
	// Dials are the times of all dials to the phones in the last DialCapSpan, in no order.
	Dials []time.Time
	// MayHaveRung tells that the database lost commits, and that the delivery may have been sent in the time that is missing.
	MayHaveRung bool
	// Was is what the destination was last told of the lead, for an update; nil where nothing that we know of has arrived.
	Was *LeadView
	// KnownAs is the destination's own id of the lead, for an update; empty where it told none.
	KnownAs string
	// Arriving tells that the lead's own delivery to the destination is open: whether it arrived is not known yet. For an update.
	Arriving bool
}

// DialCapSpan is the time over which rules count dials to one person.
const DialCapSpan = 24 * time.Hour

// DeliveryBegin asks to begin sending claimed deliveries.
type DeliveryBegin struct {
	Owner uuid.UUID
	IDs   []uuid.UUID
	// Now is asked once the locks are held; Lease is how long the daemon then has.
	Now   func() time.Time
	Lease time.Duration
}

// DeliveryDecision is what the checks came to.
type DeliveryDecision struct {
	// Send orders the request; else Change says what becomes of the row.
	Send bool
	// Phone is the number that the request rings or blocks.
	Phone string
	// Dials tells that the request makes a phone ring by itself.
	Dials bool
	// Request is the request as a person may see it, Checks a JSON object of each check and its verdict.
	Request string
	Checks  json.RawMessage
	Change  DeliveryChange
}

// BegunDelivery is a committed decision.
type BegunDelivery struct {
	// Delivery is the row as it was committed.
	Delivery Delivery
	Lead     LeadView
	// Was and KnownAs are the candidate's.
	Was      *LeadView
	KnownAs  string
	Decision DeliveryDecision
	// Attempt is the number of the attempt's row, when Decision.Send.
	Attempt int
}

// DeliveryChange is what becomes of a delivery's row.
type DeliveryChange struct {
	State     DeliveryState
	Reason    string
	Hold      string
	NotBefore time.Time
	// Attempts, Searches and Resends are the counters' new values.
	Attempts, Searches, Resends int
	// ExternalID empty leaves the row's own.
	ExternalID string
	// Error holds no personal data.
	Error string
}

// AttemptKind says what a request was for.
type AttemptKind string

// The kinds of requests.
const (
	AttemptSend   AttemptKind = "send"
	AttemptSearch AttemptKind = "search"
)

// DeliverySettlement is the end of a request, to be committed.
type DeliverySettlement struct {
	Kind AttemptKind
	// Delivery is the row as it was when the request began: its SendingAt tells whether the row is still at that request.
	Delivery Delivery
	// Attempt is the number of the send's row; a search makes its own.
	Attempt int
	Owner   uuid.UUID
	// Outcome and Detail go into the attempt's row.
	Outcome, Detail string
	// StartedAt and Now bound the request.
	StartedAt, Now time.Time
	Change         DeliveryChange
}

// MovedDelivery names a delivery that a sweep moved.
type MovedDelivery struct {
	ID                     uuid.UUID
	Destination, Operation string
}
