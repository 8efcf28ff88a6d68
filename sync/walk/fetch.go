package walk

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/trunkline/trunkline/sync/tracing"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// How far the fetching stage may run ahead.
const (
	pagesAhead    = 4
	itemsAhead    = 128
	fetchesAtOnce = 2
)

// rawItem is an item as it came.
type rawItem struct {
	raw []byte
	bad error
}

// page is a page on its way. The mapper reads items until they end, and then result and err.
type page struct {
	cursor string
	// notBefore is a time before the request was sent, for parts of a page that must be stored before its end is reached.
	notBefore time.Time
	items     chan rawItem
	next      chan string
	result    Page
	err       error
	// span tells of the page, and ctx carries it to its parts.
	span tracing.Span
	ctx  context.Context
}

func newPage(cursor string, now time.Time) *page {
	return &page{cursor: cursor, notBefore: now, items: make(chan rawItem, itemsAhead), next: make(chan string, 1)}
}

// failedPage carries an error that no request made, in its place in the order of pages.
func failedPage(ctx context.Context, err error) *page {
	p := newPage("", time.Time{})
	p.err, p.ctx = err, ctx
	close(p.items)
	return p
}

// fetcher asks for one page after the other, the next as soon as its cursor is known.
type fetcher struct {
	run    *run
	guard  *cursors
	out    chan *page
	slots  chan struct{}
	flying sync.WaitGroup
}

// start runs until the last page, the first error, or the end of ctx; out is closed then.
func (f *fetcher) start(ctx context.Context, cursor string) {
	defer close(f.out)
	defer f.flying.Wait()
	for number := f.run.walk.Pages + 1; ; number++ {
		select {
		case f.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		p := newPage(cursor, f.run.now())
		f.run.startPage(ctx, p, number)
		select {
		case f.out <- p:
		case <-ctx.Done():
			p.span.Fail("stopped")
			p.span.End()
			return
		}
		f.flying.Go(func() {
			defer func() { <-f.slots }()
			f.fetch(p.ctx, p)
		})
		next, ok := <-p.next
		if !ok || next == "" {
			return
		}
		if err := f.guard.next(cursor, next); err != nil {
			select {
			case f.out <- failedPage(ctx, err):
			case <-ctx.Done():
			}
			return
		}
		cursor = next
	}
}

// fetch reads one page into its channels. However it ends, both are closed.
func (f *fetcher) fetch(ctx context.Context, p *page) {
	defer close(p.items)
	announced, told := "", false
	var once sync.Once
	tell := func(cursor string) {
		once.Do(func() {
			announced, told = cursor, true
			p.next <- cursor
		})
	}
	defer close(p.next)
	sink := Sink{
		Next: func(cursor string) {
			// An empty cursor may yet turn out to be a mistake of the page; its end says the same.
			if cursor != "" {
				tell(cursor)
			}
		},
		Emit: func(raw []byte, bad error) error {
			select {
			case p.items <- rawItem{raw, bad}:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		},
	}
	fetching, span := f.run.runner.Trace.Start(ctx, tracing.WalkFetch)
	err := f.run.shield("fetching a page", func() (err error) {
		p.result, err = f.run.stream.Fetch(fetching, f.run.request(p.cursor), sink)
		return err
	})
	if err != nil {
		span.Fail(ending(ctx, err))
	}
	span.End()
	switch {
	case err != nil:
		p.err = err
	case told && announced != p.result.Next:
		p.err = &vendorapi.Error{
			Vendor: string(f.run.stream.Source), Op: f.run.stream.Name, Kind: vendorapi.Malformed, Sent: true,
			Err: fmt.Errorf("a page names two next cursors"),
		}
	default:
		tell(p.result.Next)
	}
}

// shield turns a panic into an error: the stages run in goroutines of their own, where a panic would end the process. What
// was thrown may quote an item, so only its type is told; the log has the way there.
func (r *run) shield(doing string, fn func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			r.log.Error("reading the vendor panicked", "doing", doing, "panic", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			err = fmt.Errorf("%s panicked with a %T", doing, v)
		}
	}()
	return fn()
}
