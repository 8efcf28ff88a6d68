package ipscape

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// readers are the conversions of the streams beside activities and leads, with an id to put into them.
func readers(s Settings) map[string]struct {
	id   string
	read func([]byte) (Item, error)
} {
	return map[string]struct {
		id   string
		read func([]byte) (Item, error)
	}{
		StreamLeadLists:    {"id", s.LeadList},
		StreamCampaigns:    {"campaignId", s.Campaign},
		StreamUsers:        {"userId", s.User},
		StreamDialAttempts: {"attemptId", s.DialAttempt},
		"outbound stats":   {"campaignId", func(raw []byte) (Item, error) { return s.OutboundStats(raw, time.Time{}) }},
		"inbound stats":    {"campaignId", func(raw []byte) (Item, error) { return s.InboundStats(raw, "", time.Time{}) }},
	}
}

func TestStreamItemErrors(t *testing.T) {
	t.Parallel()
	for stream, r := range readers(sydney(t)) {
		for raw, reason := range map[string]string{
			`"x"`: ReasonNotObject, `null`: ReasonNotObject, `[]`: ReasonNotObject,
			`{"ID":tru}`: pipeline.ReasonNotJSON, `{}`: ReasonNoID, `{"ID":null}`: ReasonNoID, `{"ID":{}}`: ReasonNoID, `{"ID":"x"}`: ReasonNoID,
			`{"ID":0}`: ReasonNoID, `{"ID":-1}`: ReasonNoID, `{"ID":9223372036854775808}`: ReasonNoID, `{"ID":1,"ID":null}`: ReasonNoID,
			`{"ID":1,"x":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`: pipeline.ReasonNesting,
		} {
			_, err := r.read([]byte(strings.ReplaceAll(raw, "ID", r.id)))
			if e, ok := errors.AsType[*ItemError](err); !ok || e.Reason != reason {
				t.Errorf("%s %.40s: got %v, want %q", stream, raw, err, reason)
			}
		}
		item, err := r.read([]byte(`{"` + r.id + `":"9223372036854775807"}`))
		if err != nil || item.ObjectID != "9223372036854775807" || item.Values[0] != int64(9223372036854775807) || item.Unread != nil {
			t.Errorf("%s: the largest id: %+v, %v", stream, item, err)
		}
	}
}

func TestCampaignStats(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	asked := time.Date(2026, 3, 2, 9, 0, 0, 123, time.FixedZone("", 3600))
	outbound := `{"campaignId":"12","campaignName":"Renewals","agents":{"assigned":8,"available":"2","busy":2,"paused":1},"isActive":true,
		"createdDate":"2024-01-02T09:00:00+10:00","lastUpdated":"2024-01-03T09:00:00+1000","timestamp":"2024-03-02T09:00:00+10:00",
		"lists":[{"id":3,"weight":40,"campaignId":99}],"timezone":"Australia/Perth","callsReceived":99999999999}`
	item, err := s.OutboundStats([]byte(outbound), asked)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"campaign_id int64 12", "kind string outbound", "period string ", "taken_at time 2024-03-01T23:00:00Z", "campaign_name string Renewals",
		"timezone string Australia/Perth", "is_active bool true", "agents_assigned int32 8", "agents_available int32 2", "agents_busy int32 2",
		"agents_paused int32 1", "created_at time 2024-01-01T23:00:00Z", "last_updated_at time 2024-01-02T23:00:00Z",
		`lists json [{"id":3,"weight":40,"campaignId":99}]`,
	}
	if diff := cmp.Diff(want, row(CampaignStatsColumns(), item.Values)); diff != "" || !cmp.Equal(item.Unread, []string{"calls_received"}) {
		t.Errorf("%s\nunread %v", diff, item.Unread)
	}
	inbound := `{"campaignId":21,"maxCallWaitingTime":95,"averageWaitingTime":"22","estimatedCallWaitingTime":30,"agents":[],"callsWaiting":1,
		"callsReceived":40,"callsAbandonedInWorkflow":2,"callsAbandonedInQueue":4,"timestamp":null}`
	item, err = s.InboundStats([]byte(inbound), "", asked)
	if err != nil {
		t.Fatal(err)
	}
	want = []string{
		"campaign_id int64 21", "kind string inbound", "period string hour", "taken_at time 2026-03-02T08:00:00Z", "calls_waiting int32 1",
		"calls_received int32 40", "calls_abandoned_in_workflow int32 2", "calls_abandoned_in_queue int32 4", "max_wait_s int32 95",
		"average_wait_s int32 22", "estimated_wait_s int32 30",
	}
	if diff := cmp.Diff(want, row(CampaignStatsColumns(), item.Values)); diff != "" || !item.SourceTime.IsZero() {
		t.Error(diff)
	}
	if item, err = s.InboundStats([]byte(inbound), PeriodDay, asked); err != nil || item.Values[2] != PeriodDay {
		t.Errorf("the period asked for: %v, %v", item.Values, err)
	}
}

// An attempt and its activity are one call, whichever is told first; the attempt's words are fewer and change nothing else.
func TestAttemptAndActivityAreOneCall(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	told := func(stream, payload string, at time.Time) pipeline.Told {
		facts, err := s.Facts(pipeline.Record{Stream: stream, Payload: []byte(payload)})
		if err != nil {
			t.Fatal(err)
		}
		return pipeline.Told{Ref: stream, Facts: facts, Stamp: pipeline.Stamp{At: at}}
	}
	at := time.Date(2024, 3, 2, 9, 0, 0, 0, time.UTC)
	activity := `{"type":"call.outbound","data":{"activityId":9001,"campaignId":12,"campaignName":"Renewals","wrapCode":4,"destination":"+61400111222",
		"timestamps":{"created":"2024-03-02T09:00:00Z","answered":"2024-03-02T09:00:07Z","hangUp":"2024-03-02T09:01:00Z"}}}`
	attempt := `{"attemptId":1,"type":"call.outbound","activityId":9001,"dialStatusId":1,"campaignId":13,"phoneNumber":"12","leadId":7001,
		"timestamps":{"dialled":"2024-03-02T09:00:00Z","answered":"2024-03-02T09:00:07Z"}}`
	lone := `{"attemptId":2,"type":"call.outbound","activityId":0,"phoneNumber":"+61400111222","timestamps":{"dialled":"2024-03-02T09:00:00Z"}}`
	alone := pipeline.Fold([]pipeline.Told{told(StreamActivities, activity, at)}, pipeline.Rules{})
	both := pipeline.Fold([]pipeline.Told{
		told(StreamActivities, activity, at), told(StreamDialAttempts, attempt, at.Add(time.Hour)), told(StreamDialAttempts, lone, at),
		told(StreamUsers, `{"userId":1}`, at), told(StreamCampaigns, `{}`, at), told(StreamLeadLists, `{}`, at),
	}, pipeline.Rules{})
	if len(alone.Calls) != 1 || len(both.Calls) != 1 {
		t.Fatalf("%d and %d calls", len(alone.Calls), len(both.Calls))
	}
	one, two := alone.Calls[0], both.Calls[0]
	if len(one.Events) != len(two.Events) || two.ToNumber != one.ToNumber || two.Campaign != "Renewals" || two.DispositionRaw != "4" ||
		!two.StartedAt.Equal(one.StartedAt) || !two.EndedAt.Equal(one.EndedAt) {
		t.Errorf("%+v\n%+v", one, two)
	}
}

func TestCampaignPaging(t *testing.T) {
	t.Parallel()
	row := func(id int) string { return `{"campaignId":` + strconv.Itoa(id) + `}` }
	pageOf := func(no, per int, ids ...int) string {
		rows := make([]string, len(ids))
		for i, id := range ids {
			rows[i] = row(id)
		}
		return `{"data":[` + strings.Join(rows, ",") + `],"pageNo":` + strconv.Itoa(no) + `,"inPage":` + strconv.Itoa(len(ids)) + `,"perPage":` + strconv.Itoa(per) + `}`
	}
	all := []string{"1", "2", "3", "4", "5"}
	tests := []struct {
		name      string
		param     string
		answer    func(q url.Values) string
		ids       []string
		pages     int
		truncated bool
	}{
		{"from 0", "", func(q url.Values) string {
			return map[string]string{"": pageOf(0, 2, 1, 2), "1": pageOf(1, 2, 3, 4), "2": pageOf(2, 2, 5)}[q.Get("pageNo")]
		}, all, 3, false},
		{"from 1, other parameter", "page", func(q url.Values) string {
			return map[string]string{"": pageOf(1, 2, 1, 2), "2": pageOf(2, 2, 3, 4), "3": pageOf(3, 2, 5)}[q.Get("page")]
		}, all, 3, false},
		{"the last page is full", "", func(q url.Values) string {
			return map[string]string{"": pageOf(0, 2, 1, 2), "1": pageOf(1, 2, 3, 4), "2": pageOf(2, 2)}[q.Get("pageNo")]
		}, all[:4], 3, false},
		{"ignored", "", func(url.Values) string { return pageOf(0, 2, 1, 2) }, all[:2], 2, true},
		{"ignored, number echoed", "", func(q url.Values) string {
			no, _ := strconv.Atoi(q.Get("pageNo"))
			return pageOf(no, 2, 1, 2)
		}, all[:2], 2, true},
		{"ignored, rows in another order", "", func(q url.Values) string {
			if q.Get("pageNo") == "" {
				return pageOf(0, 2, 1, 2)
			}
			return pageOf(0, 2, 2, 1)
		}, []string{"1", "2", "2", "1"}, 2, true},
		{"held at the last page", "", func(q url.Values) string {
			if q.Get("pageNo") == "" {
				return pageOf(0, 2, 1, 2)
			}
			return pageOf(9, 2, 3, 4)
		}, all[:4], 3, true},
		{"cursor shape", "", func(q url.Values) string {
			if q.Get("cursor") == "" {
				return `{"metadata":{"nextUri":"/v3.0/campaigns?cursor=page%3A7"},"items":[` + row(1) + `]}`
			}
			if q.Get("cursor") != "page:7" || q.Has("pageNo") {
				return `{"error":"made-up cursor"}`
			}
			return `{"metadata":{"nextUri":null},"items":[` + row(2) + `]}`
		}, all[:2], 2, false},
		{"a plain list", "", func(url.Values) string { return `{"data":[` + row(1) + `]}` }, all[:1], 1, false},
		{"numbers as texts", "", func(url.Values) string { return `{"pageNo":"0","inPage":"1","perPage":"50","data":[` + row(1) + `]}` }, all[:1], 1, false},
		{"empty", "", func(url.Values) string { return pageOf(0, 50) }, nil, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Query().Get("campaignType") != "Outbound" {
					http.Error(w, "the filter is gone", http.StatusTeapot)
					return
				}
				answerJSON(tt.answer(req.URL.Query()))(w, req)
			}, func(c *Config) { c.CampaignsPage = tt.param })
			var ids, nexts []string
			ask := ListRequest{Filters: map[string]string{"campaignType": "Outbound"}}
			for {
				page, err := r.ListCampaigns(t.Context(), ask, func(next string) { nexts = append(nexts, next) }, func(raw json.RawMessage, _ *ItemError) error {
					ids = append(ids, campaignID(raw))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if ask.Cursor = page.Next; page.Next == "" {
					if page.Truncated != tt.truncated || page.Truncated != strings.Contains(r.logged(), "ignores the page number") {
						t.Errorf("truncated is %v: %s", page.Truncated, r.logged())
					}
					break
				}
				if nexts[len(nexts)-1] != page.Next {
					t.Errorf("told %q, answered %q", nexts, page.Next)
				}
			}
			if diff := cmp.Diff(tt.ids, ids); diff != "" || len(r.requests()) != tt.pages {
				t.Errorf("%d requests:\n%s", len(r.requests()), diff)
			}
		})
	}
}

func TestCampaignCursorsOfOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, answerJSON(`{"data":[]}`))
	for _, cursor := range []string{"abc", "page:", "page:x:1:1", "page:0:1:1", "page:1", "cursor:"} {
		if _, err := r.ListCampaigns(t.Context(), ListRequest{Cursor: cursor}, nil, discard); !errors.Is(err, ErrCursorRefused) {
			t.Errorf("%q: %v", cursor, err)
		}
	}
	if len(r.requests()) != 0 {
		t.Error("a request was sent")
	}
}

// Every guard of the cursor lists holds for the new ones too: contracts/ipscape.md section 11.
func TestNewListsKeepTheGuards(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		next       string
		kind       vendorapi.Kind
	}{
		{"null", `{"metadata":{"nextUri":null},"items":[{}]}`, "", 0},
		{"missing", `{"metadata":{},"items":[{}]}`, "", 0},
		{"empty", `{"metadata":{"nextUri":""},"items":[{}]}`, "", 0},
		{"no metadata", `{"items":[{}]}`, "", 0},
		{"an empty page that goes on", `{"metadata":{"nextUri":"/v3.0/x?cursor=c2"},"items":[]}`, "c2", 0},
		{"mount", `{"metadata":{"nextUri":"/platform-api/v3.0/x?cursor=c2"},"items":[{}]}`, "c2", 0},
		{"foreign host", `{"metadata":{"nextUri":"https://evil.example/v3.0/x?cursor=c2"},"items":[{}]}`, "", vendorapi.Refused},
		{"an error in JSON", `{"resultCode":"error","success":false}`, "", vendorapi.Malformed},
		{"a login page", `<html>Sign in`, "", vendorapi.Malformed},
		{"cut", `{"items":[{}`, "", vendorapi.Transient},
		{"the word for a type", `{"metadata":{"nextUri":"string"},"items":[{}]}`, "", vendorapi.Malformed},
	}
	for _, tt := range tests {
		r := newRig(t, answerJSON(tt.body))
		for name, list := range map[string]listMethod{"lists": r.ListLeadLists, "users": r.ListUsers, "attempts": r.ListDiallerAttempts, "campaigns": r.ListCampaigns} {
			want := tt.next
			if name == "campaigns" && want != "" {
				want = placeCursor + want
			}
			if page, err := list(t.Context(), ListRequest{}, nil, discard); vendorapi.KindOf(err) != tt.kind || (err == nil && page.Next != want) {
				t.Errorf("%s, %s: %+v, %v", name, tt.name, page, err)
			}
		}
	}
}

func FuzzStreams(f *testing.F) {
	for _, stream := range []string{StreamLeadLists, StreamCampaigns, StreamUsers, StreamDialAttempts} {
		fuzzSeeds(f, stream)
	}
	s := sydney(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzzItem(t, s, StreamLeadLists, len(leadListColumns), raw, s.LeadList)
		fuzzItem(t, s, StreamCampaigns, len(campaignColumns), raw, s.Campaign)
		fuzzItem(t, s, StreamUsers, len(userColumns), raw, s.User)
		fuzzItem(t, s, StreamDialAttempts, len(attemptColumns), raw, s.DialAttempt)
	})
}

func FuzzCampaignStats(f *testing.F) {
	f.Add([]byte(`{"campaignId":12,"agents":{"assigned":8},"lists":[],"timestamp":"2024-03-02T09:00:00+1000"}`))
	s := sydney(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzzItem(t, s, StreamCampaigns, len(statsColumns), raw, func(b []byte) (Item, error) { return s.InboundStats(b, PeriodDay, time.Unix(9, 0)) })
	})
}

// FuzzPushed feeds the reader of writes' answers.
func FuzzPushed(f *testing.F) {
	for _, seed := range []string{`{"leadId":1,"inDialler":true}`, `{"success":false}`, `{"error":{"a":1}}`, ``, "\uFEFF {}", `[]`, `{"errors":[]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := pushed(raw, nil)
		if err == nil && got != nil && !json.Valid(got) {
			t.Fatalf("%q was taken", raw)
		}
	})
}
