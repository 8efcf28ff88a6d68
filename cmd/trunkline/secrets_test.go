package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// spellings are the forms in which a secret may show: as it is, in hex, in base64 wherever in a longer text it stood, and
// escaped for URLs and JSON.
func spellings(secret string) []string {
	forms := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret),
		hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
		strings.Trim(fmt.Sprintf("%q", secret), `"`), strings.ReplaceAll(secret, "/", `\/`),
	}
	for shift := range 3 {
		// What stands before a text shifts its base64 by two bits a byte; the outermost characters depend on the neighbours.
		padded := append(bytes.Repeat([]byte{'x'}, shift), secret...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := enc.EncodeToString(padded)
			forms = append(forms, text[(shift*8+5)/6:len(text)-2])
		}
	}
	return forms
}

// found returns the first spelling of a secret that occurs in a text.
func found(text, secret string) (string, bool) {
	for _, form := range spellings(secret) {
		if strings.Contains(text, form) {
			return form, true
		}
	}
	return "", false
}

func TestSpellingsAreFound(t *testing.T) {
	t.Parallel()
	const secret = "sbx/secret+value=42 end"
	for name, text := range map[string]string{
		"plain": "a " + secret, "hex": fmt.Sprintf("%x", "token "+secret+"."), "HEX": fmt.Sprintf("%X", secret),
		"std": base64.StdEncoding.EncodeToString([]byte("user:" + secret + "!!")), "url": base64.URLEncoding.EncodeToString([]byte("x" + secret)),
		"raw": base64.RawURLEncoding.EncodeToString([]byte("xy" + secret + "z")), "query": url.Values{"q": {secret}}.Encode(), "path": url.PathEscape(secret),
	} {
		if _, ok := found(text, secret); !ok {
			t.Errorf("%s: not found in %s", name, text)
		}
	}
	if form, ok := found("sbx/secret and value=42 end of "+base64.StdEncoding.EncodeToString([]byte("something else")), secret); ok {
		t.Errorf("%q was found where there is no secret", form)
	}
}

// haul is everything that left the daemon, by where it was found.
type haul map[string]string

func (h haul) add(where, text string) { h[where] += text + "\n" }

// get makes one call of the API and keeps the answer.
func (h haul) get(t testing.TB, method, address, key, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := poster.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var head strings.Builder
	_ = resp.Header.Write(&head)
	h.add("HTTP answers", head.String()+string(answer))
	return resp.StatusCode
}

// TestSecretsNeverShow runs a daemon at its most talkative against vendors that work and vendors that fail in the nastiest
// ways, echoing what they were sent. Then it looks for every secret, in every spelling, in all that came out; and for
// people's phones and names where they have no business.
func TestSecretsNeverShow(t *testing.T) {
	t.Parallel()
	const (
		apiKey, adminToken = "env-api-key-3f9c1b7de2a84650", "env-admin-token-77b0d2c94e1f58aa"
		dbPassword         = "db-password-5c2e9f10b7"
	)
	r := newRig(t, sandbox.Options{Seed: 17, Activities: 60, Leads: 40, Posts: 40}, map[string]string{
		"TRUNKLINE_LOG_LEVEL": "debug", "TRUNKLINE_API_KEY": apiKey, "TRUNKLINE_ADMIN_TOKEN": adminToken, "TRUNKLINE_PUSH": "dialedin,convolo,lendworks",
		"TRUNKLINE_WEBHOOK_ALLOW_CIDRS": "127.0.0.0/8", "DIALEDIN_TIMEOUT": "1s", "DIALEDIN_RECONCILE_DELAY": "1s", "CONVOLO_TIMEOUT": "1s", "IPSCAPE_TIMEOUT": "2s",
	})
	r.env["DATABASE_URL"] = withPassword(t, r.dsn, dbPassword)
	r.env["TRUNKLINE_READ_DATABASE_URL"] = r.env["DATABASE_URL"]
	secrets := map[string]string{
		"TRUNKLINE_API_KEY": apiKey, "TRUNKLINE_ADMIN_TOKEN": adminToken, "DATABASE_URL's password": dbPassword,
	}
	for _, name := range []string{
		"IPSCAPE_TOKEN", "DIALEDIN_TOKEN", "CONVOLO_API_KEY", "CONVOLO_WIDGET_KEY", "CONVOSO_ORG_TOKEN", "LENDWORKS_API_KEY", "LENDWORKS_WEBHOOK_SECRET",
	} {
		secrets[name] = r.env[name]
	}
	h := haul{}
	d := r.serve(nil)
	for _, args := range [][]string{{"apikey", "create", "--name", "one"}, {"apikey", "create", "--name", "two", "--level", "read"}} {
		made := r.command(args...)
		secrets["the key of "+strings.Join(args, " ")] = strings.TrimSpace(made.stdout)
		h.add("logs", made.stderr)
		if made.code != exitDone {
			t.Fatal(made)
		}
	}
	secrets["a webhook secret"] = "whsec-canary-0f1e2d3c4b5a6978"
	if status := h.get(t, "POST", d.url()+"/v1/app-webhooks", apiKey, `{"url": "http://127.0.0.1:9/", "events": ["lead.created"], "secret": "`+secrets["a webhook secret"]+`"}`); status != 201 {
		t.Fatalf("making a webhook endpoint: %d", status)
	}
	// The answer to its maker is the one place where it shows.
	h["HTTP answers"] = strings.ReplaceAll(h["HTTP answers"], secrets["a webhook secret"], "")
	receiver := r.command("org", "token")
	secrets["the token of org token"] = strings.TrimSpace(receiver.stdout)
	r.post(d)
	r.box.IPSCAPE().AddLeads(youngLeads(1, 6)...)
	r.settled(2 * time.Minute)
	r.failEverywhere(d, h, secrets)
	h.collect(r, d)
	for name, secret := range secrets {
		if len(secret) < 16 {
			t.Fatalf("%s is too short to be looked for: %d characters", name, len(secret))
		}
		for where, text := range h {
			if name == "CONVOLO_WIDGET_KEY" && where == "database" {
				continue // an identifier of the account (law 11)
			}
			if form, ok := found(text, secret); ok {
				at := strings.Index(text, form)
				t.Errorf("%s shows in %s: …%s[here]", name, where, text[max(0, at-160):at])
			}
		}
	}
	r.checkPersonal(h)
	size := 0
	for _, text := range h {
		size += len(text)
	}
	t.Logf("%d secrets in %d spellings each looked for in %d bytes: %s", len(secrets), len(spellings("0123456789")), size, h.sizes())
}

func (h haul) sizes() string {
	var parts []string
	for where, text := range h {
		parts = append(parts, fmt.Sprintf("%s %d", where, len(text)))
	}
	return strings.Join(parts, ", ")
}

func withPassword(t testing.TB, dsn, password string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal("the test database's URL cannot be read")
	}
	if _, has := u.User.Password(); !has {
		// A server that asks for none takes any.
		u.User = url.UserPassword(u.User.Username(), password)
	}
	return u.String()
}

// failEverywhere has the vendors fail while they are asked, echoing credentials and a person's data, and calls the API with
// secrets in the wrong places.
func (r *rig) failEverywhere(d *child, h haul, secrets map[string]string) {
	r.Helper()
	// Words such as "token" would make DialedIn's answers a refusal of our credentials, after which it is left alone.
	echo := fmt.Sprintf(`{"error":"cannot process","sent":[%q,"Bearer %s","Bearer %s",%q,%q,"PrimaryPhone=%s&t=%s",%q]}`,
		secrets["DIALEDIN_TOKEN"], secrets["IPSCAPE_TOKEN"], secrets["LENDWORKS_API_KEY"], secrets["CONVOLO_API_KEY"], secrets["CONVOLO_WIDGET_KEY"],
		strings.TrimPrefix(youngPhone(11), "+1"), secrets["DIALEDIN_TOKEN"], youngPhone(11))
	head := http.Header{"X-Echo": {secrets["IPSCAPE_TOKEN"]}, "Location": {"https://elsewhere.invalid/?token=" + secrets["DIALEDIN_TOKEN"]}}
	fault := func(vendor, op string, kind sandbox.FaultKind, status int) sandbox.Fault {
		return sandbox.Fault{Vendor: vendor, Op: op, Kind: kind, Status: status, Body: echo, Header: head}
	}
	faults := []sandbox.Fault{
		fault(sandbox.VendorDialedIn, sandbox.OpInsertLead, sandbox.FaultStatus, 500),
		fault(sandbox.VendorDialedIn, sandbox.OpInsertLead, sandbox.FaultStatus, 200),
		fault(sandbox.VendorDialedIn, sandbox.OpInsertLead, sandbox.FaultHang, 0),
		fault(sandbox.VendorDialedIn, sandbox.OpSearchLead, sandbox.FaultStatus, 500),
		fault(sandbox.VendorDialedIn, sandbox.OpSearchLead, sandbox.FaultCutAfter, 0),
		fault(sandbox.VendorConvolo, sandbox.OpAddCall, sandbox.FaultStatus, 500),
		fault(sandbox.VendorConvolo, sandbox.OpAddCall, sandbox.FaultStatus, 400),
		fault(sandbox.VendorConvolo, sandbox.OpAddCall, sandbox.FaultHang, 0),
		fault(sandbox.VendorConvolo, sandbox.OpAddCall, sandbox.FaultStatus, 302),
		fault(sandbox.VendorLendWorks, sandbox.OpCreateLendWorksLead, sandbox.FaultStatus, 500),
		fault(sandbox.VendorLendWorks, sandbox.OpCreateLendWorksLead, sandbox.FaultStatus, 422),
		fault(sandbox.VendorIPSCAPE, sandbox.OpListActivities, sandbox.FaultStatus, 500),
		fault(sandbox.VendorIPSCAPE, sandbox.OpListActivities, sandbox.FaultStall, 0),
		fault(sandbox.VendorIPSCAPE, sandbox.OpListActivities, sandbox.FaultStatus, 302),
		fault(sandbox.VendorIPSCAPE, sandbox.OpListActivities, sandbox.FaultStatus, 422),
		fault(sandbox.VendorIPSCAPE, sandbox.OpListActivities, sandbox.FaultForeignHost, 0),
	}
	r.box.Faults().Add(faults...)
	r.box.IPSCAPE().AddLeads(youngLeads(11, 8)...)
	r.wrongCalls(d, h, secrets)
	eventually(r, 2*time.Minute, func() string {
		if n := r.box.Faults().Pending(); n > 0 {
			return fmt.Sprintf("%d of %d faults to have happened; there were %q", n, len(faults), r.harmed())
		}
		return ""
	})
	// Credentials refused: an account that answers so is left alone for ten minutes, hence it comes last.
	last := r.box.Faults()
	// All of ipSCAPE's streams ask at the same moment, and one that is accepted would lift the denial again.
	refusing := fault(sandbox.VendorIPSCAPE, "", sandbox.FaultStatus, 401)
	refusing.Times = -1
	last.Add(refusing, fault(sandbox.VendorDialedIn, "", sandbox.FaultStatus, 403),
		fault(sandbox.VendorConvolo, "", sandbox.FaultStatus, 401))
	r.exec(`update ops.streams set retry_at = null`)
	eventually(r, time.Minute, func() string {
		if n := one[int](r, `select count(*) from ops.budgets where source = 'ipscape' and denied_at is not null`); n == 0 {
			return "ipSCAPE's refusal to be noted"
		}
		return ""
	})
}

// harmed lists the requests that a fault met.
func (r *rig) harmed() []string {
	var out []string
	for _, q := range r.box.Requests() {
		if q.Fault != "" {
			out = append(out, fmt.Sprintf("%s %s %d", q.Op, q.Fault, q.Status))
		}
	}
	return out
}

// wrongCalls uses the API as badly as its clients may.
func (r *rig) wrongCalls(d *child, h haul, secrets map[string]string) {
	r.Helper()
	key, org := secrets["the key of apikey create --name one"], secrets["CONVOSO_ORG_TOKEN"]
	calls := []struct {
		method, path, key, body string
		want                    int
	}{
		{"GET", "/v1/leads?limit=100", key, "", 200},
		{"GET", "/v1/leads?search=" + url.QueryEscape("Ostrovander00001"), key, "", 200},
		{"GET", "/v1/leads?api_key=" + key + "&limit=x", key, "", 422},
		{"GET", "/v1/leads", key + "x", "", 401},
		{"GET", "/v1/leads", "lw_" + key, "", 401},
		{"GET", "/v1/leads/" + key, key, "", 404},
		{"GET", "/v1/" + key, "", "", 404},
		{"DELETE", "/v1/leads/" + key, key, "", 405},
		{"GET", "/v1/dialer/agents", secrets["TRUNKLINE_API_KEY"], "", 200},
		{"GET", "/metrics", secrets["TRUNKLINE_ADMIN_TOKEN"], "", 200},
		{"GET", "/metrics", secrets["TRUNKLINE_ADMIN_TOKEN"] + "x", "", 200},
		{"GET", "/healthz?" + org, "", "", 200},
		{"GET", "/readyz", "", "", 200},
		{"POST", "/v1/dialer/convoso/" + org + "x", "", "{}", 403},
		{"POST", "/v1/dialer/convoso/" + org + "/disposition/more", "", "{}", 404},
		{"PUT", "/v1/dialer/convoso/" + org, "", "{}", 405},
		{"POST", "/v1/dialer/convoso/" + org + "?event=disposition", "", "\x00\x01 not a post " + youngPhone(12), 400},
		{"POST", "/v1/dialer/convoso/" + secrets["the token of org token"], "", `{"nothing":"known","phone":"` + youngPhone(12) + `"}`, 422},
	}
	for _, c := range calls {
		if got := h.get(r, c.method, d.url()+c.path, c.key, c.body); got != c.want {
			shown, _, _ := strings.Cut(strings.TrimPrefix(c.path, "/"), "?")
			r.Errorf("%s %.12s…: %d, want %d", c.method, shown, got, c.want)
		}
	}
}

// collect gathers what the daemon and the commands print, and the whole database.
func (h haul) collect(r *rig, d *child) {
	r.Helper()
	for _, args := range [][]string{
		{"config"},
		{"config", "--json"},
		{"config", "check"},
		{"status"},
		{"status", "--json"},
		{"apikey", "list"},
		{"apikey", "list", "--json"},
		{"org", "list"},
		{"migrate", "status"},
	} {
		done := r.command(args...)
		h.add("commands", done.stdout+done.stderr)
		if done.stdout == "" {
			r.Errorf("%s printed nothing: %s", args, done)
		}
	}
	// A database that cannot be reached is a fault whose text may hold its URL.
	away := r.with(map[string]string{"DATABASE_URL": strings.Replace(r.env["DATABASE_URL"], "/trunkline_test_", "/trunkline_nowhere_", 1)})
	lost := runChild(r, away, "status")
	if lost.code == exitDone || lost.stderr == "" {
		r.Errorf("status of a database that is not there: %s", lost)
	}
	h.add("commands", lost.stdout+lost.stderr)
	if code := h.get(r, "GET", d.url()+"/metrics", "", ""); code != http.StatusOK {
		r.Errorf("/metrics answers %d", code)
	}
	d.signal(sigterm)
	if code := d.wait(time.Minute); code != exitDone {
		r.Errorf("the daemon ended with %d", code)
	}
	h.add("logs", d.out.String()+d.err.String())
	h.add("database", r.dump())
	// What has to be in there, or the search would prove nothing.
	for where, text := range map[string]string{"logs": `"level":"DEBUG"`, "commands": "[redacted]", "HTTP answers": "trunkline_stream_lag_seconds", "database": youngPhone(11)} {
		if !strings.Contains(h[where], text) {
			r.Errorf("%s lack %s: not everything was collected", where, text)
		}
	}
}

// dump is all of the database: by pg_dump, else by COPY table by table.
func (r *rig) dump() string {
	r.Helper()
	program, err := exec.LookPath("pg_dump")
	if err != nil {
		if all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump"); len(all) > 0 {
			program = all[len(all)-1]
		}
	}
	if program != "" {
		cmd := exec.CommandContext(r.Context(), program, "--no-owner", "--dbname="+r.dsn) //nolint:gosec // the test finds the program itself
		if out, err := cmd.Output(); err == nil {
			return string(out)
		}
		r.Log("pg_dump failed, which may be older than the server; the tables are copied one by one")
	}
	conn, err := r.db.Acquire(context.Background())
	if err != nil {
		r.Fatal(err)
	}
	defer conn.Release()
	var out bytes.Buffer
	for _, table := range list[string](r, `select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables where schemaname !~ '^pg_|^information'`) {
		fmt.Fprintf(&out, "\n%s\n", table)
		if _, err := conn.Conn().PgConn().CopyTo(r.Context(), &out, "copy (select * from "+table+") to stdout"); err != nil {
			r.Fatalf("copying %s: %v", table, err)
		}
	}
	return out.String()
}

// checkPersonal looks for phones and names of leads where law 11 does not want them: logs, metrics, errors, job arguments
// and what commands print of all that.
func (r *rig) checkPersonal(h haul) {
	r.Helper()
	metrics := ""
	for _, line := range strings.Split(h["HTTP answers"], "\n") {
		if strings.HasPrefix(line, "trunkline_") || strings.HasPrefix(line, "river_") {
			metrics += line + "\n"
		}
	}
	places := map[string]string{"logs": h["logs"], "metrics": metrics, "commands": h["commands"], "jobs": strings.Join(list[string](r,
		`select args::text || coalesce(errors::text, '') || metadata::text from river.river_job`), "\n")}
	for _, column := range []string{
		"ops.deliveries.error", "ops.deliveries.reason", "ops.delivery_attempts.request", "ops.delivery_attempts.detail", "ops.delivery_attempts.checks",
		"ops.walks.error", "ops.walks.cursor", "ops.streams.last_error", "ops.quarantine.error", "ops.inbox.error",
	} {
		at := strings.LastIndex(column, ".")
		places[column] = strings.Join(list[string](r, fmt.Sprintf(`select %s::text from %s where %[1]s is not null`, column[at+1:], column[:at])), "\n")
	}
	if places["ops.delivery_attempts.detail"] == "" || places["ops.streams.last_error"] == "" || places["jobs"] == "" {
		r.Errorf("no vendor's error was kept: %v", places)
	}
	var personal []string
	for _, l := range r.box.IPSCAPE().Leads() {
		for _, phone := range l.Phones {
			personal = append(personal, strings.TrimPrefix(strings.TrimPrefix(phone, "+1"), "+"))
		}
		first, last := fmt.Sprint(l.DataFields["firstName"]), fmt.Sprint(l.DataFields["lastName"])
		if l.DataFields == nil {
			continue
		}
		personal = append(personal, first+" "+last, fmt.Sprint(l.DataFields["email"]), fmt.Sprint(l.DataFields["businessName"]))
		if strings.HasPrefix(last, "Ostrovander") {
			personal = append(personal, first, last)
		}
	}
	for where, text := range places {
		for _, value := range personal {
			if at := strings.Index(text, value); at >= 0 {
				r.Errorf("a lead's data shows in %s: …%s[here]", where, text[max(0, at-160):at])
				break
			}
		}
	}
	r.Logf("%d phones and names looked for in %d places", len(personal), len(places))
}
