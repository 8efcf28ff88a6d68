package convoso

import (
	"encoding/json"
	"testing"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// FuzzLogEntry reads any entry of the call log, and what it is kept as again.
func FuzzLogEntry(f *testing.F) {
	for _, body := range []string{
		`{"id":"2073617401","lead_id":"48213377","phone_number":"5034251234","status":"CB","call_date":"2025-06-03 10:25:02"}`,
		`{"call_log_id":2073617401,"status":null}`, `{"id":{}}`, `[]`, `{"params":{"id":"\ud800"}}`, `""`,
	} {
		f.Add([]byte(body))
	}
	s := settings(f, Config{})
	f.Fuzz(func(t *testing.T, body []byte) {
		item, err := s.LogEntry(body)
		if err != nil {
			return
		}
		if item.ObjectID == "" || !json.Valid(item.Payload) {
			t.Fatalf("%+v", item)
		}
		facts, err := s.Facts(pipeline.Record{Stream: StreamCallLog, ObjectID: item.ObjectID, Payload: item.Payload})
		if err != nil || len(facts.Calls) == 0 {
			t.Fatalf("%d calls, %v", len(facts.Calls), err)
		}
	})
}
