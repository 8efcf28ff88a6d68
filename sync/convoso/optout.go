package convoso

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Suppression is what must keep somebody from being called from the very commit that keeps the post's bytes (law 6).
type Suppression struct {
	// Phone is in E.164; empty when the post names no usable number.
	Phone string
	// LeadID is Convoso's id of the lead, RemoteID the UUID that Convoso carries for another system; empty when not told.
	LeadID   string
	RemoteID string
	// CallID is Convoso's id of the call, set only when neither phone nor lead id was told. Nobody knows yet whom it is
	// for: deliveries are checked by phone and by the lead's keys, so it blocks none until the fold has found the call's
	// lead or number, which takes a second.
	CallID string
	// Stream and ObjectID name the record that carries the opt-out.
	Stream   string
	ObjectID string
	// Reason is the raw code, or the flag, that was taken for an opt-out.
	Reason string
}

// Suppressions returns the opt-outs among the facts of a post: one for every phone number that the post names as the lead's
// or the call's, or one without a phone, by lead or call. They were decided on the raw codes, before any mapping.
func (s Settings) Suppressions(facts []Fact) []Suppression {
	var found []Suppression
	for _, f := range facts {
		if f.Type != TypeDNC {
			continue
		}
		v, err := s.decode(f.Payload, f.Stream)
		if err != nil {
			continue
		}
		base := Suppression{LeadID: v.fields[keyLead], RemoteID: v.fields[keyRemote], Stream: f.Stream, ObjectID: f.ObjectID, Reason: v.reason}
		phones := v.optOutPhones()
		if len(phones) == 0 {
			base.CallID = v.onlyCall()
			if base.LeadID != "" || base.RemoteID != "" || base.CallID != "" {
				found = append(found, base)
			}
		}
		for _, phone := range phones {
			base.Phone = phone
			found = append(found, base)
		}
	}
	return found
}

// onlyCall returns the call's id when an opt-out has no better way to say whom it is for.
func (v *view) onlyCall() string {
	if v.fields[keyLead] != "" || len(v.optOutPhones()) > 0 {
		return ""
	}
	return v.fields[keyCall]
}

// optOut returns the raw code or flag by which the post asks for no more calls, empty when it does not ask. It looks at every
// key that can carry a code or the flag, also at those that lost to another one.
func (s Settings) optOut(pairs []pair, r reading) string {
	if code := r.disposition(); s.DNCCodes.Has(code) {
		return code
	}
	var codes, flags []string
	x := s.keys()
	for _, p := range pairs {
		m := x.byKey[p.normal]
		value := strings.TrimSpace(p.value)
		switch {
		case m.canonical == keyStatus && s.DNCCodes.Has(value):
			codes = append(codes, value)
		case m.canonical == keyDNC && truthy(value):
			flags = append(flags, cmp.Or(canonicalFlag(p.key), keyDNC))
		}
	}
	if len(codes) > 0 {
		return slices.Min(codes)
	}
	if len(flags) > 0 {
		return slices.Min(flags)
	}
	return ""
}

// canonicalFlag returns the usual spelling of a flag's key.
func canonicalFlag(key string) string {
	return map[string]string{"dnc": "dnc", "isdnc": "is_dnc", "donotcall": "do_not_call"}[normal(key)]
}

// truthy reads a flag (section 4 rule 3).
func truthy(text string) bool {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "1", "y", "yes", "true":
		return true
	}
	return false
}

// optOutPhones returns the distinct numbers that an opt-out is for: the chosen one, and any other under a key for the phone,
// since the lead's number and the one dialled may differ.
func (v *view) optOutPhones() []string {
	numbers := []string{v.fields[keyPhone]}
	x := v.settings.keys()
	for _, key := range slices.Sorted(maps.Keys(v.unmapped)) {
		if m, ok := x.of(key); ok && m.canonical == keyPhone {
			numbers = append(numbers, v.unmapped[key])
		}
	}
	var phones []string
	for _, number := range numbers {
		if phone := v.settings.optOutPhone(number, v.fields[keyPhoneCode]); phone != "" && !slices.Contains(phones, phone) {
			phones = append(phones, phone)
		}
	}
	return phones
}
