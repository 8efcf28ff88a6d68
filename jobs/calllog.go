package jobs

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

// CallLogConfig says how Convoso's call log is walked; see interface.md section 3 for the variables.
type CallLogConfig struct {
	Client   *convoso.LogClient
	Settings convoso.Settings
	// Start is how far the first walk reaches back.
	Start          time.Duration
	Live, Lookback Spec
}

// Times of the walks of the call log: calls are logged when they end, and given other dispositions for days.
const (
	callLogSettle   = 5 * time.Minute
	callLogOverlap  = time.Hour
	callLogLookback = 48 * time.Hour
)

// CallLogStream is what planning needs to know of the call log; start is how far the first walk reaches back.
func CallLogStream(start time.Duration) walk.Stream {
	return walk.Stream{
		Source: pipeline.SourceConvoso, Name: convoso.StreamCallLog, Capability: walk.Created,
		Start: start, Settle: callLogSettle, Overlap: callLogOverlap, MaxPages: 100,
	}
}

// ConvosoCallLog is the call log as a stream: filtered by the time of the call, paged by offset. A call that a post told too
// is the same call, by its id.
func ConvosoCallLog(c CallLogConfig) StreamEntry {
	stream := CallLogStream(c.Start)
	stream.Fetch = c.fetch
	stream.Map = func(raw []byte) (walk.Item, error) {
		item, err := c.Settings.LogEntry(raw)
		return walk.Item{
			ObjectID: item.ObjectID, Payload: item.Payload, Cleaned: item.Cleaned, SourceTime: item.SourceTime, ZoneAssumed: item.ZoneAssumed,
		}, err
	}
	stream.Reason = func(error) string { return "unreadable" }
	return StreamEntry{
		Spec:    c.Live,
		Rereads: []RereadEntry{{Kind: walk.Lookback, Span: callLogLookback, Spec: c.Lookback}},
		Stream:  &stream,
	}
}

func (c CallLogConfig) fetch(ctx context.Context, r walk.PageRequest, sink walk.Sink) (walk.Page, error) {
	offset := 0
	if r.Cursor != "" {
		var err error
		if offset, err = strconv.Atoi(r.Cursor); err != nil || offset < 1 {
			return walk.Page{}, errors.New("walk of convoso's call log has a cursor that is no offset")
		}
	}
	page, err := c.Client.Calls(ctx, r.From, r.To, offset, r.Lane)
	if err != nil {
		return walk.Page{}, err
	}
	for _, raw := range page.Calls {
		if err := sink.Emit(raw, nil); err != nil {
			return walk.Page{}, err
		}
	}
	out := walk.Page{AskedAt: page.AskedAt}
	if page.Next > 0 {
		out.Next = strconv.Itoa(page.Next)
	}
	return out, nil
}
