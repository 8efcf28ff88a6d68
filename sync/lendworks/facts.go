package lendworks

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Streams of records.
const (
	// StreamLeads is the list of leads.
	StreamLeads = "leads"
	// StreamEvents holds what LendWorks' webhooks told.
	StreamEvents = "events"
	// StreamPushed holds, for each lead that we create there, by which of its identities it is known here. The store makes it.
	StreamPushed = "pushed"
)

// Settings is what reading an account's records takes.
type Settings struct {
	// Account is the vendor account.
	Account string
	// Region is the country of phone numbers without country code (ISO 3166).
	Region string
}

// Item is a lead of a list, ready to be stored.
type Item struct {
	ObjectID string
	Payload  []byte
	// Cleaned tells that Payload differs from what came.
	Cleaned bool
	// SourceTime is when the lead last changed (UTC), Created when it came to be; zero when the vendor told none.
	SourceTime, Created time.Time
}

// maxLead is far above any honest lead.
const maxLead = 1 << 20

// Lead reads an entry of the list. An error's text holds no personal data.
func (s Settings) Lead(raw []byte) (Item, error) {
	if len(raw) > maxLead {
		return Item{}, errors.New("lead is too large")
	}
	payload, changed, err := pipeline.CleanJSON(raw)
	if err != nil {
		return Item{}, err
	}
	l, err := readLead(payload)
	if err != nil {
		return Item{}, err
	}
	return Item{
		ObjectID: l.ID, Payload: payload, Cleaned: changed, SourceTime: cmp.Or(l.at("updatedAt"), l.at("createdAt")), Created: l.at("createdAt"),
	}, nil
}

// lead is an object with its attributes by name.
type lead struct {
	ID         string
	attributes map[string]json.RawMessage
}

func readLead(payload []byte) (lead, error) {
	var o struct {
		ID         string                     `json:"id"`
		Attributes map[string]json.RawMessage `json:"attributes"`
	}
	switch err := json.Unmarshal(payload, &o); {
	case err != nil:
		return lead{}, errors.New("lead has not the shape of one")
	case o.ID == "" || len(o.ID) > pipeline.KeyMax:
		return lead{}, errors.New("lead has no id")
	}
	return lead{o.ID, o.Attributes}, nil
}

// text returns an attribute's text, empty where it is none.
func (l lead) text(name string) string { return textOf(l.attributes[name]) }

func textOf(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return strings.TrimSpace(text)
	}
	// A number where the contract has a text of digits.
	var number json.Number
	if json.Unmarshal(raw, &number) == nil {
		return number.String()
	}
	return ""
}

func (l lead) at(name string) time.Time { return timeOf(l.text(name)) }

func timeOf(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.Year() < 1990 || at.Year() > 3000 {
		return time.Time{}
	}
	return at.UTC().Truncate(time.Microsecond)
}

// Facts returns what a record of ours says in the pipeline's words.
func (s Settings) Facts(rec pipeline.Record) (facts pipeline.Facts, err error) {
	switch rec.Stream {
	case StreamLeads:
		facts, err = s.leadFacts(rec.Payload)
	case StreamEvents:
		facts, err = s.eventFacts(rec.Payload)
	case StreamPushed:
		facts, err = pushedFacts(rec.Payload)
	default:
		err = errors.New("no such stream")
	}
	if err != nil {
		return pipeline.Facts{}, fmt.Errorf("reading record %s/%s: %w", rec.Stream, rec.ObjectID, err)
	}
	return facts, nil
}

var uuidShape = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func (s Settings) leadFacts(payload []byte) (pipeline.Facts, error) {
	l, err := readLead(payload)
	if err != nil {
		return pipeline.Facts{}, err
	}
	keys := []pipeline.Key{{Kind: pipeline.KeyLendWorks, Value: l.ID}}
	fields := fieldsOf(l.text)
	var custom map[string]json.RawMessage
	if json.Unmarshal(l.attributes["customFields"], &custom) == nil && len(custom) > 0 {
		// The lead that we created there, come back.
		if ours := textOf(custom[CustomLeadID]); uuidShape.MatchString(ours) {
			keys = append(keys, pipeline.Key{Kind: pipeline.KeyLead, Value: strings.ToLower(ours)})
		}
		delete(custom, CustomLeadID)
		if text, err := json.Marshal(custom); err == nil && len(custom) > 0 {
			fields[pipeline.FieldCustom] = string(text)
		}
	}
	var tags []string
	if json.Unmarshal(l.attributes["tags"], &tags) == nil && len(tags) > 0 {
		if text, err := json.Marshal(tags); err == nil {
			fields[pipeline.FieldTags] = string(text)
		}
	}
	phone := pipeline.ParsePhone(l.text("phone"), s.Region)
	if phone.Valid {
		keys = append(keys, pipeline.Key{Kind: pipeline.KeyPhone, Value: phone.E164})
	}
	if text := phone.Best(); text != "" {
		fields[pipeline.FieldPhone] = text
	}
	keys = append(keys, emailKeys(l.text("email"))...)
	facts := pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: keys, Fields: fields, CreatedAt: l.at("createdAt")}}}
	var optedOut bool
	if json.Unmarshal(l.attributes["isDoNotCall"], &optedOut) == nil && optedOut {
		facts.DNC = []pipeline.DNCFact{{
			Phone: phone.E164, Lead: keys[:1], Reason: cmp.Or(pipeline.CutCode(l.text("dncReason")), "isDoNotCall"), Since: l.at("dncAt"),
		}}
	}
	return facts, nil
}

func emailKeys(email string) []pipeline.Key {
	email = strings.ToLower(email)
	if !strings.Contains(email, "@") || len(email) > pipeline.KeyMax {
		return nil
	}
	return []pipeline.Key{{Kind: pipeline.KeyEmail, Value: email}}
}

// plainAttributes are the attributes of a lead that are plain texts on both sides, without the phone.
func plainAttributes() map[string]pipeline.Field {
	return map[string]pipeline.Field{
		"businessName": pipeline.FieldBusinessName, "contactFirstName": pipeline.FieldContactFirstName,
		"contactLastName": pipeline.FieldContactLastName, "email": pipeline.FieldEmail, "industry": pipeline.FieldIndustry,
		"monthlyRevenue": pipeline.FieldMonthlyRevenue, "requestedAmount": pipeline.FieldRequestedAmount,
		"source": pipeline.FieldSource, "priority": pipeline.FieldPriority,
	}
}

// Attribute returns LendWorks' name of a field, empty where it has none.
func Attribute(field pipeline.Field) string {
	if field == pipeline.FieldPhone {
		return "phone"
	}
	for name, of := range plainAttributes() {
		if of == field {
			return name
		}
	}
	return ""
}

// fieldsOf reads the texts that a lead and the webhook of its creation have in common. Absent and blank say nothing: a
// partial view of a lead must not clear what others know.
func fieldsOf(text func(name string) string) map[pipeline.Field]string {
	fields := map[pipeline.Field]string{}
	for name, field := range plainAttributes() {
		if value := text(name); value != "" {
			fields[field] = value
		}
	}
	return fields
}

// pushedFacts ties a lead that we create at LendWorks to one of its identities here, so that what comes back is known for it
// even where the answer to the request was lost and many leads share its phone. It also says what we told LendWorks of it.
func pushedFacts(payload []byte) (pipeline.Facts, error) {
	var p struct {
		LeadID      string `json:"lead_id"`
		LendWorksID string `json:"lendworks_id"`
		Key         struct{ Kind, Account, Value string }
		Told        []struct {
			At   time.Time
			Lead pipeline.LeadView
		}
	}
	if err := json.Unmarshal(payload, &p); err != nil || p.LeadID == "" {
		return pipeline.Facts{}, errors.New("names no lead")
	}
	var keys []pipeline.Key
	add := func(k pipeline.Key) {
		if k.Value != "" {
			keys = append(keys, k)
		}
	}
	add(pipeline.Key{Kind: pipeline.KeyKind(p.Key.Kind), Account: p.Key.Account, Value: p.Key.Value})
	add(pipeline.Key{Kind: pipeline.KeyLead, Value: p.LeadID})
	add(pipeline.Key{Kind: pipeline.KeyLendWorks, Value: p.LendWorksID})
	var told []pipeline.ToldValues
	for _, was := range p.Told {
		told = append(told, pipeline.ToldValues{At: was.At, Fields: toldOf(was.Lead)})
	}
	return pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: keys, Told: told}}}, nil
}

// defaultPriority is what LendWorks gives a lead of which nobody told it a priority.
const defaultPriority = "normal"

// toldOf is what LendWorks was told of a lead, in the words in which it tells it back.
func toldOf(view pipeline.LeadView) map[pipeline.Field]string {
	body, _ := LeadBody(view, true)
	if body["priority"] == nil {
		body["priority"] = defaultPriority
	}
	told := map[pipeline.Field]string{}
	attributes := plainAttributes()
	attributes["phone"] = pipeline.FieldPhone
	for name, field := range attributes {
		if value, ok := body[name].(string); ok {
			told[field] = value
		}
	}
	for name, field := range map[string]pipeline.Field{"tags": pipeline.FieldTags, "customFields": pipeline.FieldCustom} {
		if text, err := json.Marshal(body[name]); err == nil && body[name] != nil {
			told[field] = string(text)
		}
	}
	return told
}
