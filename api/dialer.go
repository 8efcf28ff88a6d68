package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// agentAttributes are those of contracts/lendworks.md section 8.4.
type agentAttributes struct {
	UserID           string  `json:"userId"`
	FirstName        *string `json:"firstName"`
	LastName         *string `json:"lastName"`
	Email            *string `json:"email"`
	Status           string  `json:"status"`
	CurrentCallID    *string `json:"currentCallId"`
	CurrentLeadID    *string `json:"currentLeadId"`
	CurrentLeadName  *string `json:"currentLeadName"`
	CallStartedAt    *string `json:"callStartedAt"`
	StatusChangedAt  *string `json:"statusChangedAt"`
	CallsToday       int     `json:"callsToday"`
	DispositionCount int     `json:"dispositionCount"`
	CampaignName     *string `json:"campaignName"`
	StatusTimeSec    int64   `json:"statusTimeSec"`
}

func agentResource(a *store.AgentPresence, now time.Time) resource {
	first, last := splitName(a.Name)
	attributes := agentAttributes{
		UserID: a.UserID, FirstName: first, LastName: last, Email: a.Email, Status: a.Status,
		CurrentCallID: a.CurrentCallID, CurrentLeadID: idText(a.CurrentLeadID), CurrentLeadName: a.CurrentLeadName,
		CallStartedAt: formatTimePtr(a.CallStartedAt), StatusChangedAt: formatTimePtr(a.StatusChangedAt),
		CallsToday: a.CallsToday, DispositionCount: a.DispositionsToday, CampaignName: a.CampaignName,
	}
	if a.StatusChangedAt != nil {
		attributes.StatusTimeSec = max(int64(now.Sub(*a.StatusChangedAt)/time.Second), 0)
	}
	return resource{ID: "pres_" + a.AgentID.String(), Type: "agent_presence", Attributes: attributes}
}

// splitName takes the first word for the first name: diallers tell an agent's name as one text.
func splitName(name *string) (first, last *string) {
	if name == nil {
		return nil, nil
	}
	head, tail, _ := strings.Cut(strings.TrimSpace(*name), " ")
	if head != "" {
		first = &head
	}
	if tail = strings.TrimSpace(tail); tail != "" {
		last = &tail
	}
	return first, last
}

func idText(id *uuid.UUID) *string {
	if id == nil {
		return nil
	}
	text := id.String()
	return &text
}

// listAgents is GET /v1/dialer/agents. Teams are ipSCAPE's, by name; no other dialler tells of any.
func (s *Server) listAgents(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	p, items := pagingOf(values)
	if err := invalid(items); err != nil {
		return err
	}
	now := s.cfg.Now()
	asked := store.AgentQuery{
		DayStart: dayStart(now, s.cfg.Zone), Offset: p.offset(), Limit: p.limit,
		Team: pipeline.CleanText(values.Get("teamId")),
	}
	var page store.AgentPage
	err = s.read(r, func(ctx context.Context, from store.Reader) (err error) {
		page, err = from.Agents(ctx, organisation(r), asked)
		return err
	})
	if err != nil {
		return err
	}
	data := make([]resource, len(page.Agents))
	for i := range page.Agents {
		data[i] = agentResource(&page.Agents[i], now)
	}
	return writePage(w, r, p, page.Total, data, nil)
}

// dayStart returns the beginning of now's day in a zone.
func dayStart(now time.Time, zone *time.Location) time.Time {
	year, month, day := now.In(zone).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, zone)
}
