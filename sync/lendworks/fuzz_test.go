package lendworks_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// FuzzLead reads any entry of the list, and what it is kept as again.
func FuzzLead(f *testing.F) {
	for _, body := range []string{leadJSON, `{"id":"x","attributes":null}`, `{"id":"x","attributes":{"phone":5,"email":[],"customFields":[1]}}`, `{"id":1}`, `{"id":"\u0000"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		item, err := settings.Lead(body)
		if err != nil {
			return
		}
		if item.ObjectID == "" || !json.Valid(item.Payload) {
			t.Fatalf("%+v", item)
		}
		facts, err := settings.Facts(pipeline.Record{Stream: lendworks.StreamLeads, ObjectID: item.ObjectID, Payload: item.Payload})
		if err != nil || len(facts.Leads) != 1 || len(facts.Leads[0].Keys) == 0 {
			t.Fatalf("%d leads, %v", len(facts.Leads), err)
		}
	})
}

// FuzzEvent reads any webhook.
func FuzzEvent(f *testing.F) {
	for _, body := range []string{
		`{"id":"evt_1","event":"lead.created","timestamp":"2025-06-03T17:20:11Z","data":{"leadId":"a","email":"a@b.example"}}`,
		`{"event":"x","data":[1]}`, `{"event":5}`, `{"event":"lead.created","data":{"leadId":{}}}`, `null`, `{"event":"\ud800"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := lendworks.ParseEvent(body)
		if err != nil {
			if !errors.Is(err, lendworks.ErrUnparsable) && !errors.Is(err, lendworks.ErrUnrecognised) {
				t.Fatalf("error of no class: %v", err)
			}
			return
		}
		if e.ObjectID == "" || len(e.ObjectID) > 100 || !json.Valid(e.Payload) {
			t.Fatalf("%+v", e)
		}
		if _, err := settings.Facts(pipeline.Record{Stream: lendworks.StreamEvents, ObjectID: e.ObjectID, Payload: e.Payload}); err != nil {
			t.Fatal(err)
		}
	})
}
