package sandbox

import (
	"sort"
	"time"
)

// AddHistory adds leads that came to be from a time on (inclusive) until another (exclusive), evenly, and calls about them within the
// same time: what a backfill is for. Their ids end where the seed's begin, so there is room for 10,000 of each. It may be called once.
func (v *IPSCAPE) AddHistory(from, to time.Time, leads, calls int) {
	seed, span := v.box.opt.Seed, to.Sub(from)
	r := newRNG(seed, "ipscape history")
	taken := map[string]bool{}
	for _, l := range v.Leads() {
		for _, phone := range l.Phones {
			taken[phone] = true
		}
	}
	lists := v.LeadLists()
	callers := &callSeed{
		v: v, r: r, users: v.Users(), start: v.box.now(), campaigns: map[int64]Campaign{}, attempt: firstAttempt - int64(2*calls), media: firstMedia - int64(2*calls),
	}
	for _, c := range v.Campaigns() {
		callers.campaigns[c.ID] = c
	}
	for i := range leads {
		p, list := newPerson(r, firstLead-leads+i, false, taken), pick(r, lists)
		callers.leads = append(callers.leads, Lead{
			ID: firstLead - int64(leads-i), CampaignID: list.CampaignID, CampaignName: list.CampaignName, ListID: list.ID, ListName: list.Name,
			Timezone: p.zone, Phones: []string{p.phone}, OutcomeType: "preview",
			Created: from.Add(span / time.Duration(leads) * time.Duration(i)).Truncate(time.Second),
			DataFields: map[string]any{
				"firstName": p.first, "lastName": p.last, "email": p.email, "businessName": p.business, "industry": p.industry,
				"city": p.city, "state": p.state, "postalCode": p.zip, "loanAmount": 1000 * r.between(5, 250),
			},
		})
	}
	times := make([]time.Time, calls)
	for i := range times {
		times[i] = from.Add(time.Duration(r.float() * float64(span))).Truncate(time.Second)
	}
	sort.Slice(times, func(i, j int) bool { return times[i].Before(times[j]) })
	for i, at := range times {
		callers.call(firstActivity-int64(calls-i), i, at)
	}
	callers.finish()
}
