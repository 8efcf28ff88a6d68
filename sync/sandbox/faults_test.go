package sandbox_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/sandbox"
)

func TestWholeAnswerFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  sandbox.Fault
		status int
		broken bool // reading fails
		body   string
	}{
		{sandbox.Fault{Kind: sandbox.FaultStatus, Status: 429, Header: http.Header{"retry-after": {"7"}}}, 429, false, "ordered fault"},
		{sandbox.Fault{Kind: sandbox.FaultStatus, Status: 401, Body: "nope"}, 401, false, "nope"},
		{sandbox.Fault{Kind: sandbox.FaultStatus}, 500, false, ""},
		{sandbox.Fault{Kind: sandbox.FaultBadGateway}, 502, false, "<html>"},
		{sandbox.Fault{Kind: sandbox.FaultLoginPage}, 200, false, "<!DOCTYPE html>"},
		{sandbox.Fault{Kind: sandbox.FaultErrorJSON}, 200, false, `"resultCode":"error"`},
		{sandbox.Fault{Kind: sandbox.FaultEmpty}, 200, false, ""},
		{sandbox.Fault{Kind: sandbox.FaultCutBefore}, 0, true, ""},
		{sandbox.Fault{Kind: sandbox.FaultCutAfter}, 0, true, ""},
		{sandbox.Fault{Kind: sandbox.FaultStall, Delay: time.Millisecond}, 200, false, `"items"`},
		{sandbox.Fault{Kind: sandbox.FaultHang, Delay: time.Millisecond}, 200, false, `"items"`},
		{sandbox.Fault{Kind: sandbox.FaultDrip, Delay: time.Microsecond}, 200, false, `"items"`},
		{sandbox.Fault{Kind: sandbox.FaultWrongLength}, 200, true, ""},
	} {
		t.Run(string(c.fault.Kind), func(t *testing.T) {
			t.Parallel()
			r := start(t, sandbox.Options{Activities: 20, Leads: 5, Posts: -1})
			r.Faults().Add(c.fault)
			status, body, err := r.try("/v3.0/users", nil)
			if status != c.status || (err != nil) != c.broken || !strings.Contains(string(body), c.body) {
				t.Errorf("status %d, error %v, body %.80q", status, err, body)
			}
			if got := r.Requests(); len(got) != 1 || got[0].Status != c.status || got[0].Fault != c.fault.Kind {
				t.Errorf("log %+v", got)
			}
			if r.Faults().Pending() != 0 || r.Faults().Fired(c.fault.Kind) != 1 {
				t.Error("the order is not used up")
			}
			if status, _, err := r.try("/v3.0/users", nil); status != http.StatusOK || err != nil {
				t.Errorf("afterwards: %d %v", status, err)
			}
		})
	}
}

func TestTruncatedIsNotJSON(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	r.Faults().Add(sandbox.Fault{Kind: sandbox.FaultTruncated})
	status, body, err := r.try("/v3.0/users", nil)
	if status != http.StatusOK || err != nil || len(body) == 0 || json.Valid(body) {
		t.Errorf("status %d, error %v, %d bytes", status, err, len(body))
	}
}

func TestStallLastsUntilTheClientGoes(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	r.Faults().Add(sandbox.Fault{Kind: sandbox.FaultStall})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.env["IPSCAPE_BASE_URL"]+"/v3.0/users", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.send(req); err == nil {
		t.Error("answered")
	}
}

func TestGzipBombIsLarge(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	r.Faults().Add(sandbox.Fault{Kind: sandbox.FaultGzipBomb})
	// The helper stops reading long before the end.
	if _, body, err := r.try("/v3.0/users", nil); err != nil || len(body) != readLimit {
		t.Errorf("%d bytes, error %v", len(body), err)
	}
}

func TestOrdersMatchCountAndSkip(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	r.Faults().Add(
		sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: sandbox.OpListUsers, Kind: sandbox.FaultStatus, Status: 503, After: 1, Times: 2},
		sandbox.Fault{Vendor: sandbox.VendorConvolo, Kind: sandbox.FaultStatus, Status: 504, Times: -1},
		sandbox.Fault{Op: sandbox.OpListCampaigns, Kind: sandbox.FaultStatus, Status: 418, Times: -1},
	)
	var got []int
	for _, path := range []string{"/v3.0/users", "/v3.0/users", "/v3.0/leads", "/v3.0/users", "/v3.0/users", "/v3.0/campaigns", "/v3.0/campaigns"} {
		status, _, err := r.try(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, status)
	}
	if diff := cmp.Diff([]int{200, 503, 200, 503, 200, 418, 418}, got); diff != "" {
		t.Error(diff)
	}
	r.Faults().Clear()
	if status, _, err := r.try("/v3.0/campaigns", nil); err != nil || status != http.StatusOK {
		t.Errorf("after clear: %d %v", status, err)
	}
}

func TestRandomFaultsFollowTheSeed(t *testing.T) {
	t.Parallel()
	run := func() []int {
		r := start(t, sandbox.Options{})
		r.Faults().Random(11, 0.5, sandbox.FaultStatus, sandbox.FaultBadGateway)
		var got []int
		for range 40 {
			status, _, err := r.try("/v3.0/users", nil)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, status)
		}
		return got
	}
	first := run()
	if diff := cmp.Diff(first, run()); diff != "" {
		t.Error(diff)
	}
	good := 0
	for _, status := range first {
		if status == http.StatusOK {
			good++
		}
	}
	if good == 0 || good == len(first) {
		t.Errorf("%d of %d went well", good, len(first))
	}
}

func TestPageFaults(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 3, PageSize: 10})
	rows := r.walk("/v3.0/leads", nil)
	fault := func(kind sandbox.FaultKind) { r.Faults().Add(sandbox.Fault{Kind: kind}) }
	first := r.get("/v3.0/leads", nil)
	second := url.Values{"cursor": {cursorOf(t, first)}}

	fault(sandbox.FaultRepeatCursor)
	// An order that needs a cursor waits for a request with one.
	if got := cursorOf(t, r.get("/v3.0/leads", nil)); got != second.Get("cursor") {
		t.Errorf("first page leads to %s", got)
	}
	if got := cursorOf(t, r.get("/v3.0/leads", second)); got != second.Get("cursor") {
		t.Errorf("repeated cursor %s", got)
	}
	fault(sandbox.FaultCursorCycle)
	back := r.get("/v3.0/leads", url.Values{"cursor": {cursorOf(t, r.get("/v3.0/leads", second))}})
	if diff := cmp.Diff(ids(t, first["items"].([]any), "leadId"), ids(t, back["items"].([]any), "leadId")); diff != "" {
		t.Errorf("the cycle does not lead back:\n%s", diff)
	}
	fault(sandbox.FaultEmptyPage)
	if got := r.walk("/v3.0/leads", nil); len(got) != len(rows) {
		t.Errorf("empty page lost rows: %d of %d", len(got), len(rows))
	}
	fault(sandbox.FaultForeignHost)
	if next := r.get("/v3.0/leads", nil)["metadata"].(map[string]any)["nextUri"].(string); !strings.HasPrefix(next, "https://pages.elsewhere.invalid/") {
		t.Errorf("next %s", next)
	}
	fault(sandbox.FaultExpiredCursor)
	if status, _, err := r.try("/v3.0/leads", second); err != nil || status != http.StatusGone {
		t.Errorf("expired cursor: %d %v", status, err)
	}
	fault(sandbox.FaultHugePage)
	if got := r.get("/v3.0/leads", nil)["items"].([]any); len(got) != len(rows) {
		t.Errorf("huge page of %d rows, want %d", len(got), len(rows))
	}
	fault(sandbox.FaultIgnoreFilters)
	if got := r.get("/v3.0/leads", url.Values{"campaignId": {"999"}})["items"].([]any); len(got) != 10 {
		t.Errorf("%d rows in spite of ignored filters", len(got))
	}
	fault(sandbox.FaultReverse)
	if got := ids(t, r.get("/v3.0/leads", nil)["items"].([]any), "leadId"); got[0] != "700010" {
		t.Errorf("reversed page begins with %s", got[0])
	}
	r.IPSCAPE().ExpireCursors()
	if status, _, err := r.try("/v3.0/leads", second); err != nil || status != http.StatusBadRequest {
		t.Errorf("forgotten cursor: %d %v", status, err)
	}
	r.wantNoViolations()
}

func TestMountStyles(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 3, PageSize: 10})
	for style, prefix := range map[sandbox.MountStyle]string{sandbox.MountPlain: "/v3.0/", sandbox.MountPrefixed: "/platform-api/v3.0/"} {
		r.IPSCAPE().SetMounts(style)
		if next := r.get("/v3.0/leads", nil)["metadata"].(map[string]any)["nextUri"].(string); !strings.HasPrefix(next, prefix) {
			t.Errorf("next %s, want %s", next, prefix)
		}
	}
}

func TestItemFaults(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 3})
	item := func(path string, kind sandbox.FaultKind) any {
		r.Faults().Add(sandbox.Fault{Kind: kind, Vendor: sandbox.VendorIPSCAPE})
		return r.get(path, nil)["items"].([]any)[0]
	}
	lead := func(kind sandbox.FaultKind) map[string]any { return item("/v3.0/leads", kind).(map[string]any) }
	activity := func(kind sandbox.FaultKind) map[string]any {
		return item("/v3.0/activities", kind).(map[string]any)
	}
	outcomes := func(kind sandbox.FaultKind) any {
		return lead(kind)["outcomesInfo"].(map[string]any)["outcomesByCode"]
	}
	if _, found := lead(sandbox.FaultMissingID)["leadId"]; found {
		t.Error("the id is there")
	}
	for path, id := range map[string]string{"/v3.0/users": "userId", "/v3.0/calls/dialler": "attemptId", "/v3.0/leads/lists": "id"} {
		if _, found := item(path, sandbox.FaultMissingID).(map[string]any)[id]; found {
			t.Errorf("%s: the id is there", path)
		}
	}
	if _, found := activity(sandbox.FaultMissingID)["data"].(map[string]any)["activityId"]; found {
		t.Error("the activity's id is there")
	}
	if _, is := lead(sandbox.FaultWrongType)["leadId"].(map[string]any); !is {
		t.Error("the id has its type")
	}
	if _, is := item("/v3.0/leads", sandbox.FaultBareItem).(string); !is {
		t.Error("the item is no string")
	}
	if got := lead(sandbox.FaultNUL)["campaignName"]; got != "before\x00after" {
		t.Errorf("text %q", got)
	}
	if got := activity(sandbox.FaultUnknownType)["type"]; got != "hologram.outbound" {
		t.Errorf("type %v", got)
	}
	if lead(sandbox.FaultUnknownField)["sentimentScore"] == nil {
		t.Error("no new field")
	}
	if _, is := outcomes(sandbox.FaultOutcomesObject).(map[string]any); !is {
		t.Error("outcomes are no object")
	}
	if got, is := outcomes(sandbox.FaultOutcomesArray).([]any); !is || len(got) != 2 {
		t.Error("outcomes are no array")
	}
	if got, is := outcomes(sandbox.FaultOutcomesEmptyList).([]any); !is || len(got) != 0 {
		t.Error("outcomes are no empty list")
	}
	if got, is := lead(sandbox.FaultDataFieldsEmptyList)["dataFields"].([]any); !is || len(got) != 0 {
		t.Error("data fields are no empty list")
	}
	texts := 0
	r.Faults().Add(sandbox.Fault{Kind: sandbox.FaultWrapCodeString})
	for _, row := range r.get("/v3.0/activities", nil)["items"].([]any) {
		if _, is := row.(map[string]any)["data"].(map[string]any)["wrapCode"].(string); is {
			texts++
		}
	}
	if texts == 0 {
		t.Error("no wrap code is a string")
	}
}
