package api

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// apiVersion is the date version of the contract that we serve.
const apiVersion = "2025-01-15"

// identify gives a request its id and its exchange, and limits how long its body may take.
func (s *Server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ex := &exchange{id: "req_" + uuid.NewString(), route: unmatchedRoute}
		header := w.Header()
		header.Set("X-Request-Id", ex.id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")
		header.Set("LW-API-Version", apiVersion)
		if r.Body != nil && r.Body != http.NoBody {
			// Also for bodies that no handler reads: the server itself drains them before the next request.
			_ = http.NewResponseController(w).SetReadDeadline(s.wall().Add(s.cfg.BodyTimeout))
		}
		next.ServeHTTP(&responseWriter{ResponseWriter: w, gzip: acceptsGzip(r.Header.Values("Accept-Encoding"))}, withExchange(r, ex))
	})
}

// recovered turns a panic into a 500, and into a cut connection when part of an answer is out already. Of the panic only
// its type is logged: its text may hold anything.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(value) // how a handler asks for the connection to be cut
			}
			ex := exchangeOf(r)
			s.metrics.panics.Inc()
			s.cfg.Log.ErrorContext(r.Context(), "handler panicked", "request_id", ex.id, "route", ex.route,
				"panic_type", typeName(value), "stack", string(debug.Stack()))
			if rw, ok := w.(*responseWriter); ok && rw.status != 0 {
				panic(http.ErrAbortHandler)
			}
			s.fail(w, r, internal(nil))
		}()
		next.ServeHTTP(w, r)
	})
}

// observed logs and counts a request by its route.
func (s *Server) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := s.wall()
		done := false
		defer func() {
			rw, ok := w.(*responseWriter)
			if !ok {
				return
			}
			status := rw.status
			switch {
			case !done:
				status = http.StatusInternalServerError // a panic is on its way up
			case status == 0:
				status = http.StatusOK
			}
			s.observe(r, status, rw.bytes, s.wall().Sub(started))
		}()
		next.ServeHTTP(w, r)
		done = true
	})
}

func (s *Server) observe(r *http.Request, status int, size int64, took time.Duration) {
	ex := exchangeOf(r)
	method := boundedMethod(r.Method)
	s.metrics.request(ex.route, method, status, took)
	level := slog.LevelInfo
	switch {
	case status >= http.StatusInternalServerError:
		level = slog.LevelError
	case ex.quiet && status < http.StatusBadRequest:
		level = slog.LevelDebug
	}
	ctx := r.Context()
	if !s.cfg.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request_id", ex.id), slog.String("method", method), slog.String("route", ex.route),
		slog.Int("status", status), slog.Int64("bytes", size), slog.Float64("duration_ms", float64(took.Microseconds())/1000),
	}
	if ex.caller != nil {
		attrs = append(attrs, slog.String("org_id", ex.caller.org.String()))
		if ex.caller.key != "" {
			attrs = append(attrs, slog.String("key", ex.caller.key))
		}
	}
	if ex.cause != nil {
		attrs = append(attrs, slog.String("error", store.Loggable(ex.cause)))
	}
	s.cfg.Log.LogAttrs(ctx, level, "http request", attrs...)
}

// boundedMethod returns a method's name where it is a usual one: a client may send any word.
func boundedMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodOptions:
		return method
	}
	return "other"
}

// patternPath cuts the method off a pattern.
func patternPath(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	return pattern
}
