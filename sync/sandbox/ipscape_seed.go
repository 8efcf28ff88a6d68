package sandbox

import (
	"fmt"
	"time"
)

const (
	// headRoom keeps seeded rows out of the last moments, so that a reader that lets things settle sees all of them.
	headRoom = 2 * time.Minute
	// youngAge bounds the leads that are meant to be pushed on; oldAge is safely past a day.
	youngAge = 12 * time.Hour
	oldAge   = 26 * time.Hour
	// youngEvery and minYoung set the share of young leads.
	youngEvery = 12
	minYoung   = 6
	// officeEvery leads there are officeSize that share one phone, more than any sensible match would link.
	officeEvery = 60
	officeSize  = 5
)

type code struct {
	id     int
	name   string
	weight int
}

// The account's code tables. The three spaces differ on purpose: 3 is "Answered" in one and "Abandoned" in another.
var (
	activityStatuses = []code{{3, "Answered", 60}, {4, "No Answer", 25}, {5, "Busy", 8}, {6, "Abandoned", 7}}
	dialStatuses     = map[int]code{3: {1, "Answered", 0}, 4: {2, "No Answer", 0}, 5: {4, "Busy", 0}, 6: {7, "Abandoned", 0}}
	leadStatuses     = map[int]code{3: {1, "Contacted", 0}, 4: {2, "No Answer", 0}, 5: {4, "Busy", 0}, 6: {3, "Abandoned", 0}}
	wrapCodes        = []code{{4, "Callback", 25}, {7, "Interested", 20}, {8, "Not Interested", 30}, {11, "Application Sent", 10}, {12, "Wrong Number", 5}, {15, "Voicemail Left", 10}}
)

func weighted(r *rng, codes []code) code {
	total := 0
	for _, c := range codes {
		total += c.weight
	}
	at := r.intN(total)
	for _, c := range codes {
		if at -= c.weight; at < 0 {
			return c
		}
	}
	return codes[len(codes)-1]
}

// seed fills the account: campaigns, lists, users, leads, then the calls about them.
func (v *IPSCAPE) seed(start time.Time, people []person) {
	opt := v.box.opt
	v.seedFrame(start)
	v.seedLeads(start, people[:opt.Leads])
	v.seedActivities(start, opt)
}

func (v *IPSCAPE) seedFrame(start time.Time) {
	born := start.Add(-400 * 24 * time.Hour)
	v.AddCampaigns(
		Campaign{ID: 11, Title: "Term Loans - Fresh", Description: "New web leads", Type: "Outbound", Group: "Sales", Running: true, Timezone: accountZone, Created: born, Modified: start.Add(-30 * time.Hour)},
		Campaign{ID: 12, Title: "Renewals", Type: "Outbound", Group: "Sales", Running: true, TransferToAny: true, MerchantAlias: "renewals-pay", Timezone: accountZone, Created: born, Modified: start.Add(-90 * time.Hour)},
		Campaign{ID: 13, Title: "90 day folow up", Description: "Spelt as it came", Type: "Outbound", Group: "Retention", Timezone: accountZone, Created: born, Modified: born},
		Campaign{ID: 14, Title: "US Equipment Finance", Type: "Outbound", Group: "Sales", Running: true, Timezone: "America/Los_Angeles", Created: born, Modified: born},
		Campaign{ID: 21, Title: "Main Line", Type: "Inbound", Group: "Service", Running: true, Timezone: accountZone, Created: born, Modified: born},
		Campaign{ID: 22, Title: "Broker Hotline", Type: "Inbound", Running: true, Timezone: accountZone, Created: born, Modified: born},
	)
	for _, c := range v.Campaigns() {
		if c.Type != "Outbound" {
			continue
		}
		for n := range int64(2) {
			v.AddLeadLists(LeadList{
				ID: c.ID*10 + n, Name: fmt.Sprintf("%s %d", c.Title, n+1), CampaignID: c.ID, CampaignName: c.Title,
				InDialler: c.Running, Weight: 10 * int(n+1), Created: born.Add(time.Duration(n) * 24 * time.Hour),
			})
		}
	}
	r := newRNG(v.box.opt.Seed, "ipscape users")
	for i := range int64(14) {
		u := User{
			ID: 301 + i, Timezone: accountZone, FirstName: pick(r, firstNames), LastName: pick(r, lastNames), Type: "agent",
			LoggedIn: r.chance(0.5), Teams: "Sales,Service", AssignedCampaigns: "Renewals, Main Line", Status: "Available",
			TimeInStatus: "00:12:41", Active: i != 9,
		}
		if i >= 12 {
			u.Type, u.Teams, u.AssignedCampaigns, u.Status, u.TimeInStatus = "user", "", "", "", ""
		}
		u.Username = fmt.Sprintf("%s.%s%d", plain(u.FirstName), plain(u.LastName), u.ID)
		u.Email = u.Username + "@brokerage.example"
		v.AddUsers(u)
	}
}

// leadTimes spreads n creation times over the span, rising; the last ones are young.
func leadTimes(r *rng, start time.Time, span time.Duration, n int) []time.Time {
	young := min(max(n/youngEvery, minYoung), n/2+n%2)
	oldest, border := span, oldAge
	if span <= oldAge {
		border = span / 2
	}
	out := make([]time.Time, 0, n)
	spread := func(from, to time.Duration, count int) {
		for i := range count {
			step := (from - to) / time.Duration(max(count, 1))
			at := from - time.Duration(i)*step - time.Duration(r.float()*float64(step)*0.9)
			out = append(out, start.Add(-at).Truncate(time.Second))
		}
	}
	spread(oldest, border, n-young)
	spread(min(youngAge, border), headRoom, young)
	return out
}

func (v *IPSCAPE) seedLeads(start time.Time, people []person) {
	r := newRNG(v.box.opt.Seed, "ipscape leads")
	lists := v.LeadLists()
	users := v.Users()
	times := leadTimes(r, start, v.box.opt.Span, len(people))
	for i, p := range people {
		list := pick(r, lists)
		agent := users[r.intN(12)]
		l := Lead{
			ID: firstLead + int64(i), CampaignID: list.CampaignID, CampaignName: list.CampaignName, ListID: list.ID, ListName: list.Name,
			Timezone: p.zone, Phones: []string{p.phone}, OutcomeType: "preview", Created: times[i],
			DataFields: map[string]any{
				"firstName": p.first, "lastName": p.last, "email": p.email, "businessName": p.business, "industry": p.industry,
				"city": p.city, "state": p.state, "postalCode": p.zip, "loanAmount": 1000 * r.between(5, 250), "monthlyRevenue": fmt.Sprintf("%d.00", 100*r.between(40, 900)),
			},
		}
		if r.chance(0.4) {
			l.AgentID, l.AgentName = agent.ID, agent.FirstName+" "+agent.LastName
		}
		if i%3 == 0 {
			// A string even when all digits, with zeros in front.
			l.CustomerKey = fmt.Sprintf("%08d", 4200+i)
		}
		switch {
		case i%officeEvery > 0 && i%officeEvery < officeSize && i >= officeSize:
			l.Phones = []string{people[i-i%officeEvery].phone}
		case i%17 == 5:
			l.DataFields = nil
		case i%11 == 4:
			l.NextAttempt = start.Add(time.Duration(r.between(1, 48)) * time.Hour)
		}
		v.AddLeads(l)
	}
}
