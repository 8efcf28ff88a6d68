package convoso

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
	"time"
)

var (
	numericID = regexp.MustCompile(`^\d{1,30}(\.\d{1,10})?$`)
	shortCode = regexp.MustCompile(`^[A-Z0-9]{1,6}$`)
)

// objectID returns the identity of section 7: call id with status, state or recording; without a call id, and for a lead
// update always, lead id. Each ends in a hash of the whole content (which holds the occurred-at as it was written): a post
// of fewer fields must not replace what an earlier one of the same call or lead told. Ids land in logs, so what may be a
// phone, a name or an address goes in as a hash.
//
// An opt-out that tells neither call nor time also has the second of its arrival: asking once more after a lift is a new
// request, even in the same words.
func (v *view) objectID(payload []byte, receivedAt time.Time) string {
	content := digest(string(payload))
	call := v.fields[keyCall]
	if call == "" || v.kind == TypeLeadUpdate {
		lead := "none"
		if id := v.fields[keyLead]; id != "" {
			lead = v.token(id)
		}
		if v.kind == TypeDNC && v.occurred().at.IsZero() {
			lead += ":" + receivedAt.UTC().Format("20060102T150405Z")
		}
		return "lead:" + lead + ":" + content
	}
	var detail string
	switch v.kind {
	case TypeCallEvent:
		detail = v.state
	case TypeRecording:
		detail = digest(v.fields[keyRecording])
	case TypeDNC:
		detail = codeToken(v.reason)
		if canonicalFlag(v.reason) != "" {
			detail = "DNC"
		}
	default:
		detail = codeToken(v.fields[keyStatus])
	}
	return "call:" + v.token(call) + ":" + detail + ":" + content
}

// token returns an id as it is when it can be nothing but an id.
func (v *view) token(id string) string {
	if uuidShape.MatchString(id) {
		return id
	}
	if numericID.MatchString(id) && !v.holdsPhone(onlyDigits(id)) {
		return id
	}
	return "h" + digest(id)
}

// holdsPhone tells whether digits contain a number that the post tells elsewhere.
func (v *view) holdsPhone(digits string) bool {
	holds := func(number string) bool {
		number = onlyDigits(number)
		if len(number) > 10 {
			number = number[len(number)-10:]
		}
		return len(number) >= 7 && strings.Contains(digits, number)
	}
	if holds(v.fields[keyPhone]) || holds(v.fields[keyCallerID]) || holds(v.fields[keyInboundNumber]) {
		return true
	}
	for key, value := range v.unmapped {
		if n := normal(key); (strings.Contains(n, "phone") || strings.Contains(n, "number")) && holds(value) {
			return true
		}
	}
	return false
}

// codeToken returns a disposition code as it is when it looks like one (section 3), whatever its case.
func codeToken(code string) string {
	upper := strings.ToUpper(code)
	switch {
	case code == "":
		return "none"
	case shortCode.MatchString(upper):
		return upper
	default:
		return "h" + digest(upper)
	}
}

// digest is half of a SHA-256, in hex.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
