// Package pipeline is the domain: leads, calls, keys, do-not-call, and the pure rules that fold records into them.
// It knows no SQL, no HTTP and no clock: the same records give the same pipeline, in any order and any batching (law 3).
package pipeline

import (
	"cmp"
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
)

// Source is who told us something.
type Source string

// The sources, as they are written in tables, logs and the environment.
const (
	SourceOperator  Source = "operator"
	SourceAPI       Source = "api"
	SourceLendWorks Source = "lendworks"
	SourceConvoso   Source = "convoso"
	SourceConvolo   Source = "convolo"
	SourceIPSCAPE   Source = "ipscape"
	SourceDialedIn  Source = "dialedin"
)

// rank orders sources where times tie: the higher one wins (law 3). An unknown source ranks lowest.
func (s Source) rank() int {
	for i, other := range [...]Source{
		SourceDialedIn, SourceIPSCAPE, SourceConvolo, SourceConvoso, SourceLendWorks, SourceAPI, SourceOperator,
	} {
		if s == other {
			return i + 1
		}
	}
	return 0
}

// Record is what a source last said of one object. Times are UTC.
type Record struct {
	Org     uuid.UUID
	Account string
	Source  Source
	Stream  string
	// ObjectID is the source's id of the object, unique within organisation, account and stream.
	ObjectID string
	// Payload is the object as JSON, as the source sent it.
	Payload []byte
	// ObservedAt is when we asked, or when the post came (law 4).
	ObservedAt time.Time
	// FirstSeenAt is the earliest observation of this object in any version.
	FirstSeenAt time.Time
	// SourceTime is the source's own time of this version; zero when it told none.
	SourceTime time.Time
	// ZoneAssumed marks a SourceTime whose text had no zone, so that the account's zone was taken.
	ZoneAssumed bool
}

// ContentHash returns the SHA-256 of the payload's bytes: the last tie-break, and the cheap test for "unchanged".
func (r *Record) ContentHash() [sha256.Size]byte { return sha256.Sum256(r.Payload) }

// assumedZoneSpan is the distance within which a time with a stated zone beats one whose zone was assumed: no two zones
// lie further apart (UTC-12 to UTC+14).
const assumedZoneSpan = 26 * time.Hour

// Stamp orders what records say of the same thing. Build it with StampOf.
type Stamp struct {
	At time.Time
	// ObservedAt is the object's first observation.
	ObservedAt  time.Time
	ZoneAssumed bool
	Source      Source
	Hash        [sha256.Size]byte
}

// StampOf returns the record's place in the order of law 3: its source time, clamped to the time it was observed; a
// record without source time counts as of its first observation. The observed time that breaks ties is the first one too:
// a fact that is told again, or read again unchanged, must not overtake what was told of the same moment in between.
func StampOf(r *Record) Stamp {
	first := r.FirstSeenAt
	if first.IsZero() {
		first = r.ObservedAt
	}
	at := r.SourceTime
	switch {
	case at.IsZero():
		at = first
	case at.After(r.ObservedAt):
		at = r.ObservedAt
	}
	return Stamp{At: at, ObservedAt: first, ZoneAssumed: r.ZoneAssumed, Source: r.Source, Hash: r.ContentHash()}
}

// effective is the time by which stamps are sorted. An assumed zone loses to a stated one within 26 h: sorting it that
// much earlier gives this with a total order, which comparing pairs would not (a pairwise rule is not transitive).
func (s Stamp) effective() time.Time {
	if s.ZoneAssumed {
		return s.At.Add(-assumedZoneSpan)
	}
	return s.At
}

// Compare orders stamps from weakest to strongest, totally: equal only for equal content told at the same times by the
// same source.
func (s Stamp) Compare(o Stamp) int {
	return cmp.Or(
		s.effective().Compare(o.effective()),
		s.At.Compare(o.At),
		s.ObservedAt.Compare(o.ObservedAt),
		cmp.Compare(s.Source.rank(), o.Source.rank()),
		compareHash(s.Hash, o.Hash),
	)
}

func compareHash(a, b [sha256.Size]byte) int {
	for i := range a {
		if c := cmp.Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}
