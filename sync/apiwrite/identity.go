package apiwrite

import (
	"strings"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// convosoCall begins the id by which a client of our API names a call of Convoso's.
const convosoCall = "convoso-call-"

// CallOf returns the call that an externalCallId names: convoso-call-N is Convoso's call N, any other id is a call that only
// our API tells of. account is that of both.
func CallOf(externalCallID, account string) Call {
	if id, ok := strings.CutPrefix(externalCallID, convosoCall); ok && id != "" {
		return Call{Source: string(pipeline.SourceConvoso), Account: account, ID: id}
	}
	return Call{Source: string(pipeline.SourceAPI), Account: account, ID: externalCallID}
}

// GivenCallID is how our API names a call: CallOf's reverse.
func GivenCallID(key pipeline.CallKey) string {
	if key.Dialler == pipeline.SourceConvoso {
		return convosoCall + key.ExternalID
	}
	return key.ExternalID
}

// StepID is the id of the event's step.
func (e *Event) StepID() uuid.UUID {
	return pipeline.StepID(e.Call.key(), pipeline.EventType(e.Type), e.OccurredAt, e.Disposition)
}

// OptsOut tells whether the event's disposition asks for no more calls. It is decided on the raw code, before any mapping
// (law 6).
func (e *Event) OptsOut() bool { return OptOutCode(e.Disposition) }

// OptOutCode tells whether a disposition told through our API is an opt-out: dnc, do not call, opt out, in any spelling.
func OptOutCode(code string) bool {
	plain := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, code)
	switch plain {
	case "dnc", "donotcall", "dontcall", "optout", "optedout", "removefromlist", "stopcalling":
		return true
	}
	return false
}
