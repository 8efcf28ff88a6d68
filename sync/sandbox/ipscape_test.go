package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// ids takes one field out of rows, through "data" where there is one.
func ids(t *testing.T, rows []any, field string) []string {
	t.Helper()
	out := []string{}
	for _, row := range rows {
		object := row.(map[string]any)
		if data, nested := object["data"].(map[string]any); nested {
			object = data
		}
		out = append(out, fmt.Sprint(object[field]))
	}
	return out
}

func TestEveryReadAnswers(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 2})
	v := r.IPSCAPE()
	activity, lead, attempt, list := v.Activities()[0], v.Leads()[0], v.DialAttempts()[0], v.LeadLists()[0]
	var media int64
	for _, a := range v.Activities() {
		if a.Recording != nil {
			media = a.Recording.MediaID
		}
	}
	for path, field := range map[string]string{
		"/v3.0/activities": "items",
		fmt.Sprintf("/v3.0/activities/%d", activity.ID): "type",
		"/v3.0/campaigns":                                 "data",
		"/v3.0/campaigns/outbound/11":                     "lists",
		"/v3.0/campaigns/inbound/21":                      "callsReceived",
		fmt.Sprintf("/v3.0/media/%d", media):              "mediaUri",
		fmt.Sprintf("/v3.0/leads/%d", lead.ID):            "leadId",
		"/v3.0/leads":                                     "items",
		"/v3.0/leads/lists":                               "items",
		fmt.Sprintf("/v3.0/leads/lists/%d", list.ID):      "inDialler",
		"/v3.0/users":                                     "items",
		"/v3.0/calls/dialler":                             "items",
		fmt.Sprintf("/v3.0/calls/dialler/%d", attempt.ID): "attemptId",
		"/platform-api/v3.0/users":                        "items",
	} {
		if _, found := r.get(path, nil)[field]; !found {
			t.Errorf("%s has no %s", path, field)
		}
	}
	for _, path := range []string{"/v3.0/activities/1", "/v3.0/leads/1", "/v3.0/media/1", "/v3.0/campaigns/inbound/11", "/v3.0/campaigns/outbound/21", "/v3.0/nothing"} {
		if status, _, err := r.try(path, nil); err != nil || status != http.StatusNotFound {
			t.Errorf("%s: %d %v, want 404", path, status, err)
		}
	}
	r.wantNoViolations()
}

func TestWalksEqualTheState(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 4, Activities: 330, Leads: 205, PageSize: 25})
	truth := r.Truth().IPSCAPE
	for _, c := range []struct{ path, stream, field string }{
		{"/v3.0/activities", "activities", "activityId"},
		{"/v3.0/leads", "leads", "leadId"},
		{"/v3.0/leads/lists", "lead_lists", "id"},
		{"/v3.0/users", "users", "userId"},
		{"/v3.0/calls/dialler", "dial_attempts", "attemptId"},
	} {
		rows := r.walk(c.path, nil)
		seen := map[string]bool{}
		for _, id := range ids(t, rows, c.field) {
			seen[id] = true
		}
		if len(rows) != truth[c.stream] || len(seen) != len(rows) {
			t.Errorf("%s: %d rows, %d distinct, want %d", c.path, len(rows), len(seen), truth[c.stream])
		}
	}
	r.wantNoViolations()
}

func TestCursorAloneKeepsItsFilters(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 4, PageSize: 5})
	filter := url.Values{"activityType": {"call.inbound"}}
	want := ids(t, r.walk("/v3.0/activities", filter), "activityId")
	first := r.get("/v3.0/activities", filter)
	got := ids(t, first["items"].([]any), "activityId")
	for cursor := cursorOf(t, first); cursor != ""; {
		page := r.get("/v3.0/activities", url.Values{"cursor": {cursor}})
		got = append(got, ids(t, page["items"].([]any), "activityId")...)
		cursor = cursorOf(t, page)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	r.wantNoViolations()
	status, _, err := r.try("/v3.0/activities", url.Values{"cursor": {cursorOf(t, first)}, "activityType": {"call.outbound"}})
	if err != nil || status != http.StatusBadRequest {
		t.Errorf("changed filters: %d %v", status, err)
	}
	r.wantViolation("cursor sent together with changed filters")
}

func TestFiltersAreInclusive(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Activities: -1, Leads: -1, Posts: -1})
	base := time.Date(2026, 3, 9, 10, 0, 0, 0, time.UTC)
	for i := range 4 {
		at := base.Add(time.Duration(i) * time.Second)
		id := int64(100 + i)
		r.IPSCAPE().AddActivities(sandbox.Activity{ID: id, Created: at, LeadID: 5 + id%2, CampaignID: 3})
		r.IPSCAPE().AddLeads(sandbox.Lead{ID: id, Created: at, Phones: []string{"+15034251234"}, CustomerKey: "007"})
		r.IPSCAPE().AddDialAttempts(sandbox.DialAttempt{ID: id, Dialled: at})
	}
	r.IPSCAPE().AddActivities(sandbox.Activity{ID: 900, Created: r.clock.Now().Add(time.Hour)})
	from, to := base.Add(time.Second).Format(time.RFC3339), base.Add(2*time.Second).In(time.FixedZone("", 11*3600)).Format("2006-01-02T15:04:05-0700")
	for _, c := range []struct {
		path, field, name string
		filters           url.Values
		want              []string
	}{
		{"/v3.0/activities", "activityId", "created", nil, []string{"101", "102"}},
		{"/v3.0/leads", "leadId", "uploaded", nil, []string{"101", "102"}},
		{"/v3.0/calls/dialler", "attemptId", "dialled", nil, []string{"101", "102"}},
		{"/v3.0/activities", "activityId", "", url.Values{"leadId": {"6"}}, []string{"101", "103"}},
		{"/v3.0/activities", "activityId", "", url.Values{"campaignId": {"3"}}, []string{"100", "101", "102", "103"}},
		{"/v3.0/leads", "leadId", "", url.Values{"customerKey": {"7"}}, []string{}},
		{"/v3.0/leads", "leadId", "uploaded", url.Values{"phone1": {"+15034251234"}}, []string{"101", "102"}},
	} {
		q := url.Values{}
		for k, v := range c.filters {
			q[k] = v
		}
		if c.name != "" {
			q.Set(c.name+"TimestampFrom", from)
			q.Set(c.name+"TimestampTo", to)
		}
		if diff := cmp.Diff(c.want, ids(t, r.walk(c.path, q), c.field)); diff != "" {
			t.Errorf("%s %v:\n%s", c.path, q, diff)
		}
	}
	r.wantNoViolations()
	for _, req := range r.Requests() {
		if strings.Contains(fmt.Sprint(req.Filters), "5034251234") {
			t.Error("a phone in the request log")
		}
	}
}

func TestLateFieldsAppearOnALaterRead(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Activities: -1, Leads: -1, Posts: -1})
	now := r.clock.Now()
	r.IPSCAPE().AddActivities(sandbox.Activity{
		ID: 5, Type: sandbox.TypeInbound, Created: now.Add(-time.Minute), HangUp: now.Add(time.Minute), WrapUp: now.Add(2 * time.Minute), WrapCode: 4,
		Recording: &sandbox.Recording{MediaID: 61, Duration: 9}, LateUntil: now.Add(10 * time.Minute), QualityScore: 77,
	})
	read := func() map[string]any { return r.get("/v3.0/activities/5", nil)["data"].(map[string]any) }
	before := read()
	stamps := before["timestamps"].(map[string]any)
	if stamps["hangUp"] != nil || stamps["wrapUp"] != nil || before["recordingMetadata"] != nil || before["wrapCode"] != nil {
		t.Errorf("told too early: %v", before)
	}
	if want := "2026-03-11T02:03:05+1100"; stamps["created"] != want {
		t.Errorf("created %v, want %s", stamps["created"], want)
	}
	r.clock.Advance(10 * time.Minute)
	after := read()
	if after["timestamps"].(map[string]any)["wrapUp"] == nil || after["recordingMetadata"] == nil || after["wrapCode"] != json.Number("4") || after["callQualityScore"] != json.Number("77") {
		t.Errorf("not told: %v", after)
	}
}

func TestBothOffsetsInOnePage(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 9})
	_, body, err := r.try("/v3.0/activities", nil)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(body); !strings.Contains(text, "+1100\"") || !strings.Contains(text, "+11:00\"") {
		t.Error("one spelling only")
	}
}

func TestCampaignsPageShape(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	r.IPSCAPE().SetCampaignsPerPage(3)
	var got []string
	for page := range 3 {
		answer := r.get("/v3.0/campaigns", url.Values{"pageNo": {fmt.Sprint(page)}})
		got = append(got, ids(t, answer["data"].([]any), "campaignId")...)
		if answer["pageNo"] != json.Number(fmt.Sprint(page)) {
			t.Errorf("pageNo %v, want %d", answer["pageNo"], page)
		}
	}
	if diff := cmp.Diff([]string{"11", "12", "13", "14", "21", "22"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLeadChangesAndVanishes(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 1})
	lead := r.IPSCAPE().Leads()[3]
	r.clock.Advance(time.Hour)
	if !r.IPSCAPE().UpdateLead(lead.ID, func(l *sandbox.Lead) { l.Completed = true; l.Extra = map[string]any{"vip": true} }) {
		t.Fatal("no such lead")
	}
	path := fmt.Sprintf("/v3.0/leads/%d", lead.ID)
	got := r.get(path, nil)
	if got["completed"] != true || got["vip"] != true {
		t.Errorf("not changed: %v", got)
	}
	if now := r.IPSCAPE().Leads()[3]; !now.Created.Equal(lead.Created) || !now.Modified.Equal(r.clock.Now().Truncate(time.Second)) {
		t.Errorf("created %s, modified %s", now.Created, now.Modified)
	}
	r.IPSCAPE().DeleteLead(lead.ID)
	if status, _, err := r.try(path, nil); err != nil || status != http.StatusNotFound {
		t.Errorf("vanished lead: %d %v", status, err)
	}
}

func TestIPSCAPEViolations(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{Seed: 6})
	for _, c := range []struct {
		path   string
		query  url.Values
		status int
		text   string
	}{
		{"/v3.0/leads", url.Values{"cursor": {""}}, 400, "empty cursor"},
		{"/v3.0/leads", url.Values{"cursor": {"null"}}, 400, "empty cursor"},
		{"/v3.0/leads", url.Values{"cursor": {"b64?"}}, 400, "made-up cursor"},
		{"/v3.0/leads", url.Values{"modifiedFrom": {"x"}}, 200, "unknown parameter modifiedFrom"},
		{"/v3.0/leads", url.Values{"uploadedTimestampFrom": {"2026-03-01T00:00:00 10:00"}}, 400, "not encoded"},
		{"/v3.0/leads", url.Values{"campaignId": {"eleven"}}, 400, "campaignId is not a number"},
		{"/v3.0/users", url.Values{"access_token": {r.env["IPSCAPE_TOKEN"]}}, 200, "credential in the url"},
	} {
		status, _, err := r.try(c.path, c.query)
		if err != nil || status != c.status {
			t.Errorf("%s %v: %d %v, want %d", c.path, c.query, status, err, c.status)
		}
		r.wantViolation(c.text)
	}
	for _, v := range r.Violations() {
		if strings.Contains(v, r.env["IPSCAPE_TOKEN"]) {
			t.Error("a violation shows the token")
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.env["IPSCAPE_BASE_URL"]+"/v3.0/users", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, err := r.send(req); err != nil || status != http.StatusUnauthorized {
		t.Errorf("without a token: %d %v", status, err)
	}
	req.Method = http.MethodPost
	req.Header.Set("Authorization", "Bearer "+r.env["IPSCAPE_TOKEN"])
	if status, _, err := r.send(req); err != nil || status != http.StatusNotFound {
		t.Errorf("write: %d %v", status, err)
	}
}
