package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// TestChangesAreTold changes a lead that was pushed to DialedIn and LendWorks: each is told what changed and no more, nothing is
// cleared, and what LendWorks says itself goes to DialedIn and not back to LendWorks.
func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, emptied(24), map[string]string{
		"TRUNKLINE_PUSH": "dialedin,lendworks", "LENDWORKS_SETTLE": "1s", "LENDWORKS_SCHEDULE_LEADS": "@every 1s", "IPSCAPE_SCHEDULE_LOOKBACK": "@every 1s",
	})
	d := r.serve(nil)
	r.box.PostTo(d.url())
	r.box.IPSCAPE().AddLeads(youngLeads(1, 2)...)
	confirmed := func(operation string, n int) {
		t.Helper()
		eventually(t, time.Minute, func() string {
			got := list[string](r, `select destination || ' ' || state || ' ' || coalesce(reason, '') from ops.deliveries where operation = $1`, operation)
			if len(got) != n || slices.ContainsFunc(got, func(s string) bool { return s != "dialedin confirmed " && s != "lendworks confirmed " }) {
				return fmt.Sprintf("%d of %s to be confirmed, they are %q", n, operation, got)
			}
			return ""
		})
	}
	confirmed("insert_lead", 4)
	// Both sides know the leads for the same before anything changes.
	eventually(t, time.Minute, func() string {
		if n := one[int](r, `select count(*) from pipeline.leads where external_ids ? 'lendworks' and external_ids ? 'ipscape'`); n != 2 {
			return fmt.Sprintf("2 leads to be known on both sides, %d are", n)
		}
		return ""
	})
	changed := youngLeads(1, 1)[0]
	changed.Modified = time.Now().UTC().Add(2 * time.Second).Truncate(time.Second)
	changed.DataFields["firstName"] = "Theodosius"
	delete(changed.DataFields, "businessName")
	time.Sleep(time.Until(changed.Modified))
	r.box.IPSCAPE().AddLeads(changed)
	confirmed("update_lead", 2)
	dialedin := func() sandbox.DialedInLead {
		i := slices.IndexFunc(r.box.DialedIn().Leads(), func(l sandbox.DialedInLead) bool { return "+1"+l.Phone == youngPhone(1) })
		return r.box.DialedIn().Leads()[i]
	}
	if l := dialedin(); l.Updates != 1 || l.Fields["FirstName"] != "Theodosius" || l.Fields["LastName"] != "Ostrovander00001" {
		t.Errorf("DialedIn: %d updates, fields %v", l.Updates, l.Fields)
	}
	i := slices.IndexFunc(r.box.LendWorks().Leads(), func(l sandbox.LendWorksLead) bool { return l.Attributes["phone"] == youngPhone(1) })
	theirs := r.box.LendWorks().Leads()[i]
	if theirs.Attributes["contactFirstName"] != "Theodosius" || theirs.Attributes["businessName"] != "Zephyrine Bakery 00001 LLC" {
		t.Errorf("LendWorks: %v", theirs.Attributes)
	}
	requests := list[string](r, `select a.request from ops.delivery_attempts a join ops.deliveries d on d.id = a.delivery_id
		where d.operation = 'update_lead' and d.destination = 'lendworks'`)
	if len(requests) != 1 || len(patched(requests[0])) != 1 {
		t.Errorf("LendWorks was sent %q", requests)
	}

	// Somebody over there knows better.
	r.box.LendWorks().ChangeLead(theirs.ID, map[string]any{"contactFirstName": "Theo"})
	eventually(t, time.Minute, func() string {
		if l := dialedin(); l.Fields["FirstName"] != "Theo" {
			return "DialedIn to be told what LendWorks said"
		}
		return ""
	})
	confirmed("update_lead", 3)
	// Two more looks at everything order nothing.
	seen := one[int](r, `select count(*) from ops.walks where source = 'lendworks' and state = 'done'`)
	eventually(t, time.Minute, func() string {
		if n := one[int](r, `select count(*) from ops.walks where source = 'lendworks' and state = 'done'`); n < seen+2 {
			return "LendWorks to be read again"
		}
		return ""
	})
	confirmed("update_lead", 3)
	patches := slices.DeleteFunc(r.box.Requests(), func(q sandbox.Request) bool {
		return q.Vendor != sandbox.VendorLendWorks || q.Op != sandbox.OpUpdateLendWorksLead
	})
	if len(patches) != 1 || dialedin().Updates != 2 {
		t.Errorf("%d changes at LendWorks, %d at DialedIn", len(patches), dialedin().Updates)
	}
	r.lawful()
}

// patched names the fields of a rendered request.
func patched(request string) (names []string) {
	for _, name := range []string{
		"businessName", "contactFirstName", "contactLastName", "email", "phone", "industry", "monthlyRevenue", "requestedAmount", "priority", "tags", "customFields", "source",
	} {
		if strings.Contains(request, " "+name+"=") {
			names = append(names, name)
		}
	}
	return names
}
