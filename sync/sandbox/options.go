package sandbox

import (
	"log/slog"
	"time"
)

// Volumes and shapes that Options fall back to.
const (
	defaultActivities = 240
	defaultLeads      = 120
	defaultPosts      = 120
	defaultSpan       = 72 * time.Hour
	defaultPageSize   = 100
)

// Options say what a sandbox holds and which clock it lives by.
type Options struct {
	// Seed decides every made-up value. The same seed and the same first Now give the same sandbox.
	Seed uint64
	// Now is the vendors' clock. Required: the sandbox never asks the machine for the time.
	Now func() time.Time
	// Log gets one debug line per request, without secrets and phones. Nil discards.
	Log *slog.Logger
	// Activities is the number of seeded ipSCAPE activities; 0 takes a small default, below 0 means none.
	Activities int
	// Leads is the number of seeded ipSCAPE leads; 0 takes a small default, below 0 means none.
	Leads int
	// Posts is the number of planned Convoso Connect posts, repeats included; 0 takes a small default, below 0 means none.
	Posts int
	// Span is how far the seeded history reaches back from Now. Default 72 h.
	Span time.Duration
	// PageSize is the number of rows of one ipSCAPE page. Default 100.
	PageSize int
	// Latency is added to every answer of a vendor.
	Latency time.Duration
}

func volume(asked, fallback int) int {
	if asked == 0 {
		return fallback
	}
	return max(asked, 0)
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Activities = volume(o.Activities, defaultActivities)
	o.Leads = volume(o.Leads, defaultLeads)
	o.Posts = volume(o.Posts, defaultPosts)
	if o.Span <= 0 {
		o.Span = defaultSpan
	}
	if o.PageSize <= 0 {
		o.PageSize = defaultPageSize
	}
	return o
}
