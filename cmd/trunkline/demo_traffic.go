package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// freshLeads is how many leads come into being while the demo watches: only leads younger than their route are pushed.
const freshLeads = 12

// typedLeads is how many are made in LendWorks meanwhile.
const typedLeads = 3

// What lies further back than the demo reads by itself, for a backfill to find, and how many requests a second ipSCAPE takes, so that
// somebody can watch it: three months of two streams, read by the day, take six seconds.
const (
	historySpan  = 120 * 24 * time.Hour
	historyLeads = 600
	historyCalls = 2400
	demoRate     = 30
)

// addHistory gives the simulated ipSCAPE months that end before the first sync began to read. What was compared before knows nothing of
// them.
func addHistory(d *daemon, box *runningSandbox) {
	now := d.now().UTC()
	box.IPSCAPE().AddHistory(now.Add(-historySpan), now.Add(-d.cfg.IPSCAPE.Start.Duration-24*time.Hour), historyLeads, historyCalls)
}

// makeTraffic lets the simulated vendors live for a moment: posts come, and leads are uploaded.
func makeTraffic(ctx context.Context, d *daemon, box *runningSandbox) error {
	now := time.Now().UTC()
	var leads []sandbox.Lead
	for i := range freshLeads {
		leads = append(leads, sandbox.Lead{
			CampaignID: 12, CampaignName: "Working Capital", ListID: 7, ListName: "Web leads",
			Timezone: "America/New_York", CustomerKey: fmt.Sprintf("web-%04d", i+1), Phones: []string{fmt.Sprintf("+1212736%04d", 4000+i)},
			DataFields: map[string]any{
				"firstName": "Fresh", "lastName": fmt.Sprintf("Lead %02d", i+1), "businessName": fmt.Sprintf("Corner Shop %02d LLC", i+1),
				"loanAmount": 20000 + 2500*i,
			},
			Created: now,
		})
	}
	// One of them asks not to be called before anybody could: nothing may ring that phone.
	optedOut := sandbox.NewPost(sandbox.EventDNC, map[string]any{
		"lead_id": "990001", "phone_number": "2127364000", "phone_code": "1", "status": "DNC", "call_log_id": "990000001",
		"call_date": fmt.Sprint(now.Unix()),
	})
	client := &http.Client{Timeout: 10 * time.Second}
	base := "http://" + d.addr
	if err := box.Convoso().PostOne(ctx, client, base, optedOut); err != nil {
		return err
	}
	box.IPSCAPE().AddLeads(leads...)
	// Somebody types leads into LendWorks: they go to the diallers, and not back.
	for i := range typedLeads {
		box.LendWorks().AddLead(map[string]any{
			"businessName": fmt.Sprintf("Harbour Cafe %02d LLC", i+1), "contactFirstName": "Typed", "contactLastName": fmt.Sprintf("Lead %02d", i+1),
			"phone": fmt.Sprintf("+1212737%04d", 5000+i), "email": fmt.Sprintf("typed%02d@harbourcafe.example", i+1), "source": "web_form", "requestedAmount": "45000",
		})
	}
	// One of them lives where DialedIn does not call: it refuses that lead, and the others take it.
	box.LendWorks().AddLead(map[string]any{
		"businessName": "Thames Cafe Ltd", "contactFirstName": "Typed", "contactLastName": "Abroad", "phone": "+442079460958", "email": "abroad@thamescafe.example",
		"source": "web_form", "requestedAmount": "45000",
	})
	return box.Convoso().PostParallel(ctx, client, base, 4)
}
