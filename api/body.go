package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
)

// readBody reads a whole body of at most limit bytes within the body timeout, which
// identify has set on the connection; the server lifts it at the body's end.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge()
	}
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	var over *http.MaxBytesError
	switch {
	case err == nil:
		return body.Bytes(), nil
	case errors.As(err, &over):
		return nil, tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		p := newProblem(http.StatusRequestTimeout, codeTimeout, "the body did not arrive in time")
		p.closing = true
		return nil, p
	case errors.Is(err, io.ErrUnexpectedEOF):
		p := badRequest("the body broke off")
		p.closing = true
		return nil, p
	}
	p := badRequest("the body cannot be read")
	p.closing, p.cause = true, err
	return nil, p
}

// members reads a body that must be a JSON object: 400 where it is no JSON, 422 where it is JSON of another type.
func members(body []byte) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(body, &fields)
	switch {
	case !json.Valid(body):
		return nil, badRequest("the body is no JSON")
	case err != nil || fields == nil:
		return nil, noObject()
	}
	return fields, nil
}

func noObject() error {
	return invalid([]errorItem{{Code: codeValidation, Message: "the body must be a JSON object", Detail: map[string]any{"field": "body"}}})
}

// tooLarge closes the connection: what is still to come of the body is not waited for.
func tooLarge() *problem {
	p := newProblem(http.StatusRequestEntityTooLarge, codeTooLarge, "the body is too large")
	p.closing = true
	return p
}
