package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// StreamEntry is one list that is kept in step: how it is read, where its rows go, and when.
type StreamEntry struct {
	Stream *walk.Stream
	Table  *store.TypedTable
	Spec   Spec
	// Rereads are the second looks at what was read before.
	Rereads []RereadEntry
	// Get reads one object by its id, with the time when it was asked; nil where objects are not read one by one. An error that
	// wraps ErrGone tells that there is no such object.
	Get func(ctx context.Context, id string) ([]byte, time.Time, error)
}

// ErrGone means that the vendor no longer has an object.
var ErrGone = errors.New("the object is gone at the vendor")

// RereadEntry is one recurring second look: how far back, and when. A sweep reaches over the whole list.
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
	// Schedules are those of the live walks, by stream; one that is not named is off.
	Schedules map[string]Spec
	// Rereads are of the lists that filter by creation time, Sweep is of all leads.
	Rereads []RereadEntry
	Sweep   Spec
	// Unknowns counts what nobody here knows of; nil counts nothing.
	Unknowns *Unknowns
}

// ipscapeList is one list of ipSCAPE. Adding a stream is adding one of these, its typed table and its mapping.
type ipscapeList struct {
	StreamInfo
	list func(c *ipscape.Client, ctx context.Context, r ipscape.ListRequest, onNext func(cursor string), emit ipscape.Emit) (ipscape.Page, error)
	read func(s ipscape.Settings, raw []byte) (ipscape.Item, error)
	// get reads one object by its id; nil where that is of no use.
	get func(c *ipscape.Client, ctx context.Context, id string, lane vendorapi.Lane) (json.RawMessage, time.Time, error)
	// key is the key column of the typed table, which has the stream's name; missing tells that it has missing_since.
	key     string
	missing bool
	columns []string
}

// ipscapeLists are all lists of ipSCAPE; their filters are those of contracts/ipscape.md section 5.3.
func ipscapeLists() []ipscapeList {
	return []ipscapeList{{
		StreamInfo: StreamInfo{ipscape.StreamActivities, walk.Created, append(numbers("campaignId", "leadId"), Filter{"activityType", FilterText})},
		list:       (*ipscape.Client).ListActivities, read: ipscape.Settings.Activity, get: (*ipscape.Client).GetActivity,
		key: "activity_id", missing: true, columns: ipscape.ActivityColumns(),
	}, {
		StreamInfo: StreamInfo{
			ipscape.StreamLeads, walk.Created,
			append(numbers("campaignId", "listId", "statusCode"), Filter{"customerKey", FilterText}, Filter{"phone1", FilterPhone}),
		},
		list: (*ipscape.Client).ListLeads, read: ipscape.Settings.Lead, get: (*ipscape.Client).GetLead,
		key: "lead_id", missing: true, columns: ipscape.LeadColumns(),
	}, {
		StreamInfo: StreamInfo{ipscape.StreamLeadLists, walk.Snapshot, numbers("campaignId")},
		list:       (*ipscape.Client).ListLeadLists, read: ipscape.Settings.LeadList,
		key: "list_id", missing: true, columns: ipscape.LeadListColumns(),
	}, {
		StreamInfo: StreamInfo{ipscape.StreamCampaigns, walk.Snapshot, append(numbers("campaignId"), Filter{"campaignType", FilterText})},
		list:       (*ipscape.Client).ListCampaigns, read: ipscape.Settings.Campaign,
		key: "campaign_id", missing: true, columns: ipscape.CampaignColumns(),
	}, {
		StreamInfo: StreamInfo{ipscape.StreamUsers, walk.Snapshot, []Filter{{"userType", FilterText}, {"accountActive", FilterBoolean}}},
		list:       (*ipscape.Client).ListUsers, read: ipscape.Settings.User,
		key: "user_id", missing: true, columns: ipscape.UserColumns(),
	}, {
		StreamInfo: StreamInfo{ipscape.StreamDialAttempts, walk.Created, numbers("campaignId", "leadId")},
		list:       (*ipscape.Client).ListDiallerAttempts, read: ipscape.Settings.DialAttempt,
		key: "attempt_id", columns: ipscape.DialAttemptColumns(),
	}}
}

// IPSCAPE lists the streams of an ipSCAPE account.
func IPSCAPE(c IPSCAPEConfig) []StreamEntry {
	lists := ipscapeLists()
	entries := make([]StreamEntry, len(lists))
	for i := range lists {
		entries[i] = c.entry(&lists[i])
	}
	return entries
}

func (c *IPSCAPEConfig) entry(l *ipscapeList) StreamEntry {
	e := StreamEntry{
		Spec:   c.Schedules[l.Name],
		Table:  &store.TypedTable{Schema: "ipscape", Name: l.Name, Key: l.key, Columns: l.columns, Missing: l.missing},
		Stream: c.stream(l),
	}
	if l.Capability == walk.Created {
		e.Rereads = append(e.Rereads, c.Rereads...)
	}
	if l.get != nil {
		e.Get = func(ctx context.Context, id string) ([]byte, time.Time, error) {
			raw, asked, err := l.get(c.Client, ctx, id, vendorapi.Reread)
			if errors.Is(err, ipscape.ErrNotFound) {
				err = fmt.Errorf("%w: %w", ErrGone, err)
			}
			return raw, asked, err
		}
	}
	if l.Name == ipscape.StreamLeads {
		// Leads alone change long after they were created, and tell nobody.
		e.Rereads = append(e.Rereads, RereadEntry{Kind: walk.Sweep, Spec: c.Sweep})
	}
	return e
}

func (c *IPSCAPEConfig) stream(l *ipscapeList) *walk.Stream {
	client, settings := c.Client, c.Settings
	return &walk.Stream{
		Source: pipeline.SourceIPSCAPE, Name: l.Name, Capability: l.Capability,
		Start: c.Start, Settle: c.Settle, Overlap: c.Overlap, MaxPages: c.MaxPages,
		Fetch: func(ctx context.Context, r walk.PageRequest, sink walk.Sink) (walk.Page, error) {
			request := ipscape.ListRequest{From: r.From, To: r.To, Cursor: r.Cursor, Lane: r.Lane, Filters: r.Filters}
			page, err := l.list(client, ctx, request, sink.Next, func(raw json.RawMessage, bad *ipscape.ItemError) error {
				if bad != nil {
					return sink.Emit(raw, bad)
				}
				return sink.Emit(raw, nil)
			})
			return walk.Page{Next: page.Next, AskedAt: page.AskedAt, VendorTime: page.VendorTime, Cut: page.Truncated}, err
		},
		Map: func(raw []byte) (walk.Item, error) {
			item, err := l.read(settings, raw)
			c.Unknowns.note(l.Name, &item)
			out := walk.Item{
				ObjectID: item.ObjectID, Payload: item.Payload, Cleaned: item.Cleaned, SourceTime: item.SourceTime,
				ZoneAssumed: item.ZoneAssumed, FilterTime: item.FilterTime, Open: item.Open, Values: item.Values,
			}
			if item.Lead != "" {
				out.Touches = []walk.Ref{{Stream: ipscape.StreamLeads, ObjectID: item.Lead}}
			}
			return out, err
		},
		CursorRefused: func(err error) bool { return errors.Is(err, ipscape.ErrCursorRefused) },
		Reason: func(err error) string {
			var item *ipscape.ItemError
			if errors.As(err, &item) {
				return item.Reason
			}
			return "unreadable"
		},
	}
}
