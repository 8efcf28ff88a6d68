package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

// Bounds of a backfill.
const (
	// defaultWindow is the length of a window that nobody chose.
	defaultWindow = 24 * time.Hour
	// maxWindows bounds what one transaction makes.
	maxWindows = 20_000
)

// PlannedBackfill is an order that was checked: which streams are read, and over which windows.
type PlannedBackfill struct {
	Source  pipeline.Source
	Streams []StreamInfo
	Range   store.TimeRange
	Window  time.Duration
	Filters map[string]string
}

// Windows are those of each stream that filters by time; a snapshot stream is read whole, in one.
func (p *PlannedBackfill) Windows() []store.TimeRange { return store.SplitWindows(p.Range, p.Window) }

// Count is the number of windows of all streams.
func (p *PlannedBackfill) Count() int {
	n, each := 0, len(p.Windows())
	for _, s := range p.Streams {
		if s.Capability == walk.Snapshot {
			n++
		} else {
			n += each
		}
	}
	return n
}

// PlanBackfill checks an order. It fails with a *store.InvalidOrder, which names every fault.
func PlanBackfill(order store.BackfillOrder, now time.Time) (*PlannedBackfill, error) {
	c := &orderCheck{}
	p := &PlannedBackfill{Source: pipeline.Source(order.Source), Filters: order.Filters}
	p.Streams = c.streams(order)
	c.filters(order.Filters, p.Streams)
	p.Range = c.span(order, now)
	p.Window = c.window(order.Window)
	if len(c.faults) == 0 && len(p.Streams)*int(p.Range.To.Sub(p.Range.From)/p.Window) > maxWindows {
		c.wrong("window", fmt.Sprintf("is too short for this range: more than %d windows", maxWindows))
	}
	if len(c.faults) > 0 {
		return nil, &store.InvalidOrder{Faults: c.faults}
	}
	return p, nil
}

// orderCheck gathers what is wrong with an order.
type orderCheck struct{ faults []store.FieldFault }

func (c *orderCheck) wrong(field, problem string) {
	c.faults = append(c.faults, store.FieldFault{Field: field, Problem: problem})
}

func (c *orderCheck) streams(order store.BackfillOrder) []StreamInfo {
	catalog, _ := Catalog(pipeline.Source(order.Source))
	if !Backfillable(pipeline.Source(order.Source)) {
		c.wrong("source", "must be ipscape or convoso")
		return nil
	}
	chosen, unknown := Chosen(catalog, order.Streams)
	if len(unknown) > 0 {
		names := make([]string, len(catalog))
		for i, s := range catalog {
			names[i] = s.Name
		}
		c.wrong("streams", "must be of "+strings.Join(names, ", "))
	}
	return chosen
}

// filters must be known to every stream that is read: one that ignored them would be read whole.
func (c *orderCheck) filters(filters map[string]string, streams []StreamInfo) {
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		for _, s := range streams {
			f, ok := s.Filter(name)
			switch {
			case !ok:
				c.wrong("filters", fmt.Sprintf("has one that %s does not take; it takes %s", s.Name, names(s.Filters)))
			case !f.Accepts(filters[name]):
				c.wrong("filters", fmt.Sprintf("has a value of %s that is not %s", f.Name, f.Kind))
			default:
				continue
			}
			break // the same of the next stream tells nothing new
		}
	}
}

func names(filters []Filter) string {
	out := make([]string, len(filters))
	for i, f := range filters {
		out[i] = f.Name
	}
	return strings.Join(out, ", ")
}

// span is cut to whole seconds, as fine as lists filter, and to the present: what has not happened cannot be read.
func (c *orderCheck) span(order store.BackfillOrder, now time.Time) store.TimeRange {
	r := store.TimeRange{From: order.From.UTC().Truncate(time.Second), To: order.To.UTC().Truncate(time.Second)}
	now = now.UTC().Truncate(time.Second)
	if order.To.IsZero() || r.To.After(now) {
		r.To = now
	}
	switch {
	case order.From.IsZero():
		c.wrong("from", "is missing")
	case !r.From.Before(now):
		c.wrong("from", "must be in the past")
	case !r.From.Before(r.To):
		c.wrong("to", "must be after from")
	case r.From.Year() < firstYear:
		c.wrong("from", fmt.Sprintf("must not be before %d", firstYear))
	}
	return r
}

// firstYear is before any dialler there is.
const firstYear = 1990

func (c *orderCheck) window(length time.Duration) time.Duration {
	switch {
	case length == 0:
		return defaultWindow
	case length < time.Second || length%time.Second != 0:
		c.wrong("window", "must be of whole seconds")
	}
	return length
}

// Backfiller carries out what operators and scripts ask of one vendor account, in any organisation.
type Backfiller struct {
	DB    *store.DB
	Queue *Queue
	// Account is the vendor account that is read.
	Account string
}

// Streams returns how far an organisation's streams are.
func (b *Backfiller) Streams(ctx context.Context, org uuid.UUID) ([]store.StreamStatus, error) {
	return b.DB.StreamStates(ctx, b.DB.Pool, org)
}

// Start makes a backfill with its windows and the jobs that work on them. It fails with a *store.InvalidOrder.
func (b *Backfiller) Start(ctx context.Context, org uuid.UUID, order store.BackfillOrder) (store.Backfill, error) {
	n, err := b.plan(org, order)
	if err != nil {
		return store.Backfill{}, err
	}
	id, err := b.DB.CreateBackfill(ctx, n)
	if err != nil {
		return store.Backfill{}, err
	}
	return b.DB.Backfill(ctx, org, id)
}

// StartOnce is Start under an idempotency key, as store.DB.CreateBackfillOnce has it.
func (b *Backfiller) StartOnce(
	ctx context.Context, org uuid.UUID, order store.BackfillOrder, key *store.IdempotencyKey, answer func(*store.Backfill) (store.Answer, error),
) (store.Answer, error) {
	n, err := b.plan(org, order)
	if err != nil {
		return store.Answer{}, err
	}
	return b.DB.CreateBackfillOnce(ctx, n, key, answer)
}

func (b *Backfiller) plan(org uuid.UUID, order store.BackfillOrder) (store.NewBackfill, error) {
	plan, err := PlanBackfill(order, b.DB.Now())
	if err != nil {
		return store.NewBackfill{}, err
	}
	n := store.NewBackfill{
		Org: org, Account: b.Account, Source: plan.Source, Range: plan.Range, Window: plan.Window, Filters: plan.Filters,
		Actor: order.Actor, Wake: b.wake,
	}
	for _, s := range plan.Streams {
		n.Streams = append(n.Streams, store.BackfillStream{Name: s.Name, Whole: s.Capability == walk.Snapshot})
	}
	return n, nil
}

// List returns a page of an organisation's backfills, the latest first.
func (b *Backfiller) List(ctx context.Context, org uuid.UUID, offset int64, limit int) (store.BackfillPage, error) {
	return b.DB.Backfills(ctx, org, offset, limit)
}

// Show returns one backfill, or store.ErrNotFound.
func (b *Backfiller) Show(ctx context.Context, org, id uuid.UUID) (store.Backfill, error) {
	return b.DB.Backfill(ctx, org, id)
}

// Pause is store.DB.PauseBackfill.
func (b *Backfiller) Pause(ctx context.Context, org, id uuid.UUID) (store.Backfill, error) {
	return b.after(ctx, org, id, b.DB.PauseBackfill(ctx, org, id))
}

// Resume is store.DB.ResumeBackfill.
func (b *Backfiller) Resume(ctx context.Context, org, id uuid.UUID) (store.Backfill, error) {
	return b.after(ctx, org, id, b.DB.ResumeBackfill(ctx, org, id, b.wake))
}

// Cancel is store.DB.CancelBackfill.
func (b *Backfiller) Cancel(ctx context.Context, org, id uuid.UUID) (store.Backfill, error) {
	return b.after(ctx, org, id, b.DB.CancelBackfill(ctx, org, id))
}

func (b *Backfiller) after(ctx context.Context, org, id uuid.UUID, err error) (store.Backfill, error) {
	if err != nil {
		return store.Backfill{}, err
	}
	return b.DB.Backfill(ctx, org, id)
}

func (b *Backfiller) wake(ctx context.Context, tx pgx.Tx, id uuid.UUID) error {
	return b.Queue.WakeBackfill(ctx, tx, id, store.BackfillAtOnce)
}
