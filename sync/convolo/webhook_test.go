package convolo_test

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/pipeline"
)

const (
	call    = "b7c1f0e2a4d84f6f9d3b5a6c7e8f9012"
	hookRef = "0197a1c2-5b1e-7c3a-9d5e-111213141516"

	startCall = `{"type": "start_call", "call_id": "` + call + `", "user_id": 40321, "widget_key": "38a7", "widget_name": "MCA leads",
		"timezone": "America/New_York", "is_delayed_call": false, "called_lead_phone": "+15034251234",
		"lead": {"lead_phone": "+15034251234", "lead_id": "01J2ZQ6V4V7M3V8N5C1R9T0KXA", "source": "api", "site_path": null,
			"custom_params": {"lc_param_ref": "` + hookRef + `"}}, "debug": null}`
	endCall = `{"type": "end_call", "call_id": "` + call + `", "widget_key": "38a7", "widget_name": "MCA leads", "call_status": "answered",
		"time_started_iso_string": "2025-06-03T17:25:02.120Z", "time_agent_answered_iso_string": "2025-06-03T17:25:11.004Z",
		"time_lead_answered_iso_string": "2025-06-03T17:25:20.000Z", "time_ended_iso_string": "2025-06-03T17:25:48.900Z",
		"is_delayed_call": false, "talk_duration_sec": 28, "total_duration_sec": 47, "disconnected_by": "lead",
		"recording_link": "https://r.example/1.mp3?a=1&b=<2>", "called_lead_phone": "+15034251299",
		"agent": {"id": 771, "phone": "+15034250190", "name": "Dana", "email": null},
		"lead": {"lead_phone": "+15034251234", "custom_params": {"REF": "` + hookRef + `"}}, "debug": {"x": [1, null]}}`
)

func hooks(t *testing.T, body string) []convolo.Webhook {
	t.Helper()
	list, err := convolo.ParseWebhooks([]byte(body))
	if err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return list
}

func payload(t *testing.T, h *convolo.Webhook, join *convolo.Join) []byte {
	t.Helper()
	raw, err := h.Payload(join)
	if err != nil || !json.Valid(raw) {
		t.Fatalf("payload %q: %v", raw, err)
	}
	return raw
}

var settings = convolo.Settings{Account: "default", Region: "US"}

func TestWebhookBodies(t *testing.T) {
	t.Parallel()
	want := payload(t, &hooks(t, startCall)[0], nil)
	form := url.Values{
		"type": {"start_call"}, "call_id": {call}, "user_id": {"40321"}, "widget_key": {"38a7"}, "widget_name": {"MCA leads"},
		"timezone": {"America/New_York"}, "is_delayed_call": {"false"}, "called_lead_phone": {"+15034251234"}, "debug": {""},
	}
	nested, whole := url.Values{}, url.Values{}
	for name, values := range form {
		nested[name], whole[name] = values, values
	}
	nested.Set("lead[lead_phone]", "+15034251234")
	nested.Set("lead[lead_id]", "01J2ZQ6V4V7M3V8N5C1R9T0KXA")
	nested.Set("lead.source", "api")
	nested.Set("lead[custom_params][lc_param_ref]", hookRef)
	nested.Set("lead[site_path]", "null")
	whole.Set("lead", `{"lead_phone":"+15034251234","lead_id":"01J2ZQ6V4V7M3V8N5C1R9T0KXA","source":"api","custom_params":{"lc_param_ref":"`+hookRef+`"}}`)
	for name, body := range map[string]string{
		"bytes mark": "\xef\xbb\xbf " + startCall, "list": "[" + startCall + "]", "JSON as a form": url.QueryEscape(startCall) + "=",
		"form with brackets": nested.Encode(), "form with an object": whole.Encode(),
	} {
		got := hooks(t, body)
		if len(got) != 1 || got[0].ObjectID != call+":start_call" || got[0].Ref != hookRef || got[0].CallID != call {
			t.Errorf("%s: %+v", name, got)
			continue
		}
		if diff := cmp.Diff(string(want), string(payload(t, &got[0], nil))); diff != "" {
			t.Errorf("%s (-json +got):\n%s", name, diff)
		}
	}
}

func TestWebhookRefusals(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]error{
		"": convolo.ErrUnparsable, "hello": convolo.ErrUnparsable, `{"type":`: convolo.ErrUnparsable, "\x00\x01=": convolo.ErrUnparsable,
		"[]": convolo.ErrUnparsable, `"text"`: convolo.ErrUnparsable, strings.Repeat("[", 5000): convolo.ErrUnparsable,
		`{"type":"x"} {"type":"y"}`: convolo.ErrUnparsable, strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40): convolo.ErrUnparsable,
		`{"call_id":"1"}`: convolo.ErrUnrecognised, `{"type":null,"call_id":"1"}`: convolo.ErrUnrecognised, `{"type":{}}`: convolo.ErrUnrecognised,
		"call_id=1&status=x": convolo.ErrUnrecognised,
	} {
		if got, err := convolo.ParseWebhooks([]byte(body)); !errors.Is(err, want) {
			t.Errorf("%.60q: %v, %v; want %v", body, got, err, want)
		}
	}
	// Any type will do, and none needs a call.
	for body, object := range map[string]string{
		`{"type":"LEAD_created","call_id":7}`:                       "7:lead_created",
		`{"type":"brand new!","call_id":"a b"}`:                     "",
		`{"type":"ping"}`:                                           "",
		`{"type":"start_call","call_id":null}`:                      "",
		`{"type":"x","call_id":"` + strings.Repeat("1", 300) + `"}`: "",
	} {
		got := hooks(t, body)[0]
		if object != "" && got.ObjectID != object || got.ObjectID == "" || len(got.ObjectID) > 120 || strings.ContainsAny(got.ObjectID, " !") {
			t.Errorf("%.60s is object %q of stream %s", body, got.ObjectID, got.Stream)
		}
		if wantOther := !strings.Contains(body, `"call_id":7`) && !strings.Contains(body, "a b"); (got.Stream == convolo.StreamOther) != wantOther {
			t.Errorf("%.60s is of stream %s", body, got.Stream)
		}
		facts(t, &got, nil)
	}
}

func facts(t *testing.T, h *convolo.Webhook, join *convolo.Join) pipeline.Facts {
	t.Helper()
	f, err := settings.Facts(pipeline.Record{Source: pipeline.SourceConvolo, Stream: h.Stream, ObjectID: h.ObjectID, Payload: payload(t, h, join)})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWebhookFacts(t *testing.T) {
	t.Parallel()
	start, end := hooks(t, startCall)[0], hooks(t, endCall)[0]
	began, answered, ended := time.Date(2025, 6, 3, 17, 25, 2, 120e6, time.UTC), time.Date(2025, 6, 3, 17, 25, 20, 0, time.UTC), time.Date(2025, 6, 3, 17, 25, 48, 900e6, time.UTC)
	if !start.SourceTime.IsZero() || !end.SourceTime.Equal(ended) {
		t.Errorf("source times %s and %s", start.SourceTime, end.SourceTime)
	}
	key := pipeline.CallKey{Dialler: pipeline.SourceConvolo, Account: "default", ExternalID: call}
	join := &convolo.Join{DeliveryID: hookRef, Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "7001"}}}
	want := pipeline.Facts{Calls: []pipeline.CallFact{{
		Key: key, Direction: pipeline.Outbound, Campaign: "MCA leads", ToNumber: "+15034251234",
		Lead:   []pipeline.Key{join.Lead[0], {Kind: pipeline.KeyPhone, Value: "+15034251234"}},
		Events: []pipeline.CallEvent{{Type: pipeline.EventStarted}},
	}}}
	if diff := cmp.Diff(want, facts(t, &start, join)); diff != "" {
		t.Errorf("start (-want +got):\n%s", diff)
	}
	talk := 28
	want = pipeline.Facts{Calls: []pipeline.CallFact{{
		Key: key, Direction: pipeline.Outbound, Campaign: "MCA leads", ToNumber: "+15034251299",
		Lead:      []pipeline.Key{{Kind: pipeline.KeyPhone, Value: "+15034251299"}, {Kind: pipeline.KeyPhone, Value: "+15034251234"}},
		Agent:     pipeline.AgentRef{ID: "771", Name: "Dana"},
		StartedAt: began, AnsweredAt: answered, EndedAt: ended, TalkSeconds: &talk, Disposition: "answered",
		RecordingURL: "https://r.example/1.mp3?a=1&b=<2>",
		Events: []pipeline.CallEvent{
			{Type: pipeline.EventAnswered, OccurredAt: answered},
			{Type: pipeline.EventEnded, OccurredAt: ended},
			{Type: pipeline.EventDisposition, OccurredAt: ended, Disposition: "answered"},
		},
	}}}
	if diff := cmp.Diff(want, facts(t, &end, nil)); diff != "" {
		t.Errorf("end (-want +got):\n%s", diff)
	}
}

func TestCallRow(t *testing.T) {
	t.Parallel()
	start, end := hooks(t, startCall)[0], hooks(t, endCall)[0]
	row := func(payloads ...[]byte) map[string]any {
		values, err := settings.CallRow(payloads)
		if err != nil {
			t.Fatal(err)
		}
		named := map[string]any{}
		for i, name := range convolo.CallColumns() {
			if values[i] != nil {
				text, err := json.Marshal(values[i])
				if err != nil {
					t.Fatal(err)
				}
				named[name] = strings.Trim(string(text), `"`)
			}
		}
		return named
	}
	want := map[string]any{
		"call_id": call, "delivery_id": hookRef, "status": "answered", "phone": "+15034251299", "widget_key": "38a7", "is_delayed": "false",
		"agent_id": "771", "agent_name": "Dana", "agent_phone": "+15034250190", "disconnected_by": "lead",
		"started_at": "2025-06-03T17:25:02.12Z", "agent_answered_at": "2025-06-03T17:25:11.004Z", "lead_answered_at": "2025-06-03T17:25:20Z",
		"ended_at": "2025-06-03T17:25:48.9Z", "talk_s": "28", "total_s": "47", "recording_url": `https://r.example/1.mp3?a=1\u0026b=\u003c2\u003e`,
		"custom_params": `{"REF":"` + hookRef + `"}`,
	}
	joined := payload(t, &start, &convolo.Join{DeliveryID: hookRef})
	if diff := cmp.Diff(want, row(payload(t, &end, nil), joined)); diff != "" {
		t.Errorf("both (-want +got):\n%s", diff)
	}
	if got := row(joined); got["status"] != nil || got["delivery_id"] != hookRef || got["is_delayed"] != "false" {
		t.Errorf("start alone: %v", got)
	}
}

// Whatever comes, the parser neither panics nor makes what Postgres or the fold cannot take.
func TestAnyWebhook(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.OneOf(rapid.String(), rapid.Custom(func(t *rapid.T) string {
			doc := map[string]any{"type": rapid.String().Draw(t, "type"), "call_id": rapid.String().Draw(t, "call")}
			for _, name := range []string{"lead", "agent", "time_ended_iso_string", "talk_duration_sec", "is_delayed_call", "called_lead_phone"} {
				doc[name] = rapid.OneOf(
					rapid.Just[any](nil), rapid.Just[any](map[string]any{"custom_params": []any{1, "x"}, "id": 1e300}), rapid.Just[any]([]any{true}),
					rapid.Map(rapid.String(), func(s string) any { return s }), rapid.Map(rapid.Float64Range(-1e18, 1e18), func(f float64) any { return f }),
				).Draw(t, name)
			}
			raw, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			return string(raw)
		})).Draw(t, "body")
		list, err := convolo.ParseWebhooks([]byte(body))
		if err != nil {
			return
		}
		for i := range list {
			raw, err := list[i].Payload(&convolo.Join{DeliveryID: "d"})
			if err != nil {
				t.Fatal(err)
			}
			if _, changed, err := pipeline.CleanJSON(raw); err != nil || changed {
				t.Fatalf("jsonb does not take %q: %v", raw, err)
			}
			if _, err := settings.Facts(pipeline.Record{Stream: list[i].Stream, Payload: raw}); err != nil {
				t.Fatal(err)
			}
			if _, err := settings.CallRow([][]byte{raw}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
