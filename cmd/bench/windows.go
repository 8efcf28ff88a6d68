package main

import (
	"context"
	"errors"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// vendorLatency is what each answer of the slow vendor takes.
const vendorLatency = 25 * time.Millisecond

// windowsBench compares four windows read side by side with one, behind real latency.
func windowsBench(ctx context.Context, l *lab) (_ []row, err error) {
	d, err := l.dataset(ctx)
	if err != nil {
		return nil, err
	}
	items := d.activities[:min(len(d.activities), 12_000)]
	addr, stop, err := serve(ctx, newVendor(items, len(items), 100, vendorLatency))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	load := func(windows int) side {
		return l.on(emptyTemplate, func(ctx context.Context, b *base) ([]float64, error) {
			w, err := newWalker(ctx, b.DB, b.queue, addr, 0, l.log)
			if err != nil {
				return nil, err
			}
			took, err := w.walk(ctx, walk.Backfill, vendorapi.Backfill, quarters(items, windows))
			if err != nil {
				return nil, err
			}
			return []float64{perSecond(len(items), took)}, holds(ctx, b.DB, len(items))
		})
	}
	got, err := interleave(ctx, l.pairs, load(1), load(4))
	if err != nil {
		return nil, err
	}
	r := row{figure: "four windows ÷ one, 25 ms a page of 100", unit: "rows/s", yardstick: "one window", must: 3, stretch: 3.9}
	return []row{r.against(got[1][0], got[0][0])}, nil
}

// quarters cuts the items' time into windows with as many items each.
func quarters(items []item, n int) []store.TimeRange {
	whole := wholeWindow(items)
	out := make([]store.TimeRange, n)
	from := whole.From
	for i := range out {
		out[i] = store.TimeRange{From: from, To: whole.To}
		if i < n-1 {
			out[i].To = items[len(items)*(i+1)/n].FilterTime
		}
		from = out[i].To
	}
	return out
}
