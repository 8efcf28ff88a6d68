package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/trunkline/trunkline/api/console"
	"github.com/trunkline/trunkline/store"
)

// pageRoutes are the status page and what lies behind its numbers. Of these only the page itself is in the OpenAPI document: the
// others are for people, who come by its links.
func (s *Server) pageRoutes() {
	for _, pr := range s.cfg.Page.Routes() {
		// A page that is left open asks again and again; what changes something is told of.
		quiet := strings.HasPrefix(pr.Pattern, http.MethodGet)
		s.mux.Handle(pr.Pattern, &route{server: s, path: patternPath(pr.Pattern), access: public, quiet: quiet, handle: s.onPage(pr)})
	}
	s.patterns = append(s.patterns, "GET /")
}

// errSignIn means that whoever asks may sign in.
var errSignIn = errors.New("signing in is needed")

// errTooManyGuesses means that a peer has given too many wrong tokens of late.
var errTooManyGuesses = errors.New("too many wrong tokens")

// onPage lets people in by the admin token or the cookie of who has signed in with it, and answers them with pages only.
func (s *Server) onPage(pr console.Route) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := s.admitPage(w, r, pr.Open)
		if err == nil {
			err = pr.Handle(w, r)
		}
		if err != nil {
			s.failPage(w, r, err)
		}
		return nil
	}
}

// admitPage asks for the admin token where there is one, of callers on this machine too: a proxy on it that sets no header looks like
// one of them, and the page has buttons.
func (s *Server) admitPage(w http.ResponseWriter, r *http.Request, open bool) error {
	_, given := bearer(r.Header.Get("Authorization"))
	guess := given && !open && s.cfg.AdminToken != ""
	if guess && !s.cfg.Page.MayGuess(r) {
		return errTooManyGuesses
	}
	token := s.adminToken(r)
	if guess && !token {
		s.cfg.Page.WrongGuess(r)
	}
	switch {
	case open, token, s.cfg.Page.SignedIn(r):
	case s.cfg.AdminToken == "" && direct(r):
	case s.cfg.AdminToken != "" && r.Header.Get("Authorization") == "":
		return errSignIn
	default:
		return forbidden("this needs the admin token, or, where the daemon has none, a direct call from the machine itself")
	}
	return s.cfg.Page.CheckForm(w, r, token)
}

// failPage answers with a page that says what went wrong, and nothing of how.
func (s *Server) failPage(w http.ResponseWriter, r *http.Request, err error) {
	ex := exchangeOf(r)
	fail := func(code int, text string) { s.cfg.Page.Fail(w, r, code, text, ex.id) }
	switch {
	case errors.Is(err, errSignIn) && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		http.Redirect(w, r, console.LoginPath(r), http.StatusSeeOther)
	case errors.Is(err, errSignIn):
		fail(http.StatusForbidden, "You are not signed in any more; nothing was done.")
	case errors.Is(err, errTooManyGuesses):
		w.Header().Set("Retry-After", "1")
		fail(http.StatusTooManyRequests, "Too many wrong tokens; wait a few seconds.")
	case errors.Is(err, console.ErrCrossOrigin), errors.Is(err, console.ErrStaleForm):
		fail(http.StatusForbidden, "Nothing was done: "+err.Error()+".")
	case errors.Is(err, store.ErrNotFound):
		fail(http.StatusNotFound, "There is nothing here; it may have been too old to keep.")
	case errors.Is(err, console.ErrTooMuch):
		ex.cause = err
		w.Header().Set("Retry-After", "5")
		fail(http.StatusServiceUnavailable, "This took too long to find, or too many people look at lists at once. The daemon's own work goes on. Try again in a moment, or ask for fewer rows: for one state, or one destination.")
	case store.Unavailable(err):
		ex.cause = err
		w.Header().Set("Retry-After", "2")
		if r.Method == http.MethodPost {
			fail(http.StatusServiceUnavailable, "The database did not answer in time, so nobody knows whether this was done: look at it again before doing it once more.")
			return
		}
		fail(http.StatusServiceUnavailable, "The database cannot be read now. Nothing is lost by that: what cannot be stored is refused, and what was stored is there when it is back.")
	default:
		p := problemOf(err)
		ex.cause = p.cause
		text := "Something went wrong here."
		if p.status == http.StatusForbidden {
			text = "The status page needs the admin token (TRUNKLINE_ADMIN_TOKEN). Without one it answers on the machine itself only, and through no proxy."
		}
		fail(p.status, text)
	}
}
