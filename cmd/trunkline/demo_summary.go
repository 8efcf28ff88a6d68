package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// summary holds what the vendors have beside what we have.
type summary struct {
	lines      []compared
	deliveries []store.DeliveryCount
	violations []string
	leads      int
}

// compared is one line: two numbers that have to agree.
type compared struct {
	what         string
	vendor, ours int
}

func summarise(ctx context.Context, d *daemon, box *runningSandbox) (*summary, error) {
	truth := box.Truth()
	counts, err := d.db.Counts(ctx)
	if err != nil {
		return nil, err
	}
	s := &summary{violations: box.Violations(), leads: counts.Leads}
	if s.deliveries, err = d.db.DeliveryCounts(ctx, d.db.Pool); err != nil {
		return nil, err
	}
	told := box.Convoso().TruthOf(box.Convoso().Acked())
	calls := 0
	for _, a := range box.IPSCAPE().Activities() {
		if strings.HasPrefix(a.Type, "call.") {
			calls++
		}
	}
	s.lines = []compared{
		{"ipscape.activities", truth.IPSCAPE["activities"], counts.Activities},
		{"ipscape.leads", truth.IPSCAPE["leads"], counts.IPSCAPELeads},
		{"ipscape.lead_lists", truth.IPSCAPE["lead_lists"], counts.LeadLists},
		{"ipscape.campaigns", truth.IPSCAPE["campaigns"], counts.Campaigns},
		{"ipscape.users", truth.IPSCAPE["users"], counts.Users},
		{"ipscape.dial_attempts", truth.IPSCAPE["dial_attempts"], counts.DialAttempts},
		{"ipSCAPE campaigns / with statistics", truth.IPSCAPE["campaigns"], counts.CampaignStats},
		{"convoso posts acknowledged / kept", len(box.Convoso().Acked()), counts.PostsConvoso},
		{"convolo webhooks acknowledged / kept", truth.ConvoloWebhooks, counts.PostsConvolo},
		{"lendworks webhooks acknowledged / kept", truth.LendWorksWebhooks, counts.PostsLendWorks},
		{"posts acknowledged / read", len(box.Convoso().Acked()) + truth.ConvoloWebhooks + truth.LendWorksWebhooks, counts.Posts - counts.PostsOpen - counts.PostsBad},
		{"ipSCAPE leads / keys in the pipeline", truth.IPSCAPE["leads"], counts.KeysIPSCAPE},
		{"Convoso leads / keys in the pipeline", len(told.Leads), counts.KeysConvoso},
		{"ipSCAPE calls / calls", calls, counts.CallsIPSCAPE},
		{"Convoso calls / calls", len(told.Calls), counts.CallsConvoso},
		{"phones that opted out / do-not-call", len(told.OptedOut), counts.DNC},
		{"DialedIn leads / inserts confirmed", truth.DialedInLeads, s.count("dialedin", store.OpInsertLead, "confirmed")},
		{"DialedIn do-not-call / entries confirmed", truth.DialedInDNC, s.count("dialedin", pipeline.OperationAddDNC, "confirmed")},
		{"Convolo calls / calls confirmed", truth.ConvoloCalls, s.count("convolo", store.OpStartCall, "confirmed")},
		{"Convolo calls / calls of their leads", truth.ConvoloCalls, counts.CallsConvolo},
		{"LendWorks leads of ours / inserts confirmed", truth.LendWorksOwn, s.count("lendworks", store.OpInsertLead, "confirmed")},
		{"LendWorks leads / keys in the pipeline", truth.LendWorksLeads, counts.KeysLendWorks},
		{"leads sent twice", truth.DialedInTwice + truth.ConvoloTwice + truth.LendWorksTwice, 0},
		{"requests that a contract forbids", len(s.violations), 0},
		{"items in quarantine", 0, counts.Quarantined},
	}
	return s, nil
}

func (s *summary) count(destination, operation, state string) int {
	n := 0
	for _, d := range s.deliveries {
		if d.Destination == destination && d.Operation == operation && d.State == state {
			n += d.Count
		}
	}
	return n
}

func (s *summary) print(w io.Writer) error {
	var rows [][]string
	for _, l := range s.lines {
		mark := "ok"
		if l.vendor != l.ours {
			mark = "DIFFERS"
		}
		rows = append(rows, []string{l.what, fmt.Sprint(l.vendor), fmt.Sprint(l.ours), mark})
	}
	if err := table(w, []string{"WHAT", "VENDOR", "TRUNKLINE", ""}, rows); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nleads in the pipeline: %d\n\n", s.leads)
	rows = nil
	for _, d := range s.deliveries {
		rows = append(rows, []string{d.Destination, d.Operation, d.State, orDash(d.Reason), fmt.Sprint(d.Count)})
	}
	if err := table(w, []string{"DESTINATION", "OPERATION", "STATE", "REASON", "DELIVERIES"}, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// problems lists what does not agree.
func (s *summary) problems() []string {
	var out []string
	for _, l := range s.lines {
		if l.vendor != l.ours {
			out = append(out, fmt.Sprintf("%s: %d and %d", l.what, l.vendor, l.ours))
		}
	}
	return append(out, s.violations...)
}
