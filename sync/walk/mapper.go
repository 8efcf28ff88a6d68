package walk

import (
	"context"
	"fmt"
	"time"

	"github.com/trunkline/trunkline/sync/tracing"
)

// Bounds of a part: a page with more is stored in several transactions, so that memory stays flat.
const (
	partRows  = 5000
	partBytes = 32 << 20
)

// part is a page or a piece of one, read and ready to be written.
type part struct {
	records []Record
	bad     []BadItem
	bytes   int
	// cursor is where a run that begins after this part has to go on.
	cursor string
	// whole tells that the page ends here; last, that the list does, and cut, that it was not at its end.
	whole, last, cut bool
	// limit is the time up to which this page can be trusted to be complete; zero for pages that say nothing of it.
	limit time.Time
	// page is where the page's span is.
	page tracing.Place
}

// mapper reads items. It looks at every object id, so it is also where going in circles shows.
type mapper struct {
	run  *run
	out  chan *part
	seen *objects
	// err is why there are no more parts; it is set before out is closed, and nil after the last page.
	err error
}

// start maps pages in order. The writer takes every part, so sending needs no way out.
func (m *mapper) start(ctx context.Context, pages <-chan *page) {
	defer close(m.out)
	for p := range pages {
		last, err := m.page(p)
		if err != nil {
			m.err = err
			return
		}
		if last {
			return
		}
	}
	// Pages end without a last one only when the run was stopped.
	m.err = context.Cause(ctx)
}

// page maps a page. Its span ends with it, and so does that of reading it, which lasts while items come.
func (m *mapper) page(p *page) (last bool, err error) {
	_, span := m.run.runner.Trace.Start(p.ctx, tracing.WalkDecode)
	items, bad := 0, 0
	defer func() {
		span.Count(tracing.Records, items)
		span.Count(tracing.Bad, bad)
		span.End()
		if err != nil {
			p.span.Fail(ending(p.ctx, err))
		}
		p.span.End()
	}()
	at := p.span.Place()
	piece := &part{cursor: p.cursor, page: at}
	for it := range p.items {
		was := len(piece.bad)
		m.item(piece, it)
		items, bad = items+1, bad+len(piece.bad)-was
		if len(piece.records)+len(piece.bad) >= partRows || piece.bytes >= partBytes {
			// The page's own time is not known before its end. An earlier one is safe: the next observation wins.
			m.send(piece, p.notBefore)
			piece = &part{cursor: p.cursor, page: at}
		}
	}
	if p.err != nil {
		return false, p.err
	}
	asked := p.result.AskedAt
	if asked.IsZero() {
		asked = p.notBefore
	}
	piece.cursor, piece.whole, piece.last, piece.cut = p.result.Next, true, p.result.Next == "", p.result.Cut
	if p.cursor == "" {
		piece.limit = settled(asked, p.result.VendorTime, m.run.stream)
	}
	m.run.noteVendorTime(asked, p.result.VendorTime)
	m.send(piece, asked)
	if piece.last {
		return true, nil
	}
	return false, m.seen.page()
}

func (m *mapper) send(piece *part, observed time.Time) {
	for i := range piece.records {
		piece.records[i].ObservedAt = observed
	}
	m.out <- piece
}

// item maps one item; what cannot be mapped goes to quarantine, and the page goes on (law 13).
func (m *mapper) item(piece *part, it rawItem) {
	piece.bytes += len(it.raw)
	var item Item
	err := it.bad
	if err == nil {
		err = m.run.shield("reading an item", func() (err error) {
			item, err = m.run.stream.Map(it.raw)
			return err
		})
	}
	if err == nil && item.ObjectID == "" {
		err = fmt.Errorf("item has no id")
	}
	m.seen.saw(item.ObjectID)
	if err != nil {
		piece.bad = append(piece.bad, BadItem{ObjectID: item.ObjectID, Reason: m.reason(err), Err: err, Raw: it.raw})
		return
	}
	m.run.border(item.FilterTime)
	rec := Record{Item: item}
	if item.Cleaned {
		rec.Raw = it.raw
	}
	piece.records = append(piece.records, rec)
}

func (m *mapper) reason(err error) string {
	if m.run.stream.Reason != nil {
		if reason := m.run.stream.Reason(err); reason != "" {
			return reason
		}
	}
	return "unreadable item"
}
