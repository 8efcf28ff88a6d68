package ipscape

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// sydney are the settings of an Australian account.
func sydney(t testing.TB) Settings {
	t.Helper()
	zone, err := time.LoadLocation("Australia/Sydney")
	if err != nil {
		t.Fatal(err)
	}
	return Settings{Account: "main", Zone: zone, Region: "AU"}
}

// What nobody here knows of is named, wherever it is, and kept; what the contract has is not.
func TestUnknownIsNamed(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	for _, tt := range []struct {
		read    func([]byte) (Item, error)
		raw     string
		unknown []string
		strange string
	}{
		{
			s.Activity, `{"v":2,"type":"Fax.Sent","data":{"activityId":1,"mood":{"score":1},"timestamps":{"ringing":"x"},"recordingMetadata":{"codec":"opus"},"durations":{"mute":1}}}`,
			[]string{"v", "mood", "ringing", "codec", "mute"},
			"fax.sent",
		},
		{s.Activity, `{"type":"call.inbound","data":{"activityId":1,"survey":{"anything":1},"voicemailMetadata":[{"x":1}]}}`, nil, ""},
		{s.Lead, `{"leadId":1,"dataFields":{"free":1},"outcomesInfo":{"wins":1},"timestamps":{"seen":"x"},"score":9}`, []string{"wins", "seen", "score"}, ""},
		{s.LeadList, `{"id":1,"owner":2,"timestamps":{"closed":"x"}}`, []string{"owner", "closed"}, ""},
		{s.Campaign, `{"campaignId":1,"ipScapePayDetails":{"fee":1},"zone":"x"}`, []string{"fee", "zone"}, ""},
		{s.User, `{"userId":1,"skills":[]}`, []string{"skills"}, ""},
		{s.DialAttempt, `{"attemptId":1,"type":"call.preview","cost":1}`, []string{"cost"}, "call.preview"},
	} {
		item, err := tt.read([]byte(tt.raw))
		if err != nil || !cmp.Equal(item.Unknown, tt.unknown) || item.Strange != tt.strange {
			t.Errorf("%s: unknown %v, type %q, %v", tt.raw, item.Unknown, item.Strange, err)
		}
	}
}

func TestItemErrors(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	tests := []struct {
		name, activity, lead, reason string
	}{
		{"a text", `"x"`, `"x"`, ReasonNotObject},
		{"null", `null`, `null`, ReasonNotObject},
		{"a list", `[]`, `[]`, ReasonNotObject},
		{"no JSON", `{"data":tru}`, `{"leadId":1 2}`, pipeline.ReasonNotJSON},
		{"too deep", `{"x":` + strings.Repeat("[", 600) + strings.Repeat("]", 600) + `}`, strings.Repeat("[", 600) + strings.Repeat("]", 600), pipeline.ReasonNesting},
		{"a number too large", `{"data":{"activityId":1},"x":1e400000}`, `{"leadId":1,"x":1e400000}`, pipeline.ReasonNumber},
		{"no data", `{"type":"call.inbound"}`, `{}`, ReasonNoID},
		{"data is no object", `{"data":[1]}`, `{"lead":{"leadId":1}}`, ReasonNoID},
		{"null id", `{"data":{"activityId":null}}`, `{"leadId":null}`, ReasonNoID},
		{"an object for an id", `{"data":{"activityId":{}}}`, `{"leadId":{}}`, ReasonNoID},
		{"a word for an id", `{"data":{"activityId":"x"}}`, `{"leadId":"x"}`, ReasonNoID},
		{"zero", `{"data":{"activityId":0}}`, `{"leadId":0}`, ReasonNoID},
		{"below zero", `{"data":{"activityId":-1}}`, `{"leadId":-1}`, ReasonNoID},
		{"a fraction", `{"data":{"activityId":1.5}}`, `{"leadId":1.5}`, ReasonNoID},
		{"more than 64 bits", `{"data":{"activityId":9223372036854775808}}`, `{"leadId":9223372036854775808}`, ReasonNoID},
		{"the last of two ids is null", `{"data":{"activityId":1,"activityId":null}}`, `{"leadId":1,"leadId":null}`, ReasonNoID},
		{"the last of two data has none", `{"data":{"activityId":1},"data":{}}`, `{"leadId":1,"leadId":""}`, ReasonNoID},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for kind, convert := range map[string]func() (Item, error){
				"activity": func() (Item, error) { return s.Activity([]byte(tt.activity)) },
				"lead":     func() (Item, error) { return s.Lead([]byte(tt.lead)) },
			} {
				_, err := convert()
				e, ok := errors.AsType[*ItemError](err)
				if !ok || e.Reason != tt.reason {
					t.Errorf("%s: got %v, want reason %q", kind, err, tt.reason)
				}
			}
		})
	}
}

// An item that cannot be kept is told by its id all the same.
func TestUnstorableItemsAreNamed(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	for id, convert := range map[string]func(string) (Item, error){
		`{"type":"call.inbound","data":{"x":%s,"activityId":7}}`: func(raw string) (Item, error) { return s.Activity([]byte(raw)) },
		`{"x":%s,"leadId":7}`:     func(raw string) (Item, error) { return s.Lead([]byte(raw)) },
		`{"x":%s,"attemptId":7}`:  func(raw string) (Item, error) { return s.DialAttempt([]byte(raw)) },
		`{"x":%s,"campaignId":7}`: func(raw string) (Item, error) { return s.Campaign([]byte(raw)) },
		`{"x":%s,"id":7}`:         func(raw string) (Item, error) { return s.LeadList([]byte(raw)) },
		`{"x":%s,"userId":7}`:     func(raw string) (Item, error) { return s.User([]byte(raw)) },
	} {
		for what, reason := range map[string]string{deep: pipeline.ReasonNesting, "1e400000": pipeline.ReasonNumber} {
			item, err := convert(fmt.Sprintf(id, what))
			e, ok := errors.AsType[*ItemError](err)
			if !ok || e.Reason != reason || item.ObjectID != "7" || item.Values != nil {
				t.Errorf("%s: %v, %+v, want reason %q and its id", id, err, item, reason)
			}
		}
	}
}

func TestLargestID(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`9223372036854775807`, `"9223372036854775807"`, `" 9223372036854775807 "`} {
		item, err := Settings{}.Lead([]byte(`{"leadId":` + text + `}`))
		if err != nil || item.ObjectID != "9223372036854775807" || item.Values[0] != int64(9223372036854775807) {
			t.Errorf("%s: got %q, %v, %v", text, item.ObjectID, item.Values, err)
		}
	}
}
