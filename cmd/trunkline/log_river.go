package main

import (
	"context"
	"log/slog"
)

// riverLog passes River's warnings and errors on; its notes go out at debug level.
func (d *daemon) riverLog() *slog.Logger {
	if d.cfg.General.LogLevel.Level <= slog.LevelDebug {
		return d.log
	}
	return slog.New(atLeast{d.log.Handler(), slog.LevelWarn})
}

// atLeast is a handler with a higher floor.
type atLeast struct {
	slog.Handler
	floor slog.Level
}

// Enabled implements slog.Handler.
func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.floor && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.floor}
}

// WithGroup implements slog.Handler.
func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.floor}
}
