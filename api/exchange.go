package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// exchange is what the chain knows of one request on its way.
type exchange struct {
	// id is the correlation id of the answer and of every log line.
	id string
	// route is the pattern of the route, without method: the only form of the path that is ever logged or counted.
	route string
	// quiet marks routes whose successes are too many to log.
	quiet bool
	// receiver marks answers that a dialler reads.
	receiver bool
	// caller is set once the credentials are known.
	caller *principal
	// cause is what went wrong, for the log only.
	cause error
}

// principal is who sent a request.
type principal struct {
	org   uuid.UUID
	level store.KeyLevel
	tier  store.KeyTier
	// key is the prefix of the API key, or what stands for it; id is the key's, nil for what stands for one.
	key string
	id  uuid.UUID
	// quota is how many requests the key has in a month, 0 for any number; family are the keys that share them.
	quota  int64
	family uuid.UUID
}

type exchangeKey struct{}

// exchangeOf returns the request's exchange; outside the chain, an empty one.
func exchangeOf(r *http.Request) *exchange {
	if ex, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		return ex
	}
	return &exchange{}
}

// organisation returns the organisation whose data a request with a key may see.
func organisation(r *http.Request) uuid.UUID {
	if caller := exchangeOf(r).caller; caller != nil {
		return caller.org
	}
	return uuid.Nil
}

func withExchange(r *http.Request, ex *exchange) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), exchangeKey{}, ex))
}

// responseWriter notes what was answered.
type responseWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
	// gzip tells that the client takes compressed answers.
	gzip bool
	// before is told the status before anything is written; nil where nobody wants to know.
	before func(status int)
}

// WriteHeader notes the status.
func (w *responseWriter) WriteHeader(status int) {
	w.begin(status)
	w.ResponseWriter.WriteHeader(status)
}

// Write notes the size.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// begin notes the status that an answer begins with.
func (w *responseWriter) begin(status int) {
	if w.status != 0 || status < http.StatusOK {
		return
	}
	w.status = status
	if w.before != nil {
		w.before(status)
	}
}

// Unwrap serves http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
