package api

import (
	"fmt"
	"net/http"
)

// unmatchedRoute stands for every path that no route has.
const unmatchedRoute = "unmatched"

// access says who may use a route.
type access int

const (
	// public routes need no credential.
	public access = iota
	// keyed routes need an API key whose level allows the method.
	keyed
	// ops routes need the admin token, or a peer on this machine.
	ops
	// receiving routes check the token in their path themselves.
	receiving
	// operating routes need an API key of the level full, or the admin token.
	operating
)

// handler answers a request, or returns the error to answer with.
type handler func(w http.ResponseWriter, r *http.Request) error

// route is what the mux holds: a handler and how it is guarded.
type route struct {
	server *Server
	path   string
	access access
	quiet  bool
	handle handler
}

// ServeHTTP notes whose request it is, and serves it.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ex := exchangeOf(r)
	ex.route, ex.quiet, ex.receiver = rt.path, rt.quiet, rt.access == receiving
	if rt.server.cfg.Trace.On() && (!rt.quiet || rt.access == receiving) {
		rt.traced(w, r, ex)
		return
	}
	rt.serve(w, r, ex)
}

// serve checks the credentials and calls the handler.
func (rt *route) serve(w http.ResponseWriter, r *http.Request, ex *exchange) {
	err := rt.admit(r, ex)
	if ex.caller != nil && (rt.access == keyed || rt.access == operating) {
		// Every request of a known key counts, one that its level does not allow too.
		over := rt.server.limit(w, r, ex.caller)
		if over == nil {
			over = rt.server.spend(r, ex.caller)
		}
		if over != nil {
			err = over
		}
	}
	if err != nil {
		rt.server.fail(w, r, err)
		return
	}
	if err = rt.server.noteWrite(w, r, ex); err == nil {
		err = rt.handle(w, r)
	}
	if err != nil {
		rt.server.fail(w, r, err)
	}
}

// admit is authentication, then the level.
func (rt *route) admit(r *http.Request, ex *exchange) error {
	switch rt.access {
	case keyed:
		caller, err := rt.server.keys.authenticate(r)
		if err != nil {
			return err
		}
		ex.caller = caller
		return caller.permit(r.Method)
	case operating:
		caller, err := rt.server.admitOperator(r)
		ex.caller = caller // nil where nobody is known
		return err
	case ops:
		return rt.server.admitOps(r)
	case public, receiving:
	}
	return nil
}

// handle adds a route. The pattern is ServeMux's, with a method.
func (s *Server) handle(pattern string, who access, h handler) *route {
	rt := &route{server: s, path: patternPath(pattern), access: who, quiet: who == receiving, handle: h}
	s.mux.Handle(pattern, rt)
	s.patterns = append(s.patterns, pattern)
	return rt
}

// dispatch finds the route. ServeMux's own answers, texts and redirects, are replaced: a redirect would turn a POST into
// a GET and repeat a receiver's token in its body.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) {
	found, _ := s.mux.Handler(r)
	if _, ours := found.(*route); ours {
		s.mux.ServeHTTP(w, r) // once more, for the values in the path
		return
	}
	answer := headerOnly{header: http.Header{}}
	found.ServeHTTP(&answer, r)
	if answer.status == http.StatusMethodNotAllowed {
		s.fail(w, r, methodNotAllowed(answer.header.Get("Allow")))
		return
	}
	s.fail(w, r, notFound())
}

// headerOnly takes an answer of which only status and headers matter.
type headerOnly struct {
	header http.Header
	status int
}

func (h *headerOnly) Header() http.Header { return h.header }

func (h *headerOnly) Write(p []byte) (int, error) { return len(p), nil }

func (h *headerOnly) WriteHeader(status int) { h.status = status }

func typeName(value any) string { return fmt.Sprintf("%T", value) }
