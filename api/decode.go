package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// object is a request's body, a JSON object, and what was found wrong with it so far: every field at fault is told of in
// one answer.
type object struct {
	values map[string]json.RawMessage
	// aliases has a field also found under its name in snake case, and under further names.
	aliases map[string][]string
	items   []errorItem
	// seen are the fields that were asked for.
	seen map[string]bool
}

// readObject reads a body that must be a JSON object. What cannot be parsed is a 400; JSON of another type is a 422. Text
// that no text column takes (NUL, half a surrogate pair, bytes that are no UTF-8) makes it malformed too: to store
// something else in its place would be to store what nobody said.
func (s *Server) readObject(w http.ResponseWriter, r *http.Request) (*object, []byte, error) {
	body, err := s.readBody(w, r, maxAPIBody)
	if err != nil {
		return nil, nil, err
	}
	o, err := parseObject(body)
	return o, body, err
}

func parseObject(body []byte) (*object, error) {
	clean, changed, err := pipeline.CleanJSON(body)
	var unstorable *pipeline.UnstorableError
	switch {
	case errors.As(err, &unstorable):
		return nil, badRequest("the body is no JSON that can be read: " + unstorable.Reason)
	case err != nil:
		return nil, badRequest("the body is no JSON")
	case changed:
		return nil, badRequest("the body holds text that is no valid Unicode, or a NUL")
	}
	o := &object{seen: map[string]bool{}}
	if trimmed := bytes.TrimLeft(clean, " \t\r\n"); trimmed[0] != '{' {
		return nil, noObject()
	}
	if err := json.Unmarshal(clean, &o.values); err != nil {
		return nil, badRequest("the body is no JSON")
	}
	return o, nil
}

// snake has every field also found under its name in snake case; more names further aliases.
func (o *object) snake(more map[string][]string) *object {
	o.aliases = more
	if o.aliases == nil {
		o.aliases = map[string][]string{}
	}
	return o
}

func snakeCase(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// find returns a field's value, nil when it is absent or null.
func (o *object) find(field string) (value json.RawMessage, present bool) {
	names := []string{field}
	if o.aliases != nil {
		names = append(append(names, o.aliases[field]...), snakeCase(field))
	}
	for _, name := range names {
		o.seen[name] = true
	}
	for _, name := range names {
		if value, ok := o.values[name]; ok {
			if string(value) == "null" {
				return nil, true
			}
			return value, true
		}
	}
	return nil, false
}

func (o *object) fault(field, message string) {
	o.items = append(o.items, invalidField(field, message))
}

func (o *object) err() error { return invalid(o.items) }

// rest returns the fields that nobody asked for.
func (o *object) rest() map[string]json.RawMessage {
	rest := map[string]json.RawMessage{}
	for name, value := range o.values {
		if !o.seen[name] {
			rest[name] = value
		}
	}
	return rest
}

// refuseRest refuses the fields that nobody asked for.
func (o *object) refuseRest(message string) {
	for _, name := range sortedKeys(o.rest()) {
		o.fault(boundedField(name), message)
	}
}

// boundedField is a name that a client sent, short enough for an answer.
func boundedField(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}
