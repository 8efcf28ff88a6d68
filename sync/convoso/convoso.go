// Package convoso reads the posts of Convoso Connect (contracts/convoso.md). Such a post has no fixed shape: every customer
// picks keys, body type and date formats, so the reader is tolerant and configurable. It is pure: no HTTP, SQL or clock. LogClient
// alone asks: for the call log, which tells of calls whose posts were lost.
package convoso

import (
	"errors"
	"net/url"
	"time"
)

// Receiver types of section 4, the Type of a Fact.
const (
	TypeDisposition = "disposition"
	TypeRecording   = "recording"
	TypeCallEvent   = "call_event"
	TypeLeadUpdate  = "lead_update"
	TypeDNC         = "dnc"
)

// Streams that the facts of each type belong to.
const (
	StreamDispositions = "dispositions"
	StreamRecordings   = "recordings"
	StreamCallEvents   = "call_events"
	StreamLeadUpdates  = "lead_updates"
	StreamDNC          = "dnc"
)

// States of a call event.
const (
	StateStarted  = "started"
	StateAnswered = "answered"
	StateEnded    = "ended"
)

var (
	// ErrUnparsable means that the bytes are neither JSON nor a form, or exceed a limit: answer 400 and keep them.
	ErrUnparsable = errors.New("neither JSON nor a form")
	// ErrUnrecognised means that no rule of section 4 says what the post is: answer 422 and keep it.
	ErrUnrecognised = errors.New("recognised by no rule")
)

// Post is one request to the receiver.
type Post struct {
	Body []byte
	// ContentType and Method are what the customer configured. Neither can be trusted to describe the body, so neither
	// decides how it is read.
	ContentType string
	Method      string
	// Query holds the URL's parameters: event selectors, and data too (all of it when there is no body).
	Query url.Values
	// EventPath is what follows the token in the path, without which it is empty.
	EventPath string
	// ReceivedAt stands in for the time of an event that tells none (UTC).
	ReceivedAt time.Time
}

// Fact is one thing that a post says. A post may say several, each with an identity of its own.
type Fact struct {
	Stream string
	// ObjectID is the dedupe identity of section 7: at most 120 bytes, with neither phone nor name in clear.
	ObjectID string
	Type     string
	// State is set for call events only.
	State string
	// Payload is a JSON object fit for jsonb: every value as text, under its canonical key, what has none under "unmapped".
	// The same content gives the same bytes, whether it came as JSON, as a form or in the query.
	Payload []byte
	// SourceTime is Convoso's own time of the fact (UTC), zero when it told none that can be read.
	SourceTime time.Time
	// ZoneAssumed marks a SourceTime whose text had no zone, or one not to be trusted.
	ZoneAssumed bool
	Row         EventRow
}

func streamOf(kind string) string {
	switch kind {
	case TypeDisposition:
		return StreamDispositions
	case TypeRecording:
		return StreamRecordings
	case TypeCallEvent:
		return StreamCallEvents
	case TypeLeadUpdate:
		return StreamLeadUpdates
	default:
		return StreamDNC
	}
}
