package api

import (
	"context"
	"net/http"

	"github.com/trunkline/trunkline/store"
)

// Reads picks the database that a request is answered from; store.Reads is the one there is.
type Reads interface {
	// Read runs work on one database, and once more on another one where the first fails it.
	Read(ctx context.Context, who store.Caller, work func(ctx context.Context, from store.Reader) error) error
	// Wrote notes that a write of the caller's is committed, before the caller learns of it.
	Wrote(ctx context.Context, who store.Caller)
}

// read reads what a request is answered with. All that belongs to one answer is read in one call: it comes from one database then.
// work only sets variables, for it may run twice.
func (s *Server) read(r *http.Request, work func(ctx context.Context, from store.Reader) error) error {
	ctx, cancel := query(r)
	defer cancel()
	return s.cfg.Reads.Read(ctx, callerOf(exchangeOf(r)), work)
}

func callerOf(ex *exchange) store.Caller {
	if ex.caller == nil {
		return store.Caller{}
	}
	return store.Caller{Org: ex.caller.org, Key: ex.caller.key}
}

// noteWrite has the success of a request that may have written noted before any of the answer leaves, whatever handler it is that
// answers.
func (s *Server) noteWrite(w http.ResponseWriter, r *http.Request, ex *exchange) {
	rw, ok := w.(*responseWriter)
	if !ok || ex.caller == nil || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return
	}
	rw.before = func(status int) {
		if status < http.StatusMultipleChoices {
			s.cfg.Reads.Wrote(r.Context(), callerOf(ex))
		}
	}
}
