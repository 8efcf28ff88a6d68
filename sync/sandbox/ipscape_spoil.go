package sandbox

import (
	"bytes"
	"encoding/json"
	"strings"
)

// spoilItems applies the faults that concern items. The first item is the one that suffers where one is enough.
func spoilItems(in *inbound, items []json.RawMessage) []json.RawMessage {
	if in.fault == nil || len(items) == 0 {
		return items
	}
	switch in.fault.Kind { //nolint:exhaustive // the other kinds leave items alone
	case FaultBareItem:
		items[0] = json.RawMessage(`"not an object"`)
	case FaultMissingID, FaultWrongType, FaultNUL, FaultLoneSurrogate, FaultInvalidUTF8, FaultHugeItem, FaultDeepItem, FaultUnknownType:
		items[0] = spoil(items[0], in.fault.Kind)
	case FaultUnknownField, FaultWrapCodeString, FaultOutcomesObject, FaultOutcomesArray, FaultOutcomesEmptyList, FaultDataFieldsEmptyList:
		for i := range items {
			items[i] = spoil(items[i], in.fault.Kind)
		}
	}
	return items
}

// object is one JSON object with its values untouched, so that numbers stay as they were written.
type object map[string]json.RawMessage

// spoil rewrites one item. With activities the fields lie one level deeper.
func spoil(item json.RawMessage, kind FaultKind) json.RawMessage {
	outer := object{}
	if json.Unmarshal(item, &outer) != nil {
		return item
	}
	inner := outer
	data, nested := outer["data"]
	if nested {
		inner = object{}
		if json.Unmarshal(data, &inner) != nil {
			return item
		}
	}
	id, text := inner.keys()
	switch kind { //nolint:exhaustive // only the kinds of spoilItems come here
	case FaultMissingID:
		delete(inner, id)
	case FaultWrongType:
		inner[id] = json.RawMessage(`{"value":"seven"}`)
	case FaultNUL:
		inner[text] = json.RawMessage(`"before\u0000after"`)
	case FaultLoneSurrogate:
		inner[text] = json.RawMessage(`"before\ud800after"`)
	case FaultInvalidUTF8, FaultDeepItem:
		inner[spoiltKey(kind, text)] = json.RawMessage(spoiltPlace)
	case FaultHugeItem:
		inner["transcript"] = json.RawMessage(`"` + strings.Repeat("blah ", 1<<20) + `"`)
	case FaultUnknownType:
		outer["type"] = json.RawMessage(`"hologram.outbound"`)
	case FaultUnknownField:
		inner["sentimentScore"] = json.RawMessage(`{"value":0.75,"model":"v2"}`)
	case FaultWrapCodeString:
		if code := string(inner["wrapCode"]); code != "" && code != "null" {
			inner["wrapCode"] = json.RawMessage(`"` + strings.Trim(code, `"`) + `"`)
		}
	case FaultDataFieldsEmptyList:
		inner["dataFields"] = json.RawMessage(`[]`)
	case FaultOutcomesObject, FaultOutcomesArray, FaultOutcomesEmptyList:
		inner.outcomes(kind)
	}
	if nested {
		outer["data"] = marshal(inner)
	}
	return bytes.Replace(marshal(outer), []byte(spoiltPlace), spoilt(kind), 1)
}

// spoiltPlace stands for what encoding/json does not let through, until all else is written.
const spoiltPlace = `"what no honest writer of JSON lets through"`

func spoiltKey(kind FaultKind, text string) string {
	if kind == FaultDeepItem {
		return "tree"
	}
	return text
}

func spoilt(kind FaultKind) []byte {
	const depth = 100_000
	switch kind { //nolint:exhaustive // two kinds have something in that place
	case FaultInvalidUTF8:
		return []byte("\"before\xff\xc3(after\"")
	case FaultDeepItem:
		return []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth))
	}
	return nil
}

// keys names the item's own id and one of its texts.
func (o object) keys() (id, text string) {
	// An attempt names its activity and an activity its attempt: the lists' own shapes tell them apart.
	_, user := o["userId"]
	_, agent := o["agentInteractionId"]
	_, attempt := o["attemptId"]
	_, fields := o["dataFields"]
	switch {
	case user:
		return "userId", "username"
	case agent:
		return "activityId", "campaignName"
	case fields:
		return "leadId", "campaignName"
	case attempt:
		return "attemptId", "campaignName"
	}
	return "id", "name"
}

func (o object) outcomes(kind FaultKind) {
	info := object{}
	if json.Unmarshal(o["outcomesInfo"], &info) != nil {
		return
	}
	one := `{"count":2,"statusCode":3,"description":"Abandoned"}`
	switch kind { //nolint:exhaustive // three kinds come here
	case FaultOutcomesObject:
		info["outcomesByCode"] = json.RawMessage(one)
	case FaultOutcomesArray:
		info["outcomesByCode"] = json.RawMessage(`[` + one + `,{"count":1,"statusCode":5,"description":"Busy"}]`)
	case FaultOutcomesEmptyList:
		info["outcomesByCode"] = json.RawMessage(`[]`)
	}
	o["outcomesInfo"] = marshal(info)
}
