package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// told searches every table of the database, as a dump would show it, and returns the columns in which a person is found.
func (r *rig) told(i int) []string {
	r.Helper()
	digits := strings.Join(strings.Split(strings.TrimPrefix(youngPhone(i), "+1"), ""), `[^0-9a-z]{0,3}`)
	pattern := fmt.Sprintf(`%s|ostrovander%05d|quillonius%05d|zephyrine bakery %05d`, digits, i, i, i)
	rows, err := r.db.Query(r.Context(), `
		select c.table_schema, c.table_name, c.column_name, c.data_type
		from information_schema.columns c
		join information_schema.tables t using (table_schema, table_name)
		where t.table_type = 'BASE TABLE' and c.table_schema not in ('pg_catalog', 'information_schema')
		  and (c.data_type in ('text', 'character varying', 'json', 'jsonb', 'bytea', 'ARRAY', 'tsvector', 'numeric', 'bigint'))
		order by 1, 2, 3`)
	if err != nil {
		r.Fatal(err)
	}
	type column struct{ schema, table, name, kind string }
	var columns []column
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.schema, &c.table, &c.name, &c.kind); err != nil {
			r.Fatal(err)
		}
		columns = append(columns, c)
	}
	rows.Close()
	if len(columns) < 200 {
		r.Fatalf("only %d columns to search", len(columns))
	}
	var found []string
	for _, c := range columns {
		text := fmt.Sprintf(`%q::text`, c.name)
		if c.kind == "bytea" {
			text = fmt.Sprintf(`encode(%q, 'escape')`, c.name)
		}
		if n := one[int](r, fmt.Sprintf(`select count(*) from %q.%q where %s ~* $1`, c.schema, c.table, text), pattern); n > 0 {
			found = append(found, c.schema+"."+c.table+"."+c.name)
		}
	}
	return found
}

// send posts a body to a receiver as it is.
func (r *rig) send(d *child, kind, body string) int {
	r.Helper()
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, d.url()+"/v1/dialer/convoso/"+r.env["CONVOSO_ORG_TOKEN"], strings.NewReader(body))
	if err != nil {
		r.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	resp, err := poster.Do(req)
	if err != nil {
		r.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// tellOf has every source tell of a lead: ipSCAPE has it already.
func (r *rig) tellOf(d *child, i int, round int) {
	r.Helper()
	bare := strings.TrimPrefix(youngPhone(i), "+1")
	r.box.IPSCAPE().AddActivities(sandbox.Activity{
		ID: int64(700_000 + 10*round + i), Type: "Outbound", Destination: youngPhone(i), Phone: youngPhone(i), LeadID: int64(900_000 + i),
		CampaignID: 12, CampaignName: "Working Capital", AgentID: 5, AgentName: "Ada", Created: time.Now().UTC(),
	})
	r.post(d, sandbox.NewPost(sandbox.EventDisposition, map[string]any{
		"lead_id": fmt.Sprint(960_000 + i), "phone_number": bare, "phone_code": "1", "first_name": "Quillonius", "last_name": fmt.Sprintf("Ostrovander%05d", i),
		"email": fmt.Sprintf("quillonius%05d@zephyrine.example", i), "status": "CALLBK", "call_log_id": fmt.Sprint(960_000_000 + 10*round + i),
		"call_date": fmt.Sprint(time.Now().Unix()),
	}))
	form := fmt.Sprintf("lead_id=%d&phone_number=%%28%s%%29+%s-%s&status=A&call_log_id=%d&last_name=Ostrovander%05d&status_name=x",
		960_000+i, bare[:3], bare[3:6], bare[6:], 970_000_000+10*round+i, i)
	if code := r.send(d, "application/x-www-form-urlencoded", form); code != http.StatusOK {
		r.Fatalf("a form: %d", code)
	}
	// The same lead, told without a phone; and what nobody can read.
	if code := r.send(d, "application/json", fmt.Sprintf(`{"lead_id":"%d","status":"NI","call_log_id":"%d","last_name":"Ostrovander%05d"}`,
		960_000+i, 980_000_000+10*round+i, i)); code != http.StatusOK {
		r.Fatalf("without a phone: %d", code)
	}
	if code := r.send(d, "application/json", fmt.Sprintf(`{"phone":"%s-%s-%s","x":`, bare[:3], bare[3:6], bare[6:])); code != http.StatusBadRequest {
		r.Fatalf("broken: %d", code)
	}
}

// TestErase has every source tell of three people, and erases two of them beside a running daemon: one who opted out, and one who
// did not. A search over every column of the database then finds nothing but the opt-out, whatever is told of them again.
func TestErase(t *testing.T) {
	t.Parallel()
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(hook.Close)
	const key = "Bearer the key of this test"
	r := newRig(t, emptied(71), map[string]string{
		"TRUNKLINE_WEBHOOK_ALLOW_CIDRS": "127.0.0.0/8", "TRUNKLINE_API_KEY": strings.TrimPrefix(key, "Bearer "), "TRUNKLINE_PUSH": "dialedin,convolo,lendworks",
	})
	d := r.serve(nil)
	if code, answer := call[any](t, http.MethodPost, d.url()+"/v1/app-webhooks", key, "application/json",
		`{"url": "`+hook.URL+`", "events": ["lead.created", "call.disposition"], "secret": "whsec_test"}`); code != http.StatusCreated {
		t.Fatalf("subscribing: %d %s", code, answer.code())
	}
	const erased, optedOut, stays = 1, 2, 3
	r.box.IPSCAPE().AddLeads(youngLeads(1, 3)...)
	r.box.PostTo(d.url())
	for _, i := range []int{erased, optedOut, stays} {
		r.tellOf(d, i, 0)
	}
	r.settled(2 * time.Minute)
	r.post(d, sandbox.NewPost(sandbox.EventDNC, map[string]any{
		"lead_id": fmt.Sprint(960_000 + optedOut), "phone_number": strings.TrimPrefix(youngPhone(optedOut), "+1"), "phone_code": "1", "status": "DNC",
		"call_log_id": "990000001", "call_date": fmt.Sprint(time.Now().Unix()),
	}))
	lead := func(i int) string {
		return one[string](r, `select lead_id::text from pipeline.lead_keys where kind = 'phone' and value = $1`, youngPhone(i))
	}
	patch := fmt.Sprintf(`{"contactFirstName": "Quillonius%05d"}`, erased)
	if code, answer := call[any](t, http.MethodPatch, d.url()+"/v1/leads/"+lead(erased), key, "application/json", patch); code != http.StatusOK {
		t.Fatalf("patching: %d %s", code, answer.code())
	}
	create := fmt.Sprintf(`{"businessName": "Zephyrine Bakery %05d", "phone": "%s"}`, erased, youngPhone(erased))
	if code, answer := call[any](t, http.MethodPost, d.url()+"/v1/leads", key, "application/json", create); code != http.StatusCreated {
		t.Fatalf("creating: %d %s", code, answer.code())
	}
	org := one[uuid.UUID](r, `select org_id from ops.organisations where is_default`)
	for _, i := range []int{erased, stays} {
		r.exec(`insert into ops.quarantine (id, org_id, account_id, source, stream, object_id, reason, error, body, body_hash, first_seen_at, last_seen_at)
			values ($1, $2, 'default', 'ipscape', 'leads', '', 'bad id', 'no id', $3, sha256($3), now(), now())`,
			uuid.New(), org, []byte(`{"leadId":"x","phone1":"`+youngPhone(i)+`"}`))
	}
	r.settled(2 * time.Minute)
	before := r.told(erased)
	for _, column := range []string{
		"convolo.calls.phone", "convoso.events.phone", "ipscape.activities.destination", "ipscape.leads.phones", "ops.deliveries.phone", "ops.inbox.body",
		"ops.quarantine.body", "ops.record_keys.value", "ops.records.payload", "ops.webhook_events.data", "pipeline.calls.to_number",
		"pipeline.lead_keys.value", "pipeline.leads.phone", "pipeline.leads.search",
	} {
		if !slices.Contains(before, column) {
			t.Errorf("before: nothing in %s, so the test proves nothing of it; found in %q", column, before)
		}
	}
	leadIDs := map[int]string{erased: lead(erased), optedOut: lead(optedOut), stays: lead(stays)}
	stayed := r.told(stays)

	receipt := answer[eraseReceipt](r, exitDone, "erase", "--phone", youngPhone(erased))
	for _, table := range []string{
		"ops.records", "ops.inbox", "ops.deliveries", "ops.delivery_attempts", "ops.webhook_events", "ops.quarantine", "pipeline.leads", "pipeline.lead_keys",
		"pipeline.calls", "ipscape.leads", "ipscape.activities", "convoso.events", "convolo.calls", "dialedin.leads",
	} {
		if receipt.Tables[table] == 0 {
			t.Errorf("the receipt counts nothing of %s: %v", table, receipt.Tables)
		}
	}
	if receipt.OptOutsKept != 0 || len(receipt.Elsewhere) != 0 || receipt.FinishedAt == "-" {
		t.Errorf("receipt: %+v", receipt)
	}
	if found := r.told(erased); len(found) > 0 {
		t.Errorf("still found in %q", found)
	}
	if found := list[string](r, `select id::text from ops.deliveries where lead_id::text = $1 and state in ('ready', 'sending', 'unknown')`, leadIDs[erased]); len(found) > 0 {
		t.Errorf("open deliveries: %q", found)
	}
	if again := answer[eraseReceipt](r, exitDone, "erase", "--phone", youngPhone(erased)); len(again.Tables) != 0 || again.ErasureID != receipt.ErasureID {
		t.Errorf("once more: %+v", again)
	}

	// By e-mail, at the vendor too, which needs leave.
	email := fmt.Sprintf("quillonius%05d@zephyrine.example", optedOut)
	r.env["IPSCAPE_WRITES"] = "false"
	if e := r.command("erase", "--email", email, "--vendors"); e.code != exitConfig || !strings.Contains(e.stderr, "IPSCAPE_WRITES") {
		t.Errorf("without leave: %s", e)
	}
	r.env["IPSCAPE_WRITES"] = "true"
	another := strings.TrimSpace(r.command("org", "create", "--name", "another").stdout)
	if e := r.command("erase", "--email", email, "--vendors", "--org", another); e.code != exitUsage || !strings.Contains(e.stderr, "default organisation") {
		t.Errorf("another organisation's: %s", e)
	}
	second := answer[eraseReceipt](r, exitDone, "erase", "--email", email, "--vendors")
	if second.OptOutsKept != 1 || second.Vendors["ipscape"]["leadsDeleted"] != 1 || second.Vendors["ipscape"]["activitiesOverwritten"] != 1 {
		t.Errorf("receipt: %+v", second)
	}
	suppression := []string{
		"ops.deliveries.dedupe", "ops.deliveries.phone", "ops.record_keys.value", "ops.records.payload", "ops.suppressions.value", "pipeline.do_not_call.phone",
	}
	checkKept := func(when string) {
		t.Helper()
		for _, column := range r.told(optedOut) {
			if !slices.Contains(suppression, column) {
				t.Errorf("%s: found in %s", when, column)
			}
		}
		if n := one[int](r, `select count(*) from ops.records where payload::text like '%' || $1 || '%' and object_id not like 'erased-%'`, youngPhone(optedOut)); n > 0 {
			t.Errorf("%s: %d records hold the number that opted out", when, n)
		}
		if n := one[int](r, `select count(*) from pipeline.do_not_call where phone = $1 and lifted_at is null`, youngPhone(optedOut)); n != 1 {
			t.Errorf("%s: the opt-out is gone", when)
		}
	}
	checkKept("after")
	if check := answer[rebuildResult](r, exitDone, "rebuild", "--check"); !check.Agrees {
		t.Errorf("rebuild: %+v", check)
	}

	// Everybody tells of them again.
	r.box.IPSCAPE().UpdateLead(900_000+erased, func(l *sandbox.Lead) { l.TotalAttempts++; l.Modified = time.Now().UTC() })
	kept := func() int {
		return one[int](r, `select ((select sum(kept_out) from ops.erasures) + (select coalesce(sum(records), 0) from ops.erasure_arrivals))::integer`)
	}
	for _, i := range []int{erased, optedOut, stays} {
		r.tellOf(d, i, 1)
	}
	r.post(d, sandbox.NewPost(sandbox.EventDNC, map[string]any{
		"lead_id": fmt.Sprint(960_000 + erased), "phone_number": strings.TrimPrefix(youngPhone(erased), "+1"), "phone_code": "1", "status": "DNC",
		"call_log_id": "990000002", "call_date": fmt.Sprint(time.Now().Unix()),
	}))
	if code, answer := call[any](t, http.MethodPost, d.url()+"/v1/leads", key, "application/json", create); code != http.StatusUnprocessableEntity || answer.code() != "PERSON_ERASED" {
		t.Errorf("over the api: %d %s", code, answer.code())
	}
	if e := r.command("sync", "ipscape", "leads", "activities", "--wait"); e.code != exitDone {
		t.Errorf("sync: %s", e)
	}
	eventually(t, time.Minute, func() string {
		if n := kept(); n < 8 {
			return fmt.Sprintf("8 things to be kept out, %d are", n)
		}
		return ""
	})
	r.settled(2 * time.Minute)
	if e := r.command("rebuild"); e.code != exitDone {
		t.Errorf("rebuild: %s", e)
	}
	checkKept("told again")
	// The first one has opted out by now, and that alone is known.
	for _, column := range r.told(erased) {
		if !slices.Contains(suppression, column) {
			t.Errorf("told again: found in %s", column)
		}
	}
	if n := one[int](r, `select count(*) from pipeline.do_not_call where phone = $1 and lifted_at is null`, youngPhone(erased)); n != 1 {
		t.Error("an opt-out of somebody who was erased does not count")
	}
	if after := r.told(stays); len(stayed) == 0 || !slices.Equal(stayed, after) || lead(stays) != leadIDs[stays] {
		t.Errorf("somebody else was found in %q, and then in %q", stayed, after)
	}
	for _, args := range [][]string{{"erase"}, {"erase", "--phone", "x"}, {"erase", "--email", "x"}, {"erase", "--phone", youngPhone(1), "--email", email}} {
		if e := r.command(args...); e.code != exitUsage {
			t.Errorf("%q: %s", args, e)
		}
	}
}
