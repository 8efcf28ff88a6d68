package pipeline

import "strings"

// OutcomeState says how a request to a destination ended. What the delivery engine does next follows from it.
type OutcomeState string

// The ends of a request.
const (
	// OutcomeConfirmed means that the destination took the effect on.
	OutcomeConfirmed OutcomeState = "confirmed"
	// OutcomeRejected means that it said no, or that the lead cannot be sent there; asking again gives the same answer.
	OutcomeRejected OutcomeState = "rejected"
	// OutcomeUnknown means that the request left and may or may not have had its effect (law 5).
	OutcomeUnknown OutcomeState = "unknown"
	// OutcomeNotSent means that it certainly had no effect and may be sent again.
	OutcomeNotSent OutcomeState = "not_sent"
	// OutcomeLimited means that we were asked to slow down, and that it had no effect.
	OutcomeLimited OutcomeState = "limited"
	// OutcomeDenied means that our credentials or our configuration stand in the way. It had no effect, and the fault is
	// not the lead's: the delivery stays ready until an operator has put things right.
	OutcomeDenied OutcomeState = "denied"
)

// Outcome is what one request to a destination came to.
type Outcome struct {
	State OutcomeState
	// Reason is a short code in snake case for counting and filtering, such as duplicate_phone. A plain confirmation has none.
	Reason string
	// ExternalID is the destination's own id of what was made, where it tells one.
	ExternalID string
	// Detail is for people: an excerpt of the answer, and what was left out of the request, with secrets, phones and names masked.
	Detail string
}

// DetailWithheld is the Detail of what we refuse to send by ourselves, so that nobody takes it for the destination's answer.
const DetailWithheld = "nothing was sent: Trunkline refused it by itself"

// Note adds notes to the Detail.
func (o *Outcome) Note(notes []string) {
	if o.Detail != "" {
		notes = append([]string{o.Detail}, notes...)
	}
	o.Detail = strings.Join(notes, "; ")
}
