package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

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

// text reads a string of at least least and at most most characters; ok is false when it is absent, null or at fault.
func (o *object) text(field string, least, most int) (text string, ok bool) {
	value, _ := o.find(field)
	if value == nil {
		return "", false
	}
	if json.Unmarshal(value, &text) != nil {
		o.fault(field, "must be a string")
		return "", false
	}
	switch n := utf8.RuneCountInString(text); {
	case n < least:
		o.fault(field, "must not be empty")
	case n > most:
		o.fault(field, fmt.Sprintf("is longer than %d characters", most))
	default:
		return text, true
	}
	return "", false
}

// required reads a string that must be there.
func (o *object) required(field string, most int) string {
	if value, _ := o.find(field); value == nil {
		o.fault(field, "is required")
		return ""
	}
	text, _ := o.text(field, 1, most)
	return text
}

func (o *object) enum(field string, allowed ...string) string {
	text, ok := o.text(field, 0, 1000)
	if ok && !slices.Contains(allowed, text) {
		o.fault(field, "must be one of "+strings.Join(allowed, ", "))
		return ""
	}
	return text
}

// markup finds what a browser may take for HTML: a tag, a comment or the like, closed or not.
var markup = regexp.MustCompile(`<[A-Za-z/!?]|<[^<>]*>`)

func (o *object) plain(field string, least, most int) string {
	text, ok := o.text(field, least, most)
	if ok && markup.MatchString(text) {
		o.fault(field, "must not contain HTML")
		return ""
	}
	return text
}

const maxEmail = 254

func (o *object) email(field string) string {
	text, ok := o.text(field, 1, maxEmail)
	if !ok {
		return ""
	}
	address, err := mail.ParseAddress(text)
	if err == nil && address.Address == text {
		if at := strings.LastIndexByte(text, '@'); domainName(text[at+1:]) {
			return text
		}
	}
	o.fault(field, "must be an e-mail address")
	return ""
}

func domainName(text string) bool {
	labels := strings.Split(text, ".")
	return len(labels) > 1 && !slices.Contains(labels, "")
}

// decimal is a number as a string: digits with at most one point, and a minus sign. A JSON number is refused: it may have
// lost digits on its way.
var decimal = regexp.MustCompile(`^-?\d{1,30}(\.\d{1,10})?$`)

func (o *object) decimal(field string) string {
	text, ok := o.text(field, 0, 1000)
	if ok && !decimal.MatchString(text) {
		o.fault(field, "must be a numeric string, such as 42000 or 42000.50")
		return ""
	}
	return text
}

// userIDs are 8-4-4-4-12 letters and digits: the contract's own samples are no hexadecimal.
var userIDs = regexp.MustCompile(`^[0-9A-Za-z]{8}-[0-9A-Za-z]{4}-[0-9A-Za-z]{4}-[0-9A-Za-z]{4}-[0-9A-Za-z]{12}$`)

// userID reads the id of a user, in lower case.
func (o *object) userID(field string) string {
	text, ok := o.text(field, 0, 1000)
	if ok && !userIDs.MatchString(text) {
		o.fault(field, "must be an id such as 0f4f3d1e-8c1b-4a2e-9d3f-5a6b7c8d9e0f")
		return ""
	}
	return strings.ToLower(text)
}

// id reads a UUID, the nil UUID when there is none.
func (o *object) id(field string) uuid.UUID {
	text, ok := o.text(field, 0, 1000)
	if !ok {
		return uuid.Nil
	}
	id, ok := parseID(text)
	if !ok || id == uuid.Nil {
		o.fault(field, "must be a UUID")
	}
	return id
}

// whole reads a whole number from 0.
func (o *object) whole(field string) *int {
	value, _ := o.find(field)
	if value == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(value), 10, 32)
	if err != nil || n < 0 {
		o.fault(field, "must be a whole number from 0")
		return nil
	}
	count := int(n)
	return &count
}

// object reads a JSON object, as it was spelt.
func (o *object) object(field string) json.RawMessage {
	value, _ := o.find(field)
	if value != nil && value[0] != '{' {
		o.fault(field, "must be an object")
		return nil
	}
	return value
}

// texts reads an array of strings, as it was spelt.
func (o *object) texts(field string) json.RawMessage {
	value, _ := o.find(field)
	if value == nil {
		return nil
	}
	var elements []*string
	if json.Unmarshal(value, &elements) != nil || value[0] != '[' || slices.Contains(elements, nil) {
		o.fault(field, "must be an array of strings")
		return nil
	}
	return value
}

// instantOf reads a time with its zone: Z, +hh:mm, and +hhmm and +hh, which ISO 8601 has too.
func instantOf(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// ahead is how far a client's clock may be ahead of ours.
const ahead = 24 * time.Hour

// moment reads a time with its zone (ISO 8601), not before 1970 and not in the future.
func (o *object) moment(field string, now time.Time) time.Time {
	text := o.required(field, 64)
	if text == "" {
		return time.Time{}
	}
	at, ok := instantOf(text)
	switch {
	case !ok:
		o.fault(field, "must be a time with its zone, such as 2026-03-02T09:00:00Z")
		return time.Time{}
	case at.Unix() < 0 || at.After(now.Add(ahead)):
		o.fault(field, "must lie between 1970 and now")
		return time.Time{}
	}
	return at.UTC().Truncate(time.Microsecond)
}
