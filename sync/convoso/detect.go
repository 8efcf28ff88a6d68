package convoso

import (
	"net/url"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// selector is what a post calls itself.
type selector struct{ kind, state string }

// selects reads an event name of section 4 rules 1 and 2; ok is false for any other text.
func selects(name string) (sel selector, ok bool) {
	switch normal(strings.Trim(name, "/ ")) {
	case "disposition":
		return selector{kind: TypeDisposition}, true
	case "recording":
		return selector{kind: TypeRecording}, true
	case "callevent":
		return selector{kind: TypeCallEvent}, true
	case "callstarted":
		return selector{TypeCallEvent, StateStarted}, true
	case "callanswered":
		return selector{TypeCallEvent, StateAnswered}, true
	case "callended":
		return selector{TypeCallEvent, StateEnded}, true
	case "leadupdate":
		return selector{kind: TypeLeadUpdate}, true
	case "dnc", "donotcall":
		return selector{kind: TypeDNC}, true
	}
	return selector{}, false
}

// urlSelector applies rule 1. It also returns the query without the parameters that were event names: they are no data.
func urlSelector(p Post) (selector, url.Values) {
	var found []selector
	data := make(url.Values, len(p.Query))
	for _, want := range []string{"event", "eventtype", "type"} {
		for _, key := range sortedKeys(p.Query) {
			if normal(key) != want {
				continue
			}
			for _, value := range p.Query[key] {
				if sel, ok := selects(value); ok {
					found = append(found, sel)
				} else {
					data[key] = append(data[key], value)
				}
			}
		}
	}
	for key, values := range p.Query {
		switch normal(key) {
		case "event", "eventtype", "type":
		default:
			data[key] = values
		}
	}
	if sel, ok := selects(p.EventPath); ok {
		found = append(found, sel)
	}
	if len(found) == 0 {
		return selector{}, data
	}
	return found[0], data
}

func sortedKeys(values url.Values) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// bodySelector applies rule 2.
func bodySelector(pairs []pair) selector {
	for _, want := range []string{"eventtype", "event", "type", "webhooktype", "trigger"} {
		for _, p := range pairs {
			if p.normal != want {
				continue
			}
			if sel, ok := selects(p.value); ok {
				return sel
			}
		}
	}
	return selector{}
}

// finding is one fact that a post holds.
type finding struct {
	kind, state string
	// reason is why a person must not be called, for do-not-call only.
	reason string
}

// detect applies the rules of section 4: the first that fits says what the post is, and every other fact it holds follows.
func (s Settings) detect(pairs []pair, r reading, sel selector) []finding {
	if sel.kind == "" {
		sel = bodySelector(pairs)
	}
	optOut := s.optOut(pairs, r)
	if sel.kind == TypeDNC && optOut == "" {
		// Called an opt-out without any sign of ours: the account's own code, if there is one, is the reason.
		optOut = r.disposition()
		if optOut == "" {
			optOut = keyDNC
		}
	}
	// A post may carry a code of any length.
	optOut = pipeline.CutCode(optOut)
	if !r.namesSomebody() {
		// Nobody could act on it, so it must not be answered like an opt-out that holds.
		optOut = ""
	}
	first := r.infer(sel, optOut)
	if first.kind == "" {
		return nil
	}
	found := []finding{first}
	if optOut != "" && first.kind != TypeDNC {
		found = append(found, finding{kind: TypeDNC, reason: optOut})
	}
	return append(found, r.others(first.kind)...)
}

// infer says what the post is.
func (r reading) infer(sel selector, optOut string) finding {
	status, ended := r.disposition(), r.fields[keyTermReason] != ""
	started := r.inCall() && !ended
	switch {
	case sel.kind == TypeCallEvent:
		return finding{kind: TypeCallEvent, state: r.callState(sel.state)}
	case sel.kind == TypeDNC && optOut != "", sel.kind == "" && optOut != "":
		return finding{kind: TypeDNC, reason: optOut}
	case sel.kind != "" && sel.kind != TypeDNC:
		return finding{kind: sel.kind}
	case r.fields[keyRecording] != "" && status == "" && !ended && !started:
		return finding{kind: TypeRecording}
	case started:
		return finding{kind: TypeCallEvent, state: StateStarted}
	case ended && status == "":
		return finding{kind: TypeCallEvent, state: StateEnded}
	case r.isDisposition():
		return finding{kind: TypeDisposition}
	case r.isLeadUpdate():
		return finding{kind: TypeLeadUpdate}
	}
	return finding{}
}

// others lists what else the post holds. In a lead update "status" may be the lead's own and not a call's, so there it
// counts only with a call's id beside it.
func (r reading) others(first string) []finding {
	var found []finding
	ofCall := first != TypeLeadUpdate || r.fields[keyCall] != ""
	if first != TypeDisposition && ofCall && r.isDisposition() {
		found = append(found, finding{kind: TypeDisposition})
	}
	if first != TypeRecording && r.fields[keyRecording] != "" {
		found = append(found, finding{kind: TypeRecording})
	}
	if first != TypeCallEvent && ofCall {
		switch ended := r.fields[keyTermReason] != ""; {
		case r.inCall() && !ended:
			found = append(found, finding{kind: TypeCallEvent, state: StateStarted})
		case ended && r.disposition() == "":
			found = append(found, finding{kind: TypeCallEvent, state: StateEnded})
		}
	}
	return found
}

// callState returns the state of a call event, as named or else as the fields tell: any term reason and any disposition mean
// that the call has ended. "Started" is all that Convoso has a trigger for otherwise.
func (r reading) callState(named string) string {
	switch {
	case named != "":
		return named
	case r.fields[keyTermReason] != "", r.disposition() != "":
		return StateEnded
	default:
		return StateStarted
	}
}

// inCall tells of the status "lead in call", which is no disposition.
func (r reading) inCall() bool { return isInCall(r.fields[keyStatus]) }

func isInCall(code string) bool { return strings.EqualFold(code, "INCALL") }

// disposition returns the raw code, empty when there is none.
func (r reading) disposition() string {
	if r.inCall() {
		return ""
	}
	return r.fields[keyStatus]
}

func (r reading) isDisposition() bool {
	return r.disposition() != "" && (r.fields[keyCall] != "" || r.fields[keyLength] != "" || r.hasCallTime())
}

// namesSomebody tells whether an opt-out could be put to a person or a call. An e-mail is no way to: it names no lead.
func (r reading) namesSomebody() bool {
	for _, key := range []string{keyPhone, keyLead, keyRemote, keyCall} {
		if r.fields[key] != "" {
			return true
		}
	}
	return false
}

func (r reading) isLeadUpdate() bool {
	lead, phone := r.fields[keyLead] != "", r.fields[keyPhone] != ""
	if !lead && !phone {
		return false
	}
	// A phone is itself a field of a lead.
	if lead && phone {
		return true
	}
	for _, key := range leadFields {
		if r.fields[key] != "" {
			return true
		}
	}
	for key, value := range r.unmapped {
		n := normal(key)
		if value != "" && (slices.Contains(otherLeadFields[:], n) || strings.HasPrefix(n, "customfield")) {
			return true
		}
	}
	return false
}
