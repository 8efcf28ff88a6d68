package api

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

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
