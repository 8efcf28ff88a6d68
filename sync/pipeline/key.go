package pipeline

import (
	"cmp"
	"strings"
	"unicode/utf8"
)

// KeyKind is the kind of an identity key.
type KeyKind string

// Kinds of keys. All but KeyPhone and KeyEmail are strong: two facts that share one are about one lead.
const (
	// KeyLead is our own lead id.
	KeyLead KeyKind = "lead"
	// KeyIPSCAPELead is ipSCAPE's leadId, per account.
	KeyIPSCAPELead KeyKind = "ipscape_lead"
	// KeyConvosoLead is Convoso's lead_id, per account.
	KeyConvosoLead KeyKind = "convoso_lead"
	// KeyCustomer is ipSCAPE's customerKey, per account.
	KeyCustomer KeyKind = "customer_key"
	// KeyClient is the ClientId under which DialedIn knows a lead.
	KeyClient KeyKind = "client_id"
	// KeyLendWorks is LendWorks' lead id.
	KeyLendWorks KeyKind = "lendworks_lead"
	// KeyRemote is an id that one system carries for another (Convoso's remote_id), UUID-shaped.
	KeyRemote KeyKind = "remote_id"
	// KeyPhone is a valid phone number in E.164. It links a few leads at most (see Fold).
	KeyPhone KeyKind = "phone"
	// KeyEmail is an e-mail address; it never merges leads.
	KeyEmail KeyKind = "email"
)

// Key is one identity of a lead.
type Key struct {
	Kind KeyKind
	// Account scopes ids that are unique within one vendor account only; empty otherwise.
	Account string
	Value   string
}

// Strong tells whether sharing this key makes two facts one lead.
func (k Key) Strong() bool { return k.Kind != KeyPhone && k.Kind != KeyEmail && k.Value != "" }

// Compare orders keys, for sorted output and sorted locks.
func (k Key) Compare(o Key) int {
	return cmp.Or(strings.Compare(string(k.Kind), string(o.Kind)), strings.Compare(k.Account, o.Account), strings.Compare(k.Value, o.Value))
}

// KeyMax is the longest value, in bytes, that a vendor's word may have as a key, external id, agent id or disposition code.
// All of these are indexed, and Postgres refuses a row whose indexed text is much longer. What is longer is no key.
const KeyMax = 200

// CutCode returns a code or agent id cut to KeyMax bytes at the end of a rune.
func CutCode(text string) string {
	if len(text) <= KeyMax {
		return text
	}
	end := KeyMax
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// CallKey names one call: one row per dialler and external id.
type CallKey struct {
	Dialler    Source
	Account    string
	ExternalID string
}

// Compare orders call keys.
func (k CallKey) Compare(o CallKey) int {
	return cmp.Or(strings.Compare(string(k.Dialler), string(o.Dialler)), strings.Compare(k.Account, o.Account), strings.Compare(k.ExternalID, o.ExternalID))
}
