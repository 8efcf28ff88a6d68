package store

import (
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Roles of a key in a record (ops.record_keys.role).
const (
	roleLead = "lead"
	roleRef  = "ref"
	roleCall = "call"
	roleDNC  = "dnc"
)

// keyName is a key without its role.
type keyName struct{ Kind, Account, Value string }

func nameOf(k pipeline.Key) keyName { return keyName{string(k.Kind), k.Account, k.Value} }

func (n keyName) phone() bool { return n.Kind == string(pipeline.KeyPhone) }

// strong tells whether every record with this key belongs together; calls are keyed like leads.
func (n keyName) strong() bool { return !n.phone() && n.Kind != string(pipeline.KeyEmail) }

// barePrefix begins the identity of a fact that knows no key but phones.
const barePrefix = string(pipeline.KeyPhone) + "|"

// text is how a key is written as an identity.
func (n keyName) text() string { return strings.Join([]string{n.Kind, n.Account, n.Value}, "|") }

// callKind is how the key of a dialler's calls is called.
func callKind(dialler pipeline.Source) string { return "call:" + string(dialler) }

// call returns the call that the key names, and false when it names something else.
func (n keyName) call() (pipeline.CallKey, bool) {
	dialler, ok := strings.CutPrefix(n.Kind, callKind(""))
	return pipeline.CallKey{Dialler: pipeline.Source(dialler), Account: n.Account, ExternalID: n.Value}, ok
}

// recordKey is one row of ops.record_keys.
type recordKey struct {
	keyName
	Role     string
	Identity string
}

// keysOf lists the rows that a record's facts ask for.
func keysOf(f pipeline.Facts) map[recordKey]bool {
	rows := map[recordKey]bool{}
	for i := range f.Leads {
		fact := &f.Leads[i]
		identity, ok := fact.Identity()
		if !ok {
			continue
		}
		for _, k := range fact.Keys {
			if k.Kind != pipeline.KeyEmail && k.Value != "" {
				rows[recordKey{nameOf(k), roleLead, nameOf(identity).text()}] = true
			}
		}
	}
	for i := range f.Calls {
		c := &f.Calls[i]
		rows[recordKey{keyName{callKind(c.Key.Dialler), c.Key.Account, c.Key.ExternalID}, roleCall, ""}] = true
		addKeys(rows, c.Lead, roleRef)
	}
	for i := range f.DNC {
		if phone := f.DNC[i].Phone; phone != "" {
			rows[recordKey{keyName{string(pipeline.KeyPhone), "", phone}, roleDNC, ""}] = true
		}
		addKeys(rows, f.DNC[i].Lead, roleDNC)
		if call := f.DNC[i].Call; call != (pipeline.CallKey{}) {
			rows[recordKey{keyName{callKind(call.Dialler), call.Account, call.ExternalID}, roleDNC, ""}] = true
		}
	}
	for i := range f.Unlinks {
		addKeys(rows, f.Unlinks[i].From, roleRef)
		addKeys(rows, []pipeline.Key{f.Unlinks[i].Key}, roleRef)
	}
	return rows
}

func addKeys(rows map[recordKey]bool, keys []pipeline.Key, role string) {
	for _, k := range keys {
		if k.Kind != pipeline.KeyEmail && k.Value != "" {
			rows[recordKey{nameOf(k), role, ""}] = true
		}
	}
}

// columns turns keys into three parallel arrays, as unnest takes them.
func columns(keys []keyName) (kinds, accounts, values []string) {
	for _, k := range keys {
		kinds, accounts, values = append(kinds, k.Kind), append(accounts, k.Account), append(values, k.Value)
	}
	return kinds, accounts, values
}
