package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/apiwrite"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// Enums of contracts/lendworks.md section 7.2.
var (
	leadSources    = []string{"manual", "csv_import", "api", "web_form", "referral", "dialer"}
	leadPriorities = []string{"low", "normal", "high", "urgent"}
)

// leadFields are the fields that both create and patch take, each with how it is read: nil for absent, null or at fault.
var leadFields = []struct {
	name string
	read func(o *object, field string) json.RawMessage
}{
	{"businessName", func(o *object, f string) json.RawMessage { return quoted(o, f, o.plain(f, 1, 255)) }},
	{"contactFirstName", func(o *object, f string) json.RawMessage { return quoted(o, f, o.most(f, 100)) }},
	{"contactLastName", func(o *object, f string) json.RawMessage { return quoted(o, f, o.most(f, 100)) }},
	{"email", func(o *object, f string) json.RawMessage { return quoted(o, f, o.email(f)) }},
	{"phone", func(o *object, f string) json.RawMessage { return quoted(o, f, o.most(f, 20)) }},
	{"industry", func(o *object, f string) json.RawMessage { return quoted(o, f, o.most(f, 100)) }},
	{"monthlyRevenue", func(o *object, f string) json.RawMessage { return quoted(o, f, o.decimal(f)) }},
	{"requestedAmount", func(o *object, f string) json.RawMessage { return quoted(o, f, o.decimal(f)) }},
	{"priority", func(o *object, f string) json.RawMessage { return quoted(o, f, o.enum(f, leadPriorities...)) }},
	{"tags", func(o *object, f string) json.RawMessage { return o.texts(f) }},
	{"customFields", func(o *object, f string) json.RawMessage { return o.object(f) }},
}

// most reads a string of at most that many characters.
func (o *object) most(field string, most int) string {
	text, _ := o.text(field, 0, most)
	return text
}

// quoted is a text that was read as JSON, nil where the field was absent, null or at fault.
func quoted(o *object, field, text string) json.RawMessage {
	value, _ := o.find(field)
	if value == nil {
		return nil
	}
	out, err := json.Marshal(text)
	if err != nil {
		return nil
	}
	return out
}

// leadOrder is what a create or patch asks for.
type leadOrder struct {
	// fields holds what was given; null clears.
	fields map[string]json.RawMessage
	optOut bool
}

func readLead(o *object) leadOrder {
	order := leadOrder{fields: map[string]json.RawMessage{}}
	for _, f := range leadFields {
		_, present := o.find(f.name)
		if !present {
			continue
		}
		order.fields[f.name] = json.RawMessage("null")
		if value := f.read(o, f.name); value != nil {
			order.fields[f.name] = value
		}
	}
	order.optOut = o.optOut()
	return order
}

// optOut reads isDoNotCall, which is ours: a client can tell an opt-out, never lift one in passing. A lead that was read and
// is sent back whole would lift what came in between.
func (o *object) optOut() bool {
	value, _ := o.find("isDoNotCall")
	switch string(value) {
	case "", "true":
		return value != nil
	}
	o.fault("isDoNotCall", "can only be set to true; an operator lifts it")
	return false
}

// createLead is POST /v1/leads. Fields that nobody knows are kept with the record and otherwise ignored.
func (s *Server) createLead(w http.ResponseWriter, r *http.Request) error {
	o, body, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	order := readLead(o)
	source, advisor, contact := o.enum("source", leadSources...), o.userID("assignToAdvisorId"), o.userID("contactId")
	stage := o.id("stageId")
	if err := o.err(); err != nil {
		return err
	}
	for name, text := range map[string]string{"source": source, "assignToAdvisorId": advisor, "contactId": contact} {
		if text != "" {
			order.fields[name] = quoted(o, name, text)
		}
	}
	return s.write(w, r, body, http.StatusCreated, func(ctx context.Context, tx *store.OwnWrite) (resource, error) {
		id, err := uuid.NewV7()
		if err != nil {
			return resource{}, err
		}
		lead := apiwrite.Lead{Lead: apiwrite.LeadRef{ID: id.String()}, Fields: map[string]json.RawMessage{}, Rest: o.rest()}
		if lead.Stage, err = firstStage(ctx, tx, stage); err != nil {
			return resource{}, err
		}
		records := []store.OwnRecord{{Stream: apiwrite.StreamLeads, ObjectID: lead.Lead.ID, Payload: &lead}}
		for _, name := range sortedKeys(order.fields) {
			value := order.fields[name]
			switch {
			case string(value) == "null":
				// Nothing to clear yet.
			case name == "phone", name == "email":
				// They are keys of the lead. As objects of their own they go when another one takes their place.
				records = append(records, fieldRecord(&lead.Lead, name, value, tx))
			default:
				lead.Fields[name] = value
			}
		}
		if err := tx.Land(ctx, records, nil); err != nil {
			return resource{}, err
		}
		made, err := tx.Made(ctx, id)
		if err != nil {
			return resource{}, err
		}
		if order.optOut {
			if made, err = optOut(ctx, tx, &lead.Lead, &made); err != nil {
				return resource{}, err
			}
		}
		return leadResource(&made), nil
	})
}

func fieldRecord(lead *apiwrite.LeadRef, name string, value json.RawMessage, tx *store.OwnWrite) store.OwnRecord {
	return store.OwnRecord{
		Stream: apiwrite.StreamLeadFields, ObjectID: lead.ID + "." + name,
		Payload: &apiwrite.Field{Lead: *lead, Field: name, Value: value, At: tx.Now()},
	}
}

// firstStage is the key of the stage that a new lead is put into: the one asked for, else the organisation's first one;
// empty where that is what a lead begins in anyway.
func firstStage(ctx context.Context, tx *store.OwnWrite, asked uuid.UUID) (string, error) {
	if asked != uuid.Nil {
		return stageKey(ctx, tx, asked)
	}
	key, err := tx.FirstStage(ctx)
	if key == pipeline.StageNew {
		key = ""
	}
	return key, err
}

func stageKey(ctx context.Context, tx *store.OwnWrite, id uuid.UUID) (string, error) {
	key, err := tx.StageKey(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", invalid([]errorItem{invalidField("stageId", "is no stage of this organisation")})
	}
	return key, err
}

// optOut marks a lead do-not-call, in the write's own transaction (law 6).
func optOut(ctx context.Context, tx *store.OwnWrite, ref *apiwrite.LeadRef, lead *store.LeadDetail) (store.LeadDetail, error) {
	if lead.IsDoNotCall {
		return *lead, nil
	}
	phones, err := tx.Phones(ctx, lead.ID)
	if err != nil {
		return store.LeadDetail{}, err
	}
	mark := apiwrite.OptOut{Lead: *ref, Phones: phones, Reason: "api"}
	id, err := uuid.NewV7()
	if err != nil {
		return store.LeadDetail{}, err
	}
	record := store.OwnRecord{Stream: apiwrite.StreamOptOuts, ObjectID: id.String(), Payload: &mark}
	if err := tx.Land(ctx, []store.OwnRecord{record}, suppressions(&mark, record.Stream, record.ObjectID)); err != nil {
		return store.LeadDetail{}, err
	}
	return tx.Lead(ctx, lead.ID)
}

// suppressions are the names under which an opt-out stops what is ready to ring.
func suppressions(mark *apiwrite.OptOut, stream, object string) []store.Suppression {
	var list []store.Suppression
	add := func(kind, account, value string) {
		list = append(list, store.Suppression{Kind: kind, Account: account, Value: value, Stream: stream, ObjectID: object, Reason: mark.Reason})
	}
	if mark.Lead.ID != "" {
		add(string(pipeline.KeyLead), "", mark.Lead.ID)
	}
	for _, k := range mark.Lead.Keys {
		if k.Kind != string(pipeline.KeyPhone) {
			add(k.Kind, k.Account, k.Value)
		}
	}
	for _, phone := range mark.Phones {
		add(string(pipeline.KeyPhone), "", phone)
	}
	return list
}

// patchLead is PATCH /v1/leads/{id}. Each field becomes a record of its own, so that any order of the same patches ends in
// the same lead.
func (s *Server) patchLead(w http.ResponseWriter, r *http.Request) error {
	o, body, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	order := readLead(o)
	o.refuseRest("cannot be changed")
	if err := o.err(); err != nil {
		return err
	}
	return s.writeToLead(w, r, body, func(ctx context.Context, tx *store.OwnWrite, ref *apiwrite.LeadRef, lead *store.LeadDetail) (resource, error) {
		var records []store.OwnRecord
		for _, name := range sortedKeys(order.fields) {
			records = append(records, fieldRecord(ref, name, order.fields[name], tx))
		}
		if err := tx.Land(ctx, records, nil); err != nil {
			return resource{}, err
		}
		now, err := tx.Lead(ctx, lead.ID)
		if err == nil && order.optOut {
			now, err = optOut(ctx, tx, ref, &now)
		}
		return leadResource(&now), err
	})
}

// setStage is POST /v1/leads/{id}/stage.
func (s *Server) setStage(w http.ResponseWriter, r *http.Request) error {
	o, body, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	o.required("stageId", 1000)
	var stage uuid.UUID
	if len(o.items) == 0 {
		stage = o.id("stageId")
	}
	o.refuseRest("is not known here")
	if err := o.err(); err != nil {
		return err
	}
	return s.writeToLead(w, r, body, func(ctx context.Context, tx *store.OwnWrite, ref *apiwrite.LeadRef, lead *store.LeadDetail) (resource, error) {
		key, err := stageKey(ctx, tx, stage)
		if err != nil {
			return resource{}, err
		}
		id, err := uuid.NewV7()
		if err != nil {
			return resource{}, err
		}
		record := store.OwnRecord{Stream: apiwrite.StreamStages, ObjectID: id.String(), Payload: &apiwrite.Stage{Lead: *ref, Stage: key}}
		if err := tx.Land(ctx, []store.OwnRecord{record}, nil); err != nil {
			return resource{}, err
		}
		now, err := tx.Lead(ctx, lead.ID)
		return leadResource(&now), err
	})
}

type leadWork func(ctx context.Context, tx *store.OwnWrite, ref *apiwrite.LeadRef, lead *store.LeadDetail) (resource, error)

// writeToLead does a write to the lead that the path names.
func (s *Server) writeToLead(w http.ResponseWriter, r *http.Request, body []byte, do leadWork) error {
	id, ok := parseID(r.PathValue("id"))
	if !ok {
		return notFound()
	}
	return s.write(w, r, body, http.StatusOK, func(ctx context.Context, tx *store.OwnWrite) (resource, error) {
		lead, ref, err := leadRef(ctx, tx, id)
		if err != nil {
			return resource{}, err
		}
		return do(ctx, tx, ref, &lead)
	})
}

// leadRef finds a lead and how its records name it.
func leadRef(ctx context.Context, tx *store.OwnWrite, id uuid.UUID) (store.LeadDetail, *apiwrite.LeadRef, error) {
	lead, err := tx.Lead(ctx, id)
	if err != nil {
		return store.LeadDetail{}, nil, err
	}
	ref := &apiwrite.LeadRef{ID: lead.ID.String()}
	anchor, ok, err := tx.Anchor(ctx, lead.ID, apiwrite.StreamLeads)
	if ok {
		ref.Keys = []apiwrite.Key{{Kind: string(anchor.Kind), Account: anchor.Account, Value: anchor.Value}}
	}
	return lead, ref, err
}
