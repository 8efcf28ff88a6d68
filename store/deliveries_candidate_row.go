package store

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// candidateRow is a row of deliveryCandidatesSQL.
type candidateRow struct {
	ID            uuid.UUID
	OrgID         uuid.UUID
	AccountID     string
	Destination   string
	Operation     string
	Class         string
	LeadID        *uuid.UUID
	OwnPhone      *string
	DeliveryState string
	Reason        *string
	Params        json.RawMessage
	SourceTime    time.Time
	ExpiresAt     *time.Time
	NotBefore     time.Time
	Hold          *string
	Attempts      int
	Searches      int
	Resends       int
	CreatedAt     time.Time
	SendingAt     *time.Time
	SettledAt     *time.Time
	ExternalID    *string
	Error         *string
	Dedupe        string
	FirstSentAt   *time.Time
	SentBefore    bool

	FoundLeadID      *uuid.UUID
	FirstSourceTime  *time.Time
	BusinessName     *string
	ContactFirstName *string
	ContactLastName  *string
	Email            *string
	PhoneE164        *string `db:"phone_e164"`
	Industry         *string
	MonthlyRevenue   *string
	RequestedAmount  *string
	Source           *string
	Priority         *string
	Timezone         *string
	City             *string
	LeadState        *string
	PostalCode       *string
	Tags             json.RawMessage
	CustomFields     json.RawMessage
	LeadPhones       []string

	Phones      []string
	LeadOptout  bool
	PhoneOptout bool
	Suppressed  bool
	Lifted      bool
	Superseded  *bool
	InFlight    bool
	UnknownAt   *time.Time
	RungAt      *time.Time
	DialledAt   *time.Time
	Dials       []time.Time
	MayHaveRung *bool
	Routes      *[]string
	OwnTold     *string
	Told        *string
	KnownAs     *string
	Arriving    *bool
}

func (r *candidateRow) candidate() pipeline.DeliveryCandidate {
	c := pipeline.DeliveryCandidate{
		Delivery: pipeline.Delivery{
			ID: r.ID, Org: r.OrgID, Account: r.AccountID, Destination: r.Destination, Operation: r.Operation,
			Class: pipeline.DeliveryClass(r.Class), Phone: textOf(r.OwnPhone), State: pipeline.DeliveryState(r.DeliveryState),
			Reason: textOf(r.Reason), Params: r.Params, SourceTime: r.SourceTime.UTC(), ExpiresAt: timeOf(r.ExpiresAt),
			NotBefore: r.NotBefore.UTC(), Hold: textOf(r.Hold), Attempts: r.Attempts, Searches: r.Searches, Resends: r.Resends,
			CreatedAt: r.CreatedAt.UTC(), SendingAt: timeOf(r.SendingAt), FirstSentAt: timeOf(r.FirstSentAt), SentBefore: r.SentBefore,
			SettledAt: timeOf(r.SettledAt), ExternalID: textOf(r.ExternalID), Error: textOf(r.Error), Dedupe: r.Dedupe,
		},
		Lifted: r.Lifted, HasLead: r.FoundLeadID != nil, FirstSourceTime: timeOf(r.FirstSourceTime), Phones: r.Phones, Superseded: r.Superseded != nil && *r.Superseded,
		RungAt: timeOf(r.RungAt), UnknownAt: timeOf(r.UnknownAt), InFlight: r.InFlight,
		DialledAt: timeOf(r.DialledAt), Dials: r.Dials, MayHaveRung: r.MayHaveRung != nil && *r.MayHaveRung,
		Arriving: r.Arriving != nil && *r.Arriving,
	}
	if r.LeadID != nil {
		c.Delivery.LeadID = *r.LeadID
	}
	switch {
	case r.Suppressed:
		c.Optout = "suppression"
	case r.PhoneOptout:
		c.Optout = "phone"
	case r.LeadOptout:
		c.Optout = "lead"
	}
	c.Lead, c.KnownAs = r.lead(&c.Delivery), textOf(r.KnownAs)
	var was pipeline.LeadView
	if r.Told != nil && json.Unmarshal([]byte(*r.Told), &was) == nil {
		c.Was = &was
		var own pipeline.LeadView
		if r.OwnTold != nil && json.Unmarshal([]byte(*r.OwnTold), &own) == nil {
			c.Was = was.OrElse(own, c.Lead)
		}
	}
	return c
}

// lead makes the view. The id under which a destination has been told of the lead stays, whatever the lead became since: a
// search by another id would miss, and a miss sends again.
func (r *candidateRow) lead(d *pipeline.Delivery) pipeline.LeadView {
	if r.FoundLeadID == nil {
		return pipeline.LeadView{Phone: d.Phone}
	}
	if d.Attempts == 0 && d.SendingAt.IsZero() && d.Operation != OpUpdateLead {
		d.LeadID = *r.FoundLeadID
	}
	v := pipeline.LeadView{
		ID: d.LeadID.String(), Phone: textOf(r.PhoneE164), FirstName: textOf(r.ContactFirstName), LastName: textOf(r.ContactLastName),
		BusinessName: textOf(r.BusinessName), Email: textOf(r.Email), City: textOf(r.City), State: textOf(r.LeadState),
		PostalCode: textOf(r.PostalCode), Industry: textOf(r.Industry), MonthlyRevenue: textOf(r.MonthlyRevenue),
		RequestedAmount: textOf(r.RequestedAmount), Priority: textOf(r.Priority), Source: textOf(r.Source), Timezone: textOf(r.Timezone),
		Custom: customTexts(r.CustomFields),
	}
	for _, phone := range r.LeadPhones {
		if phone != v.Phone {
			v.SecondPhone = phone
			break
		}
	}
	// A list of tags is all that the API takes; anything else says nothing here.
	_ = json.Unmarshal(r.Tags, &v.Tags)
	return v
}

// customTexts turns a JSON object into texts: strings as they are, anything else as JSON, null left out.
func customTexts(object json.RawMessage) map[string]string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(object, &fields) != nil || len(fields) == 0 {
		return nil
	}
	texts := make(map[string]string, len(fields))
	for name, raw := range fields {
		var text string
		switch {
		case json.Unmarshal(raw, &text) != nil:
			text = strings.TrimSpace(string(raw))
		case string(raw) == "null":
			continue
		}
		texts[name] = text
	}
	return texts
}
