package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// apiLead is what these tests look at of a lead.
type apiLead struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Attributes struct {
		Phone       *string        `json:"phone"`
		Source      string         `json:"source"`
		IsDoNotCall bool           `json:"isDoNotCall"`
		ExternalIDs map[string]any `json:"externalIds"`
		CreatedAt   string         `json:"createdAt"`
	} `json:"attributes"`
}

type envelope[T any] struct {
	Data T `json:"data"`
	Meta struct {
		Total     int    `json:"total"`
		RequestID string `json:"requestId"`
	} `json:"meta"`
	Errors []struct {
		Code string `json:"code"`
	} `json:"errors"`
}

// code is the first error's code, empty where there is none.
func (e *envelope[T]) code() string {
	if len(e.Errors) == 0 {
		return ""
	}
	return e.Errors[0].Code
}

// call makes one request and reads its answer.
func call[T any](t testing.TB, method, address, key, contentType, body string) (status int, answer envelope[T]) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", key)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := poster.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&answer); err != nil {
		t.Errorf("%s %s: %d with what is no JSON: %v: %.300s", method, address, resp.StatusCode, err, text)
	}
	return resp.StatusCode, answer
}

// TestAPI asks a daemon that has read ipSCAPE and taken Convoso's posts for its leads, with a key fresh from the command.
func TestAPI(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 20, Activities: 200, Leads: 120, Posts: 120}, nil)
	d := r.serve(nil)
	made := r.command("apikey", "create", "--name", "acceptance")
	key := strings.TrimSpace(made.stdout)
	if made.code != exitDone || !strings.HasPrefix(key, "lw_") || strings.Contains(key, "\n") {
		t.Fatalf("apikey create: %s", made)
	}
	r.post(d)
	r.settled(3 * time.Minute)

	leads := r.pages(d, "Bearer "+key, 7)
	if again := r.pages(d, "Bearer "+key, 7); !cmp.Equal(leads, again) {
		t.Errorf("the pages changed from one reading to the next: %s", cmp.Diff(leads, again))
	}
	if wide := r.pages(d, "Bearer "+key, 100); !cmp.Equal(leads, wide) {
		t.Errorf("the order depends on the size of pages: %s", cmp.Diff(leads, wide))
	}
	r.checkLeads(d, key, leads)
	r.checkAgents(d, key)
	r.checkKeys(d, key)
	r.checkSamples(d, key)
}

// pages reads the whole list of leads.
func (r *rig) pages(d *child, auth string, limit int) []apiLead {
	r.Helper()
	var all []apiLead
	for page := 1; ; page++ {
		status, answer := call[[]apiLead](r, "GET", fmt.Sprintf("%s/v1/leads?limit=%d&page=%d", d.url(), limit, page), auth, "", "")
		if status != http.StatusOK {
			r.Fatalf("page %d of leads: %d %s", page, status, answer.code())
		}
		if len(answer.Data) == 0 {
			break
		}
		all = append(all, answer.Data...)
	}
	seen := map[string]bool{}
	for i, l := range all {
		if seen[l.ID] {
			r.Errorf("lead %s is on two pages", l.ID)
		}
		seen[l.ID] = true
		if i > 0 && l.Attributes.CreatedAt > all[i-1].Attributes.CreatedAt {
			r.Errorf("lead %d of the list is newer than the one before", i)
		}
	}
	if n := one[int](r, `select count(*) from pipeline.leads`); n != len(all) {
		r.Errorf("the list holds %d leads, the pipeline %d", len(all), n)
	}
	return all
}

// checkLeads compares the list with what the vendors hold: every lead of both is there, under its id at the vendor, and where
// both name one phone it is one lead with both ids.
func (r *rig) checkLeads(d *child, key string, leads []apiLead) {
	r.Helper()
	byID := map[string]map[string]apiLead{"ipscape": {}, "convoso": {}}
	for _, l := range leads {
		for source, ids := range l.Attributes.ExternalIDs {
			for _, id := range strings.FieldsFunc(fmt.Sprint(ids), func(c rune) bool { return c == '[' || c == ']' || c == ' ' }) {
				if byID[source] != nil {
					byID[source][id] = l
				}
			}
		}
	}
	ipscape, convoso := map[string][]string{}, map[string][]string{} // ids by phone
	add := func(m map[string][]string, phone, id string) {
		if !slices.Contains(m[phone], id) {
			m[phone] = append(m[phone], id)
		}
	}
	for _, l := range r.box.IPSCAPE().Leads() {
		add(ipscape, l.Phones[0], strconv.FormatInt(l.ID, 10))
		if _, ok := byID["ipscape"][strconv.FormatInt(l.ID, 10)]; !ok {
			r.Errorf("ipSCAPE's lead %d is not listed", l.ID)
		}
	}
	for _, p := range r.box.Convoso().Acked() {
		add(convoso, p.Phone, p.LeadID)
		if _, ok := byID["convoso"][p.LeadID]; !ok {
			r.Errorf("Convoso's lead %s is not listed", p.LeadID)
		}
	}
	both := 0
	for phone, ours := range ipscape {
		theirs := convoso[phone]
		if len(ours) != 1 || len(theirs) != 1 {
			continue
		}
		both++
		a, b := byID["ipscape"][ours[0]], byID["convoso"][theirs[0]]
		want := map[string]any{"ipscape": ours[0], "convoso": theirs[0]}
		if a.ID != b.ID || !cmp.Equal(a.Attributes.ExternalIDs, want) || a.Attributes.Phone == nil || *a.Attributes.Phone != phone {
			r.Errorf("one phone, two leads: %s %v and %s %v", a.ID, a.Attributes.ExternalIDs, b.ID, b.Attributes.ExternalIDs)
		}
		status, answer := call[apiLead](r, "GET", d.url()+"/v1/leads/"+a.ID, "Bearer "+key, "", "")
		if status != http.StatusOK || !cmp.Equal(answer.Data, a) {
			r.Errorf("lead %s by its id: %d %s", a.ID, status, cmp.Diff(a, answer.Data))
		}
	}
	if both < 3 {
		r.Fatalf("%d leads are known to both vendors: too few", both)
	}
	optedOut := r.box.Convoso().TruthOf(r.box.Convoso().Acked()).OptedOut
	for _, l := range leads {
		if p := l.Attributes.Phone; p != nil && slices.Contains(optedOut, *p) != l.Attributes.IsDoNotCall {
			r.Errorf("lead %s: isDoNotCall is %v", l.ID, l.Attributes.IsDoNotCall)
		}
	}
	r.Logf("%d leads, %d of ipSCAPE and %d of Convoso, %d known to both by one phone", len(leads), len(byID["ipscape"]), len(byID["convoso"]), both)
	for _, id := range []string{uuid.NewString(), "7001", "x"} {
		if status, answer := call[apiLead](r, "GET", d.url()+"/v1/leads/"+id, "Bearer "+key, "", ""); status != http.StatusNotFound || answer.code() == "" {
			r.Errorf("lead %s: %d %q", id, status, answer.code())
		}
	}
}

func (r *rig) checkAgents(d *child, key string) {
	r.Helper()
	type agent struct {
		Attributes struct {
			UserID string `json:"userId"`
		} `json:"attributes"`
	}
	status, answer := call[[]agent](r, "GET", d.url()+"/v1/dialer/agents?limit=100", "Bearer "+key, "", "")
	if n := one[int](r, `select count(*) from pipeline.agents`); status != http.StatusOK || len(answer.Data) != n || n == 0 {
		r.Errorf("agents: %d, %d of %d", status, len(answer.Data), n)
	}
}

// checkKeys tries what is no key, and what no longer is one; and the routes that need none.
func (r *rig) checkKeys(d *child, key string) {
	r.Helper()
	other := r.command("apikey", "create", "--name", "short-lived", "--json")
	var row struct {
		ID  string `json:"key_id"`
		Key string `json:"key"`
	}
	if err := json.Unmarshal([]byte(other.stdout), &row); err != nil {
		r.Fatalf("apikey create --json: %v: %s", err, other)
	}
	if status, _ := call[[]apiLead](r, "GET", d.url()+"/v1/leads", "Bearer "+row.Key, "", ""); status != http.StatusOK {
		r.Errorf("a fresh key: %d", status)
	}
	if got := r.command("apikey", "revoke", row.ID); got.code != exitDone {
		r.Errorf("apikey revoke: %s", got)
	}
	eventually(r, time.Minute, func() string {
		if status, answer := call[[]apiLead](r, "GET", d.url()+"/v1/leads", "Bearer "+row.Key, "", ""); status != http.StatusUnauthorized {
			return fmt.Sprintf("a revoked key to be refused: %d %s", status, answer.code())
		}
		return ""
	})
	last := "a"
	if strings.HasSuffix(key, "a") {
		last = "b"
	}
	for _, auth := range []string{"", "Bearer", "Bearer x", "Basic " + key, key, "Bearer " + key[:len(key)-1], "Bearer " + key[:len(key)-1] + last} {
		for _, path := range []string{"/v1/leads", "/v1/dialer/agents", "/v1/leads/" + uuid.NewString()} {
			status, answer := call[[]apiLead](r, "GET", d.url()+path, auth, "", "")
			if status != http.StatusUnauthorized || answer.code() == "" || len(answer.Data) != 0 {
				r.Errorf("%s with %.10q: %d %q", path, auth, status, answer.code())
			}
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, _ := call[any](r, "GET", d.url()+path, "", "", ""); status != http.StatusOK {
			r.Errorf("%s: %d", path, status)
		}
	}
}

// The disposition of contracts/convoso.md section 8.1, in both of its forms.
const (
	sampleJSON = `{"call_log_id": "2073617401", "lead_id": "98213377", "phone_number": "5035550142", "phone_code": "1",
 "first_name": "Ana", "last_name": "Ruiz", "status": "CB", "user_id": "66318",
 "agent_full_name": "Dana O'Neil", "agent_email": "dana@broker.example",
 "campaign_id": "3475", "campaign_name": "MCA Q3", "list_id": "10855", "length_in_sec": "187",
 "call_type": "OUTBOUND", "term_reason": "AGENT", "call_date": "2025-06-03 10:17:42",
 "agent_comment": "Call back 3 pm & send docs, wants 60k"}`
	sampleForm = `call_log_id=2073617401&lead_id=98213377&phone_number=5035550142&phone_code=1&first_name=Ana&last_name=Ruiz&status=CB&user_id=66318&agent_full_name=Dana+O%27Neil&agent_email=dana%40broker.example&campaign_id=3475&campaign_name=MCA+Q3&list_id=10855&length_in_sec=187&call_type=OUTBOUND&term_reason=AGENT&call_date=2025-06-03+10%3A17%3A42&agent_comment=Call+back+3+pm+%26+send+docs%2C+wants+60k`
)

// checkSamples posts the contract's sample as JSON, as a form, and with everything in a GET's address: one fact, three rows
// in the inbox. (The lead's and the call's ids differ from the contract's, which the seeded posts use too.)
func (r *rig) checkSamples(d *child, key string) {
	r.Helper()
	address := d.url() + "/v1/dialer/convoso/" + r.env["CONVOSO_ORG_TOKEN"]
	fields := func(s string) string { return strings.Replace(s, "2073617401", "9073617401", 1) }
	before := one[int](r, `select count(*) from ops.inbox`)
	for i, post := range []struct{ method, address, kind, body string }{
		{"POST", address + "?event=disposition", "application/json", fields(sampleJSON)},
		{"POST", address + "?event=disposition", "application/x-www-form-urlencoded", fields(sampleForm)},
		{"POST", address + "/disposition", "application/json", fields(sampleJSON)},
		{"GET", address + "/disposition?" + fields(sampleForm), "", ""},
		{"GET", address + "?event=disposition&" + fields(sampleForm), "", ""},
	} {
		if status, _ := call[any](r, post.method, post.address, "", post.kind, post.body); status != http.StatusOK {
			r.Errorf("%s as %q: %d", post.method, post.kind, status)
		}
		if i == 0 {
			r.settled(30 * time.Second) // the others tell what a post that was read has told
		}
	}
	// Acknowledged means kept.
	if n := one[int](r, `select count(*) from ops.inbox`) - before; n != 5 {
		r.Errorf("%d rows in the inbox for 5 posts", n)
	}
	r.settled(30 * time.Second)
	if states := list[string](r, `select state || ' ' || count(*) from ops.inbox where id in (select id from ops.inbox order by received_at desc limit 5) group by state order by 1`); fmt.Sprint(states) != "[done 1 duplicate 4]" {
		r.Errorf("the sample's inbox rows: %q", states)
	}
	got := list[string](r, `select concat_ws('|', type, call_log_id, lead_id, phone, status, agent_name, agent_email, campaign, direction, duration_s, notes,
		to_char(occurred_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) from convoso.events where call_log_id = '9073617401'`)
	want := []string{"disposition|9073617401|98213377|+15035550142|CB|Dana O'Neil|dana@broker.example|MCA Q3|outbound|187|Call back 3 pm & send docs, wants 60k|2025-06-03T17:17:42Z"}
	if diff := cmp.Diff(want, got); diff != "" {
		r.Errorf("the sample as an event (-want +got):\n%s", diff)
	}
	status, found := call[[]apiLead](r, "GET", d.url()+"/v1/leads?search=Ana+Ruiz", "Bearer "+key, "", "")
	if status != http.StatusOK || !slices.ContainsFunc(found.Data, func(l apiLead) bool { return fmt.Sprint(l.Attributes.ExternalIDs["convoso"]) == "98213377" }) {
		r.Errorf("the sample's lead is not found by its name: %d, %d leads", status, len(found.Data))
	}
	for path, want := range map[string]int{address + "x?event=disposition": http.StatusForbidden, address + "?event=nonsense": http.StatusUnprocessableEntity} {
		body := `{"a": 1}`
		if status, _ := call[any](r, "POST", path, "", "application/json", body); status != want {
			r.Errorf("a post that is none: %d, want %d", status, want)
		}
	}
}
