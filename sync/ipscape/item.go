package ipscape

import (
	"fmt"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// The streams of this package: the short names that records and coverage carry.
const (
	StreamActivities   = "activities"
	StreamLeads        = "leads"
	StreamLeadLists    = "lead_lists"
	StreamCampaigns    = "campaigns"
	StreamUsers        = "users"
	StreamDialAttempts = "dial_attempts"
)

// Settings are what the conversions must know of an account.
type Settings struct {
	// Account is the account's name, which scopes the vendor's lead ids and customer keys. A record's own account wins.
	Account string
	// Zone is where times without an offset are taken to be; nil is UTC.
	Zone *time.Location
	// Region (ISO 3166, such as AU) is where phone numbers without country code are taken to be.
	Region string
}

// Item is one object of a list, ready to be stored.
type Item struct {
	// ObjectID is the vendor's id in decimal.
	ObjectID string
	// Payload is the item's bytes as they came, or as pipeline.CleanJSON left them.
	Payload []byte
	// Cleaned tells that the payload differs from what came.
	Cleaned bool
	// SourceTime is the vendor's own time of this version (UTC), zero when it told none.
	SourceTime time.Time
	// ZoneAssumed marks a SourceTime whose text had no offset, so that Settings.Zone was taken.
	ZoneAssumed bool
	// FilterTime is the time that the list's window filters on (UTC), zero when it was absent or unreadable.
	FilterTime time.Time
	// Values is the typed row, in the order of the stream's columns: int64, int32, string, bool, time.Time,
	// json.RawMessage, or nil for what was absent, null or unreadable.
	Values []any
	// Open tells that more of the object is still to come: its end, its wrap-up or its recording.
	Open bool
	// Lead is the id of the lead that it is about, empty for none.
	Lead string
	// Unread names the columns whose value was there and could not be read, or did not fit.
	Unread []string
	// Unknown names the members that nobody here knows of, wherever in the item they are. The payload has them.
	Unknown []string
	// Strange is the item's type when it is none that the vendor documents; empty for those, and for no type.
	Strange string
}

// strangeType returns a type of activity that the vendor does not document (contracts/ipscape.md 6.1).
func strangeType(kind text) string {
	switch name := strings.ToLower(strings.TrimSpace(kind.v)); name {
	case "call.inbound", "call.outbound":
		return ""
	default:
		return name
	}
}

// Reasons of an ItemError, beside those of pipeline.UnstorableError.
const (
	ReasonNotObject = "not an object"
	ReasonNoID      = "no usable id"
	ReasonTooLarge  = "item too large"
)

// ItemError says why one item cannot be stored as a record; it belongs in quarantine, and the page goes on without it.
type ItemError struct {
	// Reason is one of a few fixed texts, fit for grouping.
	Reason string
	Err    error
}

// Error renders the reason, and nothing of the item's content.
func (e *ItemError) Error() string {
	if e.Err == nil {
		return "ipscape item: " + e.Reason
	}
	return fmt.Sprintf("ipscape item: %s: %v", e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *ItemError) Unwrap() error { return e.Err }

// storable cleans raw for jsonb and checks that it is an object.
func storable(raw []byte) (clean []byte, changed bool, err error) {
	clean, changed, err = pipeline.CleanJSON(raw)
	if err != nil {
		reason := pipeline.ReasonNotJSON
		if e, ok := err.(*pipeline.UnstorableError); ok { //nolint:errorlint // CleanJSON's own type, not wrapped
			reason = e.Reason
		}
		return nil, false, &ItemError{Reason: reason, Err: err}
	}
	if d := (decoder{b: clean}); d.peek() != '{' {
		return nil, false, &ItemError{Reason: ReasonNotObject}
	}
	return clean, changed, nil
}

// unstorable is an item that cannot be kept. Its id, where it can be read all the same, tells which object is missing, and
// lets a good reading settle the matter later.
func unstorable[T any](err error, raw []byte, parse func([]byte) (T, notes, error), id func(T) number) (Item, error) {
	parsed, _, failed := parse(raw)
	if failed != nil {
		return Item{}, err
	}
	return Item{ObjectID: id(parsed).id()}, err
}

// Facts says what a record of this package's streams means to the pipeline. It is a pure function of settings and record.
func (s Settings) Facts(rec pipeline.Record) (pipeline.Facts, error) {
	if rec.Account != "" {
		s.Account = rec.Account
	}
	switch rec.Stream {
	case StreamActivities:
		return s.activityFacts(rec.Payload)
	case StreamLeads:
		return s.leadFacts(rec.Payload)
	case StreamDialAttempts:
		return s.attemptFacts(rec.Payload)
	case StreamLeadLists, StreamCampaigns, StreamUsers:
		// They are looked up by those who analyse, and say nothing of a lead or a call.
		return pipeline.Facts{}, nil
	}
	return pipeline.Facts{}, fmt.Errorf("ipscape facts: stream %q is not known", rec.Stream)
}
