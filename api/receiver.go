package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// Intake keeps posts. Accept answers in bounded time; it returns nil once the post is committed together with its suppressions and jobs; otherwise the
// post must count as not kept.
type Intake interface {
	Accept(ctx context.Context, post store.Post) error
}

// received answers a post that was kept and read.
type received struct {
	Success bool `json:"success"`
	// ID is that of the inbox row.
	ID string `json:"id"`
	// Facts is how many facts the post tells.
	Facts int  `json:"facts"`
	Meta  meta `json:"meta"`
}

// Reading is what a parser found in a post.
type Reading struct {
	// Facts is how many facts the post tells.
	Facts int
	// Suppressions are the opt-outs among them, to be committed with the post's bytes (law 6).
	Suppressions []store.Suppression
}

// Parser reads a post of one source in memory, without a database. Its errors wrap those of the source's package that say
// that the bytes cannot be read or that nobody recognises them; any other, and a panic, leaves the post to the drain. Errors
// are kept and logged, so they quote nothing of a post.
type Parser interface {
	Parse(post *store.Post) (Reading, error)
}

// receiver is the landing place of one source's posts.
type receiver struct {
	source pipeline.Source
	parser Parser
	// unparsable and unrecognised are what the parser's errors wrap.
	unparsable, unrecognised error
	// unknown is what a post is answered that nobody recognises.
	unknown string
	// from are the addresses that may post; empty lets any.
	from []netip.Prefix
	// signed checks the sender's signature over the body, where the source signs its posts.
	signed func(r *http.Request, body []byte, receivedAt time.Time) error
}

// receive makes the handler of a receiver: address, token, body, signature, parse in memory, commit, answer. Nobody retries a
// refusal, so all that comes in its own right is kept, in whatever state, and a post that was sent twice is kept twice.
func (s *Server) receive(rc *receiver) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodHead {
			return methodNotAllowed("GET, POST") // ServeMux lets HEAD in where GET is; a look is no post
		}
		receivedAt := s.cfg.Now().UTC().Truncate(time.Microsecond)
		org, err := s.admitReceiver(r, rc)
		if err != nil {
			return err
		}
		body, err := s.readBody(w, r, maxReceiverBody)
		if err != nil {
			s.metrics.post(ingestUnread)
			return err
		}
		if rc.signed != nil {
			if err := rc.signed(r, body, receivedAt); err != nil {
				s.metrics.post(ingestForbidden)
				return err
			}
		}
		id, err := uuid.NewV7()
		if err != nil {
			return internal(fmt.Errorf("making an inbox id: %w", err))
		}
		post := store.Post{
			ID: id, Org: org, Source: string(rc.source), State: store.PostNew, ReceivedAt: receivedAt,
			Method: r.Method, ContentType: r.Header.Get("Content-Type"), EventPath: r.PathValue("event"),
			Query: r.URL.RawQuery, Body: body,
		}
		found := s.readPost(r, rc, &post)
		if err := s.commitPost(context.WithoutCancel(r.Context()), &post, &found); err != nil {
			// Whatever the reason, the sender must not take the post for kept.
			s.metrics.post(ingestUnavailable)
			return unavailable(err)
		}
		s.metrics.post(found.result)
		if found.refusal != nil {
			return found.refusal
		}
		return writeJSON(w, http.StatusOK, received{
			Success: true, ID: id.String(), Facts: found.facts, Meta: meta{RequestID: exchangeOf(r).id},
		})
	}
}

// admitReceiver returns the organisation whose receiver the token in the path opens. A wrong token, and an address that may
// not post, get the same bytes every time.
func (s *Server) admitReceiver(r *http.Request, rc *receiver) (uuid.UUID, error) {
	if !rc.lets(r) {
		return uuid.Nil, s.notReceived()
	}
	org, ok, err := s.tokens.organisation(r, r.PathValue("orgToken"))
	if err != nil {
		s.metrics.post(ingestUnavailable)
		return uuid.Nil, unavailable(err)
	}
	if !ok {
		return uuid.Nil, s.notReceived()
	}
	exchangeOf(r).caller = &principal{org: org}
	return org, nil
}

func (s *Server) notReceived() error {
	s.metrics.post(ingestForbidden)
	p := forbidden("this address is not valid")
	p.bare = true
	return p
}

// lets tells whether the peer may post. Only the connection's own address counts: a header can say anything, and there is no
// setting for proxies to be trusted.
func (rc *receiver) lets(r *http.Request) bool {
	if len(rc.from) == 0 {
		return true
	}
	peer, ok := peerAddr(r)
	return ok && slices.ContainsFunc(rc.from, func(p netip.Prefix) bool { return p.Contains(peer.WithZone("")) })
}

// verdict is how far a post could be read.
type verdict struct {
	result ingestResult
	facts  int
	// refusal is what to answer once the post is kept; nil answers 200.
	refusal error
}

// readPost reads the post and notes in it how far that went.
func (s *Server) readPost(r *http.Request, rc *receiver, post *store.Post) verdict {
	reading, err := s.parse(rc.parser, post)
	switch {
	case err == nil:
		post.Suppressions = reading.Suppressions
		return verdict{result: ingestAccepted, facts: reading.Facts}
	case errors.Is(err, rc.unparsable):
		post.State, post.Error = store.PostUnparsable, err.Error()
		return verdict{result: ingestUnparsable, refusal: badRequest("the body is neither JSON nor a form")}
	case errors.Is(err, rc.unrecognised):
		post.State, post.Error = store.PostUnclassified, err.Error()
		return verdict{result: ingestUnclassified, refusal: newProblem(http.StatusUnprocessableEntity, codeValidation, rc.unknown)}
	}
	// The fault is ours, not the sender's: the post is kept, and the drain puts it into quarantine if it cannot read it
	// either.
	post.Error = err.Error()
	s.cfg.Log.ErrorContext(r.Context(), "a post could not be read", "source", post.Source, "inbox_id", post.ID,
		"request_id", exchangeOf(r).id, "error", post.Error)
	return verdict{result: ingestAccepted}
}

// parse survives a parser that panics. Of the panic only its type is kept: its text may quote the post.
func (s *Server) parse(parser Parser, post *store.Post) (reading Reading, err error) {
	defer func() {
		if value := recover(); value != nil {
			s.metrics.panics.Inc()
			err = fmt.Errorf("parser panicked: %s", typeName(value))
		}
	}()
	return parser.Parse(post)
}
