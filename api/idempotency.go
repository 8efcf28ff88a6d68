package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// Writer takes writes of one organisation, each in a transaction of its own.
type Writer interface {
	// Write fails with store.ErrKeyInFlight and store.ErrKeyReused, and with what work returns.
	Write(ctx context.Context, org uuid.UUID, key *store.IdempotencyKey, work func(ctx context.Context, tx *store.OwnWrite) (store.Answer, error)) (store.Answer, error)
}

// Codes of contracts/lendworks.md section 6; the last one is ours.
const (
	codeIdempotencyInvalid  = "INVALID_IDEMPOTENCY_KEY"
	codeIdempotencyConflict = "IDEMPOTENCY_CONFLICT"
	codeIdempotencyReused   = "IDEMPOTENCY_KEY_REUSED"
)

var idempotencyKeys = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// idempotencyKey reads the request's key; nil where it has none.
func idempotencyKey(r *http.Request, body []byte) (*store.IdempotencyKey, error) {
	given, ok := r.Header["Idempotency-Key"]
	if !ok {
		return nil, nil
	}
	if len(given) != 1 || !idempotencyKeys.MatchString(given[0]) {
		return nil, newProblem(http.StatusUnprocessableEntity, codeIdempotencyInvalid,
			"an Idempotency-Key is 1 to 256 letters, digits, hyphens and underscores")
	}
	return &store.IdempotencyKey{Key: given[0], Request: fingerprint(r, body)}, nil
}

// fingerprint tells requests apart: by method, path and what the body says, however it is spelt.
func fingerprint(r *http.Request, body []byte) [sha256.Size]byte {
	said := body
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) == nil {
		if text, err := json.Marshal(value); err == nil {
			said = text
		}
	}
	return sha256.Sum256(bytes.Join([][]byte{[]byte(r.Method), []byte(r.URL.Path), said}, []byte{0}))
}

// work does a write and returns the resource to answer with.
type work func(ctx context.Context, tx *store.OwnWrite) (resource, error)

// write does a write under the request's idempotency key and answers.
func (s *Server) write(w http.ResponseWriter, r *http.Request, body []byte, status int, do work) error {
	key, err := idempotencyKey(r, body)
	if err != nil {
		return err
	}
	// A client that goes away must not leave it unknown whether its write was done: it is done, and its key remembers.
	ctx, cancel := query(r)
	defer cancel()
	answer, err := s.cfg.Writes.Write(ctx, organisation(r), key, func(ctx context.Context, tx *store.OwnWrite) (store.Answer, error) {
		data, err := do(ctx, tx)
		if err != nil {
			return store.Answer{}, err
		}
		return kept(status, single{Data: data, Meta: meta{RequestID: exchangeOf(r).id}})
	})
	if err != nil {
		return ofKey(err)
	}
	return writeKept(w, answer)
}

// kept is an answer as it is kept under a key.
func kept(status int, value any) (store.Answer, error) {
	text, err := json.Marshal(value)
	return store.Answer{Status: status, Body: append(text, '\n')}, err
}

// ofKey gives errors of idempotency keys their answers.
func ofKey(err error) error {
	switch {
	case errors.Is(err, store.ErrKeyInFlight):
		p := newProblem(http.StatusConflict, codeIdempotencyConflict, "a request with this Idempotency-Key is being processed; try again")
		p.after = time.Second
		return p
	case errors.Is(err, store.ErrKeyReused):
		return newProblem(http.StatusUnprocessableEntity, codeIdempotencyReused, "this Idempotency-Key was used for another request")
	}
	return err
}

// writeKept answers, and tells where an earlier request got the same.
func writeKept(w http.ResponseWriter, answer store.Answer) error {
	if answer.Replayed {
		w.Header().Set("Idempotency-Key-Replay", "true")
	}
	return writeText(w, answer.Status, answer.Body)
}
