package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

// StreamEntry is one list that is kept in step: how it is read, where its rows go, and when. Adding a stream is adding an
// entry, its typed table and its mapping.
type StreamEntry struct {
	Stream *walk.Stream
	Table  *store.TypedTable
	Spec   Spec
	// Rereads are the second looks at what was read before.
	Rereads []RereadEntry
}

// RereadEntry is one recurring second look: how far back, and when.
type RereadEntry struct {
	Kind walk.Kind
	Span time.Duration
	Spec Spec
}

// IPSCAPEConfig says how an ipSCAPE account is walked; see interface.md section 3 for the variables.
type IPSCAPEConfig struct {
	Client                 *ipscape.Client
	Settings               ipscape.Settings
	Start, Settle, Overlap time.Duration
	MaxPages               int
	Activities, Leads      Spec
	Rereads                []RereadEntry
}

// IPSCAPE lists the streams of an ipSCAPE account.
func IPSCAPE(c IPSCAPEConfig) []StreamEntry {
	return []StreamEntry{
		c.entry("activities", c.Activities, c.Client.ListActivities, c.Settings.Activity,
			&store.TypedTable{Schema: "ipscape", Name: "activities", Key: "activity_id", Columns: ipscape.ActivityColumns()}),
		c.entry("leads", c.Leads, c.Client.ListLeads, c.Settings.Lead,
			&store.TypedTable{Schema: "ipscape", Name: "leads", Key: "lead_id", Columns: ipscape.LeadColumns()}),
	}
}

type listFunc func(ctx context.Context, r ipscape.ListRequest, onNext func(cursor string), emit ipscape.Emit) (ipscape.Page, error)

func (c IPSCAPEConfig) entry(name string, spec Spec, list listFunc, read func([]byte) (ipscape.Item, error), table *store.TypedTable) StreamEntry {
	return StreamEntry{
		Spec:    spec,
		Table:   table,
		Rereads: c.Rereads,
		Stream: &walk.Stream{
			Source: pipeline.SourceIPSCAPE, Name: name, Capability: walk.Created,
			Start: c.Start, Settle: c.Settle, Overlap: c.Overlap, MaxPages: c.MaxPages,
			Fetch: func(ctx context.Context, r walk.PageRequest, sink walk.Sink) (walk.Page, error) {
				page, err := list(ctx, ipscape.ListRequest{From: r.From, To: r.To, Cursor: r.Cursor, Lane: r.Lane, Filters: r.Filters},
					sink.Next, func(raw json.RawMessage, bad *ipscape.ItemError) error {
						if bad != nil {
							return sink.Emit(raw, bad)
						}
						return sink.Emit(raw, nil)
					})
				return walk.Page{Next: page.Next, AskedAt: page.AskedAt, VendorTime: page.VendorTime}, err
			},
			Map: func(raw []byte) (walk.Item, error) {
				item, err := read(raw)
				return walk.Item{
					ObjectID: item.ObjectID, Payload: item.Payload, Cleaned: item.Cleaned, SourceTime: item.SourceTime,
					ZoneAssumed: item.ZoneAssumed, FilterTime: item.FilterTime, Values: item.Values,
				}, err
			},
			CursorRefused: func(err error) bool { return errors.Is(err, ipscape.ErrCursorRefused) },
			Reason: func(err error) string {
				var item *ipscape.ItemError
				if errors.As(err, &item) {
					return item.Reason
				}
				return "unreadable"
			},
		},
	}
}
