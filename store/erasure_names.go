package store

import (
	"maps"
	"strings"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

func spelt(org uuid.UUID, n keyName) string {
	return strings.Join([]string{org.String(), n.Kind, n.Account, n.Value}, "\x00")
}

// namesOf lists by what a record's facts name people, their leads and calls.
func namesOf(f *pipeline.Facts) map[keyName]bool {
	names := map[keyName]bool{}
	for k := range keysOf(*f) {
		names[k.keyName] = true
	}
	for i := range f.Leads {
		fact := &f.Leads[i]
		for _, k := range fact.Keys {
			names[canonical(nameOf(k))] = true
		}
		names[canonical(keyName{Kind: string(pipeline.KeyEmail), Value: fact.Fields[pipeline.FieldEmail]})] = true
		for _, field := range []pipeline.Field{pipeline.FieldPhone, pipeline.FieldDialPhone} {
			names[keyName{Kind: string(pipeline.KeyPhone), Value: fact.Fields[field]}] = true
		}
	}
	for i := range f.Calls {
		for _, number := range []string{f.Calls[i].FromNumber, f.Calls[i].ToNumber} {
			names[keyName{Kind: string(pipeline.KeyPhone), Value: number}] = true
		}
	}
	for i := range f.Presence {
		p := &f.Presence[i]
		names[keyName{Kind: string(pipeline.KeyLead), Value: p.LeadID}] = true
		names[keyName{callKind(p.Call.Dialler), p.Call.Account, p.Call.ExternalID}] = true
	}
	maps.DeleteFunc(names, func(n keyName, _ bool) bool { return !n.names() })
	return names
}

// names tells whether a name may be somebody's: not an empty one, nor a word in the place of an e-mail address.
func (n keyName) names() bool {
	return n.Value != "" && (n.Kind != string(pipeline.KeyEmail) || pipeline.Mailbox(n.Value))
}

// canonical spells an e-mail address in the one way in which it is hashed.
func canonical(n keyName) keyName {
	if n.Kind == string(pipeline.KeyEmail) {
		n.Value = strings.ToLower(strings.TrimSpace(n.Value))
	}
	return n
}

// mentioned lists whom a text may name, for what has no facts.
func mentioned(text []byte) map[keyName]bool {
	names := map[keyName]bool{}
	digits, emails := pipeline.Mentions(text)
	for _, d := range digits {
		names[keyName{Kind: kindDigits, Value: d}] = true
	}
	for _, e := range emails {
		names[keyName{Kind: string(pipeline.KeyEmail), Value: e}] = true
	}
	return names
}
