package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// driftLook is one look under way.
type driftLook struct {
	*Drift
	key   store.StreamKey
	entry StreamEntry
	run   store.DriftRun
}

func (l *driftLook) found(kind, objectID, detail, repair string) {
	l.run.Findings = append(l.run.Findings, store.DriftFinding{Kind: kind, ObjectID: objectID, Detail: detail, Repair: repair})
}

// again is the command that reads one object again.
func (l *driftLook) again(objectID string) string {
	return fmt.Sprintf("trunkline drift repair %s %s %s", l.key.Source, l.key.Stream, objectID)
}

// ask reads one object of the vendor's. It returns nil where that cannot be mapped, which is the quarantine's matter.
func (l *driftLook) ask(ctx context.Context, id string) (*store.LandRecord, error) {
	before := l.Now().UTC()
	raw, asked, err := l.entry.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if asked.IsZero() {
		asked = before
	}
	item, err := l.entry.Stream.Map(raw)
	if err != nil {
		l.Log.WarnContext(ctx, "an object of a sample cannot be read", "source", l.key.Source, "stream", l.key.Stream, "object_id", id, "error", err)
		return nil, nil
	}
	rec := walk.Record{Item: item, ObservedAt: asked}
	landed := walkstore.Record(&rec)
	return &landed, nil
}

// stored compares stored objects with what the vendor says of them now. What was asked for counts, whatever ended the asking.
func (l *driftLook) stored(ctx context.Context) error {
	ids, err := l.DB.DriftSample(ctx, l.key, l.entry.Table, l.Sample)
	if err != nil {
		return err
	}
	asked := l.Now().UTC()
	var told []store.LandRecord
	var gone []string
	var ended error
	for _, id := range ids {
		rec, err := l.ask(ctx, id)
		switch kind := vendorapi.KindOf(err); {
		case errors.Is(err, ErrGone):
			gone = append(gone, id)
		case err != nil && (ctx.Err() != nil || kind == vendorapi.Limited || kind == vendorapi.Denied || kind == vendorapi.Transient):
			ended = fmt.Errorf("reading %s %s: %w", l.key, id, err)
		case err != nil:
			l.Log.WarnContext(ctx, "an object of a sample could not be read", "source", l.key.Source, "stream", l.key.Stream, "object_id", id, "error", err)
		case rec != nil:
			told = append(told, *rec)
		}
		if ended != nil {
			break
		}
	}
	if len(told) == 0 && len(gone) > goneBelieved {
		// Where nothing is found it may as well be a wrong path.
		return fmt.Errorf("reading %s: the vendor knows none of %d objects", l.key, len(gone))
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	l.run.Compared = len(told) + len(gone)
	present, err := l.DB.DriftGone(last, l.key, l.entry.Table, gone, asked)
	if err != nil {
		return err
	}
	for _, id := range present {
		l.found(store.DriftExtra, id, "the vendor no longer has it", l.again(id))
	}
	return errors.Join(l.compare(last, told), ended)
}

func (l *driftLook) compare(ctx context.Context, told []store.LandRecord) error {
	seen, err := l.DB.DriftCompare(ctx, l.key, l.entry.Table, told)
	if err != nil {
		return err
	}
	records := map[int64]string{}
	var fold []int64
	for _, s := range seen {
		switch {
		case s.Refused != "":
			l.found(store.DriftStale, s.ObjectID, "changed there, to what Postgres refuses ("+s.Refused+")", l.again(s.ObjectID))
		case len(s.Fields) > 0:
			l.found(store.DriftStale, s.ObjectID, "changed there: "+firstOf(s.Fields), l.again(s.ObjectID))
		case len(s.Columns) > 0:
			l.found(store.DriftMapped, s.ObjectID, l.entry.Table.Schema+"."+l.entry.Table.Name+": "+firstOf(s.Columns), l.again(s.ObjectID))
		default:
			records[s.RecordID], fold = s.ObjectID, append(fold, s.RecordID)
		}
	}
	differing, err := l.Fold.CompareRecords(ctx, l.key.Org, fold)
	if err != nil {
		return err
	}
	for _, id := range fold {
		if list := differing[id]; len(list) > 0 {
			l.found(store.DriftMapped, records[id], "pipeline: "+differences(list), "trunkline rebuild")
		}
	}
	return nil
}

// listed looks at a few places of the vendor's list for objects that are not here.
func (l *driftLook) listed(ctx context.Context) error {
	state, err := l.DB.StreamState(ctx, l.DB.Pool, l.key)
	if errors.Is(err, store.ErrNotFound) || err == nil && len(state.Covered) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	density, err := l.DB.Density(ctx, l.key)
	if err != nil {
		return err
	}
	for _, w := range placesIn(state.Covered, density.RowsPerDay) {
		if err := l.place(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// placesIn picks windows of what is covered, at random; all of it where it is short.
func placesIn(covered []store.TimeRange, perDay float64) []store.TimeRange {
	var total time.Duration
	for _, c := range covered {
		total += c.To.Sub(c.From)
	}
	width := total
	if perDay > 0 {
		width = max(time.Minute, time.Duration(driftListed/perDay*24*float64(time.Hour)))
	}
	if width >= total {
		return covered[:min(len(covered), driftWindows)]
	}
	var places []store.TimeRange
	for range driftWindows {
		at := rand.N(total) //nolint:gosec // a sample needs no secret
		for _, c := range covered {
			if length := c.To.Sub(c.From); at >= length {
				at -= length
				continue
			}
			from := c.From.Add(at).Truncate(time.Second)
			places = append(places, store.TimeRange{From: from, To: earlier(from.Add(width), c.To)})
			break
		}
	}
	return places
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// place looks at one page of the list.
func (l *driftLook) place(ctx context.Context, w store.TimeRange) error {
	var told []store.LandRecord
	asked := l.Now().UTC()
	request := walk.PageRequest{From: w.From.Truncate(time.Second), To: w.To.Add(time.Second - 1).Truncate(time.Second), Lane: vendorapi.Reread}
	_, err := l.entry.Stream.Fetch(ctx, request, walk.Sink{
		Next: func(string) {},
		Emit: func(raw []byte, bad error) error {
			if bad != nil || len(told) >= driftPage {
				return nil
			}
			item, err := l.entry.Stream.Map(raw)
			if err != nil || item.FilterTime.Before(w.From) || !item.FilterTime.Before(w.To) {
				return nil // the quarantine's, or at the border
			}
			rec := walk.Record{Item: item, ObservedAt: asked}
			told = append(told, walkstore.Record(&rec))
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("listing %s: %w", l.key, err)
	}
	l.run.Listed += len(told)
	absent, err := l.DB.DriftAbsent(ctx, l.key, told)
	if err != nil {
		return err
	}
	for i, id := range absent {
		if i < driftConfirmed {
			if _, err := l.ask(ctx, id); errors.Is(err, ErrGone) {
				continue
			}
		}
		if !slices.ContainsFunc(l.run.Findings, func(f store.DriftFinding) bool { return f.Kind == store.DriftMissing && f.ObjectID == id }) {
			l.found(store.DriftMissing, id, "within what is covered, and not here", l.again(id))
		}
	}
	return nil
}

// firstOf lists the first of some names.
func firstOf(list []string) string {
	if more := len(list) - driftNames; more > 0 {
		return strings.Join(list[:driftNames], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(list, ", ")
}

// differences lists tables and columns, without their values.
func differences(list []store.Difference) string {
	var out []string
	for _, d := range list {
		what := d.Table + " " + d.Change
		if len(d.Columns) > 0 {
			columns := make([]string, len(d.Columns))
			for i, c := range d.Columns {
				columns[i] = c.Column
			}
			what += " (" + firstOf(columns) + ")"
		}
		if !slices.Contains(out, what) {
			out = append(out, what)
		}
	}
	return firstOf(out)
}
