package convoso

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tidwall/gjson"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// view is one fact's payload, read. Rows and pipeline facts come from it, so both say the same of a post and of its record.
type view struct {
	reading
	settings            Settings
	kind, state, reason string
}

// encode returns the payload: sorted keys, text values.
func (v *view) encode() ([]byte, error) {
	doc := make(map[string]any, len(v.fields)+4)
	for key, value := range v.fields {
		doc[key] = value
	}
	if len(v.unmapped) > 0 {
		doc[keyUnmapped] = v.unmapped
	}
	doc[keyEvent] = v.kind
	if v.state != "" {
		doc[keyCallState] = v.state
	}
	if v.reason != "" {
		doc[keyReason] = v.reason
	}
	return marshal(doc)
}

// marshal is json.Marshal without the escapes for HTML, so that analysts read what was sent.
func marshal(doc any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return nil, fmt.Errorf("encoding a convoso payload: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decode reads a payload that encode made, in whatever spelling the database gives it back.
func (s Settings) decode(payload []byte, stream string) (*view, error) {
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(payload, &doc); err != nil || doc == nil {
		return nil, errors.New("a convoso payload is no JSON object")
	}
	v := &view{settings: s, reading: reading{fields: map[string]string{}, unmapped: map[string]string{}}}
	for key, raw := range doc {
		switch text := valueText(gjson.ParseBytes(raw)); key {
		case keyUnmapped:
			var rest map[string]json.RawMessage
			if json.Unmarshal(raw, &rest) == nil {
				for k, r := range rest {
					v.unmapped[k] = valueText(gjson.ParseBytes(r))
				}
			}
		case keyEvent:
			v.kind = text
		case keyCallState:
			v.state = text
		case keyReason:
			v.reason = text
		default:
			if text != "" {
				v.fields[key] = text
			}
		}
	}
	switch v.kind {
	case TypeDisposition, TypeRecording, TypeCallEvent, TypeLeadUpdate, TypeDNC:
		return v, nil
	}
	return nil, fmt.Errorf("a convoso payload of stream %s says no event type", stream)
}

// moment is a time that a payload tells.
type moment struct {
	at      time.Time
	assumed bool
}

// firstTime returns the first readable of several dates.
func (v *view) firstTime(keys ...string) moment {
	for _, key := range keys {
		if at, assumed, ok := v.settings.readDate(v.fields[key]); ok {
			return moment{at, assumed}
		}
	}
	return moment{}
}

// occurred returns when it happened by Convoso's word: for a lead update its last change first, else the call's time.
func (v *view) occurred() moment {
	switch v.kind {
	case TypeLeadUpdate:
		if m := v.firstTime(keyModifiedAt); !m.at.IsZero() {
			return m
		}
	case TypeDNC:
		return v.firstTime(append(occurredKeys[:], keyModifiedAt)...)
	}
	return v.firstTime(occurredKeys[:]...)
}

func (v *view) phone() pipeline.Phone {
	return v.settings.readPhone(v.fields[keyPhone], v.fields[keyPhoneCode])
}

func (v *view) campaign() string { return cmp.Or(v.fields[keyCampaign], v.fields[keyCampaignID]) }

// note returns the wrap-up note of a call. A lead's own "notes" counts as one only where the post is about a call and has no
// better; a lead update has the lead's.
func (v *view) note() string {
	if v.kind == TypeLeadUpdate {
		return cmp.Or(v.fields[keyNotes], v.fields[keyComment])
	}
	return cmp.Or(v.fields[keyComment], v.fields[keyNotes])
}

// callNote is note without what belongs to the lead.
func (v *view) callNote() string {
	if v.kind == TypeLeadUpdate {
		return v.fields[keyComment]
	}
	return v.note()
}
