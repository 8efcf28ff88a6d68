package sandbox

import (
	"net/url"
	"sync"
	"time"
)

// First ids of the seeded objects; what a test adds without an id goes on from the highest.
const (
	firstLead     = 700_001
	firstActivity = 9_000_001
	firstAttempt  = 5_000_001
	firstMedia    = 61_001
)

// accountZone is the zone in which the simulated account writes its times.
const accountZone = "Australia/Sydney"

// IPSCAPE is one simulated ipSCAPE account.
type IPSCAPE struct {
	box  *Sandbox
	zone *time.Location

	mu         sync.Mutex
	activities table[Activity]
	leads      table[Lead]
	attempts   table[DialAttempt]
	lists      table[LeadList]
	users      table[User]
	campaigns  table[Campaign]
	media      map[int64]int64 // media id to activity id
	bound      map[string]url.Values
	nonce      int
	pageSize   int
	perPage    int
	mounts     MountStyle
	jobs       []BulkJob
	holdJobs   bool
	presence   map[int64]bool // by agent, as set by clients
	recording  map[int64]bool
	audioType  string // of what "get media" answers in place of metadata
	audio      []byte
}

// MountStyle says whether nextUri begins with /platform-api, which the vendor's own samples disagree on.
type MountStyle int

// The styles of nextUri.
const (
	// MountMixed alternates from page to page.
	MountMixed MountStyle = iota
	// MountPlain sends /v3.0/...
	MountPlain
	// MountPrefixed sends /platform-api/v3.0/...
	MountPrefixed
)

func newIPSCAPE(box *Sandbox, start time.Time, people []person) *IPSCAPE {
	zone, err := time.LoadLocation(accountZone)
	if err != nil {
		zone = time.UTC // cannot happen: the zone database is linked in
	}
	v := &IPSCAPE{
		box: box, zone: zone, pageSize: box.opt.PageSize, perPage: 50,
		media: map[int64]int64{}, bound: map[string]url.Values{}, presence: map[int64]bool{}, recording: map[int64]bool{},
		activities: table[Activity]{id: func(a *Activity) int64 { return a.ID }},
		leads:      table[Lead]{id: func(l *Lead) int64 { return l.ID }},
		attempts:   table[DialAttempt]{id: func(d *DialAttempt) int64 { return d.ID }},
		lists:      table[LeadList]{id: func(l *LeadList) int64 { return l.ID }},
		users:      table[User]{id: func(u *User) int64 { return u.ID }},
		campaigns:  table[Campaign]{id: func(c *Campaign) int64 { return c.ID }},
	}
	v.seed(start, people)
	return v
}

// AddActivities adds activities or replaces those with the same id. Missing ids are given out.
func (v *IPSCAPE) AddActivities(activities ...Activity) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, a := range activities {
		v.putActivity(a.clone())
	}
}

func (v *IPSCAPE) putActivity(a Activity) {
	if a.ID == 0 {
		a.ID = max(v.activities.last()+1, firstActivity)
	}
	if a.Type == "" {
		a.Type = TypeOutbound
	}
	if a.RootID == 0 {
		a.RootID = a.ID
	}
	if a.Created.IsZero() {
		a.Created = v.box.now().Truncate(time.Second)
	}
	v.activities.put(a)
	v.indexMedia(&a)
}

func (v *IPSCAPE) indexMedia(a *Activity) {
	if a.Recording != nil {
		v.media[a.Recording.MediaID] = a.ID
	}
	for _, m := range a.Voicemails {
		v.media[m.MediaID] = a.ID
	}
}

// AddLeads adds leads or replaces those with the same id. Missing ids are given out.
func (v *IPSCAPE) AddLeads(leads ...Lead) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range leads {
		v.putLead(l.clone())
	}
}

func (v *IPSCAPE) putLead(l Lead) {
	if l.ID == 0 {
		l.ID = max(v.leads.last()+1, firstLead)
	}
	if l.Created.IsZero() {
		l.Created = v.box.now().Truncate(time.Second)
	}
	if l.Modified.IsZero() {
		l.Modified = l.Created
	}
	v.leads.put(l)
}

// AddDialAttempts adds attempts or replaces those with the same id. Missing ids are given out.
func (v *IPSCAPE) AddDialAttempts(attempts ...DialAttempt) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, d := range attempts {
		v.putAttempt(d.clone())
	}
}

func (v *IPSCAPE) putAttempt(d DialAttempt) {
	if d.ID == 0 {
		d.ID = max(v.attempts.last()+1, firstAttempt)
	}
	if d.Type == "" {
		d.Type = TypeOutbound
	}
	if d.Dialled.IsZero() {
		d.Dialled = v.box.now().Truncate(time.Second)
	}
	v.attempts.put(d)
}

// AddLeadLists adds lead lists or replaces those with the same id.
func (v *IPSCAPE) AddLeadLists(lists ...LeadList) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range lists {
		if l.Created.IsZero() {
			l.Created = v.box.now().Truncate(time.Second)
		}
		v.lists.put(l.clone())
	}
}

// AddUsers adds users or replaces those with the same id.
func (v *IPSCAPE) AddUsers(users ...User) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, u := range users {
		v.users.put(u.clone())
	}
}

// AddCampaigns adds campaigns or replaces those with the same id.
func (v *IPSCAPE) AddCampaigns(campaigns ...Campaign) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range campaigns {
		v.campaigns.put(c.clone())
	}
}

// SetPageSize changes the number of rows of a page, for all cursor lists.
func (v *IPSCAPE) SetPageSize(rows int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pageSize = max(rows, 1)
}

// SetCampaignsPerPage changes the capacity of a campaigns page (default 50); equal to the number of campaigns it makes
// the last page a full one.
func (v *IPSCAPE) SetCampaignsPerPage(rows int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.perPage = max(rows, 1)
}

// SetMounts changes how nextUri begins.
func (v *IPSCAPE) SetMounts(style MountStyle) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.mounts = style
}

// ExpireCursors makes every cursor handed out so far unknown: the next request with one is answered 400.
func (v *IPSCAPE) ExpireCursors() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.bound)
}
