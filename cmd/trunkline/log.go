package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/lmittmann/tint"
	"golang.org/x/term"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// newLogger makes the one logger of the process: tint on a terminal, JSON elsewhere, always one event a line.
func newLogger(w io.Writer, g *generalConfig, terminal bool, secrets []vendorapi.Secret) *slog.Logger {
	options := &slog.HandlerOptions{Level: g.LogLevel.Level}
	var h slog.Handler
	switch {
	case g.LogFormat == "text":
		h = slog.NewTextHandler(w, options)
	case g.LogFormat == "auto" && terminal:
		h = tint.NewTextHandler(w, &tint.Options{Level: g.LogLevel.Level, TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != ""})
	default:
		h = slog.NewJSONHandler(w, options)
	}
	return slog.New(&safeHandler{h, secrets})
}

// adoptStandardLog sends what libraries print through the standard log the same way as ours, masked and on one line.
func adoptStandardLog(log *slog.Logger) {
	slog.SetDefault(log) //nolint:forbidigo // libraries know no other way; ours is handed down
}

// safeHandler is the last net under the log: whatever slipped through above, a secret is masked and a message stays on
// one line.
type safeHandler struct {
	slog.Handler
	secrets []vendorapi.Secret
}

// Handle implements slog.Handler.
func (h *safeHandler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.text(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (h *safeHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.attr(a)
	}
	return &safeHandler{h.Handler.WithAttrs(clean), h.secrets}
}

// WithGroup implements slog.Handler.
func (h *safeHandler) WithGroup(name string) slog.Handler {
	return &safeHandler{h.Handler.WithGroup(name), h.secrets}
}

func (h *safeHandler) attr(a slog.Attr) slog.Attr {
	value := a.Value.Resolve()
	switch v := value.Any().(type) {
	case time.Duration:
		// JSON would show nanoseconds, which nobody reads.
		return slog.String(a.Key, v.String())
	case string:
		return slog.String(a.Key, h.text(v))
	case error:
		// What Postgres says may quote the values of a row.
		return slog.String(a.Key, h.text(store.Loggable(v)))
	}
	return slog.Attr{Key: a.Key, Value: value}
}

var oneLine = strings.NewReplacer("\r", `\r`, "\n", `\n`, "\x1b", `\x1b`)

func (h *safeHandler) text(s string) string { return oneLine.Replace(vendorapi.Scrub(s, h.secrets...)) }
