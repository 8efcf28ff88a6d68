package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// readLead inserts a lead with a business name, a contact and an e-mail.
func readLead(t *testing.T, db *store.DB, org uuid.UUID, business, first, last, email string, created time.Time) uuid.UUID {
	t.Helper()
	id := uuid.New()
	mustExec(t, db, `insert into pipeline.leads (org_id, lead_id, business_name, contact_first_name, contact_last_name, email,
		source, priority, stage_key, content_hash, first_source_time, created_at, updated_at)
		values ($1, $2, nullif($3, ''), nullif($4, ''), nullif($5, ''), nullif($6, ''), 'dialer', 'normal', 'new_lead', '', $7, $7, $7)`,
		org, id, business, first, last, email, created)
	return id
}

func TestLeadsPagesAreStable(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	const leads = 45
	for i := range leads {
		readLead(t, db, org, fmt.Sprint("Lead ", i), "", "", "", at.Add(time.Duration(i/10)*time.Hour)) // many of one instant
	}
	readLead(t, db, uuid.New(), "Another's", "", "", "", at)
	mustExec(t, db, "drop index pipeline.leads_newest") // the order must not come from how Postgres finds the rows
	for _, search := range []string{"", "lead"} {
		var all []store.LeadDetail
		for offset := int64(0); offset < 60; offset += 7 {
			page, err := db.Leads(t.Context(), org, store.LeadQuery{Search: search, Offset: offset, Limit: 7})
			if err != nil {
				t.Fatal(err)
			}
			if page.Total != leads {
				t.Errorf("search %q: total %d at offset %d, want %d", search, page.Total, offset, leads)
			}
			all = append(all, page.Leads...)
		}
		seen := map[uuid.UUID]bool{}
		for _, l := range all {
			seen[l.ID] = true
		}
		if len(all) != leads || len(seen) != leads {
			t.Errorf("search %q: %d leads over all pages, %d of them different; want %d", search, len(all), len(seen), leads)
		}
		if !slices.IsSortedFunc(all, func(a, b store.LeadDetail) int {
			if c := b.CreatedAt.Compare(a.CreatedAt); c != 0 {
				return c
			}
			return slices.Compare(b.ID[:], a.ID[:])
		}) {
			t.Errorf("search %q: pages are not newest first, then by id", search)
		}
	}
}

func TestLeadsSearch(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	bakery := readLead(t, db, org, "Birch Hill Bakery LLC", "Ana", "Ruiz", "ana.ruiz@birchhill.example", at)
	garage := readLead(t, db, org, "O'Neil & Sons Garage", "Dana", "O'Neil", "dana@garage.example", at.Add(time.Hour))
	hyphen := readLead(t, db, org, `Smith-Jones "Quoted" \ Back:slash`, "José", "Müller", "", at.Add(2*time.Hour))
	readLead(t, db, uuid.New(), "Birch of another organisation", "Ana", "", "", at)
	for search, want := range map[string][]uuid.UUID{
		"birch":                      {bakery},
		"BIR":                        {bakery},
		"hill birch":                 {bakery},
		"birch garage":               nil,
		"ana":                        {bakery},
		"ruiz ana":                   {bakery},
		"ana.ruiz@birchhill.example": {bakery},
		"ana.ruiz@birch":             {bakery},
		"birchhill":                  {bakery},
		"o'neil":                     {garage},
		"o'ne":                       {garage},
		"sons & garage":              {garage},
		"smith-jones":                {hyphen},
		"jones":                      {hyphen},
		"müll":                       {hyphen},
		"josé":                       {hyphen},
		"example":                    {garage, bakery},
		"   ":                        {hyphen, garage, bakery},
		"":                           {hyphen, garage, bakery},
		"---":                        nil,
		"!|&():*<->":                 nil,
		`\`:                          nil,
		`'`:                          nil,
		`''':*`:                      nil,
		"'; drop table leads; --":    nil,
		"birch:* | garage":           nil,
		"!birch":                     {bakery},
		"nul\x00byte":                nil,
		"\xff\xfe":                   nil,
		strings.Repeat("x", 5000):    nil,
	} {
		page, err := db.Leads(t.Context(), org, store.LeadQuery{Search: search, Limit: 10})
		if err != nil {
			t.Errorf("search %q: %v", search, err)
			continue
		}
		var got []uuid.UUID
		for _, l := range page.Leads {
			got = append(got, l.ID)
		}
		if !slices.Equal(got, want) || page.Total != int64(len(want)) {
			t.Errorf("search %q found %v, total %d; want %v", search, got, page.Total, want)
		}
	}
	page, err := db.Leads(t.Context(), org, store.LeadQuery{Search: "example", Offset: 5, Limit: 10})
	if err != nil || page.Total != 2 || len(page.Leads) != 0 {
		t.Errorf("a page behind the last: %d leads, total %d, %v; want none and 2", len(page.Leads), page.Total, err)
	}
}

func TestLeadByMergedID(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	survivor := readLead(t, db, org, "Survivor", "", "", "", at)
	back := readLead(t, db, org, "Split off again", "", "", "", at)
	merged, older, circle, foreign := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	for from, into := range map[uuid.UUID]uuid.UUID{merged: survivor, older: merged, back: survivor, circle: circle} {
		mustExec(t, db, "insert into pipeline.lead_merges values ($1, $2, $3, now())", org, from, into)
	}
	mustExec(t, db, "insert into pipeline.lead_merges values ($1, $2, $3, now())", uuid.New(), foreign, survivor)
	for id, want := range map[uuid.UUID]uuid.UUID{survivor: survivor, merged: survivor, older: survivor, back: back} {
		lead, err := db.Lead(t.Context(), org, id)
		if err != nil || lead.ID != want {
			t.Errorf("lead %s: %s, %v; want %s", id, lead.ID, err, want)
		}
	}
	for _, id := range []uuid.UUID{circle, foreign, uuid.Nil, uuid.New()} {
		if _, err := db.Lead(t.Context(), org, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("lead %s: %v, want ErrNotFound", id, err)
		}
	}
	if _, err := db.Lead(t.Context(), uuid.New(), survivor); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation's lead: %v, want ErrNotFound", err)
	}
}

func TestAgents(t *testing.T) {
	t.Parallel()
	db, org := intakeDB(t), uuid.New()
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	lead := readLead(t, db, org, "Birch", "Ana", "Ruiz", "", day)
	busy, quiet := uuid.New(), uuid.New()
	for id, name := range map[uuid.UUID]string{busy: "Dana O'Neil", quiet: "Zoe"} {
		mustExec(t, db, `insert into pipeline.agents values ($1, $2, 'convoso', 'default', $3, $4, null, now())`, org, id, id.String(), name)
	}
	call := func(external string, agent uuid.UUID, at time.Time, disposition, campaign string) {
		mustExec(t, db, `insert into pipeline.calls (org_id, source, account_id, external_call_id, agent_source, agent_account_id, agent_external_id, started_at,
			disposition, campaign_name, content_hash, occurred_at, updated_at)
			values ($1, 'convoso', 'default', $2, 'convoso', 'default', $3, $4, nullif($5, ''), nullif($6, ''), '', $4, now())`,
			org, external, agent.String(), at, disposition, campaign)
	}
	call("1", busy, day.Add(time.Hour), "callback", "MCA Q1")
	call("2", busy, day.Add(2*time.Hour), "", "MCA Q2")
	call("3", busy, day.Add(-time.Hour), "callback", "Old")
	call("4", quiet, day.Add(-time.Hour), "callback", "Yesterday's")
	mustExec(t, db, `insert into pipeline.presence (org_id, agent_id, status, current_call_id, current_lead_id, status_changed_at, updated_at)
		values ($1, $2, 'on_call', '2', $3, $4, $4)`, org, busy, lead, day.Add(2*time.Hour))

	page, err := db.Agents(t.Context(), org, store.AgentQuery{DayStart: day, Limit: 10})
	if err != nil || page.Total != 2 || len(page.Agents) != 2 {
		t.Fatalf("%d agents, total %d: %v", len(page.Agents), page.Total, err)
	}
	a, z := page.Agents[0], page.Agents[1]
	if a.AgentID != busy || a.Status != "on_call" || *a.CurrentLeadName != "Ana Ruiz" || *a.CampaignName != "MCA Q2" ||
		a.CallsToday != 2 || a.DispositionsToday != 1 || !a.CallStartedAt.Equal(day.Add(2*time.Hour)) {
		t.Errorf("busy agent %+v", a)
	}
	if z.AgentID != quiet || z.Status != "offline" || z.StatusChangedAt != nil || z.CallsToday != 0 || *z.CampaignName != "Yesterday's" {
		t.Errorf("agent without presence %+v", z)
	}
	if page, err = db.Agents(t.Context(), org, store.AgentQuery{DayStart: day, Offset: 1, Limit: 1}); err != nil ||
		len(page.Agents) != 1 || page.Agents[0].AgentID != quiet {
		t.Errorf("second page %+v: %v", page, err)
	}
	if page, err = db.Agents(t.Context(), uuid.New(), store.AgentQuery{DayStart: day, Limit: 1}); err != nil || page.Total != 0 || page.Agents != nil {
		t.Errorf("organisation without agents %+v: %v", page, err)
	}
}
