package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// vendorRows are the vendor's objects of each stream, by id and a word or two of what they hold.
func (r *rig) vendorRows() map[string][]string {
	out := map[string][]string{}
	v := r.box.IPSCAPE()
	for _, a := range v.Activities() {
		out["activities"] = append(out["activities"], fmt.Sprintf("%d %s %d %d", a.ID, a.Type, a.LeadID, a.WrapCode))
	}
	for _, l := range v.Leads() {
		out["leads"] = append(out["leads"], fmt.Sprintf("%d %s %d", l.ID, l.CustomerKey, l.TotalAttempts))
	}
	for _, l := range v.LeadLists() {
		out["lead_lists"] = append(out["lead_lists"], fmt.Sprintf("%d %s %d", l.ID, l.Name, l.Weight))
	}
	for _, c := range v.Campaigns() {
		out["campaigns"] = append(out["campaigns"], fmt.Sprintf("%d %s %t", c.ID, c.Title, c.Running))
	}
	for _, u := range v.Users() {
		out["users"] = append(out["users"], fmt.Sprintf("%d %s %t", u.ID, u.Email, u.LoggedIn))
	}
	for _, d := range v.DialAttempts() {
		out["dial_attempts"] = append(out["dial_attempts"], fmt.Sprintf("%d %d %d", d.ID, d.LeadID, d.DialStatusID))
	}
	for _, rows := range out {
		slices.Sort(rows)
	}
	return out
}

// ourRows are the same of the tables, without what is missing at the vendor.
func (r *rig) ourRows() map[string][]string {
	out := map[string][]string{}
	for stream, sql := range map[string]string{
		"activities":    `select concat_ws(' ', activity_id, type, coalesce(lead_id, 0), coalesce(wrap_code, '0')) from ipscape.activities where missing_since is null`,
		"leads":         `select concat_ws(' ', lead_id, coalesce(customer_key, ''), total_attempts) from ipscape.leads where missing_since is null`,
		"lead_lists":    `select concat_ws(' ', list_id, name, weight) from ipscape.lead_lists where missing_since is null`,
		"campaigns":     `select concat_ws(' ', campaign_id, title, is_running::text) from ipscape.campaigns where missing_since is null`,
		"users":         `select concat_ws(' ', user_id, email, is_logged_in::text) from ipscape.users where missing_since is null`,
		"dial_attempts": `select concat_ws(' ', attempt_id, lead_id, dial_status_id) from ipscape.dial_attempts`,
	} {
		out[stream] = list[string](r, sql)
		slices.Sort(out[stream])
	}
	return out
}

// equalsVendor waits until the tables hold what the vendor does.
func (r *rig) equalsVendor() {
	r.Helper()
	eventually(r, time.Minute, func() string { return cmp.Diff(r.vendorRows(), r.ourRows()) })
}

// TestEveryStreamOfIPSCAPE has a daemon read all six lists: the tables come to hold what the vendor does, with what vanished
// there marked, and nothing marked that a broken read, or a vendor that lost a list, did not show.
func TestEveryStreamOfIPSCAPE(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 61, Activities: 80, Leads: 60, Posts: -1, PageSize: 9}, map[string]string{
		"TRUNKLINE_PUSH": "", "IPSCAPE_SCHEDULE_DIAL_ATTEMPTS": "@every 1s", "IPSCAPE_SCHEDULE_LEAD_LISTS": "@every 1s",
		"IPSCAPE_SCHEDULE_CAMPAIGNS": "@every 1s", "IPSCAPE_SCHEDULE_USERS": "@every 1s", "IPSCAPE_SCHEDULE_SWEEP": "@every 1s",
	})
	r.serve(nil)
	r.equalsVendor()
	missing := func(what string) []int64 {
		return list[int64](r, fmt.Sprintf(`select %[1]s_id from ipscape.%[1]ss where missing_since is not null order by 1`, what))
	}
	vendor := r.box.IPSCAPE()
	waitFor := func(what string, cond func() bool) {
		t.Helper()
		eventually(t, time.Minute, func() string {
			if cond() {
				return ""
			}
			return what
		})
	}

	// Vanished, and back.
	gone := vendor.Leads()[17]
	vendor.DeleteLead(gone.ID)
	vendor.DeleteUser(305)
	waitFor("a lead and a user to be missing", func() bool { return len(missing("lead")) == 1 && len(missing("user")) == 1 })
	r.equalsVendor()
	if n := one[int](r, `select count(*) from ops.records where stream = 'leads'`); n != 60 {
		t.Errorf("%d records of 60 leads are left", n)
	}
	vendor.AddLeads(gone)
	waitFor("the lead to be back", func() bool { return len(missing("lead")) == 0 })
	r.equalsVendor()

	// A read that breaks off tells nothing of what it did not reach.
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: sandbox.OpListLeads, Kind: sandbox.FaultErrorJSON, After: 3, Times: -1})
	// It is on the fourth page of seven: out of reach of a sweep that begins now, and a sweep that is under way and has it before it has
	// too many pages left to come to its end.
	other := vendor.Leads()[31]
	vendor.DeleteLead(other.ID)
	waitFor("sweeps to break off", func() bool {
		return one[int](r, `select count(*) from ops.walks where stream = 'leads' and kind = 'sweep' and state = 'failed'`) >= 2
	})
	if got := missing("lead"); len(got) > 0 {
		t.Errorf("leads %v are marked after broken sweeps", got)
	}
	r.box.Faults().Clear()
	waitFor("the lead to be missing", func() bool { return len(missing("lead")) == 1 })

	// Too many at once are not believed; an operator is told.
	lists := vendor.LeadLists()
	for _, l := range lists[:3] {
		vendor.DeleteLeadList(l.ID)
	}
	waitFor("a warning", func() bool {
		return one[int](r, `select count(*) from ops.streams where stream = 'lead_lists' and warning like '%lacks 3 of 8%' and last_error is null`) == 1
	})
	if n := one[int](r, `select count(*) from ipscape.lead_lists where missing_since is not null`); n != 0 {
		t.Errorf("%d lists are marked of a vendor that lost three of eight", n)
	}
	if got := r.command("status"); got.code != exitDone || !strings.Contains(got.stdout, "not well") || !strings.Contains(got.stdout, "lead_lists: the whole read lacks 3 of 8 objects") ||
		!strings.Contains(got.stdout, "sweep of ipscape.leads") {
		t.Errorf("status: %s", got)
	}
	vendor.AddLeadLists(lists[:3]...)
	waitFor("the warning to go", func() bool { return one[int](r, `select count(*) from ops.streams where warning is not null`) == 0 })

	// Statistics of each campaign by its type; one that cannot be had stops no other.
	eventually(t, time.Minute, func() string {
		return cmp.Diff([]string{"11 outbound ", "12 outbound ", "13 outbound ", "14 outbound ", "21 inbound day", "21 inbound hour", "22 inbound day", "22 inbound hour"},
			list[string](r, `select distinct campaign_id || ' ' || kind || ' ' || period from ipscape.campaign_stats order by 1`))
	})
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: sandbox.OpOutboundInfo, Kind: sandbox.FaultStatus, Status: 404, Times: -1})
	told := time.Now()
	waitFor("statistics of inbound campaigns", func() bool {
		return one[int](r, `select count(distinct campaign_id) from ipscape.campaign_stats where kind = 'inbound' and observed_at > $1 and payload ? 'agents'`, told) == 2
	})
	r.equalsVendor()
	r.lawful()
}
