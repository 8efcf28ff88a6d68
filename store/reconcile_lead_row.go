package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// leadRecord is a row of pipeline.leads as JSON; keys are columns.
type leadRecord struct {
	OrgID            uuid.UUID                       `json:"org_id"`
	LeadID           uuid.UUID                       `json:"lead_id"`
	BusinessName     *string                         `json:"business_name"`
	ContactFirstName *string                         `json:"contact_first_name"`
	ContactLastName  *string                         `json:"contact_last_name"`
	Email            *string                         `json:"email"`
	Phone            *string                         `json:"phone"`
	PhoneE164        *string                         `json:"phone_e164"`
	Phones           []string                        `json:"phones"`
	Industry         *string                         `json:"industry"`
	MonthlyRevenue   *string                         `json:"monthly_revenue"`
	RequestedAmount  *string                         `json:"requested_amount"`
	Source           string                          `json:"source"`
	Priority         string                          `json:"priority"`
	Timezone         *string                         `json:"timezone"`
	City             *string                         `json:"city"`
	State            *string                         `json:"state"`
	PostalCode       *string                         `json:"postal_code"`
	Tags             json.RawMessage                 `json:"tags"`
	CustomFields     json.RawMessage                 `json:"custom_fields"`
	ExternalIDs      map[string]any                  `json:"external_ids"`
	StageKey         string                          `json:"stage_key"`
	StageChangedAt   *time.Time                      `json:"stage_changed_at"`
	StageHistory     []pipeline.StageChange          `json:"stage_history"`
	AdvisorID        *string                         `json:"advisor_id"`
	LastContactedAt  *time.Time                      `json:"last_contacted_at"`
	Attempts         int                             `json:"attempts"`
	FirstDialledAt   *time.Time                      `json:"first_dialled_at"`
	FirstAnsweredAt  *time.Time                      `json:"first_answered_at"`
	IsDoNotCall      bool                            `json:"is_do_not_call"`
	DNCReason        *string                         `json:"dnc_reason"`
	DNCAt            *time.Time                      `json:"dnc_at"`
	FieldSources     map[pipeline.Field]pipeline.Won `json:"field_sources"`
	ContentHash      string                          `json:"content_hash"`
	FirstSourceTime  time.Time                       `json:"first_source_time"`
	SplitFrom        *uuid.UUID                      `json:"split_from"`
	CreatedAt        time.Time                       `json:"created_at"`
	UpdatedAt        time.Time                       `json:"updated_at"`
}

// defaultPriority is that of a lead of which nobody said any.
const defaultPriority = "normal"

func (f *folded) leadRow(i int) leadRecord {
	l := &f.result.Leads[i]
	text := func(field pipeline.Field) *string { return optional(l.Fields[field].Value) }
	row := leadRecord{
		OrgID: f.org, LeadID: f.ids.IDs[i],
		BusinessName: text(pipeline.FieldBusinessName), ContactFirstName: text(pipeline.FieldContactFirstName),
		ContactLastName: text(pipeline.FieldContactLastName), Email: text(pipeline.FieldEmail),
		Phone: text(pipeline.FieldPhone), PhoneE164: optional(l.DialPhone()), Phones: l.Phones,
		Industry:       text(pipeline.FieldIndustry),
		MonthlyRevenue: amount(l.Fields[pipeline.FieldMonthlyRevenue].Value), RequestedAmount: amount(l.Fields[pipeline.FieldRequestedAmount].Value),
		Source: orElse(l.Fields[pipeline.FieldSource].Value, "manual"), Priority: orElse(l.Fields[pipeline.FieldPriority].Value, defaultPriority),
		Timezone: text(pipeline.FieldTimezone), City: text(pipeline.FieldCity), State: text(pipeline.FieldState),
		PostalCode: text(pipeline.FieldPostalCode),
		Tags:       jsonOr(l.Fields[pipeline.FieldTags].Value, "[]"), CustomFields: jsonOr(l.Fields[pipeline.FieldCustom].Value, "{}"),
		ExternalIDs: externalIDs(l), StageKey: l.Stage, StageChangedAt: optionalTime(l.StageChangedAt),
		StageHistory: l.Stages, AdvisorID: text(pipeline.FieldAdvisor),
		LastContactedAt: optionalTime(l.LastContactedAt), Attempts: l.Attempts, FirstDialledAt: optionalTime(l.FirstDialledAt),
		FirstAnsweredAt: optionalTime(l.FirstAnsweredAt), IsDoNotCall: l.DNC, DNCReason: optional(l.DNCReason),
		DNCAt: optionalTime(l.DNCAt), FieldSources: l.Fields, FirstSourceTime: l.FirstSourceTime,
		CreatedAt: l.CreatedAt, UpdatedAt: f.now,
	}
	if row.Phones == nil {
		row.Phones = []string{}
	}
	if row.StageHistory == nil {
		row.StageHistory = []pipeline.StageChange{}
	}
	if from := f.ids.SplitFrom[i]; from != uuid.Nil {
		row.SplitFrom = &from
	}
	row.ContentHash = contentHash(l)
	return row
}

// contentHash returns the hash of a folded value in the form that bytea takes from JSON.
func contentHash(v any) string {
	// Marshalling these structs cannot fail: they hold strings, numbers, times and maps of them.
	text, _ := json.Marshal(v)
	sum := sha256.Sum256(text)
	return `\x` + hex.EncodeToString(sum[:])
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func jsonOr(s, fallback string) json.RawMessage {
	if !json.Valid([]byte(s)) {
		s = fallback
	}
	return json.RawMessage(s)
}

var decimal = regexp.MustCompile(`^-?\d{1,30}(\.\d{1,10})?$`)

// amount reads money as an exact decimal; what is none stays readable in the record and its field source.
func amount(s string) *string {
	s = strings.NewReplacer(",", "", "$", "", " ", "").Replace(s)
	if !decimal.MatchString(s) {
		return nil
	}
	return &s
}

// externalIDs names the lead's ids at the vendors: a string, or an array where there are several.
func externalIDs(l *pipeline.Lead) map[string]any {
	names := map[pipeline.KeyKind]string{
		pipeline.KeyIPSCAPELead: "ipscape", pipeline.KeyConvosoLead: "convoso", pipeline.KeyLendWorks: "lendworks",
	}
	values := map[string][]string{}
	for _, k := range l.Keys {
		if name, ok := names[k.Kind]; ok {
			values[name] = append(values[name], k.Value)
		}
	}
	ids := map[string]any{}
	for name, list := range values {
		if len(list) == 1 {
			ids[name] = list[0]
		} else {
			ids[name] = list
		}
	}
	return ids
}
