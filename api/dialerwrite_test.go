package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// user is no hexadecimal, as the contract's own samples.
const user = "e5f6g7h8-1a2b-4c3d-8e9f-0a1b2c3d4e5f"

func TestCallEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	lead := w.want(http.StatusCreated, "POST", "/v1/leads", wholeLead).Data.ID
	now := time.Now().UTC().Truncate(time.Second)
	at := func(second int) string { return now.Add(time.Duration(second-600) * time.Second).Format(time.RFC3339) }
	post := func(kind string, second int, more string) sent {
		return w.want(http.StatusCreated, "POST", "/v1/dialer/events",
			fmt.Sprintf(`{"externalCallId":"c-1","userId":%q,"leadId":%q,"eventType":%q,"occurredAt":%q%s}`, user, lead, kind, at(second), more))
	}
	// Out of order: the end comes first.
	ended := post("call_ended", 90, `,"durationSeconds":60,"direction":"outbound"`)
	if a := ended.Data.Attributes; ended.Data.Type != "call_event" || !strings.HasPrefix(ended.Data.ID, "evt_") || a["externalCallId"] != "c-1" ||
		a["userId"] != user || a["leadId"] != lead || a["eventType"] != "call_ended" || a["durationSeconds"] != 60.0 || a["direction"] != "outbound" ||
		a["disposition"] != nil || !cmp.Equal(a["metadata"], map[string]any{}) || a["occurredAt"] != strings.Replace(at(90), "Z", ".000Z", 1) ||
		a["createdAt"] == nil || a["updatedAt"] == nil {
		t.Errorf("event %v", ended.Data)
	}
	post("call_answered", 30, "")
	for _, offset := range []string{"+0000", "+00"} {
		if got := w.want(http.StatusCreated, "POST", "/v1/dialer/events", fmt.Sprintf(`{"externalCallId":"c-1","userId":%q,"leadId":%q,"eventType":"call_answered","occurredAt":%q}`,
			user, lead, strings.TrimSuffix(at(30), "Z")+offset)); got.Data.Attributes["occurredAt"] != strings.Replace(at(30), "Z", ".000Z", 1) {
			t.Errorf("%s: %v", offset, got.Data.Attributes)
		}
	}
	post("hold", 40, `,"metadata":{"why":"coffee","n":1.50}`)
	post("resume", 50, "")
	post("transfer", 60, "")
	started := w.want(http.StatusCreated, "POST", "/v1/dialer/events", fmt.Sprintf(
		`{"call_id":"c-1","user_id":%q,"lead_id":%q,"event_type":"call_started","direction":"outbound","duration_seconds":0,"occurred_at":%q}`, user, lead, at(0)))
	if started.Data.Attributes["externalCallId"] != "c-1" || started.Data.Attributes["durationSeconds"] != 0.0 {
		t.Errorf("snake case: %v", started.Data)
	}
	if again := post("call_started", 0, `,"direction":"outbound"`); again.Data.ID != started.Data.ID || again.Data.Attributes["createdAt"] != started.Data.Attributes["createdAt"] {
		t.Errorf("a step that was told again is %s, was %s", again.Data.ID, started.Data.ID)
	}
	said := w.want(http.StatusCreated, "POST", "/v1/dialer/disposition", fmt.Sprintf(
		`{"external_call_id":"c-1","userId":%q,"leadId":%q,"disposition":"interested","notes":"call back <soon>","occurredAt":%q}`, user, lead, at(95)))
	if a := said.Data.Attributes; said.Data.Type != "call_event" || a["eventType"] != "disposition" || a["disposition"] != "interested" || a["notes"] != "call back <soon>" {
		t.Errorf("disposition %v", said.Data)
	}
	var order, talk string
	if err := w.db.Pool.QueryRow(t.Context(), `select concat_ws(' ', answered_at - started_at, ended_at - started_at, disposition), talk_s::text
		from analytics.calls where external_call_id = 'c-1' and source = 'api'`).Scan(&order, &talk); err != nil || order != "00:00:30 00:01:30 interested" || talk != "60" {
		t.Errorf("the call is %q, talk %q, %v", order, talk, err)
	}
	if a := w.want(http.StatusOK, "GET", "/v1/leads/"+lead, "").Data.Attributes; a["lastContactedAt"] != strings.Replace(at(30), "Z", ".000Z", 1) {
		t.Errorf("last contact %v", a["lastContactedAt"])
	} else if stage, _ := a["stage"].(map[string]any); stage["stageKey"] != "qualified" {
		t.Errorf("stage %v", stage)
	}
	var line page
	w.get("/v1/leads/"+lead+"/timeline").decode(t, &line)
	var kinds []string
	for _, e := range line.Data {
		kinds = append(kinds, fmt.Sprint(e.Attributes["kind"]))
		details, _ := e.Attributes["details"].(map[string]any)
		if by := map[any]any{"attempting": nil, "contacted": nil, "qualified": user}[details["newStage"]]; details["newStage"] != nil && details["changedBy"] != by {
			t.Errorf("who changed the stage to %v: %v, want %v", details["newStage"], details["changedBy"], by)
		}
	}
	for _, kind := range []string{"transfer", "hold", "resume", "disposition", "call_started"} {
		if !slices.Contains(kinds, kind) {
			t.Errorf("the timeline has no %s: %v", kind, kinds)
		}
	}
	w.checkEventList(lead, at)
	w.checkEventFaults(lead, at(1))
	var agents page
	w.get("/v1/dialer/agents").decode(t, &agents)
	if len(agents.Data) != 1 || agents.Data[0].Attributes["userId"] != user || agents.Data[0].Attributes["callsToday"] == nil {
		t.Errorf("agents %v", agents.Data)
	}
}

// TestDispositionWithTheEnd says the outcome with the call's end, as the contract's own sample does: it moves the lead's stage, and the list
// and the timeline show it.
func TestDispositionWithTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	lead := w.want(http.StatusCreated, "POST", "/v1/leads", wholeLead).Data.ID
	w.want(http.StatusCreated, "POST", "/v1/dialer/events", fmt.Sprintf(`{"externalCallId":"c-2","userId":%q,"leadId":%q,"eventType":"call_ended","direction":"outbound",
		"durationSeconds":185,"disposition":"interested","occurredAt":%q}`, user, lead, time.Now().UTC().Format(time.RFC3339)))
	got := w.want(http.StatusOK, "GET", "/v1/leads/"+lead, "").Data.Attributes
	if stage, _ := got["stage"].(map[string]any); stage["stageKey"] != "qualified" {
		t.Errorf("stage %v", stage)
	}
	var events, line page
	w.get("/v1/dialer/events?leadId="+lead).decode(t, &events)
	if len(events.Data) != 1 || events.Data[0].Attributes["eventType"] != "call_ended" || events.Data[0].Attributes["disposition"] != "interested" {
		t.Errorf("events %v", events.Data)
	}
	w.get("/v1/leads/"+lead+"/timeline").decode(t, &line)
	told := false
	for _, e := range line.Data {
		details, _ := e.Attributes["details"].(map[string]any)
		told = told || details["newStage"] == "qualified" && details["changedBy"] == user
	}
	if !told {
		t.Errorf("timeline %v", line.Data)
	}
}

// checkEventList reads the list by filter and by cursor.
func (w *world) checkEventList(lead string, at func(int) string) {
	w.t.Helper()
	for query, want := range map[string]int64{
		"": 7, "eventType=hold": 1, "userId=" + user: 7, "userId=" + uuid.NewString(): 0, "leadId=" + lead: 7, "leadId=" + uuid.NewString(): 0,
		"from=" + at(30) + "&to=" + at(60): 3, "to=" + at(0): 0,
	} {
		var p page
		w.get("/v1/dialer/events?"+query).decode(w.t, &p)
		if p.Meta.Total != want || int64(len(p.Data)) != want {
			w.t.Errorf("%s: %d of %d, want %d", query, len(p.Data), p.Meta.Total, want)
		}
		if query == "eventType=hold" && len(p.Data) == 1 && !cmp.Equal(p.Data[0].Attributes["metadata"], map[string]any{"why": "coffee", "n": 1.5}) {
			w.t.Errorf("metadata %v", p.Data[0].Attributes["metadata"])
		}
	}
	var seen []string
	for cursor, n := "", 0; n == 0 || cursor != ""; n++ {
		var p page
		w.get("/v1/dialer/events?limit=3&cursor="+cursor).decode(w.t, &p)
		for _, e := range p.Data {
			seen = append(seen, fmt.Sprint(e.Attributes["eventType"]))
		}
		cursor = p.Meta.NextCursor
	}
	want := []string{"disposition", "call_ended", "transfer", "resume", "hold", "call_answered", "call_started"}
	if !cmp.Equal(seen, want) {
		w.t.Errorf("by cursor: %v", seen)
	}
	for _, wrong := range []string{"eventType=x", "from=x", "leadId=x", "cursor=x", "limit=0", "page=2"} {
		if a := w.get("/v1/dialer/events?" + wrong); a.status != http.StatusUnprocessableEntity {
			w.t.Errorf("%s: %d", wrong, a.status)
		}
	}
}

func (w *world) checkEventFaults(lead, at string) {
	w.t.Helper()
	for _, test := range []struct {
		path, body string
		fields     []string
	}{
		{"events", `{}`, []string{"eventType", "externalCallId", "occurredAt", "userId"}},
		{"disposition", `{}`, []string{"disposition", "externalCallId", "occurredAt", "userId"}},
		{"presence", `{}`, []string{"status", "userId"}},
		{
			"events",
			`{"externalCallId":"","userId":"x","leadId":"y","eventType":"ring","direction":"up","durationSeconds":-1,"metadata":[],"occurredAt":"now","disposition":5}`,
			[]string{"direction", "disposition", "durationSeconds", "eventType", "externalCallId", "leadId", "metadata", "occurredAt", "userId"},
		},
		{"events", `{"externalCallId":"` + strings.Repeat("x", 201) + `","userId":"` + user + `","eventType":"hold","occurredAt":"` + at + `"}`, []string{"externalCallId"}},
		{"events", `{"externalCallId":"1","userId":"` + user + `","eventType":"hold","occurredAt":"2026-01-01T00:00:00"}`, []string{"occurredAt"}},
		{"events", `{"externalCallId":"1","userId":"` + user + `","eventType":"hold","occurredAt":"0000-01-01T00:00:00Z"}`, []string{"occurredAt"}},
		{"events", `{"externalCallId":"1","userId":"` + user + `","eventType":"hold","durationSeconds":1.5,"occurredAt":"9999-12-31T23:59:59Z"}`, []string{"durationSeconds", "occurredAt"}},
		{"events", `{"externalCallId":"1","userId":"` + user + `","leadId":"` + uuid.NewString() + `","eventType":"hold","occurredAt":"` + at + `"}`, []string{"leadId"}},
		{"presence", `{"userId":"` + user + `","status":"lunch","currentCallId":7,"currentLeadId":"z","metadata":"m"}`, []string{"currentCallId", "currentLeadId", "metadata", "status"}},
		{"presence", `{"userId":"` + user + `","status":"online","currentLeadId":"` + uuid.NewString() + `"}`, []string{"currentLeadId"}},
		{"disposition", `{"externalCallId":"1","userId":"` + user + `","disposition":"","occurredAt":"` + at + `"}`, []string{"disposition"}},
		{"disposition", `{"externalCallId":"1","userId":"` + user + `","leadId":"` + lead + `","disposition":"x","notes":1,"occurredAt":"` + at + `"}`, []string{"notes"}},
	} {
		if got := w.want(http.StatusUnprocessableEntity, "POST", "/v1/dialer/"+test.path, test.body); !cmp.Equal(got.fields(), test.fields) {
			w.t.Errorf("%s %.80s: %v", test.path, test.body, got.Errors)
		}
	}
}

func TestPresence(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	lead := w.want(http.StatusCreated, "POST", "/v1/leads", wholeLead).Data.ID
	now := time.Now().UTC().Truncate(time.Second)
	w.want(http.StatusCreated, "POST", "/v1/dialer/events", fmt.Sprintf(
		`{"externalCallId":"c-1","userId":%q,"leadId":%q,"eventType":"call_started","occurredAt":%q}`, user, lead, now.Format(time.RFC3339)))
	got := w.want(http.StatusOK, "POST", "/v1/dialer/presence", fmt.Sprintf(
		`{"userId":%q,"status":"on_call","currentCallId":"c-1","currentLeadId":%q,"metadata":{"seat":4}}`, user, lead)).Data
	a := got.Attributes
	if got.Type != "agent_presence" || !strings.HasPrefix(got.ID, "pres_") || a["userId"] != user || a["status"] != "on_call" ||
		a["currentCallId"] != "c-1" || a["currentLeadId"] != lead || a["currentLeadName"] != "Ana Ruiz" || a["callStartedAt"] != formatTime(now) ||
		a["callsToday"] == nil || a["dispositionCount"] != 0.0 || a["statusTimeSec"] != 0.0 || a["statusChangedAt"] == nil ||
		!cmp.Equal(a["metadata"], map[string]any{"seat": 4.0}) {
		t.Errorf("presence %v", got)
	}
	again := w.want(http.StatusOK, "POST", "/v1/dialer/presence", fmt.Sprintf(`{"user_id":%q,"status":"on_call"}`, strings.ToUpper(user))).Data
	if again.ID != got.ID || again.Attributes["statusChangedAt"] != a["statusChangedAt"] || again.Attributes["currentCallId"] != nil {
		t.Errorf("reported again: %v", again)
	}
	away := w.want(http.StatusOK, "POST", "/v1/dialer/presence", fmt.Sprintf(`{"userId":%q,"status":"break"}`, user)).Data
	if away.Attributes["status"] != "break" {
		t.Errorf("then: %v", away)
	}
	var agents page
	w.get("/v1/dialer/agents").decode(t, &agents)
	if len(agents.Data) != 1 || agents.Data[0].ID != got.ID || agents.Data[0].Attributes["status"] != "break" {
		t.Errorf("agents %v", agents.Data)
	}
}

// TestConvososCall tells of Convoso's call through the API: it is one call, and its agent stays Convoso's.
func TestConvososCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	w.convoso("disposition", `{"lead_id":"900","call_log_id":"77","phone_number":"5035550142","status":"CB","agent_id":"12","agent_name":"Dana Fox","call_date":"2026-03-02 09:00:00"}`)
	var p page
	w.get("/v1/dialer/agents").decode(t, &p)
	if len(p.Data) != 1 || p.Data[0].Attributes["firstName"] != "Dana" {
		t.Fatalf("agents %v", p.Data)
	}
	dana := fmt.Sprint(p.Data[0].Attributes["userId"])
	for _, who := range []string{user, dana} {
		got := w.want(http.StatusCreated, "POST", "/v1/dialer/events", fmt.Sprintf(
			`{"externalCallId":"convoso-call-77","userId":%q,"eventType":"transfer","occurredAt":"2026-03-02T17:05:00Z","metadata":{"to":%q}}`, who, who))
		if got.Data.Attributes["externalCallId"] != "convoso-call-77" || got.Data.Attributes["userId"] != who {
			t.Errorf("event %v", got.Data)
		}
	}
	var row string
	if err := w.db.Pool.QueryRow(t.Context(), `select concat_ws(' ', source, external_call_id, external_call_id_given, agent_name, disposition, lead_id is not null)
		from analytics.calls`).Scan(&row); err != nil || row != "convoso 77 convoso-call-77 Dana Fox callback true" && row != "convoso 77 convoso-call-77 Dana Fox callback t" {
		t.Errorf("the call is %q, %v", row, err)
	}
	if n := w.count("select count(*) from pipeline.agents where source = 'api'"); n != 1 {
		t.Errorf("%d users of the API, want the one that nobody knew", n)
	}
	w.exec(`insert into ipscape.users (org_id, account_id, user_id, teams, observed_at, changed_at) values ($1, 'default', 5, 'North, South East', now(), now())`, w.org)
	w.exec(`insert into pipeline.agents values ($1, gen_random_uuid(), 'ipscape', 'default', '5', 'Tess', null, now())`, w.org)
	for team, want := range map[string]int{"north": 1, "South+East": 1, "East": 0} {
		var p page
		w.get("/v1/dialer/agents?teamId="+team).decode(t, &p)
		if len(p.Data) != want || p.Meta.Total != int64(want) {
			t.Errorf("team %s has %d of %d agents, want %d", team, len(p.Data), p.Meta.Total, want)
		}
	}
}

// TestOptOutByDisposition opts out by a raw code, for a lead and for a call whose lead nobody named.
func TestOptOutByDisposition(t *testing.T) {
	t.Parallel()
	w := newWorld(t).start()
	lead := w.want(http.StatusCreated, "POST", "/v1/leads", `{"phone": "5035550142"}`).Data.ID
	say := func(call, lead, code string) {
		w.want(http.StatusCreated, "POST", "/v1/dialer/disposition", fmt.Sprintf(
			`{"externalCallId":%q,"userId":%q%s,"disposition":%q,"occurredAt":"2026-03-02T17:05:00Z"}`, call, user, lead, code))
	}
	w.convoso("call_event", `{"lead_id":"900","call_log_id":"78","phone_number":"2125550199","call_date":"2026-03-02 09:00:00","event":"answered"}`)
	say("c-9", `,"leadId":"`+lead+`"`, "Do Not Call")
	say("convoso-call-78", "", "dnc")
	if a := w.want(http.StatusOK, "GET", "/v1/leads/"+lead, "").Data.Attributes; a["isDoNotCall"] != true || a["dncReason"] != "Do Not Call" {
		t.Errorf("lead %v", a)
	}
	if n := w.count("select count(*) from analytics.do_not_call where phone in ('+15035550142', '+12125550199')"); n != 2 {
		t.Errorf("%d numbers are on the list, want both", n)
	}
}
