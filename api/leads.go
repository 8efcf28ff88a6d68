package api

import (
	"encoding/json"
	"net/http"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
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
	}}
}

// listLeads is GET /v1/leads.
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
	if err := invalid(items); err != nil {
		return err
	}
	ctx, cancel := query(r)
	defer cancel()
	page, err := s.cfg.Leads.Leads(ctx, organisation(r), store.LeadQuery{Search: search, Offset: p.offset(), Limit: p.limit})
	if err != nil {
		return err
	}
	data := make([]resource, len(page.Leads))
	for i := range page.Leads {
		data[i] = leadResource(&page.Leads[i])
	}
	return writePage(w, r, p, page.Total, data)
}

// getLead is GET /v1/leads/{id}. An id is opaque to clients: text that can be none of ours is simply not found.
func (s *Server) getLead(w http.ResponseWriter, r *http.Request) error {
	id, ok := parseID(r.PathValue("id"))
	if !ok {
		return notFound()
	}
	ctx, cancel := query(r)
	defer cancel()
	lead, err := s.cfg.Leads.Lead(ctx, organisation(r), id)
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
