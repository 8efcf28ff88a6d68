package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
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

// observation is a LandRecord on its way into the table.
type observation struct {
	*LandRecord
	hash       [sha256.Size]byte
	observedAt time.Time
	// firstSeen is the earliest observation of the object in the whole batch.
	firstSeen time.Time
	// ahead is the furthest time ahead of our clock that the source told of the object in the whole batch.
	ahead aheadTime
	// recordID is known once the row is written or locked.
	recordID int64
}

// after tells whether this observation beats one with the given time and hash. Equal times are decided by the hash, so
// that the order of arrival decides nothing.
func (o *observation) after(at time.Time, hash []byte) bool {
	return cmp.Or(o.observedAt.Compare(at), slices.Compare(o.hash[:], hash)) > 0
}

// rounds sorts a batch by object and splits it so that no object comes twice in a round: the versions of one object land
// one after the other, oldest first, and each leaves its trace in the history. Nearly always there is one round. Repeated
// observations of the same content are joined here and counted as unchanged.
func rounds(recs []LandRecord, total *Landed) [][]*observation {
	all := make([]observation, 0, len(recs))
	for i := range recs {
		r := &recs[i]
		r.landed, r.was = notWritten, time.Time{}
		if r.erased {
			continue
		}
		at := micros(r.ObservedAt)
		all = append(all, observation{LandRecord: r, hash: sha256.Sum256(r.Payload), observedAt: at, firstSeen: at, ahead: toldAhead(r.SourceTime, at)})
	}
	slices.SortStableFunc(all, func(a, b observation) int {
		return cmp.Or(strings.Compare(a.ObjectID, b.ObjectID), a.observedAt.Compare(b.observedAt), slices.Compare(a.hash[:], b.hash[:]))
	})
	for i := len(all) - 1; i > 0; i-- {
		if all[i-1].ObjectID == all[i].ObjectID && all[i].ahead.beats(all[i-1].ahead) {
			all[i-1].ahead = all[i].ahead
		}
	}
	var out [][]*observation
	version := 0
	for i := range all {
		o := &all[i]
		version++
		if i == 0 || all[i-1].ObjectID != o.ObjectID {
			version = 0
		} else {
			o.firstSeen = all[i-1].firstSeen
			if all[i-1].ahead.beats(o.ahead) {
				o.ahead = all[i-1].ahead
			}
		}
		if i+1 < len(all) && all[i+1].ObjectID == o.ObjectID && all[i+1].hash == o.hash {
			total.Unchanged++
			version--
			continue
		}
		if version == len(out) {
			out = append(out, make([]*observation, 0, len(all)-i))
		}
		out[version] = append(out[version], o)
	}
	return out
}

// landing is one round of one Land.
type landing struct {
	tx  pgx.Tx
	t   *Target
	o   LandOptions
	now time.Time
	// lockAll has every stored row locked. The first of several rounds does, for the later ones may only write rows that are
	// locked already: locks are taken in one sorted sweep, or two Lands could wait for each other.
	lockAll bool
	out     Landed
}

func (l *landing) run(ctx context.Context, obs []*observation) error {
	stored, err := l.probe(ctx, obs)
	if err != nil {
		return err
	}
	var absent, present []*observation
	for i, o := range obs {
		switch s := stored[i]; {
		case s == nil:
			absent = append(absent, o)
		case l.lockAll, l.verdict(o, s) != keep:
			// The verdict is made again on the locked row.
			present = append(present, o)
		default:
			l.count(o, s)
		}
	}
	lost, err := l.insert(ctx, absent)
	if err != nil {
		return err
	}
	if err := l.update(ctx, append(present, lost...)); err != nil {
		return err
	}
	if len(absent) < len(obs) || len(lost) > 0 {
		if err := l.seenAgain(ctx, obs); err != nil {
			return err
		}
	}
	return l.settleQuarantine(ctx, obs)
}

// storedRecord is what the comparison needs of a stored row.
type storedRecord struct {
	id        int64
	hash      []byte
	observed  time.Time
	firstSeen time.Time
	ahead     aheadTime
}

// verdict says what an observation does to a stored row.
type verdict int

const (
	keep verdict = iota
	// touch raises observed_at, lowers first_seen_at, or notes a time ahead of our clock.
	touch
	// replace means newer and of other bytes; whether the JSON differs too is found out when it is written.
	replace
)

func (l *landing) verdict(o *observation, s *storedRecord) verdict {
	switch newer := o.after(s.observed, s.hash); {
	case newer && !slices.Equal(o.hash[:], s.hash):
		return replace
	case newer && l.o.bumps(o.ObjectID), o.firstSeen.Before(s.firstSeen), o.ahead.beats(s.ahead):
		return touch
	}
	return keep
}

// count counts an observation that wrote no version.
func (l *landing) count(o *observation, s *storedRecord) {
	if slices.Equal(o.hash[:], s.hash) {
		l.out.Unchanged++
	} else {
		l.out.Older++
	}
}

// The lateral subquery with its limit holds the planner to one index lookup an object, whatever the table's statistics
// say: while a first load runs they say that there is next to nothing.
const recordsProbeSQL = `
select g.ord, r.record_id, r.content_hash, r.observed_at, r.first_seen_at, r.ahead_time, r.ahead_seen_at
from unnest(@object_ids::text[]) with ordinality as g (object_id, ord)
cross join lateral (
  select *
  from ops.records r
  where r.org_id = @org
    and r.account_id = @account
    and r.source = @source
    and r.stream = @stream
    and r.object_id = g.object_id
  limit 1
) r`

// probe reads what is stored of the objects, without locks; entries of absent ones are nil.
func (l *landing) probe(ctx context.Context, obs []*observation) ([]*storedRecord, error) {
	found, err := l.read(ctx, recordsProbeSQL, obs)
	if err != nil {
		return nil, fmt.Errorf("probing stored records: %w", err)
	}
	return found, nil
}

// The subquery is run in the order of the array, which is sorted, so rows are locked in one order everywhere.
const recordsLockSQL = `
select g.ord, r.record_id, r.content_hash, r.observed_at, r.first_seen_at, r.ahead_time, r.ahead_seen_at
from unnest(@object_ids::text[]) with ordinality as g (object_id, ord)
cross join lateral (
  select *
  from ops.records r
  where r.org_id = @org
    and r.account_id = @account
    and r.source = @source
    and r.stream = @stream
    and r.object_id = g.object_id
  limit 1
  for no key update
) r`

func (l *landing) read(ctx context.Context, sql string, obs []*observation) ([]*storedRecord, error) {
	out := make([]*storedRecord, len(obs))
	rows, err := l.tx.Query(ctx, sql, planned, l.args(pgx.StrictNamedArgs{"object_ids": objectIDs(obs)}))
	if err != nil {
		return nil, err
	}
	var ord int
	var s storedRecord
	var ahead, aheadSeen *time.Time
	_, err = pgx.ForEachRow(rows, []any{&ord, &s.id, &s.hash, &s.observed, &s.firstSeen, &ahead, &aheadSeen}, func() error {
		row := s // the hash is fresh each time
		row.ahead = aheadTime{timeOf(ahead), timeOf(aheadSeen)}
		out[ord-1] = &row
		return nil
	})
	return out, err
}

// planned has a statement planned for the arguments at hand each time. A plan kept from when the table was empty would
// read it from end to end.
const planned = pgx.QueryExecModeCacheDescribe

// args adds what every statement on the target's records names.
func (l *landing) args(a pgx.StrictNamedArgs) pgx.StrictNamedArgs {
	a["org"], a["account"], a["source"], a["stream"] = l.t.Org, l.t.Account, string(l.t.Source), l.t.Stream
	return a
}

func objectIDs(obs []*observation) []string {
	ids := make([]string, len(obs))
	for i, o := range obs {
		ids[i] = o.ObjectID
	}
	return ids
}

func sortObservations(obs []*observation) {
	slices.SortFunc(obs, func(a, b *observation) int { return strings.Compare(a.ObjectID, b.ObjectID) })
}
