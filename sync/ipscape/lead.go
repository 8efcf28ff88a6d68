package ipscape

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// leadColumns are those of ipscape.leads, without the ones that every vendor table has.
var leadColumns = [...]string{
	"lead_id", "campaign_id", "campaign_name", "list_id", "list_name", "customer_key", "timezone", "completed",
	"agent_id", "agent_full_name", "last_status_code", "last_status_description", "outcome_type",
	"phones", "data_fields", "outcomes", "total_attempts", "created_at", "modified_at", "next_attempt_at",
}

// LeadColumns returns the columns of ipscape.leads in the order of a lead's Values.
func LeadColumns() []string { return append([]string(nil), leadColumns[:]...) }

// lead is an item of the leads list (contracts/ipscape.md 6.6).
type lead struct {
	id, campaign               number
	campaignName               text
	list                       number
	listName                   text
	customerKey, timezone      text
	completed                  boolean
	agent                      number
	agentName                  text
	status                     number
	statusText, outcomeType    text
	phones, dataFields         json.RawMessage
	outcomes                   json.RawMessage
	attempts                   number
	created, modified, nextTry instant
}

// Lead converts one item of the leads list. The error is an *ItemError.
func (s Settings) Lead(raw []byte) (Item, error) {
	payload, cleaned, err := storable(raw)
	if err != nil {
		return unstorable(err, raw, s.parseLead, func(l *lead) number { return l.id })
	}
	l, left, err := s.parseLead(payload)
	if err != nil {
		return Item{}, err
	}
	item := Item{
		ObjectID:   strconv.FormatInt(l.id.v, 10),
		Payload:    payload,
		Cleaned:    cleaned,
		FilterTime: l.created.t,
		Values:     l.values(),
		Unread:     left.unread,
		Unknown:    left.unknown,
	}
	own := l.created
	if l.modified.ok {
		own = l.modified
	}
	item.SourceTime, item.ZoneAssumed = own.t, own.assumed
	return item, nil
}

func (l *lead) values() []any {
	return []any{
		l.id.any(), l.campaign.any(), l.campaignName.any(), l.list.any(), l.listName.any(), l.customerKey.any(), l.timezone.any(), l.completed.any(),
		l.agent.any(), l.agentName.any(), l.status.any(), l.statusText.any(), l.outcomeType.any(),
		rawAny(l.phones), rawAny(l.dataFields), rawAny(l.outcomes), l.attempts.int32(), l.created.any(), l.modified.any(), l.nextTry.any(),
	}
}

// parseLead reads a lead and names what it could not read.
func (s Settings) parseLead(payload []byte) (*lead, notes, error) {
	f := fields{decoder: decoder{b: payload}, zone: s.Zone}
	var l lead
	if !f.enter() {
		return nil, notes{}, &ItemError{Reason: ReasonNotObject}
	}
	for f.next() {
		switch string(f.key) {
		case "leadId":
			l.id = f.number("lead_id")
		case "campaignId":
			l.campaign = f.number("campaign_id")
		case "campaignName":
			l.campaignName = f.text("campaign_name")
		case "listId":
			l.list = f.number("list_id")
		case "listName":
			l.listName = f.text("list_name")
		case "customerKey":
			l.customerKey = f.text("customer_key")
		case "timezone":
			l.timezone = f.text("timezone")
		case "completed":
			l.completed = f.flag("completed")
		case "agentId":
			l.agent = f.number("agent_id")
		case "agentFullName":
			l.agentName = f.text("agent_full_name")
		case "lastStatusCode":
			l.status = f.number("last_status_code")
		case "lastStatusDescription":
			l.statusText = f.text("last_status_description")
		case "outcomeType":
			l.outcomeType = f.text("outcome_type")
		case "phones":
			l.phones = f.structure("phones")
		case "dataFields":
			l.dataFields = f.object("data_fields")
		case "outcomesInfo":
			l.outcomesInfo(&f)
		case "timestamps":
			l.timestamps(&f)
		default:
			f.strange()
		}
	}
	if f.bad || !l.id.ok || l.id.v <= 0 {
		return nil, notes{}, &ItemError{Reason: ReasonNoID}
	}
	return &l, f.notes, nil
}

func (l *lead) outcomesInfo(f *fields) {
	l.attempts, l.outcomes = number{}, nil
	if !f.enter() {
		return
	}
	for f.next() {
		switch string(f.key) {
		case "totalAttempts":
			l.attempts = f.small("total_attempts")
		case "outcomesByCode":
			// One object, an array of them or a map by code (contracts/ipscape.md 7, trap 7): kept as it came.
			l.outcomes = f.structure("outcomes")
		default:
			f.strange()
		}
	}
}

func (l *lead) timestamps(f *fields) {
	l.created, l.modified, l.nextTry = instant{}, instant{}, instant{}
	if !f.enter() {
		return
	}
	for f.next() {
		switch string(f.key) {
		case "created":
			l.created = f.instant("created_at")
		case "modified":
			l.modified = f.instant("modified_at")
		case "nextAttempt":
			l.nextTry = f.instant("next_attempt_at")
		default:
			f.strange()
		}
	}
}

// phoneNumbers returns a lead's numbers as given, by phoneIndex; those without an index come last.
func phoneNumbers(phones json.RawMessage) []string {
	type entry struct {
		index  int64
		number string
	}
	var entries []entry
	f := fields{decoder: decoder{b: phones}}
	read := func() {
		e := entry{index: math.MaxInt64}
		if f.peek() == '"' {
			e.number = f.text("").v
			entries = append(entries, e)
			return
		}
		if !f.enter() {
			return
		}
		for f.next() {
			switch string(f.key) {
			case "phone":
				e.number = f.text("").v
			case "phoneIndex":
				if n := f.number(""); n.ok {
					e.index = n.v
				}
			default:
				f.value()
			}
		}
		entries = append(entries, e)
	}
	switch f.peek() {
	case '[':
		for f.list(); f.more(); {
			read()
		}
	case '{':
		// PHP writes an array whose keys have a gap as an object.
		for f.enter(); f.next(); {
			read()
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.index, b.index) })
	numbers := make([]string, 0, len(entries))
	for _, e := range entries {
		if number := strings.TrimSpace(e.number); number != "" {
			numbers = append(numbers, number)
		}
	}
	return numbers
}
