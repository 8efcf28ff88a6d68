package dialedin_test

import (
	"maps"
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestSearch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, body string
		found      bool
		id         string
		unclear    bool
	}{
		{name: "found, number", body: `{ "id": 4711, "LeadExists": true }`, found: true, id: "4711"},
		{name: "found, large number", body: `{"id": 9007199254740993, "LeadExists": true}`, found: true, id: "9007199254740993"},
		{name: "found, strings", body: `{"id":"4711","LeadExists":"true"}`, found: true, id: "4711"},
		{name: "found, one", body: `{"id":"4711","LeadExists":1}`, found: true, id: "4711"},
		{name: "found without id", body: `{"id":null,"LeadExists":true}`, found: true},
		{name: "found, after a byte order mark", body: "\ufeff\n{\"id\":1,\"LeadExists\":\"TRUE\"}\n", found: true, id: "1"},
		{name: "found in the list", body: `{"Leads":[{"LeadId":"1","ClientId":"other"},{"LeadId":4711,"ClientId":"src-1"}]}`, found: true, id: "4711"},
		{name: "not found", body: `{"id":null,"LeadExists":false}`},
		{name: "not found, strings", body: `{"id":"","LeadExists":"false"}`},
		{name: "not found, numbers", body: `{"id":0,"LeadExists":0}`},
		{name: "not found, no id", body: `{"LeadExists":false}`},
		{name: "an id that does not exist", body: `{"id":4711,"LeadExists":false}`, unclear: true},
		{name: "listed, yet not existing", body: `{"LeadExists":false,"Leads":[{"LeadId":"1","ClientId":"src-1"}]}`, unclear: true},
		{name: "an empty list", body: `{"Leads":[]}`, unclear: true},
		{name: "a list of others", body: `{"Leads":[{"LeadId":"1","ClientId":"other"}]}`, unclear: true},
		{name: "null for exists", body: `{"id":1,"LeadExists":null}`, unclear: true},
		{name: "another word", body: `{"id":1,"LeadExists":"maybe"}`, unclear: true},
		{name: "an object for id", body: `{"id":{},"LeadExists":true}`, unclear: true},
		{name: "empty object", body: `{}`, unclear: true},
		{name: "null", body: `null`, unclear: true},
		{name: "a list at the top", body: `[]`, unclear: true},
		{name: "broken JSON", body: `{"id":4711,"LeadExists":fal`, unclear: true},
		{name: "two answers", body: `{"LeadExists":false}{"LeadExists":true}`, unclear: true},
		{name: "trailing bracket", body: `{"LeadExists":false}}`, unclear: true},
		{name: "text", body: `Result: OK`, unclear: true},
		{name: "front failed", body: `Result: CURL error[28]: timed out`, unclear: true},
		{name: "empty", body: ``, unclear: true},
		{name: "HTML", body: `<html><body>Sign in</body></html>`, unclear: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, answer(http.StatusOK, tc.body))
			found, id, err := newClient(t, config(v.URL), base()).Search(t.Context(), "src-1")
			if found != tc.found || id != tc.id || (err != nil) != tc.unclear {
				t.Errorf("Search = %v, %q, %v, want %v, %q, unclear %v", found, id, err, tc.found, tc.id, tc.unclear)
			}
			if tc.unclear && vendorapi.KindOf(err) != vendorapi.Malformed {
				t.Errorf("kind %v, want malformed", vendorapi.KindOf(err))
			}
			want := []url.Values{{
				"token": {token}, "accid": {accID}, "Action": {"SearchLead"}, "SearchField": {"ClientId"}, "Identifier": {"src-1"}, "Detailed": {"0"},
				"Campaign": {"Spring"},
			}}
			if !tc.found && !tc.unclear {
				// What is not in our campaign may be in that of yesterday.
				everywhere := maps.Clone(want[0])
				everywhere.Del("Campaign")
				want = append(want, everywhere)
			}
			var got []url.Values
			for _, r := range v.seen() {
				got = append(got, r.form)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("forms (-want +got):\n%s", diff)
			}
		})
	}
}

// A search is a read: it is tried again at once after a passing failure.
func TestSearchIsRepeated(t *testing.T) {
	t.Parallel()
	calls := 0
	v := newVendor(t, func(w http.ResponseWriter, r *http.Request) {
		if calls++; calls < 3 {
			answer(http.StatusServiceUnavailable, "Zebulon Quackenbush")(w, r)
			return
		}
		answer(http.StatusOK, `{"id":7,"LeadExists":true}`)(w, r)
	})
	found, id, err := newClient(t, config(v.URL), base()).Search(t.Context(), "src-1")
	if !found || id != "7" || err != nil {
		t.Errorf("Search = %v, %q, %v", found, id, err)
	}
}
