package lendworks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Headers of a webhook (contract section 9.1).
const (
	HeaderSignature = "X-Webhook-Signature"
	HeaderTimestamp = "X-Webhook-Timestamp"
)

// replayWindow is how far a webhook's own time may be from ours.
const replayWindow = 300 * time.Second

var (
	// ErrUnparsable means that the bytes are no JSON object: answer 400 and keep them.
	ErrUnparsable = errors.New("no JSON object")
	// ErrUnrecognised means that the object names no event: answer 422 and keep it.
	ErrUnrecognised = errors.New("names no event")
	// ErrSignature means that the webhook is not LendWorks', or too old: answer 401 and keep nothing.
	ErrSignature = errors.New("signature or time of the webhook is not valid")
)

// Verify checks that a body was signed with the secret within the replay window: HMAC-SHA256 over the timestamp, a point and
// the exact bytes. The secret counts as it is, whatever it begins with.
func Verify(secret vendorapi.Secret, signature, timestamp string, body []byte, now time.Time) error {
	at, err := strconv.ParseInt(timestamp, 10, 64)
	given, isHex := strings.CutPrefix(signature, "sha256=")
	sum, hexErr := hex.DecodeString(given)
	if secret == "" || err != nil || !isHex || hexErr != nil {
		return ErrSignature
	}
	if age := now.Sub(time.Unix(at, 0)); age > replayWindow || age < -replayWindow {
		return ErrSignature
	}
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	if !hmac.Equal(sum, mac.Sum(nil)) {
		return ErrSignature
	}
	return nil
}

// Sign makes the signature that Verify takes, for whoever plays the vendor.
func Sign(secret vendorapi.Secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Event is one webhook.
type Event struct {
	// ObjectID is the envelope's id, or a hash of the content where it has none: a repeated delivery is the same object.
	ObjectID string
	// Name is the event's, such as lead.created. Unknown ones are kept too.
	Name string
	// Payload is the envelope, fit for jsonb; Cleaned tells that it differs from what came.
	Payload []byte
	Cleaned bool
	// SourceTime is the event's own time (UTC), zero when it told none.
	SourceTime time.Time
}

type envelope struct {
	ID        string                     `json:"id"`
	Event     string                     `json:"event"`
	Timestamp string                     `json:"timestamp"`
	Data      map[string]json.RawMessage `json:"data"`
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// ParseEvent reads a webhook's body. Its errors wrap ErrUnparsable or ErrUnrecognised and quote nothing of it.
func ParseEvent(body []byte) (Event, error) {
	payload, changed, err := pipeline.CleanJSON(body)
	if err != nil {
		return Event{}, fmt.Errorf("reading a lendworks webhook: %w", ErrUnparsable)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil || members == nil {
		return Event{}, fmt.Errorf("reading a lendworks webhook: %w", ErrUnparsable)
	}
	e := Event{Name: textOf(members["event"]), Payload: payload, Cleaned: changed, SourceTime: timeOf(textOf(members["timestamp"]))}
	if e.Name == "" {
		return Event{}, fmt.Errorf("sorting a lendworks webhook: %w", ErrUnrecognised)
	}
	if e.ObjectID = textOf(members["id"]); !plainID.MatchString(e.ObjectID) {
		sum := sha256.Sum256(payload)
		e.ObjectID = "h" + hex.EncodeToString(sum[:16])
	}
	return e, nil
}

// eventFacts reads what a webhook says of a lead. The webhook of a creation has no phone, and any webhook only part of the lead:
// the list of leads brings the rest.
func (s Settings) eventFacts(payload []byte) (pipeline.Facts, error) {
	var e envelope
	if err := json.Unmarshal(payload, &e); err != nil {
		// Data of another shape is an event that nobody knows yet.
		return pipeline.Facts{}, nil //nolint:nilerr // see above
	}
	id := textOf(e.Data["leadId"])
	if e.Event != "lead.created" || id == "" || len(id) > pipeline.KeyMax {
		return pipeline.Facts{}, nil
	}
	data := func(name string) string { return textOf(e.Data[name]) }
	keys := append([]pipeline.Key{{Kind: pipeline.KeyLendWorks, Value: id}}, emailKeys(data("email"))...)
	return pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: keys, Fields: fieldsOf(data), CreatedAt: timeOf(e.Timestamp)}}}, nil
}
