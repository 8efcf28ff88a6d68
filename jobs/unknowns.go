package jobs

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
)

const (
	// unknownsEvery is how often counts are written.
	unknownsEvery = 5 * time.Second
	// maxUnknownName bounds a name, in characters.
	maxUnknownName = 64
	// unknownsLast bounds the last flush of a stop.
	unknownsLast = time.Second
)

// Unknowns counts what a source sends and nobody here knows of (law 12): the payloads have it, so nothing is lost, but somebody should
// look. Its methods are safe for concurrent use.
type Unknowns struct {
	DB  *store.DB
	Log *slog.Logger
	// Key is the account; its stream is empty.
	Key store.StreamKey

	mu     sync.Mutex
	counts map[store.Unknown]int64
	// names are those told apart so far, by stream and kind.
	names map[store.Unknown]map[string]bool
}

// note counts what is strange about an item. A nil receiver counts nothing.
func (u *Unknowns) note(stream string, item *ipscape.Item) {
	if u == nil || len(item.Unread)+len(item.Unknown)+len(item.Strange) == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, name := range item.Unread {
		u.count(stream, store.UnknownValue, name)
	}
	for _, name := range item.Unknown {
		u.count(stream, store.UnknownField, name)
	}
	if item.Strange != "" {
		u.count(stream, store.UnknownType, item.Strange)
	}
}

// count counts one. u.mu is held.
func (u *Unknowns) count(stream, kind, name string) {
	if u.counts == nil {
		u.counts, u.names = map[store.Unknown]int64{}, map[store.Unknown]map[string]bool{}
	}
	what := store.Unknown{Stream: stream, Kind: kind}
	known := u.names[what]
	if known == nil {
		known = map[string]bool{}
		u.names[what] = known
	}
	if name = shownName(name); !known[name] {
		// What is kept is bounded by the database; this bounds what waits for it here.
		if len(known) >= store.MaxUnknowns {
			name = store.OtherUnknowns
		}
		known[name] = true
	}
	what.Name = name
	u.counts[what]++
}

// shownName is a name as it may be kept and shown: it is the vendor's text, not ours.
func shownName(name string) string {
	digits := 0
	name = pipeline.CleanText(strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			digits++
		}
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, name))
	if digits > 5 || strings.Contains(name, "@") {
		return store.OddUnknown
	}
	if runes := []rune(name); len(runes) > maxUnknownName {
		name = string(runes[:maxUnknownName]) + "…"
	}
	return name
}

// Run writes the counts now and then until ctx ends. What is counted after that is written by last.
func (u *Unknowns) Run(ctx context.Context) {
	tick := time.NewTicker(unknownsEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			u.Flush(ctx)
		}
	}
}

// last writes what is left, once nobody counts any more. A nil receiver has nothing.
func (u *Unknowns) last(ctx context.Context) {
	if u == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unknownsLast)
	defer cancel()
	u.Flush(ctx)
}

// Flush writes the counts. What cannot be written now is written with the next ones.
func (u *Unknowns) Flush(ctx context.Context) {
	u.mu.Lock()
	counts := u.counts
	u.counts = map[store.Unknown]int64{}
	if u.names == nil {
		u.names = map[store.Unknown]map[string]bool{}
	}
	u.mu.Unlock()
	if len(counts) == 0 {
		return
	}
	fresh, err := u.DB.CountUnknowns(ctx, u.Key, counts)
	if err != nil {
		u.Log.WarnContext(ctx, "what nobody knows of could not be counted", "source", u.Key.Source, "error", store.Loggable(err))
		u.mu.Lock()
		for what, n := range counts {
			u.counts[what] += n
		}
		u.mu.Unlock()
		return
	}
	u.forgetWritten()
	for _, what := range fresh {
		u.Log.WarnContext(ctx, "a vendor sends what nobody here knows of; it is kept", "source", u.Key.Source, "stream", what.Stream, "kind", what.Kind, "name", what.Name)
	}
}

// forgetWritten leaves of the names those that wait: what is written is bounded by the database, which knows the ones that have rows.
func (u *Unknowns) forgetWritten() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.names = map[store.Unknown]map[string]bool{}
	for what := range u.counts {
		name := what.Name
		what.Name = ""
		if u.names[what] == nil {
			u.names[what] = map[string]bool{}
		}
		u.names[what][name] = true
	}
}
