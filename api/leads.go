package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// maxSearch is the longest search text, in characters: that of the longest field it covers.
const maxSearch = 255

// leadAttributes are those of contracts/lendworks.md section 7.3. What nothing here knows of is null.
type leadAttributes struct {
	BusinessName       *string         `json:"businessName"`
	ContactFirstName   *string         `json:"contactFirstName"`
	ContactLastName    *string         `json:"contactLastName"`
	Email              *string         `json:"email"`
	Phone              *string         `json:"phone"`
	Industry           *string         `json:"industry"`
	MonthlyRevenue     *string         `json:"monthlyRevenue"`
	RequestedAmount    *string         `json:"requestedAmount"`
	Source             string          `json:"source"`
	Priority           string          `json:"priority"`
	IsDoNotCall        bool            `json:"isDoNotCall"`
	Tags               json.RawMessage `json:"tags"`
	CustomFields       json.RawMessage `json:"customFields"`
	ExternalIDs        json.RawMessage `json:"externalIds"`
	LeadScore          *float64        `json:"leadScore"`
	Stage              stageAttributes `json:"stage"`
	PrimaryAdvisorID   *string         `json:"primaryAdvisorId"`
	PrimaryAdvisorName *string         `json:"primaryAdvisorName"`
	LastContactedAt    *string         `json:"lastContactedAt"`
	StageChangedAt     *string         `json:"stageChangedAt"`
	CreatedAt          string          `json:"createdAt"`
	UpdatedAt          string          `json:"updatedAt"`
	DNCReason          *string         `json:"dncReason"`
	DNCAt              *string         `json:"dncAt"`
	ConvertedAt        *string         `json:"convertedAt"`
	ConvertedAccountID *string         `json:"convertedAccountId"`
	ConvertedContactID *string         `json:"convertedContactId"`
	ImportJobID        *string         `json:"importJobId"`
	CreatedBy          *string         `json:"createdBy"`
}

type stageAttributes struct {
	ID           *string `json:"id"`
	StageKey     string  `json:"stageKey"`
	StageLabel   *string `json:"stageLabel"`
	Color        *string `json:"color"`
	SemanticSlot *string `json:"semanticSlot"`
}

func leadResource(l *store.LeadDetail) resource {
	stage := stageAttributes{StageKey: l.Stage.Key, StageLabel: l.Stage.Label, Color: l.Stage.Color, SemanticSlot: l.Stage.Slot}
	if l.Stage.ID != nil {
		id := l.Stage.ID.String()
		stage.ID = &id
	}
	return resource{ID: l.ID.String(), Type: "lead", Attributes: leadAttributes{
		BusinessName: l.BusinessName, ContactFirstName: l.ContactFirstName, ContactLastName: l.ContactLastName,
		Email: l.Email, Phone: l.Phone, Industry: l.Industry,
		MonthlyRevenue: l.MonthlyRevenue, RequestedAmount: l.RequestedAmount,
		Source: l.Source, Priority: l.Priority, IsDoNotCall: l.IsDoNotCall,
		Tags: l.Tags, CustomFields: l.CustomFields, ExternalIDs: l.ExternalIDs, Stage: stage,
		LastContactedAt: formatTimePtr(l.LastContactedAt), StageChangedAt: formatTimePtr(l.StageChangedAt),
		CreatedAt: formatTime(l.CreatedAt), UpdatedAt: formatTime(l.UpdatedAt),
		DNCReason: l.DNCReason, DNCAt: formatTimePtr(l.DNCAt),
		PrimaryAdvisorID: l.AdvisorID, PrimaryAdvisorName: l.AdvisorName,
	}}
}

// externalKinds are the vendors by which a lead can be found.
var externalKinds = map[string][]pipeline.KeyKind{
	"":          {pipeline.KeyIPSCAPELead, pipeline.KeyConvosoLead, pipeline.KeyLendWorks, pipeline.KeyCustomer, pipeline.KeyRemote},
	"ipscape":   {pipeline.KeyIPSCAPELead, pipeline.KeyCustomer},
	"convoso":   {pipeline.KeyConvosoLead},
	"lendworks": {pipeline.KeyLendWorks},
}

// leadFilter reads what narrows a list of leads.
func (s *Server) leadFilter(values url.Values) (store.LeadFilter, []errorItem) {
	var f store.LeadFilter
	var items, more []errorItem
	add := func(found []errorItem) { items = append(items, found...) }
	f.Stage, more = word(values, "stage")
	add(more)
	f.Priority, more = oneOf(values, "priority", leadPriorities...)
	add(more)
	f.Source, more = oneOf(values, "source", leadSources...)
	add(more)
	dnc, more := oneOf(values, "isDoNotCall", "true", "false")
	add(more)
	if dnc != "" {
		is := dnc == "true"
		f.DNC = &is
	}
	f.PhoneGiven, more = word(values, "phone")
	add(more)
	// A plus sign that was not escaped is a blank by now.
	if given := f.PhoneGiven; strings.HasPrefix(given, " ") {
		f.PhoneGiven = "+" + given[1:]
	}
	f.Phone = pipeline.ParsePhone(f.PhoneGiven, s.cfg.Region).E164
	f.ExternalID, more = word(values, "externalId")
	add(more)
	if vendor, id, ok := strings.Cut(f.ExternalID, ":"); ok && vendor != "" && externalKinds[vendor] != nil {
		f.ExternalKinds, f.ExternalID = externalKinds[vendor], id
	} else {
		f.ExternalKinds = externalKinds[""]
	}
	f.UpdatedSince, more = timeParameter(values, "updatedSince")
	add(more)
	return f, items
}

// listLeads is GET /v1/leads: by page, or from a cursor on.
func (s *Server) listLeads(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	p, items := pagingOf(values)
	search := values.Get("search")
	if utf8.RuneCountInString(search) > maxSearch {
		items = append(items, invalidField("search", "is longer than 255 characters"))
	}
	filter, more := s.leadFilter(values)
	items = append(items, more...)
	after, more := cursor(values)
	items = append(items, more...)
	if values.Get("cursor") != "" && values.Get("page") != "" {
		items = append(items, invalidField("cursor", "and page exclude each other"))
	}
	if err := invalid(items); err != nil {
		return err
	}
	asked := store.LeadQuery{Search: search, LeadFilter: filter, After: after, Offset: p.offset(), Limit: p.limit}
	if after != (store.Position{}) {
		asked.Limit++
	}
	var page store.LeadPage
	err = s.read(r, func(ctx context.Context, from store.Reader) (err error) {
		page, err = from.Leads(ctx, organisation(r), asked)
		return err
	})
	if err != nil {
		return err
	}
	data := make([]resource, len(page.Leads))
	for i := range page.Leads {
		data[i] = leadResource(&page.Leads[i])
	}
	next := func(i int) string { return cursorOf(store.Position{At: page.Leads[i].CreatedAt, ID: page.Leads[i].ID}) }
	if after != (store.Position{}) {
		return writeCursorPage(w, r, p.limit, page.Total, data, next)
	}
	return writePage(w, r, p, page.Total, data, next)
}

// getLead is GET /v1/leads/{id}. An id is opaque to clients: text that can be none of ours is simply not found.
func (s *Server) getLead(w http.ResponseWriter, r *http.Request) error {
	id, ok := parseID(r.PathValue("id"))
	if !ok {
		return notFound()
	}
	var lead store.LeadDetail
	err := s.read(r, func(ctx context.Context, from store.Reader) (err error) {
		lead, err = from.Lead(ctx, organisation(r), id)
		return err
	})
	if err != nil {
		return err
	}
	return writeSingle(w, r, http.StatusOK, leadResource(&lead))
}

// parseID reads a UUID in its plain form; the parser takes braces and prefixes too.
func parseID(text string) (uuid.UUID, bool) {
	const plain = 36
	if len(text) != plain {
		return uuid.Nil, false
	}
	id, err := uuid.Parse(text)
	return id, err == nil
}
