package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestLeadFilters narrows the list by each filter, pages it by cursor, and looks for an index in each plan.
func TestLeadFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	w.exec(`insert into pipeline.leads (org_id, lead_id, business_name, phone, source, priority, stage_key, is_do_not_call, content_hash,
		first_source_time, created_at, updated_at)
		select $1, gen_random_uuid(), 'Filler ' || n, 'p' || n, 'api', 'normal', 'new_lead', false, '', at, at, at
		from (select n, timestamptz '2026-01-01' + n * interval '1 s' as at from generate_series(1, 30000) n) t`, w.org)
	id := w.want(http.StatusCreated, "POST", "/v1/leads", `{"businessName": "Needle", "phone": "503-555-0142", "priority": "urgent", "source": "referral", "isDoNotCall": true}`).Data.ID
	var stage string
	if err := w.db.Pool.QueryRow(t.Context(), "select stage_id::text from pipeline.stages where org_id = $1 and stage_key = 'lost'", w.org).Scan(&stage); err != nil {
		t.Fatal(err)
	}
	w.want(http.StatusOK, "POST", "/v1/leads/"+id+"/stage", `{"stageId": "`+stage+`"}`)
	w.exec("insert into pipeline.lead_keys values ($1, 'convoso_lead', 'default', '48213377', $2, 'identity', 'test', now())", w.org, id)
	w.exec(`insert into pipeline.lead_keys (org_id, kind, account_id, value, lead_id, rule, evidence, linked_at)
		select org_id, 'convoso_lead', 'default', business_name, lead_id, 'identity', 'test', now() from pipeline.leads where source = 'api'`)
	w.exec("analyze pipeline.leads, pipeline.lead_keys")
	for _, filter := range []string{
		"stage=lost", "stage=" + stage, "priority=urgent", "source=referral", "isDoNotCall=true", "phone=%2B15035550142", "phone=+1(503)5550142",
		"phone=503-555-0142", "externalId=48213377", "externalId=convoso:48213377", "updatedSince=2026-06-01", "search=needle&priority=urgent",
	} {
		var p page
		a := w.get("/v1/leads?" + filter)
		a.decode(t, &p)
		if a.status != http.StatusOK || p.Meta.Total != 1 || len(p.Data) != 1 || p.Data[0].ID != id {
			t.Errorf("%s: %d, %d leads of %d", filter, a.status, len(p.Data), p.Meta.Total)
		}
	}
	for _, filter := range []string{"stage=won", "externalId=ipscape:48213377", "isDoNotCall=true&priority=low", "phone=nobody"} {
		var p page
		if w.get("/v1/leads?"+filter).decode(t, &p); p.Meta.Total != 0 || len(p.Data) != 0 {
			t.Errorf("%s: %d leads", filter, p.Meta.Total)
		}
	}
	for _, wrong := range []string{"priority=x", "source=x", "isDoNotCall=1", "updatedSince=yesterday", "cursor=x", "phone=%00", "cursor=AAAA&page=2"} {
		if a := w.get("/v1/leads?" + wrong); a.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", wrong, a.status)
		}
	}
	seen := map[string]bool{}
	for cursor, rounds := "", 0; rounds == 0 || cursor != ""; rounds++ {
		var p page
		w.get("/v1/leads?source=api&limit=100&updatedSince=2026-01-01T08:00:00Z&cursor="+cursor).decode(t, &p)
		for _, l := range p.Data {
			if seen[l.ID] {
				t.Fatalf("lead %s came twice", l.ID)
			}
			seen[l.ID] = true
		}
		if cursor = p.Meta.NextCursor; (cursor == "") != !p.Meta.HasMore {
			t.Fatalf("meta %+v", p.Meta)
		}
	}
	if len(seen) != 1201 {
		t.Errorf("%d leads by cursor, want 1,201", len(seen))
	}
	yes := true
	for name, f := range map[string]store.LeadFilter{
		"leads_stage": {Stage: "lost"}, "leads_priority": {Priority: "urgent"}, "leads_source": {Source: "referral"}, "leads_do_not_call": {DNC: &yes},
		"leads_phone_given": {PhoneGiven: "503-555-0142", Phone: "+15035550142"}, "lead_keys_value": {ExternalID: "48213377", ExternalKinds: []pipeline.KeyKind{pipeline.KeyConvosoLead}},
		"leads_updated": {UpdatedSince: time.Now().Add(-time.Hour)},
	} {
		plan, err := w.db.ExplainLeads(t.Context(), w.org, store.LeadQuery{LeadFilter: f, Limit: 20})
		if err != nil || !strings.Contains(plan, name) || strings.Contains(plan, "Seq Scan on leads") {
			t.Errorf("filter of %s, %v:\n%s", name, err, plan)
		}
	}
}
