package vendorapi

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Kind says what a failed request means for whoever asked, so that nobody above has to read a status code.
type Kind int

const (
	// Transient means that the request had no effect and may be tried again: never sent, or a failed read.
	Transient Kind = iota + 1
	// Limited means that the vendor asked us to slow down; Error.After says for how long.
	Limited
	// Denied means that our credentials were refused.
	Denied
	// Refused means that the vendor understood and said no; asking again gives the same answer.
	Refused
	// Unknown means that a push was sent and may or may not have had its effect.
	Unknown
	// Malformed means that an answer came which cannot be read.
	Malformed
)

var kindNames = [...]string{"", "transient", "limited", "denied", "refused", "unknown", "malformed"}

// String returns the kind in lower case, for logs and metric labels.
func (k Kind) String() string {
	if k < Transient || int(k) >= len(kindNames) {
		return "none"
	}
	return kindNames[k]
}

// Error is a failed vendor request. Its text names vendor and operation, and carries no URL, token, phone or name.
type Error struct {
	Vendor string
	Op     string
	Kind   Kind
	// Status is the HTTP status, or 0 when no answer came.
	Status int
	// Code is the vendor's own error code, where it has one.
	Code string
	// After is how long the vendor asked us to wait (Limited only), already held within bounds.
	After time.Duration
	// Sent tells whether the request's headers left this machine.
	Sent bool
	// Detail is at most 200 bytes of the answer, with secrets, phones and addresses masked.
	Detail string
	Err    error
}

// Error renders the failure for logs and stored errors.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s", e.Vendor, e.Op, e.said())
	if e.Status != 0 {
		fmt.Fprintf(&b, ", status %d", e.Status)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, ", code %s", e.Code)
	}
	if e.After > 0 {
		fmt.Fprintf(&b, ", wait %s", e.After)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %q", e.Detail)
	}
	return b.String()
}

// said is the kind in words, which tell the vendor's no from our own.
func (e *Error) said() string {
	switch {
	case e.Kind != Refused || e.Err != nil && e.Sent:
		return e.Kind.String()
	case !e.Sent && e.Status == 0:
		return "refused by us, not sent"
	}
	return "refused by the vendor"
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the first vendor error in err's chain, or 0.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return 0
}

// stripURL takes the URL out of net/http's errors: its text holds the query, and with GET credentials the token.
func stripURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}

var (
	personal   = regexp.MustCompile(`\+?\d[\d\-. ()]{6,}\d|[^\s@"'<>]+@[^\s@"'<>]+`)
	whitespace = regexp.MustCompile(`\s+`)
)

// Excerpt returns at most 200 bytes of an answer for an error's detail: one line, secrets and personal data masked.
func Excerpt(body []byte, secrets ...Secret) string {
	if len(body) > 2048 {
		body = body[:2048]
	}
	text := strings.ToValidUTF8(string(body), "?")
	text = whitespace.ReplaceAllString(text, " ")
	text = personal.ReplaceAllString(Scrub(text, secrets...), "[masked]")
	if len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "")
	}
	return strings.TrimSpace(text)
}
