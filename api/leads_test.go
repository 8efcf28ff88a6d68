package api

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestLeadAttributes(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	id := uuid.New()
	at := time.Date(2026, 3, 1, 10, 11, 12, 345678000, time.UTC)
	const injected = `Robert'); drop table leads; -- <script>\u0000 "q" \ ${x} {{y}} ` + "\u202e\n\x1b[31m"
	w.exec(`insert into pipeline.leads (org_id, lead_id, business_name, contact_first_name, email, phone, phone_e164, monthly_revenue,
		requested_amount, source, priority, tags, custom_fields, external_ids, stage_key, stage_changed_at, last_contacted_at,
		is_do_not_call, dnc_reason, dnc_at, content_hash, first_source_time, created_at, updated_at)
		values ($1, $2, $3, 'Ana', 'ana@birch.example', '555-0100', '+15035550142', 42000.10, 60000, 'dialer', 'high', '["a", "b"]',
		'{"k": {"deep": 1}}', '{"ipscape": "7001", "convoso": ["1", "2"]}', 'contacted', $4, $4, true, 'DNC', $4, '', $4, $4, $4)`,
		w.org, id, injected, at)
	var stage uuid.UUID
	if err := w.db.Pool.QueryRow(t.Context(), "select stage_id from pipeline.stages where org_id = $1 and stage_key = 'contacted'", w.org).
		Scan(&stage); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Data struct {
			ID, Type   string
			Attributes map[string]any
		}
		Meta map[string]any
	}
	answer := w.get("/v1/leads/" + strings.ToUpper(id.String()))
	answer.decode(t, &got)
	const told = "2026-03-01T10:11:12.345Z"
	want := map[string]any{
		"businessName": injected, "contactFirstName": "Ana", "contactLastName": nil, "email": "ana@birch.example",
		"phone": "555-0100", "industry": nil, "monthlyRevenue": "42000.10", "requestedAmount": "60000",
		"source": "dialer", "priority": "high", "isDoNotCall": true, "tags": []any{"a", "b"},
		"customFields": map[string]any{"k": map[string]any{"deep": 1.0}},
		"externalIds":  map[string]any{"ipscape": "7001", "convoso": []any{"1", "2"}},
		"leadScore":    nil,
		"stage": map[string]any{
			"id": stage.String(), "stageKey": "contacted", "stageLabel": "Contacted", "color": "#6366f1", "semanticSlot": "contacted",
		},
		"primaryAdvisorId": nil, "primaryAdvisorName": nil, "lastContactedAt": told, "stageChangedAt": told, "createdAt": told,
		"updatedAt": told, "dncReason": "DNC", "dncAt": told, "convertedAt": nil, "convertedAccountId": nil,
		"convertedContactId": nil, "importJobId": nil, "createdBy": nil,
	}
	if diff := cmp.Diff(want, got.Data.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if got.Data.ID != id.String() || got.Data.Type != "lead" || got.Meta["requestId"] == "" {
		t.Errorf("envelope %s", answer.body)
	}
	if answer.header.Get("LW-API-Version") != apiVersion {
		t.Errorf("version header %q", answer.header.Get("LW-API-Version"))
	}
}

func TestLeadPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	const leads = 130
	for i := range leads {
		w.lead(w.org, fmt.Sprint("Lead ", i), at.Add(time.Duration(i/40)*time.Minute))
	}
	seen := map[string]bool{}
	for n, more := 1, true; more; n++ {
		var p page
		w.get(fmt.Sprintf("/v1/leads?page=%d&limit=50", n)).decode(t, &p)
		if p.Meta.Total != leads || p.Meta.Page != int64(n) || p.Meta.Limit != 50 || p.Meta.RequestID == "" {
			t.Errorf("meta of page %d: %+v", n, p.Meta)
		}
		for _, d := range p.Data {
			seen[d.ID] = true
		}
		if more = p.Meta.HasMore; more != (n < 3) {
			t.Fatalf("page %d: hasMore %t", n, more)
		}
	}
	if len(seen) != leads {
		t.Errorf("%d different leads over all pages, want %d", len(seen), leads)
	}
	for query, want := range map[string]struct{ limit, rows int }{
		"":                             {20, 20},
		"?limit=100":                   {100, 100},
		"?limit=101":                   {100, 100},
		"?limit=99999999999999999999":  {100, 100},
		"?page=99999999999999999999":   {20, 0},
		"?page=1099511627776&limit=99": {99, 0},
		"?limit=1&other=x":             {1, 1},
		"?limit=&page=":                {20, 20},
	} {
		var p page
		got := w.get("/v1/leads" + query)
		got.decode(t, &p)
		if p.Meta.Limit != want.limit || len(p.Data) != want.rows || p.Meta.Total != leads || p.Data == nil {
			t.Errorf("%q: %d limit %d rows %d", query, got.status, p.Meta.Limit, len(p.Data))
		}
	}
	var p page
	w.get("/v1/leads?search="+url.QueryEscape("lead 12")).decode(t, &p)
	if p.Meta.Total != 11 { // 12 and 120 to 129
		t.Errorf("search found %d", p.Meta.Total)
	}
	w.get("/v1/leads?search="+url.QueryEscape("'; drop table pipeline.leads; --")).decode(t, &p)
	if p.Meta.Total != 0 || p.Meta.HasMore || w.count("select count(*) from pipeline.leads") != leads {
		t.Errorf("an injected search found %d", p.Meta.Total)
	}
}

func TestMergedAndForeignLead(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	survivor, gone, other := w.lead(w.org, "Survivor", time.Now()), uuid.New(), uuid.New()
	foreign := w.lead(other, "Foreign", time.Now())
	w.exec("insert into pipeline.lead_merges values ($1, $2, $3, now())", w.org, gone, survivor)
	var got single
	w.get("/v1/leads/"+gone.String()).decode(t, &got)
	if got.Data.ID != survivor.String() {
		t.Errorf("a merged id gives %s, want %s", got.Data.ID, survivor)
	}
	if got := w.get("/v1/leads/" + foreign.String()); got.status != 404 {
		t.Errorf("another organisation's lead: %d", got.status)
	}
}

func TestAgentsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	agent, bare := uuid.New(), uuid.New()
	w.exec(`insert into pipeline.agents values ($1, $2, 'convoso', 'default', '66318', 'Dana van O''Neil', 'dana@broker.example', now()),
		($1, $3, 'ipscape', 'default', '9', null, null, now())`, w.org, agent, bare)
	w.exec(`insert into pipeline.presence (org_id, agent_id, status, status_changed_at, updated_at)
		values ($1, $2, 'break', now() - interval '90 seconds', now())`, w.org, agent)
	var p page
	got := w.get("/v1/dialer/agents")
	got.decode(t, &p)
	if p.Meta.Total != 2 || len(p.Data) != 2 || p.Data[0].Type != "agent_presence" || p.Data[0].ID != "pres_"+agent.String() {
		t.Fatalf("agents %s", got.body)
	}
	a := p.Data[0].Attributes
	if seconds, ok := a["statusTimeSec"].(float64); !ok || seconds < 90 || seconds > 120 {
		t.Errorf("statusTimeSec %v", a["statusTimeSec"])
	}
	delete(a, "statusTimeSec")
	delete(a, "statusChangedAt")
	want := map[string]any{
		"userId": agent.String(), "firstName": "Dana", "lastName": "van O'Neil", "email": "dana@broker.example", "status": "break",
		"currentCallId": nil, "currentLeadId": nil, "currentLeadName": nil, "callStartedAt": nil, "callsToday": 0.0,
		"dispositionCount": 0.0, "campaignName": nil,
	}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	b := p.Data[1].Attributes
	if b["status"] != "offline" || b["firstName"] != nil || b["statusTimeSec"] != 0.0 || b["statusChangedAt"] != nil {
		t.Errorf("agent without presence %v", b)
	}
	w.get("/v1/dialer/agents?teamId=x").decode(t, &p)
	if p.Meta.Total != 0 || len(p.Data) != 0 {
		t.Errorf("a team that nobody told of has %d agents", p.Meta.Total)
	}
}

func TestDayStart(t *testing.T) {
	t.Parallel()
	sydney, err := time.LoadLocation("Australia/Sydney")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 14, 0, 0, 0, time.UTC) // the 2nd, 01:00, in Sydney
	if got, want := dayStart(now, sydney).UTC(), time.Date(2026, 3, 1, 13, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("day starts at %s, want %s", got, want)
	}
}
