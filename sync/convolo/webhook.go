package convolo

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Types of webhooks with a meaning for us (contract sections 5.1, 5.2 and 5.5). Any other is kept as it is.
const (
	TypeStartCall    = "start_call"
	TypeEndCall      = "end_call"
	typeLeadCreated  = "lead_created"
	typeAgentAnswer  = "agent_answered"
	typeLeadAnswer   = "lead_answered"
	typeAgentsResult = "agent_result_registered"
)

// Streams of webhooks.
const (
	// StreamCalls holds what was told of calls: one object a call and type.
	StreamCalls = "calls"
	// StreamOther holds webhooks that name no call.
	StreamOther = "other"
)

var (
	// ErrUnparsable means that the bytes are neither JSON nor a form, or exceed a limit: answer 400 and keep them.
	ErrUnparsable = errors.New("neither JSON nor a form")
	// ErrUnrecognised means that the post has no type, as in the vendor's old format: answer 422 and keep it.
	ErrUnrecognised = errors.New("names no type of webhook")
)

// Webhook is one thing that Convolo tells of a call.
type Webhook struct {
	Stream string
	// ObjectID is call and type: a repetition is the same object. It holds neither phone nor name.
	ObjectID string
	// CallID is the vendor's id of the call, empty in StreamOther.
	CallID string
	// Ref is the reference that a call request of ours carries (lc_param_ref), empty for calls that others started.
	Ref string
	// SourceTime is the latest time the webhook tells (UTC), zero when it tells none.
	SourceTime time.Time
	doc        map[string]any
}

var (
	plainType = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)
	plainCall = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// ParseWebhooks returns what a post tells: a list of objects says as much as its objects one by one. It looks at nothing
// but the bytes, for neither header nor order can be trusted (contract section 5), and never panics. Its errors wrap
// ErrUnparsable or ErrUnrecognised and quote nothing of the post.
func ParseWebhooks(body []byte) ([]Webhook, error) {
	docs, err := readBody(body)
	if err != nil {
		return nil, fmt.Errorf("reading a convolo webhook: %w", err)
	}
	var hooks []Webhook
	for _, doc := range docs {
		if kind := text(doc, "type"); kind != "" {
			hooks = append(hooks, newWebhook(doc, strings.ToLower(kind)))
		}
	}
	if len(hooks) == 0 {
		return nil, fmt.Errorf("sorting a convolo webhook: %w", ErrUnrecognised)
	}
	return hooks, nil
}

func newWebhook(doc map[string]any, kind string) Webhook {
	h := Webhook{Stream: StreamCalls, doc: doc, CallID: text(doc, "call_id"), Ref: reference(doc), SourceTime: latestTime(doc)}
	if !plainType.MatchString(kind) {
		kind = "h" + digest([]byte(kind))
	}
	if h.CallID == "" || len(h.CallID) > pipeline.KeyMax {
		// Texts, lists and objects of our own making: this cannot fail.
		content, _ := h.Payload(nil)
		h.Stream, h.CallID, h.ObjectID = StreamOther, "", kind+":"+digest(content)
		return h
	}
	h.ObjectID = objectID(h.CallID, kind)
	return h
}

// objectID names what was told of a call under one type. A call id that could be anything goes in as a hash.
func objectID(call, kind string) string {
	if !plainCall.MatchString(call) {
		call = "h" + digest([]byte(call))
	}
	return call + ":" + kind
}

// CallObjects returns the ids of the objects that make up the row of a call, the one whose word counts most first.
func CallObjects(call string) []string {
	var ids []string
	for _, kind := range []string{TypeEndCall, TypeStartCall, typeAgentsResult, typeLeadAnswer, typeAgentAnswer, typeLeadCreated} {
		ids = append(ids, objectID(call, kind))
	}
	return ids
}

// digest is half of a SHA-256, in hex.
func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:16])
}

// Join is what we know of the delivery that a webhook's reference names.
type Join struct {
	// DeliveryID is the delivery's id.
	DeliveryID string
	// Lead holds strong keys of its lead; they are references, which make no lead.
	Lead []pipeline.Key
}

// keyJoin is where a payload keeps the Join, apart from the vendor's own names.
const keyJoin = "trunkline_delivery"

// Payload returns the webhook as a JSON object fit for jsonb, with the join in it where there is one: the record then says
// by itself which lead was called, whatever becomes of the delivery's row. Values are text as a form would spell them, and
// what is null or blank is left out, so that JSON and form twins give the same bytes.
func (h *Webhook) Payload(join *Join) ([]byte, error) {
	doc := h.doc
	if join != nil {
		doc = make(map[string]any, len(h.doc)+1)
		for name, value := range h.doc {
			doc[name] = value
		}
		keys := make([]any, 0, len(join.Lead))
		for _, k := range join.Lead {
			keys = append(keys, map[string]any{"kind": string(k.Kind), "account": k.Account, "value": k.Value})
		}
		doc[keyJoin] = map[string]any{"id": join.DeliveryID, "lead": keys}
	}
	return encodeDoc(doc)
}

// reference finds our own reference among the custom parameters, whose names keep their prefix or not, in any case.
func reference(doc map[string]any) string {
	found := ""
	for name, value := range customParams(doc) {
		switch ref := scalar(value); strings.ToLower(name) {
		case customPrefix + "ref":
			return strings.TrimSpace(ref)
		case "ref":
			found = strings.TrimSpace(ref)
		}
	}
	return found
}

func customParams(doc map[string]any) map[string]any {
	lead, _ := doc["lead"].(map[string]any)
	params, _ := lead["custom_params"].(map[string]any)
	return params
}

var timeNames = [...]string{
	"time_started_iso_string", "time_agent_answered_iso_string", "time_lead_answered_iso_string", "time_ended_iso_string",
}

// latestTime is the source's own time of a webhook: the last thing it tells of.
func latestTime(doc map[string]any) time.Time {
	var last time.Time
	for _, name := range timeNames {
		if at := readTime(text(doc, name)); at.After(last) {
			last = at
		}
	}
	return last
}

// readTime reads an ISO 8601 time; the contract says UTC where no zone is written. It returns the zero time for what is none.
func readTime(s string) time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if at, err := time.Parse(layout, s); err == nil && at.Year() > 1990 && at.Year() < 3000 {
			return at.UTC().Truncate(time.Microsecond)
		}
	}
	return time.Time{}
}
