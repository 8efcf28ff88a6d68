package ipscape

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

type listMethod func(ctx context.Context, r ListRequest, onNext func(string), emit Emit) (Page, error)

// writing starts the simulated vendor and a client that may write.
func writing(t *testing.T, change ...func(*Config)) (*sandbox.Sandbox, *Client) {
	t.Helper()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	box := sandbox.New(sandbox.Options{Seed: 7, Now: func() time.Time { return now }, Activities: 60, Leads: 40, PageSize: 25})
	srv, err := box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	env := box.Env(srv.URL())
	change = append([]func(*Config){func(c *Config) {
		c.BaseURL, c.Token, c.Writes = env["IPSCAPE_BASE_URL"], vendorapi.Secret(env["IPSCAPE_TOKEN"]), env["IPSCAPE_WRITES"] == "true"
	}}, change...)
	client := newTestClient(t, "http://unused.example", t.Output(), change...)
	// Both live by one clock: what was uploaded since a request is looked for by the vendor's.
	client.api.Now = func() time.Time { return now }
	return box, client
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	ops := Catalogue()
	names := Operations()
	if len(ops) != 20 || len(names) != 20 || len(slices.Compact(slices.Sorted(slices.Values(names)))) != 20 {
		t.Errorf("operations %v", names)
	}
	writes := 0
	for _, op := range ops {
		if op.Writes {
			writes++
		}
		if (op.Method == "GET") == op.Writes || op.Summary == "" || !strings.HasPrefix(op.Path, "/v3.0/") || (op.Irreversible && !op.Writes) {
			t.Errorf("%+v", op)
		}
		inPath := 0
		for _, p := range op.Params {
			if p.In == InPath {
				inPath++
			}
			if (p.In == InPath) != strings.Contains(op.Path, "{"+p.Name+"}") || p.Name == "" || p.Type == "" {
				t.Errorf("%s: %+v", op.Name, p)
			}
		}
		if inPath != strings.Count(op.Path, "{") {
			t.Errorf("%s: %d ids in the path", op.Name, inPath)
		}
		if described, ok := Describe(op.Name); !ok || !cmp.Equal(described, op) {
			t.Errorf("%s is described as %+v", op.Name, described)
		}
	}
	if writes != 7 {
		t.Errorf("%d operations write", writes)
	}
}

// Every one of the 20 operations goes over HTTP by Call, with every parameter it has, and breaks no rule of the vendor's.
func TestCallEveryOperation(t *testing.T) {
	t.Parallel()
	box, client := writing(t)
	v := box.IPSCAPE()
	lead, attempt, list := v.Leads()[0], v.DialAttempts()[0], v.LeadLists()[0]
	activity := v.Activities()[0]
	var media int64
	for _, a := range v.Activities() {
		if a.Recording != nil {
			media = a.Recording.MediaID
		}
	}
	page, err := client.Call(t.Context(), OpListLeads, nil)
	if err != nil {
		t.Fatal(err)
	}
	var first struct {
		Metadata struct{ NextURI string }
	}
	if err := json.Unmarshal(page, &first); err != nil {
		t.Fatal(err)
	}
	cursor, err := cursorOf(client.api.Base, first.Metadata.NextURI)
	if err != nil {
		t.Fatal(err)
	}
	bounds := func(what string, more ...string) map[string]string {
		p := map[string]string{what + "TimestampFrom": "2026-02-20T10:00:00+10:00", what + "TimestampTo": "2026-03-02T09:00:00Z"}
		for pair := range slices.Chunk(more, 2) {
			p[pair[0]] = pair[1]
		}
		return p
	}
	id := func(name string, n int64) map[string]string { return map[string]string{name: fmt.Sprint(n)} }
	calls := []struct {
		op     string
		params map[string]string
		member string
	}{
		{OpListActivities, bounds("created", "campaignId", "12", "leadId", fmt.Sprint(lead.ID), "activityType", "call.outbound"), "items"},
		{OpGetActivity, id("activityId", activity.ID), "data"},
		{OpListCampaigns, map[string]string{"campaignId": "12", "campaignType": "Outbound", "pageNo": "0"}, "data"},
		{OpOutboundInfo, id("campaignId", 12), "lists"},
		{OpInboundStatistics, map[string]string{"campaignId": "21", "period": "day"}, "callsReceived"},
		{OpGetMedia, id("mediaId", media), "mediaUri"},
		{OpGetLead, id("leadId", lead.ID), "dataFields"},
		{OpUpdateLead, map[string]string{
			"leadId": fmt.Sprint(lead.ID), "listId": "120", "statusCode": "3", "agentId": "301", "customerKey": "007", "timezone": "Australia/Perth",
			"phone1": "+61400111222", "phone2": "+61400111223", "phone3": "null", "isCompleted": "true", "leadData": `{"tier":9007199254740993}`,
			"nextAttemptTimestamp": "2026-03-05T09:00:00+10:00",
		}, ""},
		{OpBulkCreateLeads, map[string]string{"leads": `[{"listId":120,"customerKey":"b1"},{"listId":121,"customerKey":"b1","phone1":"+61400111222"}]`}, "parts"},
		{OpListLeadLists, map[string]string{"campaignId": "12"}, "items"},
		{OpCreateLeadList, map[string]string{"listName": "August", "campaignId": "12"}, "listId"},
		{OpGetLeadList, id("listId", list.ID), "weight"},
		{OpListLeads, bounds("uploaded", "campaignId", "12", "listId", "120", "statusCode", "1", "customerKey", "007", "phone1", "+61400111222"), "items"},
		{OpListLeads, map[string]string{"cursor": cursor}, "items"},
		{OpCreateLead, map[string]string{
			"listId": "120", "customerKey": "c1", "timezone": "Australia/Perth", "phone1": "+61400111222", "phone2": "+61400111223", "phone3": "+61400111224",
			"nextAttemptTimestamp": "2026-03-05T09:00:00Z", "leadData": `{"plan":"gold"}`, "statusCode": "1", "agentId": "301",
		}, "leadId"},
		{OpCreateLead, map[string]string{"listId": "120"}, "inDialler"},
		{OpRemovePersonalData, map[string]string{"phoneNumber": "+61400111222", "emailAddress": "pat@example.com"}, "callData"},
		{OpListUsers, map[string]string{"userType": "agent", "accountActive": "true"}, "items"},
		{OpUpdatePresence, map[string]string{"agentId": "301", "available": "false"}, "available"},
		{OpListDiallerAttempts, bounds("dialled", "campaignId", "12", "leadId", fmt.Sprint(lead.ID)), "items"},
		{OpGetDiallerAttempt, id("attemptId", attempt.ID), "dialStatusId"},
		{OpSetRecording, map[string]string{"agentId": "301", "recording": "true"}, "recording"},
	}
	used := map[string]map[string]bool{}
	for _, call := range calls {
		raw, err := client.Call(t.Context(), call.op, call.params)
		if err != nil {
			t.Errorf("%s: %v", call.op, err)
			continue
		}
		var answer map[string]json.RawMessage
		if err := json.Unmarshal(raw, &answer); err != nil || (call.member != "" && answer[call.member] == nil) {
			t.Errorf("%s answered %.100s, %v", call.op, raw, err)
		}
		if used[call.op] == nil {
			used[call.op] = map[string]bool{}
		}
		for name := range call.params {
			used[call.op][name] = true
		}
	}
	answered := map[string]bool{}
	for _, req := range box.Requests() {
		answered[req.Op] = true
	}
	for _, op := range Catalogue() {
		if !answered[op.Name] {
			t.Errorf("%s did not reach the vendor", op.Name)
		}
		for _, p := range op.Params {
			if !used[op.Name][p.Name] && p.Name != "cursor" {
				t.Errorf("%s: %s was not tried", op.Name, p.Name)
			}
		}
	}
	if wrong := box.Violations(); len(wrong) > 0 {
		t.Errorf("the contract was broken: %v", wrong)
	}
	// What the merge had to keep stays, and what a float would not hold is exact. The removal of the number took the lead away.
	if l := v.Leads(); slices.ContainsFunc(l, func(l sandbox.Lead) bool { return l.ID == lead.ID }) {
		t.Error("the removal left the lead")
	}
	if !v.Recording()[301] || v.Presence()[301] {
		t.Errorf("recording %v, presence %v", v.Recording(), v.Presence())
	}
}

func TestCallRefusesBadParameters(t *testing.T) {
	t.Parallel()
	box, client := writing(t)
	tests := []struct {
		op     string
		params map[string]string
		want   string
	}{
		{"list_everything", nil, "no operation"},
		{OpListLeads, map[string]string{"modifiedFrom": "x"}, `no parameter "modifiedFrom"; there are cursor, uploadedTimestampFrom`},
		{OpListLeads, map[string]string{"listId": "+61400111222x"}, "listId: is no whole number"},
		{OpListLeads, map[string]string{"cursor": ""}, "cursor: is empty"},
		{OpListLeads, map[string]string{"uploadedTimestampFrom": "2026-03-01"}, "time with an offset"},
		{OpListUsers, map[string]string{"accountActive": "maybe"}, "true or false"},
		{OpListUsers, map[string]string{"userType": "boss"}, "must be agent or user"},
		{OpInboundStatistics, map[string]string{"campaignId": "21", "period": "week"}, "must be hour or day"},
		{OpGetLead, nil, "leadId is required"},
		{OpGetLead, map[string]string{"leadId": "../lists"}, "no whole number"},
		{OpUpdateLead, map[string]string{"leadId": "700001"}, "nothing to change"},
		{OpUpdateLead, map[string]string{"leadId": "700001", "isCompleted": "false"}, "must be true"},
		{OpUpdateLead, map[string]string{"leadId": "700001", "isCompleted": "null"}, "must be true"},
		{OpUpdateLead, map[string]string{"leadId": "700001", "leadData": `[]`}, "JSON object"},
		{OpUpdateLead, map[string]string{"leadId": "700001", "leadData": `{}{}`}, "JSON object"},
		{OpCreateLead, map[string]string{"phone1": "+61400111222"}, "listId is required"},
		{OpCreateLead, map[string]string{"listId": "1", "phone4": "x"}, `no parameter "phone4"`},
		{OpCreateLead, map[string]string{"listId": "1", "phone1": "null", "statusCode": "null"}, "no whole number"},
		{OpBulkCreateLeads, map[string]string{"leads": `[{"listId":1,"customerKey":"a","phone9":"x"}]`}, "JSON array of leads"},
		{OpBulkCreateLeads, map[string]string{"leads": `[{"listId":1}]`}, "customer key"},
		{OpBulkCreateLeads, map[string]string{"leads": `[{"listId":1,"customerKey":"a"},{"listId":1,"customerKey":"a"}]`}, "earlier one"},
		{OpBulkCreateLeads, map[string]string{"leads": `[]`}, "no leads"},
		{OpCreateLeadList, map[string]string{"listName": " ", "campaignId": "12"}, "a name and a campaign"},
		{OpRemovePersonalData, nil, "phone number or an e-mail"},
		{OpUpdatePresence, map[string]string{"agentId": "301"}, "available is required"},
	}
	for _, tt := range tests {
		raw, err := client.Call(t.Context(), tt.op, tt.params)
		if err == nil || !strings.Contains(err.Error(), tt.want) || raw != nil {
			t.Errorf("%s %v: got %s, %v, want %q", tt.op, tt.params, raw, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "400111222") {
			t.Errorf("a phone shows in %v", err)
		}
	}
	if len(box.Requests()) > 0 {
		t.Errorf("requests were sent: %+v", box.Requests())
	}
}

func TestCallMeetsTheVendorsNo(t *testing.T) {
	t.Parallel()
	_, client := writing(t)
	for op, params := range map[string]map[string]string{
		OpGetLead: {"leadId": "1"}, OpGetLeadList: {"listId": "1"}, OpGetDiallerAttempt: {"attemptId": "1"}, OpGetMedia: {"mediaId": "1"},
		OpOutboundInfo: {"campaignId": "21"}, OpInboundStatistics: {"campaignId": "12"}, OpUpdateLead: {"leadId": "1", "phone1": "+61400111222"},
	} {
		if _, err := client.Call(t.Context(), op, params); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if _, err := client.Call(t.Context(), OpListLeads, map[string]string{"cursor": "made-up"}); !errors.Is(err, ErrCursorRefused) {
		t.Errorf("a made-up cursor: %v", err)
	}
	for _, body := range []string{`{"resultCode":"error"}`, `<html>`, `{"metadata":{"nextUri":"https://evil.example/?cursor=c"},"items":[]}`, `{"items":[]`} {
		r := newRig(t, answerJSON(body))
		if raw, err := r.Call(t.Context(), OpListUsers, nil); vendorapi.KindOf(err) == 0 || raw != nil {
			t.Errorf("%s: %s, %v", body, raw, err)
		}
	}
}

// The knobs of contracts/ipscape.md section 10 that concern queries.
func TestQueryKnobs(t *testing.T) {
	t.Parallel()
	r := newRig(t, answerJSON(`{"items":[]}`), func(c *Config) {
		c.NumericBooleans, c.CampaignsPage = true, "page"
		c.FilterLayout, c.FilterZone = "2006-01-02 15:04:05", time.FixedZone("", 10*3600)
	})
	for op, params := range map[string]map[string]string{
		OpListUsers:           {"accountActive": "true"},
		OpListCampaigns:       {"pageNo": "3"},
		OpListDiallerAttempts: {"dialledTimestampFrom": "2026-03-02T09:00:00Z"},
	} {
		if _, err := r.Call(t.Context(), op, params); err != nil {
			t.Error(err)
		}
	}
	if _, err := r.ListDiallerAttempts(t.Context(), ListRequest{To: time.Unix(1709337600, 1)}, nil, discard); err != nil {
		t.Error(err)
	}
	got := strings.Join(r.requests(), "\n")
	for _, want := range []string{"accountActive=1", "campaigns?page=3", "dialledTimestampFrom=2026-03-02+19%3A00%3A00", "dialledTimestampTo=2024-03-02+10%3A00%3A01"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

func TestMoreConfigFaults(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Config){
		"must be POST, PUT":   func(c *Config) { c.Methods = map[string]string{OpUpdateLead: "GET"} },
		"operation that writ": func(c *Config) { c.Methods = map[string]string{OpListLeads: "POST"} },
		"paging parameter":    func(c *Config) { c.CampaignsPage = "a&b" },
		"below zero":          func(c *Config) { c.BulkSize = -1 },
	} {
		cfg := Config{BaseURL: "https://tenant.example", Token: testToken}
		change(&cfg)
		if _, err := NewClient(cfg, vendorapi.Client{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Whole walks of the new streams against the simulated vendor end with its truth.
func TestSandboxSnapshots(t *testing.T) {
	t.Parallel()
	box, client := newSandbox(t)
	s := sydney(t)
	v := box.IPSCAPE()
	v.SetPageSize(5)
	v.SetCampaignsPerPage(3) // the last page is a full one
	want := box.Truth().IPSCAPE
	for _, tt := range []struct {
		stream string
		list   listMethod
		read   func([]byte) (Item, error)
	}{
		{StreamLeadLists, client.ListLeadLists, s.LeadList},
		{StreamUsers, client.ListUsers, s.User},
		{StreamCampaigns, client.ListCampaigns, s.Campaign},
		{StreamDialAttempts, client.ListDiallerAttempts, s.DialAttempt},
	} {
		if tt.stream != StreamCampaigns {
			box.Faults().Add(
				sandbox.Fault{Kind: sandbox.FaultEmptyPage, After: 1}, sandbox.Fault{Kind: sandbox.FaultReverse}, sandbox.Fault{Kind: sandbox.FaultUnknownField},
			)
		}
		ids := map[string]bool{}
		ask := ListRequest{}
		for {
			page, err := tt.list(t.Context(), ask, nil, func(raw json.RawMessage, bad *ItemError) error {
				item, err := tt.read(raw)
				if err != nil || bad != nil || item.Unread != nil {
					t.Errorf("%s: %v, %v, %v", tt.stream, err, bad, item.Unread)
				}
				ids[item.ObjectID] = true
				return nil
			})
			if err != nil || page.Truncated {
				t.Fatalf("%s: %+v, %v", tt.stream, page, err)
			}
			if ask.Cursor = page.Next; page.Next == "" {
				break
			}
		}
		if len(ids) != want[tt.stream] || len(ids) == 0 {
			t.Errorf("%s: %d of %d", tt.stream, len(ids), want[tt.stream])
		}
	}
	raw, asked, err := client.OutboundInfo(t.Context(), "12", vendorapi.Reread)
	if err != nil {
		t.Fatal(err)
	}
	if item, err := s.OutboundStats(raw, asked); err != nil || item.Unread != nil || item.SourceTime.IsZero() {
		t.Errorf("%+v, %v", item, err)
	}
	raw, asked, err = client.InboundStatistics(t.Context(), "21", "", vendorapi.Reread)
	if err != nil {
		t.Fatal(err)
	}
	if item, err := s.InboundStats(raw, "", asked); err != nil || item.Unread != nil || item.SourceTime.IsZero() {
		t.Errorf("%+v, %v", item, err)
	}
	if _, _, err := client.InboundStatistics(t.Context(), "21", "week", ""); err == nil {
		t.Error("a week was asked for")
	}
	if raw, _, err := client.GetLeadList(t.Context(), fmt.Sprint(v.LeadLists()[0].ID), ""); err != nil || len(raw) == 0 {
		t.Error(err)
	}
	if raw, _, err := client.GetDiallerAttempt(t.Context(), fmt.Sprint(v.DialAttempts()[0].ID), ""); err != nil || len(raw) == 0 {
		t.Error(err)
	}
	if wrong := box.Violations(); len(wrong) > 0 {
		t.Errorf("the contract was broken: %v", wrong)
	}
}
