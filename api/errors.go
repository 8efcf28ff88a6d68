package api

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/trunkline/trunkline/store"
)

// Codes of contracts/lendworks.md sections 2 and 4, and ours where it names none.
const (
	codeBadRequest       = "BAD_REQUEST"
	codeKeyRequired      = "API_KEY_REQUIRED"
	codeKeyInvalid       = "INVALID_API_KEY"
	codeKeyRevoked       = "API_KEY_REVOKED"
	codeKeyExpired       = "API_KEY_EXPIRED"
	codeForbidden        = "FORBIDDEN"
	codeNotFound         = "NOT_FOUND"
	codeConflict         = "CONFLICT"
	codeMethodNotAllowed = "METHOD_NOT_ALLOWED"
	codeTimeout          = "REQUEST_TIMEOUT"
	codeTooLarge         = "PAYLOAD_TOO_LARGE"
	codeValidation       = "VALIDATION_ERROR"
	codeInternal         = "INTERNAL_ERROR"
	codeUnavailable      = "SERVICE_UNAVAILABLE"
	codeSignature        = "INVALID_SIGNATURE"
	codeErased           = "PERSON_ERASED"
)

// retryAfter is what a client is told to wait when the database is away.
const retryAfter = 2 * time.Second

// problem is an answer that is not a success. Its messages are for clients: they quote nothing of a request but names of
// fields and methods.
type problem struct {
	status int
	items  []errorItem
	// allow lists the methods of a 405.
	allow string
	// after asks the client to try again later.
	after time.Duration
	// closing ends the connection, on which an unread body may still be under way.
	closing bool
	// bare leaves the meta out, so that the answer is the same bytes for every request.
	bare bool
	// cause is for the log.
	cause error
}

// Error implements error, for logs.
func (p *problem) Error() string {
	codes := make([]string, len(p.items))
	for i, item := range p.items {
		codes[i] = item.Code
	}
	text := strconv.Itoa(p.status) + " " + strings.Join(codes, ", ")
	if p.cause != nil {
		text += ": " + p.cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (p *problem) Unwrap() error { return p.cause }

func newProblem(status int, code, message string) *problem {
	return &problem{status: status, items: []errorItem{{Code: code, Message: message}}}
}

func badRequest(message string) *problem {
	return newProblem(http.StatusBadRequest, codeBadRequest, message)
}

func unauthorized(code, message string) *problem {
	return newProblem(http.StatusUnauthorized, code, message)
}

func forbidden(message string) *problem {
	return newProblem(http.StatusForbidden, codeForbidden, message)
}

func notFound() *problem {
	return newProblem(http.StatusNotFound, codeNotFound, "no such resource")
}

func methodNotAllowed(allow string) *problem {
	p := newProblem(http.StatusMethodNotAllowed, codeMethodNotAllowed, "this resource answers to "+allow)
	p.allow = allow
	return p
}

func unavailable(cause error) *problem {
	p := newProblem(http.StatusServiceUnavailable, codeUnavailable, "the database cannot take this now; try again")
	p.after, p.cause = retryAfter, cause
	return p
}

func internal(cause error) *problem {
	p := newProblem(http.StatusInternalServerError, codeInternal, "something went wrong here; the request id names it in our log")
	p.cause = cause
	return p
}

// invalidField is one entry of a VALIDATION_ERROR.
func invalidField(field, message string) errorItem {
	return errorItem{Code: codeValidation, Message: field + " " + message, Detail: map[string]any{"field": field}}
}

// invalid answers 422 with an entry for each field at fault, and nil when there is none.
func invalid(items []errorItem) error {
	if len(items) == 0 {
		return nil
	}
	return &problem{status: http.StatusUnprocessableEntity, items: items}
}

// problemOf maps any error to an answer. What is not foreseen is a 500 that shows nothing.
func problemOf(err error) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, store.ErrNotFound):
		return notFound()
	case errors.Is(err, store.ErrErased):
		return newProblem(http.StatusUnprocessableEntity, codeErased, "this names somebody whose data was erased; nothing of them is kept")
	case store.Unavailable(err):
		return unavailable(err)
	}
	return internal(err)
}

// fail is the one writer of errors.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	ex := exchangeOf(r)
	if p.cause != nil {
		ex.cause = p.cause
	}
	header := w.Header()
	switch p.status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	case http.StatusMethodNotAllowed:
		header.Set("Allow", p.allow)
	}
	if p.after > 0 {
		header.Set("Retry-After", strconv.Itoa(int(p.after/time.Second)))
	}
	if p.closing {
		header.Set("Connection", "close")
	}
	body := failure{Errors: p.items}
	if !p.bare {
		body.Meta = &meta{RequestID: ex.id}
	}
	if ex.receiver {
		body.Success = new(bool)
	}
	// The body consists of our own strings: it can always be marshalled.
	_ = writeJSON(w, p.status, body)
}
