package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// LandRecord is one observation of one object, ready to be stored.
type LandRecord struct {
	ObjectID string
	// Payload is JSON that jsonb takes.
	Payload []byte
	// Raw is the exact bytes, given only where Payload had to be cleaned.
	Raw []byte
	// SourceTime is the source's own time of this version, zero when it told none. One after ObservedAt counts as of that, or as
	// of an earlier observation that told the same (law 3): a clock that is ahead must not win for ever.
	SourceTime  time.Time
	ZoneAssumed bool
	// ObservedAt is when the request was sent or the post came (law 4).
	ObservedAt time.Time
	// Values is the typed row in the order of TypedTable.Columns, or nil for none.
	Values []any
	// CreatedAt is when the source made the object, zero when it did not say.
	CreatedAt time.Time
	// Open tells that more of the object is still to come at its source. Touches are objects of the same account that may have
	// changed with it.
	Open    bool
	Touches []ObjectRef

	// landed is what Land did with it, and was the source's time of the version that it replaced.
	landed landedAs
	was    time.Time
	// erased tells that it names somebody who was erased, and is not landed.
	erased bool
}

// landedAs is what became of a record that was landed.
type landedAs int

const (
	notWritten landedAs = iota
	asNew
	asChange
)

// ObjectRef names an object of an account.
type ObjectRef struct{ Stream, ObjectID string }

// Target is where a batch of records belongs.
type Target struct {
	Org     uuid.UUID
	Account string
	Source  pipeline.Source
	Stream  string
	// Table is the stream's typed table, nil where it has none.
	Table *TypedTable
}

// LandOptions vary how observations are kept.
type LandOptions struct {
	// Bump raises observed_at of a record whose content is as stored. A post always does: posts come in any order. A walk
	// needs it only while something else reads the same stream, because else no older observation can still arrive, and
	// writing every unchanged row of every re-read would cost more than all the rest.
	Bump bool
	// BumpThese does so for some objects only.
	BumpThese []string
}

func (o *LandOptions) bumps(object string) bool {
	return o.Bump || slices.Contains(o.BumpThese, object)
}

// Landed counts what became of a batch; the five counts add up to the observations given.
type Landed struct {
	// New objects, Changed versions, Unchanged content, and Older observations than the one stored.
	New, Changed, Unchanged, Older int
	// Erased are observations of people who were erased: they are not kept.
	Erased int
	// Records are the ids of the rows that were written, for a caller who folds them at once.
	Records []int64
	// Kept are the ids of the records that were written for the opt-outs of people who were erased; they are counted nowhere.
	Kept []int64
}

// Written is how many versions were stored: new and changed ones.
func (l Landed) Written() int { return l.New + l.Changed }

func (l *Landed) add(o Landed) {
	l.New += o.New
	l.Changed += o.Changed
	l.Unchanged += o.Unchanged
	l.Older += o.Older
	l.Erased += o.Erased
	l.Records = append(l.Records, o.Records...)
	l.Kept = append(l.Kept, o.Kept...)
}

// Land stores observations: each object's row holds its latest one by (observed_at, content hash), so that any order and
// any batching of the same observations end in the same row. A version that is replaced goes to ops.record_history; every
// version that is written gets its typed row and a row in ops.reconcile_queue; equal content (the same bytes, or the same
// JSON) writes nothing, except what LandOptions, an earlier first_seen_at and a time ahead of our clock ask for. What names
// somebody who was erased is left out and counted.
//
// tx must be READ COMMITTED. Land is safe beside other Lands of the same objects, and one Land alone cannot deadlock with
// another; a transaction that lands several batches should land them in a fixed order.
func (db *DB) Land(ctx context.Context, tx pgx.Tx, t Target, recs []LandRecord, o LandOptions) (Landed, error) {
	var total Landed
	given := make([]*LandRecord, len(recs))
	for i := range recs {
		given[i] = &recs[i]
	}
	var err error
	if total.Erased, total.Kept, err = db.keepOut(ctx, tx, &t, given); err != nil {
		return Landed{}, fmt.Errorf("landing %d records of %s.%s: %w", len(recs), t.Source, t.Stream, err)
	}
	versions := rounds(recs, &total)
	for i, round := range versions {
		l := landing{tx: tx, t: &t, o: o, now: db.Now(), lockAll: i == 0 && len(versions) > 1}
		if err := l.run(ctx, round); err != nil {
			return Landed{}, fmt.Errorf("landing %d records of %s.%s, round %d: %w", len(round), t.Source, t.Stream, i+1, err)
		}
		total.add(l.out)
	}
	return total, nil
}
