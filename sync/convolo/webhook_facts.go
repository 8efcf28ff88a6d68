package convolo

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Settings is what reading a widget's webhooks takes.
type Settings struct {
	// Account is the vendor account that calls belong to.
	Account string
	// Region is the country of phone numbers without country code (ISO 3166).
	Region string
}

// told is one payload, read.
type told struct {
	doc  map[string]any
	kind string
}

func readPayload(payload []byte) (told, error) {
	value, err := decode(payload)
	doc, ok := value.(map[string]any)
	if err != nil || !ok {
		return told{}, errors.New("a convolo payload is no JSON object")
	}
	return told{doc: doc, kind: strings.ToLower(text(doc, "type"))}, nil
}

func (t told) inner(name string) map[string]any {
	inner, _ := t.doc[name].(map[string]any)
	return inner
}

func (t told) at(name string) time.Time { return readTime(text(t.doc, name)) }

// seconds reads a whole number of seconds, nil where there is none.
func (t told) seconds(name string) *int {
	n, err := strconv.ParseFloat(text(t.doc, name), 64)
	if err != nil || n < 0 || n > 1e9 {
		return nil
	}
	whole := int(n)
	return &whole
}

// phone is the number really called, which may be the lead's second one.
func (s Settings) phone(t told) pipeline.Phone {
	return pipeline.ParsePhone(cmp.Or(text(t.doc, "called_lead_phone"), text(t.inner("lead"), "lead_phone")), s.Region)
}

// Facts returns what a record of ours says in the pipeline's words. A webhook tells of a call and refers to its lead: by
// the delivery that started it, else by its phone. It makes no lead, for whom to call is not Convolo's to say.
func (s Settings) Facts(rec pipeline.Record) (pipeline.Facts, error) {
	t, err := readPayload(rec.Payload)
	if err != nil {
		return pipeline.Facts{}, fmt.Errorf("reading record %s/%s: %w", rec.Stream, rec.ObjectID, err)
	}
	call := text(t.doc, "call_id")
	if rec.Stream != StreamCalls || call == "" {
		return pipeline.Facts{}, nil
	}
	agent := t.inner("agent")
	c := pipeline.CallFact{
		Key:  pipeline.CallKey{Dialler: pipeline.SourceConvolo, Account: cmp.Or(rec.Account, s.Account), ExternalID: call},
		Lead: s.leadOf(t), Direction: pipeline.Outbound, Campaign: text(t.doc, "widget_name"), ToNumber: s.phone(t).Best(),
		Agent: pipeline.AgentRef{ID: pipeline.CutCode(text(agent, "id")), Name: text(agent, "name"), Email: text(agent, "email")},
	}
	switch t.kind {
	case TypeStartCall:
		// The webhook tells no time of its own: the step counts as of its arrival, and end_call has the time of the start.
		c.Events = []pipeline.CallEvent{{Type: pipeline.EventStarted}}
	case TypeEndCall:
		s.tellEnd(t, &c)
	}
	return pipeline.Facts{Calls: []pipeline.CallFact{c}}, nil
}

// tellEnd adds what end_call knows (contract sections 5.2 and 5.4). A call was answered when the lead picked up: the agent,
// who is rung first, says nothing of that.
func (s Settings) tellEnd(t told, c *pipeline.CallFact) {
	c.StartedAt, c.AnsweredAt, c.EndedAt = t.at("time_started_iso_string"), t.at("time_lead_answered_iso_string"), t.at("time_ended_iso_string")
	c.TalkSeconds = t.seconds("talk_duration_sec")
	c.RecordingURL = text(t.doc, "recording_link")
	c.Disposition = pipeline.CutCode(text(t.doc, "call_status"))
	if !c.AnsweredAt.IsZero() {
		c.Events = append(c.Events, pipeline.CallEvent{Type: pipeline.EventAnswered, OccurredAt: c.AnsweredAt})
	}
	c.Events = append(c.Events, pipeline.CallEvent{Type: pipeline.EventEnded, OccurredAt: c.EndedAt})
	if c.Disposition != "" {
		c.Events = append(c.Events, pipeline.CallEvent{Type: pipeline.EventDisposition, OccurredAt: c.EndedAt, Disposition: c.Disposition})
	}
}

// leadOf refers to the call's lead, strongest word first.
func (s Settings) leadOf(t told) []pipeline.Key {
	var keys []pipeline.Key
	list, _ := t.inner(keyJoin)["lead"].([]any)
	for _, one := range list {
		key, _ := one.(map[string]any)
		if kind, value := text(key, "kind"), text(key, "value"); kind != "" && value != "" {
			keys = append(keys, pipeline.Key{Kind: pipeline.KeyKind(kind), Account: text(key, "account"), Value: value})
		}
	}
	for _, number := range []string{text(t.doc, "called_lead_phone"), text(t.inner("lead"), "lead_phone")} {
		p := pipeline.ParsePhone(number, s.Region)
		if k := (pipeline.Key{Kind: pipeline.KeyPhone, Value: p.E164}); p.Valid && (len(keys) == 0 || keys[len(keys)-1] != k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// CallColumns returns the columns of convolo.calls that CallRow fills, in its order.
func CallColumns() []string {
	return []string{
		"call_id", "delivery_id", "status", "phone", "widget_key", "is_delayed", "agent_id", "agent_name", "agent_phone",
		"disconnected_by", "started_at", "agent_answered_at", "lead_answered_at", "ended_at", "talk_s", "total_s",
		"recording_url", "custom_params",
	}
}

// CallRow returns a call's row from the payloads of its webhooks, the one whose word counts most first (see CallObjects).
func (s Settings) CallRow(payloads [][]byte) ([]any, error) {
	row := make([]any, len(CallColumns()))
	for _, payload := range payloads {
		t, err := readPayload(payload)
		if err != nil {
			return nil, err
		}
		part, err := s.rowOf(t)
		if err != nil {
			return nil, err
		}
		for i, value := range part {
			if row[i] == nil {
				row[i] = value
			}
		}
	}
	return row, nil
}

func (s Settings) rowOf(t told) ([]any, error) {
	agent := t.inner("agent")
	var params any
	if custom := customParams(t.doc); custom != nil {
		raw, err := encodeDoc(custom)
		if err != nil {
			return nil, err
		}
		params = json.RawMessage(raw)
	}
	var delayed any
	if word := text(t.doc, "is_delayed_call"); word != "" {
		delayed = strings.EqualFold(word, "true") || word == "1"
	}
	return []any{
		orNull(text(t.doc, "call_id")), orNull(text(t.inner(keyJoin), "id")), orNull(text(t.doc, "call_status")), orNull(s.phone(t).Best()),
		orNull(text(t.doc, "widget_key")), delayed, orNull(text(agent, "id")), orNull(text(agent, "name")), orNull(text(agent, "phone")),
		orNull(text(t.doc, "disconnected_by")), orNull(t.at("time_started_iso_string")), orNull(t.at("time_agent_answered_iso_string")),
		orNull(t.at("time_lead_answered_iso_string")), orNull(t.at("time_ended_iso_string")), orNull(t.seconds("talk_duration_sec")),
		orNull(t.seconds("total_duration_sec")), orNull(text(t.doc, "recording_link")), params,
	}, nil
}

// orNull returns nil, which the database takes for null, in place of a zero value.
func orNull[T comparable](value T) any {
	var zero T
	if value == zero {
		return nil
	}
	return value
}
