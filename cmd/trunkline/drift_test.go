package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// TestDriftShows has a daemon find by itself what changed at the vendor unseen, tells it where people look, and has the command that
// it names mend it.
func TestDriftShows(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 21, Activities: 15, Leads: 10, Posts: -1}, map[string]string{
		"TRUNKLINE_PUSH": "", "IPSCAPE_RATE": "0", "IPSCAPE_SCHEDULE_DRIFT": "@every 1s",
	})
	d := r.serve(nil)
	r.settled(2 * time.Minute)
	lead := r.box.IPSCAPE().Leads()[0].ID
	r.box.IPSCAPE().UpdateLead(lead, func(l *sandbox.Lead) { l.TotalAttempts += 7 })
	eventually(t, 2*time.Minute, func() string {
		if one[int](r, `select count(*) from analytics.drift where stream = 'leads' and compared = 10 and stale = 1 and drift_pct = 10`) > 0 {
			return ""
		}
		return "the daemon to see that a lead is stale"
	})
	resp, err := poster.Get(d.url() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	var metrics strings.Builder
	if err := resp.Write(&metrics); err != nil {
		t.Fatal(err)
	}
	for _, series := range []string{`trunkline_drift_objects{kind="stale",source="ipscape",stream="leads"} 1`, `trunkline_drift_compared{source="ipscape",stream="leads"} 10`} {
		if !strings.Contains(metrics.String(), series) {
			t.Errorf("no %s", series)
		}
	}
	if page, err := poster.Get(d.url() + "/"); err != nil {
		t.Error(err)
	} else {
		var html strings.Builder
		_ = page.Write(&html)
		if !strings.Contains(html.String(), "ipscape.leads") || !strings.Contains(html.String(), `id="h-drift"`) {
			t.Error("the status page does not show drift")
		}
	}
	look := func() (rows []driftRow) {
		got := r.command("drift", "ipscape", "leads", "--json")
		if err := json.Unmarshal([]byte(got.stdout), &rows); err != nil || got.code != exitDone || len(rows) != 1 {
			t.Fatalf("%v: %s", err, got)
		}
		return rows
	}
	rows := look()
	want := fmt.Sprintf("trunkline drift repair ipscape leads %d", lead)
	if rows[0].Stale != 1 || len(rows[0].Findings) != 1 || rows[0].Findings[0].Repair != want {
		t.Fatalf("found %+v, want %s", rows, want)
	}
	if got := r.command("drift", "ipscape"); got.code != exitDone || !strings.Contains(got.stdout, want) || !strings.Contains(got.stdout, "ipscape.activities") {
		t.Errorf("%s", got)
	}
	if got := r.command(strings.Fields(want)[1:]...); got.code != exitDone {
		t.Errorf("%s", got)
	}
	if rows := look(); rows[0].Stale != 0 {
		t.Errorf("still stale: %+v", rows)
	}
	for _, args := range [][]string{{"drift"}, {"drift", "convoso"}, {"drift", "ipscape", "users"}, {"drift", "repair", "ipscape", "leads", "x"}, {"drift", "ipscape", "--sample", "-1"}} {
		if got := r.command(args...); got.code != exitUsage {
			t.Errorf("%q: want exit %d: %s", args, exitUsage, got)
		}
	}
	r.lawful()
}
