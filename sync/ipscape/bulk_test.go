package ipscape

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestBulk(t *testing.T) {
	t.Parallel()
	box, client := writing(t, func(c *Config) { c.BulkSize = 4 })
	v := box.IPSCAPE()
	leads := make([]NewLead, 10)
	for i := range leads {
		leads[i] = NewLead{ListID: 120 + int64(i%2), CustomerKey: fmt.Sprintf("k%03d", i), Phone1: "+61400111222"}
	}
	v.HoldBulkJobs(true)
	bulk, err := client.BulkCreateLeads(t.Context(), leads)
	if err != nil || len(bulk.Parts) != 3 || bulk.Unsent != 0 || bulk.Parts[0].UUID == bulk.Parts[1].UUID || bulk.Parts[2].Status != "queued" {
		t.Fatalf("%+v, %v", bulk, err)
	}
	report, err := client.VerifyBulk(t.Context(), bulk)
	if err != nil || len(report.Missing[120]) != 5 || len(report.Missing[121]) != 5 {
		t.Errorf("before the job: %+v, %v", report, err)
	}
	v.HoldBulkJobs(false)
	v.AddLeads(sandbox.Lead{ListID: 121, CustomerKey: "k003"})
	v.DeleteLead(created(box, "k004")[0])
	report, err = client.VerifyBulk(t.Context(), bulk)
	if err != nil || !cmp.Equal(report.Missing[120], []string{"k004"}) || report.Missing[121] != nil || !cmp.Equal(report.Twice[121], []string{"k003"}) ||
		report.LeadIDs[120]["k000"] != created(box, "k000")[0] || len(report.LeadIDs[120]) != 4 {
		t.Errorf("after the job: %+v, %v", report, err)
	}
	one, err := client.VerifyKeys(t.Context(), 120, []string{"k000", "k004"}, time.Time{})
	if err != nil || !cmp.Equal(one.Missing[120], []string{"k004"}) {
		t.Errorf("%+v, %v", one, err)
	}
	if wrong := box.Violations(); len(wrong) > 0 {
		t.Errorf("the contract was broken: %v", wrong)
	}
}

// A part whose outcome is unknown ends the bulk and is remembered; one that was refused is not counted as sent.
func TestBulkStops(t *testing.T) {
	t.Parallel()
	leads := make([]NewLead, 6)
	for i := range leads {
		leads[i] = NewLead{ListID: 120, CustomerKey: "k" + strconv.Itoa(i)}
	}
	for _, tt := range []struct {
		fault   sandbox.Fault
		kind    vendorapi.Kind
		parts   int
		unsent  int
		created int
	}{
		{sandbox.Fault{Op: sandbox.OpBulkCreateLeads, Kind: sandbox.FaultCutAfter, After: 1}, vendorapi.Unknown, 2, 2, 4},
		{sandbox.Fault{Op: sandbox.OpBulkCreateLeads, Kind: sandbox.FaultCutBefore, After: 1}, vendorapi.Unknown, 2, 2, 2},
		{sandbox.Fault{Op: sandbox.OpBulkCreateLeads, Kind: sandbox.FaultStatus, Status: 422, After: 1}, vendorapi.Refused, 1, 4, 2},
	} {
		box, client := writing(t, func(c *Config) { c.BulkSize = 2 })
		box.Faults().Add(tt.fault)
		bulk, err := client.BulkCreateLeads(t.Context(), leads)
		if vendorapi.KindOf(err) != tt.kind || len(bulk.Parts) != tt.parts || bulk.Unsent != tt.unsent || bulk.Parts[tt.parts-1].Unknown != (tt.kind == vendorapi.Unknown) {
			t.Errorf("%+v: %+v, %v", tt.fault, bulk, err)
		}
		report, err := client.VerifyBulk(t.Context(), bulk)
		if err != nil || len(report.LeadIDs[120]) != tt.created || len(report.Missing[120]) != 2*tt.parts-tt.created {
			t.Errorf("%+v: %+v, %v", tt.fault, report, err)
		}
		raw, err := client.Call(t.Context(), OpBulkCreateLeads, map[string]string{"leads": `[{"listId":120,"customerKey":"x"}]`})
		if err != nil || !strings.Contains(string(raw), `"unsent":0`) {
			t.Errorf("%s, %v", raw, err)
		}
	}
}

// A lead is found in a list of many pages, which need not be one that a bulk create filled.
func TestVerifyReadsLargeLists(t *testing.T) {
	t.Parallel()
	box, client := writing(t)
	for i := range 26 * 60 {
		box.IPSCAPE().AddLeads(sandbox.Lead{ListID: 121, CustomerKey: "many" + strconv.Itoa(i)})
	}
	report, err := client.VerifyKeys(t.Context(), 121, []string{"many0", "many1559", "none"}, time.Time{})
	if err != nil || len(report.LeadIDs[121]) != 2 || !cmp.Equal(report.Missing[121], []string{"none"}) {
		t.Errorf("%+v, %v", report, err)
	}
}

// bulkLog knows some rows, and notes what it is told.
type bulkLog struct {
	known  []int
	told   []string
	noting func(ctx context.Context)
}

func (l *bulkLog) Known(context.Context, []LeadRef) ([]int, error) { return l.known, nil }

func (l *bulkLog) Sending(_ context.Context, part *BulkPart) error {
	part.ID = fmt.Sprint("p", len(l.told))
	return nil
}

func (l *bulkLog) Settled(ctx context.Context, part *BulkPart, outcome error) error {
	l.told = append(l.told, fmt.Sprintf("%s %d-%d %v %v", part.ID, part.From, part.To, part.Rows(), outcome == nil))
	l.noting(ctx)
	return nil
}

// Leads that were sent before are left out, and what comes of a part is written down even when a stop comes meanwhile, but not for ever.
func TestBulkLeavesOut(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	log := &bulkLog{known: []int{0, 3}, noting: func(noting context.Context) {
		stop()
		if _, bounded := noting.Deadline(); !bounded || noting.Err() != nil {
			t.Errorf("written down with a bound: %t, %v", bounded, noting.Err())
		}
	}}
	box, client := writing(t, func(c *Config) { c.BulkSize, c.BulkLog = 2, log })
	leads := make([]NewLead, 6)
	for i := range leads {
		leads[i] = NewLead{ListID: 120, CustomerKey: "k" + strconv.Itoa(i)}
	}
	bulk, err := client.BulkCreateLeads(ctx, leads)
	if err == nil || bulk.Skipped != 2 || bulk.Unsent != 2 || len(bulk.Parts) != 1 || bulk.Parts[0].ID != "p0" {
		t.Errorf("%+v, %v", bulk, err)
	}
	if want := []string{"p0 1-3 [1 2] true", "p1 4-6 [4 5] false"}; !cmp.Equal(log.told, want) {
		t.Errorf("told %q, want %q", log.told, want)
	}
	for key, want := range map[string]int{"k0": 0, "k1": 1, "k2": 1, "k3": 0, "k4": 0} {
		if n := len(created(box, key)); n != want {
			t.Errorf("%d leads of %s, want %d", n, key, want)
		}
	}
}

// suspending is a budget that lets everything go. While somebody waits for it the host sleeps.
type suspending struct{ sleep func() }

func (s suspending) Wait(context.Context, vendorapi.Lane) error { s.sleep(); return nil }
func (suspending) Recheck(context.Context) error                { return nil }
func (suspending) Limited(context.Context, time.Duration)       {}
func (suspending) Denied(context.Context)                       {}
func (suspending) Accepted(context.Context, time.Time)          {}

// TestBulkDoesNotLeaveLate: timers stand still while a host sleeps, and its leads may have been freed elsewhere since.
func TestBulkDoesNotLeaveLate(t *testing.T) {
	t.Parallel()
	for slept, want := range map[time.Duration]int{time.Minute: 1, 2 * time.Hour: 0} {
		log := &bulkLog{noting: func(context.Context) {}}
		box, client := writing(t, func(c *Config) { c.BulkLog = log })
		now := client.api.Now()
		client.api.Now = func() time.Time { return now }
		client.api.Gate = suspending{func() { now = now.Add(slept) }}
		bulk, err := client.BulkCreateLeads(t.Context(), []NewLead{{ListID: 120, CustomerKey: "late"}})
		if (err == nil) != (want == 1) || bulk.Unsent != 1-want || len(bulk.Parts) != want || len(created(box, "late")) != want {
			t.Errorf("slept %s: %+v, %v, %d leads created", slept, bulk, err, len(created(box, "late")))
		}
		if told := fmt.Sprintf("p0 0-1 [0] %t", want == 1); !cmp.Equal(log.told, []string{told}) {
			t.Errorf("slept %s: told %q, want %q", slept, log.told, told)
		}
	}
}
