package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// LendWorks is one simulated LendWorks organisation with one API key.
type LendWorks struct {
	box *Sandbox
	// delivering lets one delivery of webhooks run at a time.
	delivering sync.Mutex

	mu        sync.Mutex
	leads     []LendWorksLead
	byID      map[string]int
	told      []LendWorksCall
	presence  map[string]map[string]any
	idem      map[string]*idempotent
	level     string
	revoked   string
	perMinute int
	quota     int
	recent    []time.Time
	replayed  int
	webhook   string
	pending   []LendWorksWebhook
	sent      []LendWorksWebhook
}

// LendWorksLead is a lead that LendWorks holds.
type LendWorksLead struct {
	ID string `json:"id"`
	// Attributes are as its API shows them.
	Attributes map[string]any `json:"attributes"`
	Created    time.Time      `json:"created"`
	Updated    time.Time      `json:"updated"`
	// Own tells that it was made through the API.
	Own bool `json:"own"`
}

// custom returns a custom field's text.
func (l LendWorksLead) custom(name string) string {
	fields, _ := l.Attributes["customFields"].(map[string]any)
	text, _ := fields[name].(string)
	return text
}

// LendWorksCall is a call event or disposition that was told.
type LendWorksCall struct {
	Op   string         `json:"op"`
	Body map[string]any `json:"body"`
}

// LendWorksWebhook is one webhook, planned or delivered.
type LendWorksWebhook struct {
	ID, Event, LeadID string
	Body              []byte
}

// idempotent is what is remembered of a key.
type idempotent struct {
	at      time.Time
	running bool
	body    string
	reply   reply
}

// Times of the contract: how long a key is remembered, and how long the lock of one under way lasts.
const idempotentFor = 24 * time.Hour

func newLendWorks(box *Sandbox) *LendWorks {
	return &LendWorks{
		box: box, byID: map[string]int{}, presence: map[string]map[string]any{}, idem: map[string]*idempotent{}, level: "full", perMinute: 10_000, quota: -1,
	}
}

// SetLevel sets what the key may do: read, read_write or full.
func (l *LendWorks) SetLevel(level string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.level = level
}

// Refuse makes every request answer 401 with the code, such as API_KEY_EXPIRED; empty ends that.
func (l *LendWorks) Refuse(code string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revoked = code
}

// SetLimits sets how many requests a minute the key may make, and how many more this month; below 0 is no limit.
func (l *LendWorks) SetLimits(perMinute, quota int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.perMinute, l.quota = perMinute, quota
}

// Leads are the leads it holds, oldest first.
func (l *LendWorks) Leads() []LendWorksLead {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := slices.Clone(l.leads)
	for i := range out {
		out[i].Attributes = maps.Clone(out[i].Attributes)
	}
	return out
}

// ByOurID counts the leads that carry each value of a custom field. More than one is a lead made twice.
func (l *LendWorks) ByOurID(field string) map[string]int {
	counts := map[string]int{}
	for _, lead := range l.Leads() {
		if ours := lead.custom(field); ours != "" {
			counts[ours]++
		}
	}
	return counts
}

// Told are the call events and dispositions, in order.
func (l *LendWorks) Told() []LendWorksCall {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.told)
}

// Replayed is how many answers were told again because their key had been used before.
func (l *LendWorks) Replayed() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.replayed
}

// AddLead makes a lead as if somebody had typed it in, and returns its id.
func (l *LendWorks) AddLead(attributes map[string]any) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.add(attributes, false).ID
}

// ChangeLead changes attributes as if somebody had, and tells whether there is such a lead.
func (l *LendWorks) ChangeLead(id string, attributes map[string]any) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.byID[id]
	if ok {
		l.change(at, attributes)
	}
	return ok
}

// leadNulls are the attributes that a lead has whether or not they are known.
var leadNulls = []string{
	"businessName", "contactFirstName", "contactLastName", "email", "phone", "industry", "monthlyRevenue", "requestedAmount", "leadScore",
	"primaryAdvisorId", "primaryAdvisorName", "lastContactedAt", "dncReason", "dncAt", "convertedAt", "convertedAccountId",
	"convertedContactId", "importJobId", "createdBy",
}

func (l *LendWorks) add(attributes map[string]any, own bool) LendWorksLead {
	now := l.box.now().Truncate(time.Millisecond)
	r := newRNG(l.box.opt.Seed+uint64(len(l.leads)), "lendworks lead")
	hex := func(n int) string { return r.text(hexDigits, n) }
	lead := LendWorksLead{
		ID: fmt.Sprintf("%s-%s-4%s-a%s-%s", hex(8), hex(4), hex(3), hex(3), hex(12)), Created: now, Updated: now, Own: own,
		Attributes: map[string]any{
			"source": "manual", "priority": "normal", "isDoNotCall": false, "tags": []any{}, "customFields": map[string]any{}, "externalIds": map[string]any{},
			"stage":          map[string]any{"id": "0d9e3b1c-0000-4000-a000-000000000001", "stageKey": "new_lead", "stageLabel": "New lead", "color": "#3366ff", "semanticSlot": "new"},
			"stageChangedAt": now.Format(time.RFC3339Nano), "notYetKnown": "kept by who can",
		},
	}
	for _, name := range leadNulls {
		lead.Attributes[name] = nil
	}
	maps.Copy(lead.Attributes, attributes)
	l.byID[lead.ID] = len(l.leads)
	l.leads = append(l.leads, lead)
	l.hook("lead.created", lead, map[string]any{
		"businessName": lead.Attributes["businessName"], "contactFirstName": lead.Attributes["contactFirstName"],
		"contactLastName": lead.Attributes["contactLastName"], "email": lead.Attributes["email"], "source": lead.Attributes["source"],
		"priority": lead.Attributes["priority"], "stageId": "0d9e3b1c-0000-4000-a000-000000000001", "advisorId": nil,
	})
	return lead
}

func (l *LendWorks) change(at int, attributes map[string]any) {
	lead := &l.leads[at]
	lead.Attributes = maps.Clone(lead.Attributes)
	maps.Copy(lead.Attributes, attributes)
	if lead.Updated = l.box.now().Truncate(time.Millisecond); !lead.Updated.After(lead.Created) {
		lead.Updated = lead.Created.Add(time.Millisecond)
	}
}

// object is a lead as the API shows it.
func (l LendWorksLead) object() map[string]any {
	attributes := maps.Clone(l.Attributes)
	attributes["createdAt"], attributes["updatedAt"] = l.Created.Format(time.RFC3339Nano), l.Updated.Format(time.RFC3339Nano)
	return map[string]any{"id": l.ID, "type": "lead", "attributes": attributes}
}

// matches is the full text search over names and e-mail.
func (l LendWorksLead) matches(search string) bool {
	for _, name := range []string{"businessName", "contactFirstName", "contactLastName", "email"} {
		text, _ := l.Attributes[name].(string)
		if strings.Contains(strings.ToLower(text), strings.ToLower(search)) {
			return true
		}
	}
	return false
}

// hook plans a webhook.
func (l *LendWorks) hook(event string, lead LendWorksLead, data map[string]any) {
	data["leadId"], data["orgId"] = lead.ID, "org-1"
	id := fmt.Sprintf("evt_%s_%d", lead.ID, len(l.pending)+len(l.sent))
	body, err := json.Marshal(map[string]any{"id": id, "event": event, "timestamp": l.box.now().Format(time.RFC3339), "data": data})
	if err != nil {
		return // texts of our own making
	}
	l.pending = append(l.pending, LendWorksWebhook{ID: id, Event: event, LeadID: lead.ID, Body: body})
}
