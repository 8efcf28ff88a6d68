package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// What the live ticks beside a backfill are measured with.
const (
	// besideRate is the account's budget in requests a second: ten times the default, so that a run is short.
	besideRate = 20
	// besidePage is the size of a page, and of a live tick's window.
	besidePage = 20
	// besideEvery is how often a live tick begins.
	besideEvery = 400 * time.Millisecond
)

// besideBench measures how long a live tick of one page takes while a backfill wants the whole of the account's budget, and
// while there is none.
func besideBench(ctx context.Context, l *lab) (_ []row, err error) {
	d, err := l.dataset(ctx)
	if err != nil {
		return nil, err
	}
	addr, stop, err := serve(ctx, newVendor(d.activities, len(d.activities), besidePage, 5*time.Millisecond))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	newest := wholeWindow(d.activities[len(d.activities)-besidePage:])
	older := d.activities[:len(d.activities)-besidePage]
	ticks := 20
	if l.quick {
		ticks = 3
	}
	load := func(beside bool) side {
		return l.on(emptyTemplate, func(ctx context.Context, b *base) ([]float64, error) {
			w, err := newWalker(ctx, b.DB, b.queue, addr, besideRate, l.log)
			if err != nil {
				return nil, err
			}
			if !beside {
				delay, err := w.tick(ctx, newest, ticks)
				return []float64{delay}, err
			}
			ctx, cancel := context.WithCancel(ctx)
			ended := make(chan error, 1)
			go func() {
				_, err := w.walk(ctx, walk.Backfill, vendorapi.Backfill, quarters(older, 4))
				ended <- err
			}()
			delay, err := w.tick(ctx, newest, ticks)
			cancel()
			if stopped := <-ended; stopped == nil {
				err = errors.Join(err, errors.New("the backfill ended before the live ticks did"))
			}
			return []float64{delay}, err
		})
	}
	got, err := interleave(ctx, l.pairs, load(false), load(true))
	if err != nil {
		return nil, err
	}
	r := row{figure: fmt.Sprintf("live tick beside a backfill, %d requests/s", besideRate), unit: "ms", yardstick: "without one", atMost: true}
	return []row{r.against(got[1][0], got[0][0])}, nil
}

// tick walks a window again and again in the live lane, and returns the median time in milliseconds. The first second, in
// which the budget's burst is spent, does not count.
func (w *walker) tick(ctx context.Context, window store.TimeRange, ticks int) (float64, error) {
	var took samples
	settled := time.Now().Add(time.Second)
	next := time.NewTicker(besideEvery)
	defer next.Stop()
	for len(took) < ticks {
		select {
		case <-next.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		one, err := w.walk(ctx, walk.Live, vendorapi.Live, []store.TimeRange{window})
		if err != nil {
			return 0, err
		}
		if time.Now().After(settled) {
			took = append(took, float64(one.Microseconds())/1000)
		}
	}
	return took.median(), nil
}
