package sandbox

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// firstDialedInLead is the first record id that DialedIn gives out.
const firstDialedInLead = 4_711_001

// DialedIn is one simulated DialedIn account: a sink for leads and a do-not-call table.
type DialedIn struct {
	box *Sandbox

	mu        sync.Mutex
	leads     []DialedInLead
	index     map[string][]int // "ClientId x", "LeadId 1", "Phone 5" to places in leads
	dnc       map[string]bool
	campaigns map[string]bool
	custom    map[string]bool
	attempts  map[string]int
	accepted  map[string]int
	entered   map[string]int
	onDNC     int
	lag       time.Duration
	desk      DialedInDesk
}

// DialedInLead is one lead that DialedIn stored.
type DialedInLead struct {
	ID          int64             `json:"id"`
	ClientID    string            `json:"client_id"`
	Campaign    string            `json:"campaign"`
	Subcampaign string            `json:"subcampaign"`
	Phone       string            `json:"phone"`   // ten digits
	Fields      map[string]string `json:"fields"`  // standard and adv_ fields as they came
	Dropped     []string          `json:"dropped"` // names of fields that the vendor does not know
	ImportOnly  bool              `json:"import_only"`
	// Dialled says that the dialler rang, or will: not an import, not on the do-not-call table.
	Dialled bool `json:"dialled"`
	// NonCallable is the mark that InsertDnc puts on leads and DeleteDnc leaves.
	NonCallable bool      `json:"non_callable"`
	Created     time.Time `json:"created"`
	Updates     int       `json:"updates"`
}

func (l DialedInLead) clone() DialedInLead {
	l.Fields = maps.Clone(l.Fields)
	l.Dropped = slices.Clone(l.Dropped)
	return l
}

func newDialedIn(box *Sandbox) *DialedIn {
	return &DialedIn{
		box: box, dnc: map[string]bool{}, custom: map[string]bool{}, attempts: map[string]int{}, accepted: map[string]int{}, entered: map[string]int{},
		campaigns: map[string]bool{DialedInCampaign: true}, index: map[string][]int{}, desk: newDesk(),
	}
}

// AddCampaign makes a campaign exist; inserts into others are refused.
func (d *DialedIn) AddCampaign(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.campaigns[name] = true
}

// SetSearchLag sets how long, by the sandbox's clock, a new lead stays invisible to SearchLead. Default none.
func (d *DialedIn) SetSearchLag(lag time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lag = lag
}

// Leads are the leads stored so far, in the order of their arrival.
func (d *DialedIn) Leads() []DialedInLead {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]DialedInLead, len(d.leads))
	for i, l := range d.leads {
		out[i] = l.clone()
	}
	return out
}

// DNC are the numbers on the do-not-call table, ten digits each, sorted.
func (d *DialedIn) DNC() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.dnc))
}

// DNCInserts counts the InsertDnc that took effect, by number.
func (d *DialedIn) DNCInserts() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.entered)
}

// AddDNC puts ten-digit numbers on the do-not-call table as if somebody else had, and marks their leads.
func (d *DialedIn) AddDNC(numbers ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range numbers {
		d.suppress(n)
	}
}

func (d *DialedIn) suppress(phone string) {
	d.dnc[phone] = true
	for _, i := range d.index["Phone "+phone] {
		d.leads[i].NonCallable = true
	}
}

// InsertsByClientID counts the inserts that were stored, by ClientId. More than one is a person called twice.
func (d *DialedIn) InsertsByClientID() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.accepted)
}

// AttemptsByClientID counts the inserts that reached the account, stored or not, by ClientId.
func (d *DialedIn) AttemptsByClientID() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.attempts)
}

// Attempts is the number of inserts that reached the account, stored or not.
func (d *DialedIn) Attempts() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	total := 0
	for _, n := range d.attempts {
		total += n
	}
	return total
}

// InsertsOnDNC counts inserts that arrived while their number stood on the do-not-call table. They are not rung, yet a
// client that knew of the opt-out should not have sent them.
func (d *DialedIn) InsertsOnDNC() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.onDNC
}

// DeleteLead removes a stored lead by ClientId, as a supervisor might, and says whether there was one.
func (d *DialedIn) DeleteLead(clientID string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := len(d.leads)
	d.leads = slices.DeleteFunc(d.leads, func(l DialedInLead) bool { return l.ClientID == clientID })
	d.reindex()
	return len(d.leads) < before
}

func (d *DialedIn) reindex() {
	clear(d.index)
	for i := range d.leads {
		d.enter(i)
	}
}

// enter makes the lead at one place findable.
func (d *DialedIn) enter(i int) {
	l := &d.leads[i]
	for _, key := range []string{"ClientId " + l.ClientID, "LeadId " + strconv.FormatInt(l.ID, 10), "Phone " + l.Phone} {
		d.index[key] = append(d.index[key], i)
	}
}
