package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/sync/sandbox"
)

// checkUnmapped has Convoso tell a code that no rule maps: status, list and metrics say so until a rule does.
func (r *rig) checkUnmapped(d *child) {
	r.Helper()
	const code = "WRNGPTY"
	r.post(d, sandbox.NewPost(sandbox.EventDisposition, map[string]any{
		"lead_id": "950001", "status": strings.ToLower(code), "call_log_id": "950000001", "call_date": fmt.Sprint(time.Now().Unix()),
	}))
	r.settled(3 * time.Minute)
	unmapped := func() (listed, shown bool) {
		listed = slices.ContainsFunc(answer[[]dispositionRow](r, exitDone, "dispositions", "list", "--unmapped"),
			func(d dispositionRow) bool {
				return d.Source == "convoso" && d.Code == code && d.Calls == 1 && d.Origin == "unmapped"
			})
		type told struct {
			Unmapped []status.Unmapped `json:"unmapped_dispositions"`
		}
		s := answer[told](r, exitDone, "status")
		shown = slices.ContainsFunc(s.Unmapped, func(u status.Unmapped) bool { return u.Source == "convoso" && u.Code == code && u.Calls == 1 })
		return listed, shown
	}
	if listed, shown := unmapped(); !listed || !shown {
		r.Errorf("a code that no rule maps: listed %t, in status %t", listed, shown)
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, d.url()+"/metrics", nil)
	if err != nil {
		r.Fatal(err)
	}
	resp, err := poster.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(text), `trunkline_dispositions_unmapped{source="convoso"} `) || strings.Contains(strings.ToUpper(string(text)), code) {
		r.Errorf("the metrics do not count codes without a rule, or name them: %v", err)
	}
	if e := r.command("dispositions", "set", "convoso", code, "--outcome", "wrong_party"); e.code != exitDone {
		r.Error(e)
	}
	if listed, shown := unmapped(); listed || shown {
		r.Errorf("a code that a rule maps: listed %t, in status %t", listed, shown)
	}
}

// TestRulesAndExplanation sets rules by command beside a running daemon, which folds by them at once, and asks why a lead is
// what it is.
func TestRulesAndExplanation(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 62, Activities: 40, Leads: 20, Posts: 60}, nil)
	d := r.serve(nil)
	r.post(d)
	r.settled(2 * time.Minute)
	var rows []dispositionRow
	code := one[string](r, `select upper(disposition_raw) from pipeline.calls where source = 'convoso' and disposition_raw is not null group by 1 order by count(*) desc limit 1`)
	find := func() dispositionRow {
		rows = answer[[]dispositionRow](r, exitDone, "dispositions", "list")
		i := slices.IndexFunc(rows, func(d dispositionRow) bool { return d.Source == "convoso" && d.Code == code })
		if i < 0 {
			t.Fatalf("code %s is not listed", code)
		}
		return rows[i]
	}
	if row := find(); row.Calls == 0 || row.Origin == "operator" {
		t.Errorf("before: %+v", row)
	}
	if e := r.command("dispositions", "set", "convoso", code, "--outcome", "rang_once", "--stage", "qualified"); e.code != exitDone {
		t.Fatal(e)
	}
	eventually(t, time.Minute, func() string {
		if n := one[int](r, `select count(*) from pipeline.calls where upper(disposition_raw) = $1 and source = 'convoso' and disposition <> 'rang_once'`, code); n > 0 {
			return "calls to be folded by the new rule"
		}
		return ""
	})
	if row := find(); row.Outcome != "rang_once" || row.Origin != "operator" {
		t.Errorf("after: %+v", row)
	}
	if e := r.command("dispositions", "set", "convoso", code, "--outcome", "x", "--stage", "nowhere"); e.code != exitUsage {
		t.Errorf("a stage that is not there: %s", e)
	}
	r.checkUnmapped(d)
	for _, args := range [][]string{
		{"stages", "set", "nurture", "--label", "Nurture"},
		{"stages", "list"},
		{"link", "block", "+12127369876"},
		{"link", "list"},
		{"link", "allow", "+12127369876"},
		{"dispositions", "set", "convoso", code, "--remove"},
	} {
		if e := r.command(args...); e.code != exitDone {
			t.Errorf("%q: %s", args, e)
		}
	}
	if n := one[int](r, `select position from pipeline.stages where stage_key = 'nurture'`); n != 8 {
		t.Errorf("the new stage has position %d, want the last", n)
	}
	r.settled(3 * time.Minute)

	id := one[uuid.UUID](r, `select lead_id from pipeline.lead_keys where kind = 'ipscape_lead' order by value limit 1`)
	now := answer[explainRow](r, exitDone, "lead", "explain", id.String())
	if len(now.Leads) != 1 || len(now.Leads[0].Links) == 0 || len(now.Leads[0].Fields) == 0 {
		t.Fatalf("explained: %+v", now)
	}
	links := one[int](r, `select count(*) from pipeline.lead_keys where lead_id = $1`, id)
	if got := now.Leads[0]; len(got.Links) != links || got.Links[0].LinkedAt == "-" || slices.ContainsFunc(got.Fields, func(f fieldRow) bool { return f.Record == "" }) {
		t.Errorf("%d links, want %d, each with its time, each field with its record: %+v", len(got.Links), links, got)
	}
	if then := answer[explainRow](r, exitDone, "lead", "explain", id.String(), "--at", "2001-01-01"); len(then.Leads) != 0 {
		t.Errorf("known in 2001: %+v", then)
	}
	if shown := answer[leadRow](r, exitDone, "lead", "show", id.String()); shown.LeadID != id {
		t.Errorf("shown: %+v", shown)
	}
	if e := r.command("lead", "explain", uuid.NewString()); e.code != exitFailed || !strings.Contains(e.stderr, "not found") {
		t.Errorf("an unknown lead: %s", e)
	}
	if e := r.command("lead", "stage", id.String(), "won"); e.code != exitDone {
		t.Error(e)
	}
	if stage := one[string](r, `select stage_key from pipeline.leads where lead_id = $1`, id); stage != "won" {
		t.Errorf("the lead's stage is %s", stage)
	}
	// A phone that a Convoso lead shares with one of ipSCAPE's ties the two.
	var both uuid.UUID
	if err := r.db.QueryRow(t.Context(), `select lead_id from pipeline.lead_keys where kind in ('ipscape_lead', 'convoso_lead')
		group by lead_id having count(distinct kind) = 2 order by lead_id limit 1`).Scan(&both); err != nil {
		t.Fatalf("no lead is known to two vendors, the test proves nothing: %v", err)
	}
	key := one[string](r, `select value from pipeline.lead_keys where lead_id = $1 and kind = 'convoso_lead' limit 1`, both)
	own := one[string](r, `select value from pipeline.lead_keys where lead_id = $1 and kind = 'ipscape_lead' limit 1`, both)
	leads := one[int](r, `select count(*) from pipeline.leads`)
	if e := r.command("lead", "unlink", both.String(), "convoso_lead:"+key); e.code != exitDone {
		t.Error(e)
	}
	if n := one[int](r, `select count(*) from pipeline.leads`); n != leads+1 {
		t.Errorf("%d leads after one was taken apart, %d before", n, leads)
	}
	// Either part may keep the lead's id: the one that was known first.
	rest := one[uuid.UUID](r, `select lead_id from pipeline.lead_keys where kind = 'ipscape_lead' and value = $1`, own)
	if n := one[int](r, `select count(*) from pipeline.lead_keys where kind = 'convoso_lead' and value = $1 and lead_id <> $2`, key, rest); n != 1 {
		t.Errorf("the key is on %d other leads, want one", n)
	}
	for _, wrong := range []string{"convoso_lead:" + key, "phone:+1"} {
		if e := r.command("lead", "unlink", rest.String(), wrong); e.code != exitFailed {
			t.Errorf("%s: %s", wrong, e)
		}
	}
	if last := answer[rebuildResult](r, exitDone, "rebuild", "--check"); !last.Agrees {
		t.Errorf("in the end: %+v", last)
	}
}
