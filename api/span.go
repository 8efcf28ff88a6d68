package api

import (
	"context"
	"net/http"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/tracing"
)

// traced serves a request within a span, under its route's name. Whatever the request itself holds stays out: its path has tokens, its
// query, headers and address are somebody's. A trace that the client claims to be part of is not taken over either.
func (rt *route) traced(w http.ResponseWriter, r *http.Request, ex *exchange) {
	method := boundedMethod(r.Method)
	ctx, span := rt.server.cfg.Trace.StartAs(r.Context(), tracing.Served, tracing.Name(method+" "+rt.path))
	span.Word(tracing.Method, method)
	span.Word(tracing.Route, rt.path)
	defer func() {
		if rw, ok := w.(*responseWriter); ok {
			status := rw.status
			if status == 0 {
				status = http.StatusInternalServerError // a panic is on its way up
			}
			span.Count(tracing.Status, status)
			if status >= http.StatusInternalServerError {
				span.Fail("failed")
			}
		}
		span.End()
	}()
	rt.serve(w, r.WithContext(ctx), ex)
}

// commitPost has the post committed, told as a span.
func (s *Server) commitPost(ctx context.Context, post *store.Post, found *verdict) error {
	ctx, span := s.cfg.Trace.Start(ctx, tracing.PostCommit)
	defer span.End()
	span.ID(tracing.InboxID, post.ID)
	span.Word(tracing.Source, post.Source)
	span.Count(tracing.Facts, found.facts)
	span.Count(tracing.OptOuts, len(post.Suppressions))
	err := s.cfg.Intake.Accept(ctx, *post)
	if err != nil {
		span.Fail(string(ingestUnavailable))
		return err
	}
	span.Word(tracing.Outcome, string(found.result))
	return nil
}
