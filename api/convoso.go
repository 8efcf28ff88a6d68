package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convoso"
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

// receiveConvoso is POST|GET /v1/dialer/convoso/{orgToken}[/{event}]: token, body, parse in memory, commit, answer. A
// GET has its data in the query. Nobody retries a refusal, so all that comes with a right token is kept, in whatever
// state, and a post that was sent twice is kept twice.
func (s *Server) receiveConvoso(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodHead {
		return methodNotAllowed("GET, POST") // ServeMux lets HEAD in where GET is; a look is no post
	}
	receivedAt := s.cfg.Now().UTC().Truncate(time.Microsecond)
	org, err := s.admitReceiver(r)
	if err != nil {
		return err
	}
	body, err := s.readBody(w, r, maxReceiverBody)
	if err != nil {
		s.metrics.post(ingestUnread)
		return err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return internal(fmt.Errorf("making an inbox id: %w", err))
	}
	post := store.Post{
		ID: id, Org: org, Source: string(pipeline.SourceConvoso), State: store.PostNew, ReceivedAt: receivedAt,
		Method: r.Method, ContentType: r.Header.Get("Content-Type"), EventPath: r.PathValue("event"),
		Query: r.URL.RawQuery, Body: body,
	}
	found := s.readConvoso(r, &post)
	if err := s.cfg.Intake.Accept(context.WithoutCancel(r.Context()), post); err != nil {
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

// admitReceiver returns the organisation whose receiver the token in the path opens. A wrong token gets the same bytes
// every time.
func (s *Server) admitReceiver(r *http.Request) (uuid.UUID, error) {
	org, ok, err := s.tokens.organisation(r, r.PathValue("orgToken"))
	if err != nil {
		s.metrics.post(ingestUnavailable)
		return uuid.Nil, unavailable(err)
	}
	if !ok {
		s.metrics.post(ingestForbidden)
		p := forbidden("this address is not valid")
		p.bare = true
		return uuid.Nil, p
	}
	exchangeOf(r).caller = &principal{org: org}
	return org, nil
}

// verdict is how far a post could be read.
type verdict struct {
	result ingestResult
	facts  int
	// refusal is what to answer once the post is kept; nil answers 200.
	refusal error
}

// readConvoso reads the post and notes in it how far that went.
func (s *Server) readConvoso(r *http.Request, post *store.Post) verdict {
	reading, err := s.parse(post)
	switch {
	case err == nil:
		post.Suppressions = reading.Suppressions
		return verdict{result: ingestAccepted, facts: reading.Facts}
	case errors.Is(err, convoso.ErrUnparsable):
		post.State, post.Error = store.PostUnparsable, err.Error()
		return verdict{result: ingestUnparsable, refusal: badRequest("the body is neither JSON nor a form")}
	case errors.Is(err, convoso.ErrUnrecognised):
		post.State, post.Error = store.PostUnclassified, err.Error()
		return verdict{result: ingestUnclassified, refusal: newProblem(http.StatusUnprocessableEntity, codeValidation,
			"the post is none of disposition, recording, call_event, lead_update and dnc")}
	}
	// The fault is ours, not the sender's: the post is kept, and the drain puts it into quarantine if it cannot read it
	// either.
	post.Error = err.Error()
	s.cfg.Log.ErrorContext(r.Context(), "convoso post could not be read", "inbox_id", post.ID,
		"request_id", exchangeOf(r).id, "error", post.Error)
	return verdict{result: ingestAccepted}
}

// parse survives a parser that panics. Of the panic only its type is kept: its text may quote the post.
func (s *Server) parse(post *store.Post) (reading Reading, err error) {
	defer func() {
		if value := recover(); value != nil {
			s.metrics.panics.Inc()
			err = fmt.Errorf("parser panicked: %s", typeName(value))
		}
	}()
	return s.cfg.Convoso.Parse(post)
}
