package pipeline

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// DeliveryState is where a delivery stands (law 5).
type DeliveryState string

// The states. Confirmed, rejected, expired and cancelled are final: only an operator moves a delivery out of them.
const (
	DeliveryReady     DeliveryState = "ready"
	DeliverySending   DeliveryState = "sending"
	DeliveryConfirmed DeliveryState = "confirmed"
	DeliveryRejected  DeliveryState = "rejected"
	DeliveryUnknown   DeliveryState = "unknown"
	DeliveryExpired   DeliveryState = "expired"
	DeliveryCancelled DeliveryState = "cancelled"
)

// Final tells whether nothing more happens to a delivery in this state by itself.
func (s DeliveryState) Final() bool {
	switch s {
	case DeliveryConfirmed, DeliveryRejected, DeliveryExpired, DeliveryCancelled:
		return true
	case DeliveryReady, DeliverySending, DeliveryUnknown:
		return false
	default:
		return false
	}
}

// DeliveryClass says how often an operation may be sent (law 5).
type DeliveryClass string

// The classes.
const (
	// ClassRings is sent at most once: it may ring a person's phone.
	ClassRings DeliveryClass = "rings"
	// ClassRepeatable is sent until confirmed: twice is as good as once.
	ClassRepeatable DeliveryClass = "repeatable"
	// ClassKeyed is sent until confirmed, always with the same key, for as long as the destination remembers keys.
	ClassKeyed DeliveryClass = "keyed"
)

// OperationAddDNC is the operation that tells a destination of an opt-out. It is an obligation: an opt-out never cancels it.
const OperationAddDNC = "dnc_add"

// What an open delivery waits for.
const (
	// HoldCallWindow waits until people in the lead's zones may be called.
	HoldCallWindow = "call_window"
	// HoldPhoneBusy waits until another delivery has left the phone alone for a while.
	HoldPhoneBusy = "phone_busy"
	// HoldRecentCall waits because somebody, on whatever dialler, has just dialled the phone.
	HoldRecentCall = "recent_call"
	// HoldDialCap waits because the phone has been dialled as often as the rules of its state allow in a day.
	HoldDialCap = "dial_cap"
	// HoldRetry waits after a request that had no effect, or may be repeated.
	HoldRetry = "retry"
	// HoldLimited waits because the destination asked us to slow down.
	HoldLimited = "limited"
	// HoldDenied waits for credentials that are accepted.
	HoldDenied = "denied"
	// HoldOperation waits for a daemon that knows the operation.
	HoldOperation = "no_operation"
	// HoldSearch is an unknown outcome about which the destination is asked.
	HoldSearch = "search"
	// HoldWebhook is an unknown outcome about which the destination cannot be asked, but may tell by itself.
	HoldWebhook = "webhook"
	// HoldPerson is an unknown outcome that a person has to resolve.
	HoldPerson = "person"
)

// Why a delivery is in its state, beside the reasons that destinations give.
const (
	// ReasonTooOld goes with expired: the delivery's time to live ran out before it was sent.
	ReasonTooOld = "too_old"
	// ReasonDoNotCall goes with cancelled: an opt-out holds.
	ReasonDoNotCall = "do_not_call"
	// ReasonNoValidPhone goes with rejected: there is no number that the numbering plan knows.
	ReasonNoValidPhone = "no_valid_phone"
	// ReasonLeadGone goes with cancelled: the lead exists no more.
	ReasonLeadGone = "lead_gone"
	// ReasonNoRoute goes with cancelled: no route leads there any more that takes the lead as it is.
	ReasonNoRoute = "no_route"
	// ReasonMerged goes with cancelled: the lead became part of another one, which has the same delivery.
	ReasonMerged = "merged"
	// ReasonInterrupted goes with unknown: the daemon that was sending is gone.
	ReasonInterrupted = "interrupted"
	// ReasonNotFound goes with ready or unknown: sent, searched twice, not found.
	ReasonNotFound = "not_found"
	// ReasonNotFoundAfterResend goes with unknown: sent twice, searched four times, never found.
	ReasonNotFoundAfterResend = "not_found_after_resend"
	// ReasonNeedsPerson goes with unknown: nothing that we can ask will tell.
	ReasonNeedsPerson = "needs_person"
	// ReasonKeyExpired goes with unknown: the destination has forgotten the key by now.
	ReasonKeyExpired = "key_expired"
	// ReasonRestored goes with unknown: the database lost commits, and the delivery may have been sent in the time that is missing.
	ReasonRestored = "restored"
	// ReasonLocalBlock goes with confirmed: a dialler that cannot be told of an opt-out; our own check keeps it.
	ReasonLocalBlock = "local_block"
	// ReasonErased goes with cancelled: whom it was about was erased.
	ReasonErased = "erased"
	// ReasonNotThere goes with cancelled: an update of a lead that the destination does not have from us.
	ReasonNotThere = "not_there"
	// ReasonNoChange goes with confirmed: an update that would say nothing which the destination has not been told.
	ReasonNoChange = "no_change"
	// ReasonLifted goes with cancelled: the opt-out that it was to tell of has been lifted.
	ReasonLifted = "lifted"
	// ReasonOperator goes with any state that a person gave.
	ReasonOperator = "operator"
)

// Delivery is one intended effect at a destination: a row of the outbox. Times are UTC, and zero where absent.
type Delivery struct {
	ID          uuid.UUID
	Org         uuid.UUID
	Account     string
	Destination string
	Operation   string
	Class       DeliveryClass
	// LeadID is uuid.Nil for a delivery that is about a phone only.
	LeadID uuid.UUID
	// Phone is E.164; what was rung once the delivery has been sent.
	Phone  string
	State  DeliveryState
	Reason string
	// Params is a JSON object of parameters beside the lead's own fields.
	Params     json.RawMessage
	SourceTime time.Time
	ExpiresAt  time.Time
	NotBefore  time.Time
	Hold       string
	// Attempts counts requests that were sent, Searches those since the last send that found nothing, Resends how often it
	// went back from unknown to ready.
	Attempts, Searches, Resends int
	CreatedAt                   time.Time
	// SendingAt is when sending was last committed, FirstSentAt when a request first left that may have had an effect.
	SendingAt, FirstSentAt time.Time
	// SentBefore tells that an earlier request left and was heard: turned away neither for its pace nor for its credentials.
	SentBefore bool
	SettledAt  time.Time
	ExternalID string
	Error      string
	Dedupe     string
}
