package ipscape

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// created counts the leads of a customer key at the vendor.
func created(box *sandbox.Sandbox, key string) (ids []int64) {
	for _, l := range box.IPSCAPE().Leads() {
		if l.CustomerKey == key {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

func TestCreateLeadOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		faults  []sandbox.Fault
		unknown bool // the first attempt stays unsettled
		found   bool // the second attempt finds what the first did
	}{
		{"nothing goes wrong", nil, false, true},
		{"times out after taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultHang}}, false, true},
		{"cut after taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultCutAfter}}, false, true},
		{"500 after taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultStatus, Effect: true}}, false, true},
		{"answered with a login page after taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultLoginPage, Effect: true}}, false, true},
		{"cut before taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultCutBefore}}, true, false},
		{"502 before taking effect", []sandbox.Fault{{Op: sandbox.OpCreateLead, Kind: sandbox.FaultBadGateway}}, true, false},
		{"filters ignored", []sandbox.Fault{{Op: sandbox.OpListLeads, Kind: sandbox.FaultIgnoreFilters, Times: -1}, {Op: sandbox.OpCreateLead, Kind: sandbox.FaultCutAfter}}, false, true},
		{"empty pages between", []sandbox.Fault{{Op: sandbox.OpListLeads, Kind: sandbox.FaultEmptyPage, Times: 2}, {Op: sandbox.OpCreateLead, Kind: sandbox.FaultCutAfter}}, false, true},
		{"the look after it fails", []sandbox.Fault{
			{Op: sandbox.OpCreateLead, Kind: sandbox.FaultCutAfter}, {Op: sandbox.OpListLeads, Kind: sandbox.FaultErrorJSON, After: 1},
		}, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			box, client := writing(t, func(c *Config) { c.Timeout = 10 * time.Second })
			box.Faults().Add(tt.faults...)
			l := NewLead{ListID: 120, CustomerKey: " 00-" + tt.name, Phone1: "+61400111222"}
			key := strings.TrimSpace(l.CustomerKey)
			made, err := client.CreateLeadOnce(t.Context(), l)
			if errors.Is(err, ErrUnsettled) != tt.unknown || (err == nil) == tt.unknown {
				t.Fatalf("first: %+v, %v", made, err)
			}
			if tt.unknown && (vendorapi.KindOf(err) != vendorapi.Unknown || errors.Is(err, context.DeadlineExceeded)) {
				t.Errorf("first: %v", err)
			}
			again, err := client.CreateLeadOnce(t.Context(), l)
			if err != nil || again.Found != tt.found {
				t.Fatalf("second: %+v, %v", again, err)
			}
			if ids := created(box, key); len(ids) != 1 || again.LeadID != ids[0] || (!tt.unknown && made.LeadID != ids[0]) {
				t.Errorf("leads %v, first %+v, second %+v", ids, made, again)
			}
			if wrong := box.Violations(); len(wrong) > 0 {
				t.Errorf("the contract was broken: %v", wrong)
			}
		})
	}
}

func TestCreateLeadOnceDoesNotCreateBlindly(t *testing.T) {
	t.Parallel()
	box, client := writing(t)
	for _, l := range []NewLead{{ListID: 120}, {CustomerKey: "k"}, {ListID: 120, CustomerKey: " "}, {ListID: 120, CustomerKey: "N/A"}} {
		if _, err := client.CreateLeadOnce(t.Context(), l); err == nil {
			t.Errorf("%+v was created", l)
		}
	}
	// A list that cannot be read says nothing of what is in it.
	for _, fault := range []sandbox.Fault{
		{Op: sandbox.OpListLeads, Kind: sandbox.FaultErrorJSON},
		{Op: sandbox.OpListLeads, Kind: sandbox.FaultTruncated},
		{Op: sandbox.OpListLeads, Kind: sandbox.FaultEmptyPage, Times: -1},
	} {
		box.Faults().Add(fault)
		if _, err := client.CreateLeadOnce(t.Context(), NewLead{ListID: 120, CustomerKey: "k"}); err == nil {
			t.Errorf("%s: created", fault.Kind)
		}
		box.Faults().Clear()
	}
	if ids := created(box, "k"); ids != nil {
		t.Errorf("created %v", ids)
	}
	// The same key in another list is another lead; of two in one list the first is it.
	box.IPSCAPE().AddLeads(sandbox.Lead{ID: 5, ListID: 110, CustomerKey: "k"}, sandbox.Lead{ID: 9, ListID: 120, CustomerKey: "k"}, sandbox.Lead{ID: 7, ListID: 120, CustomerKey: "k"})
	made, err := client.CreateLeadOnce(t.Context(), NewLead{ListID: 120, CustomerKey: "k"})
	if err != nil || made.LeadID != 7 || !made.Found {
		t.Errorf("%+v, %v", made, err)
	}
}
