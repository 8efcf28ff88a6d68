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
	// Writing notes that a request of the caller's may write; wrote notes that it is done, before the caller learns of it.
	Writing(ctx context.Context, who store.Caller) (wrote func(), err error)
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

// noteWrite has a request that may write noted before its handler begins, and its end before any of the answer leaves, whatever
// handler it is. After a failure of ours nobody knows what is committed, or will be: that request is left open.
func (s *Server) noteWrite(w http.ResponseWriter, r *http.Request, ex *exchange) error {
	rw, ok := w.(*responseWriter)
	if !ok || ex.caller == nil || r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	wrote, err := s.cfg.Reads.Writing(r.Context(), callerOf(ex))
	if err != nil {
		return err
	}
	rw.before = func(status int) {
		if status < http.StatusInternalServerError {
			wrote()
		}
	}
	return nil
}
