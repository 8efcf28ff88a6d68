package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

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
const recordsOfObjects = `
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
  limit 1`

const recordsProbeSQL = recordsOfObjects + `
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
const recordsLockSQL = recordsOfObjects + `
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
