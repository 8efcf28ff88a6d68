package convoso

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

func record(f Fact) pipeline.Record {
	return pipeline.Record{
		Account: "default", Source: pipeline.SourceConvoso, Stream: f.Stream, ObjectID: f.ObjectID, Payload: f.Payload,
		ObservedAt: received, SourceTime: f.SourceTime, ZoneAssumed: f.ZoneAssumed,
	}
}

// factsOf returns what each fact of a post says, by type.
func factsOf(t *testing.T, s Settings, body, query string) map[string]pipeline.Facts {
	t.Helper()
	parsed, err := s.Parse(post("", body, query))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]pipeline.Facts{}
	for _, f := range parsed {
		if out[f.Type], err = s.Facts(record(f)); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

var (
	anaLead  = pipeline.Key{Kind: pipeline.KeyConvosoLead, Account: "default", Value: "48213377"}
	anaPhone = pipeline.Key{Kind: pipeline.KeyPhone, Value: "+15035550142"}
	callKey  = pipeline.CallKey{Dialler: pipeline.SourceConvoso, Account: "default", ExternalID: "2073617401"}
	talk     = 187
	started  = time.Date(2025, 6, 3, 17, 17, 42, 0, time.UTC)
	ended    = started.Add(187 * time.Second)
)

func TestFactsOfSamples(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	lead := func(created time.Time, more map[pipeline.Field]string, keys ...pipeline.Key) []pipeline.LeadFact {
		fields := map[pipeline.Field]string{pipeline.FieldSource: "dialer", pipeline.FieldPhone: "+15035550142"}
		for field, value := range more {
			fields[field] = value
		}
		return []pipeline.LeadFact{{Keys: keys, Fields: fields, CreatedAt: created}}
	}
	names := map[pipeline.Field]string{pipeline.FieldContactFirstName: "Ana", pipeline.FieldContactLastName: "Ruiz"}
	dncAt := time.Date(2025, 6, 3, 17, 21, 5, 0, time.UTC)
	dncCall := pipeline.CallFact{
		Key:  pipeline.CallKey{Dialler: pipeline.SourceConvoso, Account: "default", ExternalID: "2073617533"},
		Lead: []pipeline.Key{anaLead, anaPhone}, Campaign: "3475", Agent: pipeline.AgentRef{ID: "66318"}, Notes: "Asked to be removed", StartedAt: dncAt,
	}
	dncDisposition := dncCall
	dncDisposition.Disposition = "DNC"
	dncDisposition.Events = []pipeline.CallEvent{{Type: pipeline.EventDisposition, OccurredAt: dncAt, Disposition: "DNC"}}
	want := []map[string]pipeline.Facts{
		{TypeDisposition: {
			Leads: lead(started, names, anaLead, anaPhone),
			Calls: []pipeline.CallFact{{
				Key: callKey, Lead: []pipeline.Key{anaLead, anaPhone}, Direction: pipeline.Outbound, Campaign: "MCA Q3",
				Agent:    pipeline.AgentRef{ID: "66318", Name: "Dana O'Neil", Email: "dana@broker.example"},
				ToNumber: "+15035550142", StartedAt: started, EndedAt: ended, TalkSeconds: &talk, Disposition: "CB",
				Notes: "Call back 3 pm & send docs, wants 60k",
				Events: []pipeline.CallEvent{
					{Type: pipeline.EventDisposition, OccurredAt: started, Disposition: "CB"}, {Type: pipeline.EventEnded, OccurredAt: ended},
				},
			}},
		}},
		{TypeRecording: {
			Leads: lead(started, nil, anaLead, anaPhone),
			Calls: []pipeline.CallFact{{
				Key: callKey, Lead: []pipeline.Key{anaLead, anaPhone}, Agent: pipeline.AgentRef{ID: "66318"}, StartedAt: started, TalkSeconds: &talk,
				RecordingURL: "https://recordings.dialer.example/2025/06/03/2073617401.mp3?x=1&y=2",
				Events:       []pipeline.CallEvent{{Type: pipeline.EventRecording, OccurredAt: started}},
			}},
		}},
		{TypeCallEvent: {
			Leads: lead(started, nil, anaLead, anaPhone),
			Calls: []pipeline.CallFact{{
				Key: callKey, Lead: []pipeline.Key{anaLead, anaPhone}, Direction: pipeline.Outbound, Campaign: "MCA Q3",
				Agent: pipeline.AgentRef{ID: "66318", Email: "dana@broker.example"}, ToNumber: "+15035550142", StartedAt: started,
				Events: []pipeline.CallEvent{{Type: pipeline.EventStarted, OccurredAt: started}},
			}},
		}},
		{TypeCallEvent: {
			Leads: lead(started, nil, anaLead, anaPhone),
			Calls: []pipeline.CallFact{{
				Key: callKey, Lead: []pipeline.Key{anaLead, anaPhone}, Agent: pipeline.AgentRef{ID: "66318"}, StartedAt: started, EndedAt: ended, TalkSeconds: &talk,
				Events: []pipeline.CallEvent{{Type: pipeline.EventEnded, OccurredAt: ended}},
			}},
		}},
		{TypeLeadUpdate: {Leads: lead(dncAt, map[pipeline.Field]string{
			pipeline.FieldContactFirstName: "Ana", pipeline.FieldContactLastName: "Ruiz", pipeline.FieldEmail: "ana@birchhill.example",
			pipeline.FieldBusinessName: "Birch Hill Bakery LLC", pipeline.FieldMonthlyRevenue: "42000.00",
		}, anaLead, pipeline.Key{Kind: pipeline.KeyRemote, Value: "6f1b1c52-6a0e-4f0e-9a52-0f3d4f3c7a11"}, anaPhone,
			pipeline.Key{Kind: pipeline.KeyEmail, Value: "ana@birchhill.example"})}},
		{
			TypeDNC: {
				Leads: lead(dncAt, nil, anaLead, anaPhone), Calls: []pipeline.CallFact{dncCall},
				DNC: []pipeline.DNCFact{{Phone: "+15035550142", Lead: []pipeline.Key{anaLead}, Reason: "DNC", Since: dncAt}},
			},
			TypeDisposition: {Leads: lead(dncAt, nil, anaLead, anaPhone), Calls: []pipeline.CallFact{dncDisposition}},
		},
	}
	for i, tt := range samples() {
		for form, body := range map[string]string{"json": tt.json, "form": tt.form} {
			if diff := cmp.Diff(want[i], factsOf(t, s, body, "event="+tt.event)); diff != "" {
				t.Errorf("%s, %s (-want +got):\n%s", tt.name, form, diff)
			}
		}
	}
}

func TestFactsOfOddPosts(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	tests := []struct {
		name, body, query, kind string
		check                   func(t *testing.T, f pipeline.Facts)
	}{
		{"a lead's notes are no call note", `{"call_log_id":7,"lead_id":5,"notes":"old"}`, "event=lead_update", TypeLeadUpdate, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if f.Calls[0].Notes != "" {
				t.Errorf("note %q", f.Calls[0].Notes)
			}
		}},
		{"the call's comment beats the lead's notes", `{"call_log_id":7,"status":"CB","notes":"old","comment":"new"}`, "", TypeDisposition, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if f.Calls[0].Notes != "new" {
				t.Errorf("note %q", f.Calls[0].Notes)
			}
		}},
		{"lead in call is no disposition", `{"call_log_id":7,"status":"INCALL"}`, "event=disposition", TypeDisposition, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if c := f.Calls[0]; c.Disposition != "" || len(c.Events) != 0 {
				t.Errorf("disposition %q, events %v", c.Disposition, c.Events)
			}
		}},
		{"a file name is kept", `{"call_log_id":7,"recording":"2073617401.wav"}`, "", TypeRecording, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if f.Calls[0].RecordingURL != "2073617401.wav" {
				t.Errorf("recording %q", f.Calls[0].RecordingURL)
			}
		}},
		{"an empty recording is none", `{"call_log_id":7,"recording":""}`, "event=recording", TypeRecording, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if c := f.Calls[0]; c.RecordingURL != "" || len(c.Events) != 0 {
				t.Errorf("recording %q, events %v", c.RecordingURL, c.Events)
			}
		}},
		{"recording of a list", `{"call_log_id":7,"recording":[{"url":"u"},{"src":"s","filename":"f"},{"src":"x","public_url":"p"}]}`, "", TypeRecording, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if f.Calls[0].RecordingURL != "p" {
				t.Errorf("recording %q", f.Calls[0].RecordingURL)
			}
		}},
		{"an invalid phone links nothing", `{"call_log_id":7,"status":"CB","phone":"123","call_type":"inbound"}`, "", TypeDisposition, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if len(f.Leads) != 0 || len(f.Calls[0].Lead) != 0 || f.Calls[0].FromNumber != "123" {
				t.Errorf("leads %v, call %+v", f.Leads, f.Calls[0])
			}
		}},
		{"an end is not a start", `{"call_log_id":7,"status":"CB","call_end_time":"1748971265","length_in_sec":60}`, "", TypeDisposition, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if c := f.Calls[0]; !c.StartedAt.IsZero() || c.EndedAt.Unix() != 1748971265 {
				t.Errorf("started %s, ended %s", c.StartedAt, c.EndedAt)
			}
		}},
		{"unreadable date", `{"call_log_id":7,"status":"CB","call_date":"soon"}`, "", TypeDisposition, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if c := f.Calls[0]; !c.StartedAt.IsZero() || !c.Events[0].OccurredAt.IsZero() {
				t.Errorf("started %s, event %s; the record's time counts", c.StartedAt, c.Events[0].OccurredAt)
			}
		}},
		{"answered", `{"call_log_id":7,"timestamp":1748971265}`, "event=call_answered", TypeCallEvent, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if c := f.Calls[0]; c.AnsweredAt.Unix() != 1748971265 || c.Events[0].Type != pipeline.EventAnswered {
				t.Errorf("answered %s, events %v", c.AnsweredAt, c.Events)
			}
		}},
		{"numbers of an inbound call", `{"call_log_id":7,"status":"CB","call_type":"INBOUND","phone":"5035550142","inbound_number":"5035550199","talk_time":"0:03:07"}`, "", TypeDisposition, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if c := f.Calls[0]; c.FromNumber != "+15035550142" || c.ToNumber != "+15035550199" || *c.TalkSeconds != 187 {
				t.Errorf("from %s to %s, %d s", c.FromNumber, c.ToNumber, *c.TalkSeconds)
			}
		}},
		{"a lead's own status ends no call", `{"call_log_id":7,"lead_id":5,"status":"NI","call_date":"1748971265","length_in_sec":9}`, "event=lead_update", TypeLeadUpdate, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if c := f.Calls[0]; !c.EndedAt.IsZero() || c.Disposition != "" || len(c.Events) != 0 {
				t.Errorf("call %+v", c)
			}
		}},
		{"created_at is the lead's age", `{"lead_id":5,"created_at":"2025-01-02 03:04:05","modified_at":"2025-06-03 10:21:05","monthly_revenue":"$42,000","annual_revenue":"lots"}`, "", TypeLeadUpdate, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if l := f.Leads[0]; !l.CreatedAt.Equal(time.Date(2025, 1, 2, 11, 4, 5, 0, time.UTC)) || l.Fields[pipeline.FieldMonthlyRevenue] != "42000" {
				t.Errorf("lead %+v", l)
			}
		}},
		{"an opt-out by lead alone", `{"call_log_id":7,"lead_id":5,"dnc":true}`, "", TypeDNC, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if d := f.DNC[0]; len(f.DNC) != 1 || d.Phone != "" || d.Lead[0].Value != "5" || d.Reason != "dnc" || !d.Since.IsZero() {
				t.Errorf("opt-outs %+v", f.DNC)
			}
		}},
		{"an opt-out by call alone", `{"call_log_id":"2073617401","email":"ana@birchhill.example"}`, "event=dnc", TypeDNC, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			want := []pipeline.DNCFact{{Call: callKey, Reason: "dnc"}}
			if diff := cmp.Diff(want, f.DNC); diff != "" || len(f.Calls) != 1 || f.Calls[0].Key != callKey {
				t.Errorf("calls %+v, opt-outs (-want +got):\n%s", f.Calls, diff)
			}
		}},
		{"an opt-out by lead needs no call", `{"call_log_id":7,"lead_id":5,"status":"DNC"}`, "", TypeDNC, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if d := f.DNC[0]; d.Call != (pipeline.CallKey{}) {
				t.Errorf("opt-out %+v", d)
			}
		}},
		{"our own prefix", `{"externalCallId":"convoso-call-2073617401","status":"CB"}`, "", TypeDisposition, func(t *testing.T, f pipeline.Facts) {
			t.Helper()
			if f.Calls[0].Key != callKey {
				t.Errorf("call %v", f.Calls[0].Key)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, ok := factsOf(t, s, tt.body, tt.query)[tt.kind]
			if !ok {
				t.Fatalf("no %s", tt.kind)
			}
			tt.check(t, f)
		})
	}
}

// A missing or unreadable date makes the arrival time the row's, flagged, and leaves the record without a source time.
func TestArrivalStandsIn(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	for _, date := range []string{"", "0000-00-00 00:00:00", "soon"} {
		facts, err := s.Parse(post(jsonType, `{"call_log_id":7,"status":"CB","call_date":"`+date+`"}`, ""))
		if err != nil {
			t.Fatal(err)
		}
		f := facts[0]
		if !f.SourceTime.IsZero() || f.ZoneAssumed || !f.Row.OccurredAt.Equal(received) || !f.Row.ZoneAssumed {
			t.Errorf("%q: source time %s (%v), row %s (%v)", date, f.SourceTime, f.ZoneAssumed, f.Row.OccurredAt, f.Row.ZoneAssumed)
		}
	}
}

func TestFactsRefuseStrangePayloads(t *testing.T) {
	t.Parallel()
	s := settings(t, Config{})
	for _, payload := range []string{"", "null", "[]", "{", `{"status":"CB"}`, `{"event":"foo"}`} {
		if _, err := s.Facts(pipeline.Record{Stream: StreamDispositions, ObjectID: "x", Payload: []byte(payload)}); err == nil {
			t.Errorf("%q: no error", payload)
		}
	}
}
