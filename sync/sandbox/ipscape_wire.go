package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"
)

// Spellings of the offset. Inbound activities have the one without a colon, all else the other.
const (
	colonLayout     = "2006-01-02T15:04:05-07:00"
	colonlessLayout = "2006-01-02T15:04:05-0700"
)

func (v *IPSCAPE) stamp(at time.Time, layout string) *string {
	if at.IsZero() {
		return nil
	}
	text := at.In(v.zone).Format(layout)
	return &text
}

func (v *IPSCAPE) colon(at time.Time) *string { return v.stamp(at, colonLayout) }

// orNull sends zero values as null.
func orNull[T comparable](value T) *T {
	var none T
	if value == none {
		return nil
	}
	return &value
}

func number(text string) (int, bool) {
	if text == "" {
		return 0, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

// marshal renders a value that cannot fail to render; what a test hands in as Extra or DataFields may, and shows itself.
func marshal(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		return json.RawMessage(strconv.Quote("unrenderable: " + err.Error()))
	}
	return text
}

// withExtra adds further fields to a rendered object.
func withExtra(text json.RawMessage, extra map[string]any) json.RawMessage {
	if len(extra) == 0 {
		return text
	}
	object := map[string]json.RawMessage{}
	if json.Unmarshal(text, &object) != nil {
		return text
	}
	for name, value := range extra {
		object[name] = marshal(value)
	}
	return marshal(object)
}

// mediaURI has the mount for some media and not for others, as in the samples.
func mediaURI(id int64) string {
	if id%4 == 0 {
		return fmt.Sprintf("%s/v3.0/media/%d", ipscapePrefix, id)
	}
	return fmt.Sprintf("/v3.0/media/%d", id)
}

func (v *IPSCAPE) renderMedia(m Recording) map[string]any {
	out := map[string]any{"mediaId": m.MediaID, "mediaUri": mediaURI(m.MediaID), "duration": m.Duration, "deleted": m.Deleted}
	if m.Deleted {
		maps.Copy(out, map[string]any{
			"deletedTimestamp": v.colon(m.DeletedAt), "deletedBy": orNull(m.DeletedBy), "deletionReason": orNull(m.DeletionReason),
		})
	}
	return out
}

type wirePhone struct {
	Phone      string `json:"phone"`
	PhoneIndex int    `json:"phoneIndex"`
	Completed  bool   `json:"completed"`
}

type wireOutcome struct {
	Count       int    `json:"count"`
	StatusCode  int    `json:"statusCode"`
	Description string `json:"description"`
}

type wireLead struct {
	LeadID                int64              `json:"leadId"`
	CampaignID            *int64             `json:"campaignId"`
	CampaignName          *string            `json:"campaignName"`
	ListID                *int64             `json:"listId"`
	ListName              *string            `json:"listName"`
	AgentID               *int64             `json:"agentId"`
	AgentFullName         *string            `json:"agentFullName"`
	Timezone              *string            `json:"timezone"`
	Completed             bool               `json:"completed"`
	CustomerKey           *string            `json:"customerKey"`
	DataFields            any                `json:"dataFields"`
	LastStatusCode        *int               `json:"lastStatusCode"`
	LastStatusDescription *string            `json:"lastStatusDescription"`
	Phones                []wirePhone        `json:"phones"`
	OutcomeType           *string            `json:"outcomeType"`
	OutcomesInfo          map[string]any     `json:"outcomesInfo"`
	Timestamps            map[string]*string `json:"timestamps"`
}

func (v *IPSCAPE) renderLead(l *Lead) json.RawMessage {
	if l.Raw != nil {
		return l.Raw
	}
	phones := []wirePhone{}
	for i, phone := range l.Phones {
		phones = append(phones, wirePhone{phone, i + 1, l.Completed})
	}
	var fields, outcome any = l.DataFields, []string{}
	if len(l.DataFields) == 0 {
		fields = []string{}
	}
	if l.Outcome != nil {
		outcome = wireOutcome{l.Outcome.Count, l.Outcome.StatusCode, l.Outcome.Description}
	}
	return withExtra(marshal(wireLead{
		LeadID: l.ID, CampaignID: orNull(l.CampaignID), CampaignName: orNull(l.CampaignName), ListID: orNull(l.ListID),
		ListName: orNull(l.ListName), AgentID: orNull(l.AgentID), AgentFullName: orNull(l.AgentName), Timezone: orNull(l.Timezone),
		Completed: l.Completed, CustomerKey: orNull(l.CustomerKey), DataFields: fields, LastStatusCode: orNull(l.LastStatusCode),
		LastStatusDescription: orNull(l.LastStatusDescription), Phones: phones, OutcomeType: orNull(l.OutcomeType),
		OutcomesInfo: map[string]any{"totalAttempts": l.TotalAttempts, "outcomesByCode": outcome},
		Timestamps:   map[string]*string{"created": v.colon(l.Created), "modified": v.colon(l.Modified), "nextAttempt": v.colon(l.NextAttempt)},
	}), l.Extra)
}

type wireAttempt struct {
	AttemptID        int64              `json:"attemptId"`
	DialStatusID     *int               `json:"dialStatusId"`
	DialStatusName   *string            `json:"dialStatusName"`
	PhoneIndex       *int               `json:"phoneIndex"`
	PhoneNumber      *string            `json:"phoneNumber"`
	LeadID           *int64             `json:"leadId"`
	CampaignID       *int64             `json:"campaignId"`
	CampaignName     *string            `json:"campaignName"`
	Type             string             `json:"type"`
	ActivityID       *int64             `json:"activityId"`
	ParentActivityID *int64             `json:"parentActivityId"`
	RootActivityID   *int64             `json:"rootActivityId"`
	Timestamps       map[string]*string `json:"timestamps"`
}

func (v *IPSCAPE) renderAttempt(d *DialAttempt) json.RawMessage {
	if d.Raw != nil {
		return d.Raw
	}
	now := v.box.now()
	past := func(at time.Time) *string {
		if at.After(now) {
			return nil
		}
		return v.colon(at)
	}
	return marshal(wireAttempt{
		AttemptID: d.ID, DialStatusID: orNull(d.DialStatusID), DialStatusName: orNull(d.DialStatusName), PhoneIndex: orNull(d.PhoneIndex),
		PhoneNumber: orNull(d.Phone), LeadID: orNull(d.LeadID), CampaignID: orNull(d.CampaignID), CampaignName: orNull(d.CampaignName),
		Type: d.Type, ActivityID: orNull(d.ActivityID), ParentActivityID: orNull(d.ParentID), RootActivityID: orNull(d.RootID),
		Timestamps: map[string]*string{"dialled": v.colon(d.Dialled), "answered": past(d.Answered), "hangUp": past(d.HangUp)},
	})
}

func (v *IPSCAPE) renderLeadList(l *LeadList) json.RawMessage {
	if l.Raw != nil {
		return l.Raw
	}
	return marshal(map[string]any{
		"id": l.ID, "name": l.Name, "campaignId": orNull(l.CampaignID), "campaignName": orNull(l.CampaignName),
		"inDialler": l.InDialler, "weight": l.Weight, "timestamps": map[string]*string{"created": v.colon(l.Created)},
	})
}

func (v *IPSCAPE) renderUser(u *User) json.RawMessage {
	if u.Raw != nil {
		return u.Raw
	}
	return marshal(map[string]any{
		"userId": u.ID, "userTimezone": orNull(u.Timezone), "firstName": u.FirstName, "lastName": u.LastName, "username": u.Username,
		"userType": u.Type, "email": orNull(u.Email), "isLoggedIn": u.LoggedIn, "teams": orNull(u.Teams),
		"assignedCampaigns": orNull(u.AssignedCampaigns), "status": orNull(u.Status), "timeInStatus": orNull(u.TimeInStatus),
		"accountIsActive": u.Active,
	})
}

func (v *IPSCAPE) renderCampaign(c *Campaign) json.RawMessage {
	if c.Raw != nil {
		return c.Raw
	}
	var pay any
	if c.MerchantAlias != "" {
		pay = map[string]any{"paySettingsId": c.ID * 10, "merchantAlias": c.MerchantAlias}
	}
	return marshal(map[string]any{
		"campaignId": c.ID, "campaignTitle": c.Title, "campaignDescription": orNull(c.Description), "campaignType": c.Type,
		"campaignGroupName": orNull(c.Group), "isRunning": c.Running, "allowTransferToAnyPhone": c.TransferToAny, "ipScapePayDetails": pay,
	})
}
