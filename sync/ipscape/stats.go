package ipscape

import (
	"encoding/json"
	"time"
)

// Kinds of campaign statistics, as they stand in ipscape.campaign_stats.
const (
	StatsOutbound = "outbound"
	StatsInbound  = "inbound"
)

// statsColumns are those of ipscape.campaign_stats, without the ones that every vendor table has.
var statsColumns = [...]string{
	"campaign_id", "kind", "period", "taken_at", "campaign_name", "timezone", "is_active",
	"agents_assigned", "agents_available", "agents_busy", "agents_paused",
	"calls_waiting", "calls_received", "calls_abandoned_in_workflow", "calls_abandoned_in_queue",
	"max_wait_s", "average_wait_s", "estimated_wait_s", "created_at", "last_updated_at", "lists",
}

// CampaignStatsColumns returns the columns of ipscape.campaign_stats in the order of a snapshot's Values.
func CampaignStatsColumns() []string { return append([]string(nil), statsColumns[:]...) }

// stats is the answer of the two campaign statistics (contracts/ipscape.md 6.3 and 6.4); each has fields that the other lacks.
type stats struct {
	campaign                                       number
	name, timezone                                 text
	active                                         boolean
	assigned, available, busy, paused              number
	waiting, received, lostInWorkflow, lostInQueue number
	maxWait, averageWait, estimatedWait            number
	created, updated, taken                        instant
	lists                                          json.RawMessage
}

// OutboundStats converts an answer of OutboundInfo. Asked at is when the request was sent: a snapshot without a time of its own
// is taken to be of then. ObjectID is the campaign's id; the snapshot is identified by campaign, kind, period and time, the
// first four values. The error is an *ItemError.
func (s Settings) OutboundStats(raw []byte, askedAt time.Time) (Item, error) {
	// An outbound campaign is told as it is, and over no period.
	return s.stats(raw, StatsOutbound, "", askedAt)
}

// InboundStats converts an answer of InboundStatistics, which does not repeat the period that was asked for. An empty period is
// the hour. It is otherwise like OutboundStats.
func (s Settings) InboundStats(raw []byte, period string, askedAt time.Time) (Item, error) {
	if period == "" {
		period = PeriodHour
	}
	return s.stats(raw, StatsInbound, period, askedAt)
}

func (s Settings) stats(raw []byte, kind, period string, askedAt time.Time) (Item, error) {
	payload, cleaned, err := storable(raw)
	if err != nil {
		return Item{}, err
	}
	c, left, err := s.parseStats(payload)
	if err != nil {
		return Item{}, err
	}
	taken := c.taken
	if !taken.ok {
		taken = instant{t: askedAt.UTC().Truncate(time.Microsecond)}
	}
	return Item{
		ObjectID: c.campaign.id(), Payload: payload, Cleaned: cleaned, Unread: left.unread,
		SourceTime: c.taken.t, ZoneAssumed: c.taken.assumed,
		Values: []any{
			c.campaign.any(), kind, period, taken.t, c.name.any(), c.timezone.any(), c.active.any(),
			c.assigned.int32(), c.available.int32(), c.busy.int32(), c.paused.int32(),
			c.waiting.int32(), c.received.int32(), c.lostInWorkflow.int32(), c.lostInQueue.int32(),
			c.maxWait.int32(), c.averageWait.int32(), c.estimatedWait.int32(), c.created.any(), c.updated.any(), rawAny(c.lists),
		},
	}, nil
}

func (s Settings) parseStats(payload []byte) (*stats, notes, error) {
	f := fields{decoder: decoder{b: payload}, zone: s.Zone}
	var c stats
	if !f.enter() {
		return nil, notes{}, &ItemError{Reason: ReasonNotObject}
	}
	for f.next() {
		switch string(f.key) {
		case "campaignId":
			c.campaign = f.number("campaign_id")
		case "campaignName":
			c.name = f.text("campaign_name")
		case "timezone":
			c.timezone = f.text("timezone")
		case "isActive":
			c.active = f.flag("is_active")
		case "agents":
			c.agents(&f)
		case "callsWaiting":
			c.waiting = f.small("calls_waiting")
		case "callsReceived":
			c.received = f.small("calls_received")
		case "callsAbandonedInWorkflow":
			c.lostInWorkflow = f.small("calls_abandoned_in_workflow")
		case "callsAbandonedInQueue":
			c.lostInQueue = f.small("calls_abandoned_in_queue")
		case "maxCallWaitingTime":
			c.maxWait = f.small("max_wait_s")
		case "averageWaitingTime":
			c.averageWait = f.small("average_wait_s")
		case "estimatedCallWaitingTime":
			c.estimatedWait = f.small("estimated_wait_s")
		case "createdDate":
			c.created = f.instant("created_at")
		case "lastUpdated":
			c.updated = f.instant("last_updated_at")
		case "timestamp":
			c.taken = f.instant("taken_at")
		case "lists":
			// Kept as they came: the lists in the vendor's own sample are of another campaign (contracts/ipscape.md 7, trap 11).
			c.lists = f.structure("lists")
		default:
			f.value()
		}
	}
	if f.bad || !c.campaign.ok || c.campaign.v <= 0 {
		return nil, notes{}, &ItemError{Reason: ReasonNoID}
	}
	return &c, f.notes, nil
}

// agents reads counts that need not add up (contracts/ipscape.md 6.3).
func (c *stats) agents(f *fields) {
	c.assigned, c.available, c.busy, c.paused = number{}, number{}, number{}, number{}
	if !f.enter() {
		return
	}
	for f.next() {
		switch string(f.key) {
		case "assigned":
			c.assigned = f.small("agents_assigned")
		case "available":
			c.available = f.small("agents_available")
		case "busy":
			c.busy = f.small("agents_busy")
		case "paused":
			c.paused = f.small("agents_paused")
		default:
			f.value()
		}
	}
}
