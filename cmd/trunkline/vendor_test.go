package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// TestVendorUsage asks wrongly, and asks for help: both without any setting at hand.
func TestVendorUsage(t *testing.T) {
	t.Parallel()
	ask := func(args ...string) ended { return runChild(t, nil, append([]string{"vendor"}, args...)...) }
	for _, v := range callables() {
		for _, args := range [][]string{{v.name}, {v.name, "--help"}} {
			got := ask(args...)
			for _, op := range v.operations {
				if got.code != exitDone || !strings.Contains(got.stdout, "  "+op.Name+" ") || !strings.Contains(got.stdout, op.Summary) {
					t.Fatalf("vendor %q does not list %s: %s", args, op.Name, got)
				}
				for _, p := range op.Params {
					if !strings.Contains(got.stdout, p.Name) {
						t.Errorf("vendor %q does not name %s of %s", args, p.Name, op.Name)
					}
				}
			}
		}
	}
	for want, args := range map[string][]string{
		"did you mean list_activities?":          {"ipscape", "List-Aktivities"},
		"there is no argument listID":            {"ipscape", "get", "activity", "activityId=3", "listID=4"},
		"activityId: is missing":                 {"ipscape", "GET_ACTIVITY"},
		"the 1st is not":                         {"ipscape", "list_leads", "+61400111222"},
		"campaignId: is no whole number":         {"ipscape", "ListLeads", "CAMPAIGNID=x"},
		"campaignId: is given twice":             {"ipscape", "ListLeads", "campaignId=1", "campaignid=2"},
		"create_lead rings: say --yes":           {"ipscape", "create_lead", "listId=120"},
		"remove_personal_data deletes: say":      {"ipscape", "remove personal data", "phoneNumber=+61400111222"},
		"bulk_create_leads: leads: is missing":   {"ipscape", "bulk lead create"},
		"set_call_recording: agentId: is missin": {"ipscape", "start/stop call recording", "recording=true"},
		"nothing to change":                      {"ipscape", "update_lead", "leadId=1", "--yes"},
		"--out goes with get_media only":         {"ipscape", "get_lead", "leadId=1", "--out", "x"},
		"did you mean InsertDnc?":                {"dialedin", "insert_dcn", "Number=3055550123"},
		"InsertLead rings: say --yes":            {"dialedin", "insert lead", "primaryphone=3055550123", "clientid=x"},
		"ReloadPlaylist writes: say --yes":       {"dialedin", "Reload", "playlist=Hot"},
		"ReloadSkills writes: say --yes":         {"dialedin", "reload"},
		"DeleteDnc deletes: say --yes":           {"dialedin", "DELETEDNC", "number=3055550123"},
		"StartCall rings: say --yes":             {"convolo", "startcall", "lc_number=+15035550142"},
	} {
		if got := ask(args...); got.code != exitUsage || !strings.Contains(got.stderr, want) || strings.Contains(got.stderr, "400111222") || got.stdout != "" {
			t.Errorf("vendor %q: want %q and exit 2, got %s", args, want, got)
		}
	}
	if got := ask("ipscape", "Get Lead", "--help"); got.code != exitDone || !strings.Contains(got.stdout, "leadId*") || strings.Contains(got.stdout, "list_users") {
		t.Errorf("help of one operation: %s", got)
	}
	done := runChild(t, nil, "__complete", "vendor", "ipscape", "list_leads", "campaignId=1", "")
	if !strings.Contains(done.stdout, "customerKey=\n") || strings.Contains(done.stdout, "campaignId=") {
		t.Errorf("completion of arguments: %s", done)
	}
	if done := runChild(t, nil, "__complete", "vendor", "ipscape", ""); strings.Count(done.stdout, "\t") != 20 {
		t.Errorf("completion of operations: %s", done)
	}
}

// TestVendorIPSCAPE runs operations of each kind against the simulated vendor, without a daemon and beside one.
func TestVendorIPSCAPE(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 31, Activities: 30, Leads: 12, Posts: -1}, nil)
	if got := r.command("vendor", "ipscape", "list_leads"); got.code != exitDatabase {
		t.Fatalf("before the schema is made: %s", got)
	}
	if got := r.command("migrate", "up"); got.code != exitDone {
		t.Fatal(got)
	}
	ask := func(changes map[string]string, args ...string) ended {
		t.Helper()
		return runChild(t, r.with(changes), append([]string{"vendor", "ipscape"}, args...)...)
	}
	lead := r.box.IPSCAPE().Leads()[0]
	id := fmt.Sprint(lead.ID)

	got := ask(nil, "Get-Lead", "leadid="+id)
	var answer struct{ LeadID int64 }
	if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || got.code != exitDone || answer.LeadID != lead.ID || !strings.Contains(got.stdout, "\n  \"leadId\"") || got.stderr != "" {
		t.Errorf("get_lead: %v %s", err, got)
	}
	if got := ask(nil, "get_lead", "leadId=424242"); got.code != exitFailed || got.stdout != "" {
		t.Errorf("a lead that is not there: %s", got)
	}
	if got := ask(map[string]string{"IPSCAPE_WRITES": "false"}, "update_lead", "leadId="+id, "statusCode=3", "--yes"); got.code != exitConfig || !strings.Contains(got.stderr, "IPSCAPE_WRITES") {
		t.Errorf("a write that is not allowed: %s", got)
	}
	if got := ask(map[string]string{"IPSCAPE_TOKEN": ""}, "list_leads"); got.code != exitConfig || !strings.Contains(got.stderr, "IPSCAPE_TOKEN") {
		t.Errorf("a vendor that is off: %s", got)
	}
	if got := ask(map[string]string{"IPSCAPE_PATH_GET_LEAD": "/v3.0/nowhere/{leadId}"}, "get_lead", "leadId="+id); got.code != exitFailed {
		t.Errorf("the path was not overridden: %s", got)
	}
	if got := ask(map[string]string{"IPSCAPE_PATH_BULK_LEAD_CREATE": "/v3.0/leads"}, "list_leads"); got.code != exitDone {
		t.Errorf("the contract's name of an operation in a path: %s", got)
	}

	// A stale token in an operator's shell is refused, and stops nobody else.
	if got := ask(map[string]string{"IPSCAPE_TOKEN": "stale-token-of-somebody-1234"}, "list_leads"); got.code != exitDenied || strings.Contains(got.stderr, "stale-token") {
		t.Errorf("refused credentials: %s", got)
	}
	if n := one[int](r, `select count(*) from ops.budgets where denied_at is not null`); n != 0 {
		t.Error("the operator's stale token marked the account as denied")
	}

	// What was created before the answer was lost is found by its key, and created once.
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: ipscape.OpCreateLead, Kind: sandbox.FaultCutAfter})
	create := []string{"create_lead", "listId=120", "customerKey=from-the-shell", "phone1=+61400111999", "--yes"}
	for i := range 2 {
		if got := ask(nil, create...); got.code != exitDone || !strings.Contains(got.stdout, `"found": true`) {
			t.Errorf("create %d: %s", i, got)
		}
	}
	made := 0
	for _, l := range r.box.IPSCAPE().Leads() {
		if l.CustomerKey == "from-the-shell" {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d leads were made", made)
	}

	// What a vendor quotes of the request stays out of the error.
	r.box.Faults().Add(sandbox.Fault{
		Vendor: sandbox.VendorIPSCAPE, Kind: sandbox.FaultStatus, Status: http.StatusUnprocessableEntity, Body: "no Quillonius at +61400111998",
	})
	got = ask(nil, "update_lead", "leadId="+id, "phone1=+61400111998", `leadData={"first":"Quillonius"}`, "--yes")
	if got.code != exitFailed || strings.Contains(got.stderr, "Quillonius") || strings.Contains(got.stderr, "400111998") {
		t.Errorf("a refused write: %s", got)
	}

	r.vendorMedia(ask)
	r.vendorBulk(ask)

	// Behind a daemon: the budget's second lane, and the daemon's own work goes on.
	r.serve(map[string]string{"IPSCAPE_RATE": "20"})
	if got := ask(map[string]string{"IPSCAPE_RATE": "20"}, "list_activities", "campaignId=12"); got.code != exitDone {
		t.Errorf("beside a daemon: %s", got)
	}
	r.exec(`update ops.budgets set paused_until = now() + interval '10 minutes' where source = 'ipscape'`)
	if got := ask(map[string]string{"IPSCAPE_RATE": "20"}, "list_users"); got.code != exitFailed || !strings.Contains(got.stderr, "limited, wait") {
		t.Errorf("a paused account: %s", got)
	}
	r.lawful()
}

// vendorMedia saves a recording that the vendor answers, and none that it does not.
func (r *rig) vendorMedia(ask func(changes map[string]string, args ...string) ended) {
	r.Helper()
	var media string
	for _, a := range r.box.IPSCAPE().Activities() {
		if a.Recording != nil {
			media = fmt.Sprint(a.Recording.MediaID)
		}
	}
	file := filepath.Join(r.TempDir(), "call.wav")
	save := []string{"get_media", "mediaId=" + media, "--out", file}
	if got := ask(nil, save...); got.code != exitDone || !strings.Contains(got.stdout, "mediaUri") || exists(file) {
		r.Errorf("metadata in place of audio: %s", got)
	}
	r.box.IPSCAPE().SetAudio("audio/wav", make([]byte, 2<<20))
	if got := ask(nil, "get_media", "mediaId="+media); got.code != exitFailed || !strings.Contains(got.stderr, "--out FILE") {
		r.Errorf("audio without a file: %s", got)
	}
	if got := ask(nil, append(save, "--max-mib", "1")...); got.code != exitFailed || exists(file) {
		r.Errorf("a recording above the cap: %s", got)
	}
	got := ask(nil, save...)
	info, err := os.Stat(file)
	if got.code != exitDone || err != nil || info.Size() != 2<<20 || info.Mode().Perm() != 0o600 || !strings.Contains(got.stdout, `"bytes": 2097152`) {
		r.Errorf("a recording: %v %s", err, got)
	}
	r.box.IPSCAPE().SetAudio("", nil)
}

// vendorBulk creates leads in parts, which are remembered before they are sent, never sent twice, and looked for afterwards.
func (r *rig) vendorBulk(ask func(changes map[string]string, args ...string) ended) {
	r.Helper()
	file, size := filepath.Join(r.TempDir(), "leads.json"), "2"
	write := func(leads string) {
		r.Helper()
		if err := os.WriteFile(file, []byte(leads), 0o600); err != nil {
			r.Fatal(err)
		}
	}
	write(`[{"listId":120,"customerKey":"bulk-1"},{"listId":120,"customerKey":"bulk-2"},{"listId":121,"customerKey":"bulk-3"}]`)
	bulk := func(args ...string) ended {
		r.Helper()
		return ask(map[string]string{"IPSCAPE_BULK_SIZE": size}, append([]string{"bulk_create_leads", "leads=@" + file}, args...)...)
	}
	v := r.box.IPSCAPE()
	before := len(v.BulkJobs())
	v.HoldBulkJobs(true)
	if got := bulk("--verify"); got.code != exitPartly || len(v.BulkJobs()) != before {
		r.Errorf("looking for what was not sent: %s", got)
	}
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: ipscape.OpBulkCreateLeads, Kind: sandbox.FaultCutAfter, After: 1})
	got := bulk("--yes")
	if got.code != exitPartly || !strings.Contains(got.stderr, "0 of 3 leads are there") || !strings.Contains(got.stdout, `"uuid": "5b0c`) || !strings.Contains(got.stdout, `"unknown": true`) {
		r.Errorf("a bulk whose second answer was lost: %s", got)
	}
	if got := bulk("--yes"); got.code != exitFailed || !strings.Contains(got.stderr, "sent before: row 1-2 in bulk ") || len(v.BulkJobs()) != before+2 {
		r.Errorf("the same bulk once more, %d jobs: %s", len(v.BulkJobs())-before, got)
	}
	// Another file, and other parts.
	write(`[{"listId":120,"customerKey":"bulk-0"},{"listId":120,"customerKey":" bulk-1 "},{"listId":120,"customerKey":"bulk-2"},{"listId":121,"customerKey":"bulk-3"}]`)
	size = "3"
	got = bulk("--yes")
	if got.code != exitFailed || !strings.Contains(got.stderr, "row 2-3 in bulk ") || !strings.Contains(got.stderr, "row 4 in bulk ") ||
		!strings.Contains(got.stderr, "(unknown)") || strings.Contains(got.stderr, "bulk-1") || len(v.BulkJobs()) != before+2 {
		r.Errorf("a file that was shifted, %d jobs: %s", len(v.BulkJobs())-before, got)
	}
	if got := bulk("--yes", "--skip-known"); got.code != exitDone || !strings.Contains(got.stdout, `"skipped": 3`) || len(v.BulkJobs()) != before+3 {
		r.Errorf("only what was not sent, %d jobs: %s", len(v.BulkJobs())-before, got)
	}
	v.HoldBulkJobs(false)
	if got := bulk("--verify"); got.code != exitDone || !strings.Contains(got.stdout, `"found": 4`) || !strings.Contains(got.stdout, `"uuid": "5b0c`) || strings.Contains(got.stdout, "unknown") {
		r.Errorf("looking for what was sent: %s", got)
	}
	rows := list[string](r, `select concat_ws(' ', state, coalesce(status, '-'), uuid is not null, leads, found, twice, list_ids::text) from ipscape.bulk_creates order by asked_at`)
	if want := []string{"taken queued t 2 2 0 {120}", "taken - f 1 1 0 {121}", "taken queued t 1 1 0 {120}"}; !slices.Equal(rows, want) {
		r.Errorf("remembered are %q, want %q", rows, want)
	}

	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: ipscape.OpBulkCreateLeads, Kind: sandbox.FaultStatus, Status: http.StatusUnprocessableEntity})
	write(`[{"listId":120,"customerKey":"bulk-4"}]`)
	for i, code := range []int{exitFailed, exitDone} {
		if got := bulk("--yes"); got.code != code {
			r.Errorf("a part that is refused once, try %d: %s", i+1, got)
		}
	}
	words := func(args ...string) []string {
		return append([]string{"vendor", "ipscape", "bulk_create_leads", "leads=@" + file}, args...)
	}
	// What was found there is not sent either, whoever created it.
	write(`[{"listId":120,"customerKey":"bulk-from-elsewhere"}]`)
	v.AddLeads(sandbox.Lead{ListID: 120, CustomerKey: "bulk-from-elsewhere"})
	if got := bulk("--verify"); got.code != exitDone {
		r.Errorf("looking for what somebody else created: %s", got)
	}
	if got := bulk("--yes"); got.code != exitFailed || !strings.Contains(got.stderr, "row 1, found there") {
		r.Errorf("what somebody else created: %s", got)
	}
	r.vendorBulkAtOnce(write, words)
	r.vendorBulkKilled(write, words)
	for _, args := range [][]string{{"get_lead", "leadId=1", "--verify"}, {"get_lead", "leadId=1", "--skip-known"}, {"bulk_create_leads", "leads=@" + file, "--verify", "--skip-known"}} {
		if got := ask(nil, args...); got.code != exitUsage {
			r.Errorf("%q: %s", args, got)
		}
	}
}

// vendorBulkAtOnce has two send the same.
func (r *rig) vendorBulkAtOnce(write func(leads string), words func(args ...string) []string) {
	r.Helper()
	write(`[{"listId":120,"customerKey":"bulk-5"},{"listId":120,"customerKey":"bulk-6"}]`)
	jobs := len(r.box.IPSCAPE().BulkJobs())
	one, other := startChild(r, r.env, words("--yes")...), startChild(r, r.env, words("--yes")...)
	codes := []int{one.wait(time.Minute), other.wait(time.Minute)}
	slices.Sort(codes)
	if n := len(r.box.IPSCAPE().BulkJobs()) - jobs; n != 1 || !slices.Equal(codes, []int{exitDone, exitFailed}) {
		r.Errorf("two at once ended with %v and made %d jobs", codes, n)
	}
}

// vendorBulkKilled kills the command while the vendor has its request: once it was taken, and once it never is.
func (r *rig) vendorBulkKilled(write func(leads string), words func(args ...string) []string) {
	r.Helper()
	v := r.box.IPSCAPE()
	for i, kind := range []sandbox.FaultKind{sandbox.FaultHang, sandbox.FaultStall} {
		key := fmt.Sprintf("killed-%d", i)
		write(fmt.Sprintf(`[{"listId":120,"customerKey":%q}]`, key))
		r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: ipscape.OpBulkCreateLeads, Kind: kind})
		fired := r.box.Faults().Fired(kind)
		c := startChild(r, r.env, words("--yes")...)
		eventually(r, time.Minute, func() string {
			if r.box.Faults().Fired(kind) == fired {
				return "the request has not arrived"
			}
			return ""
		})
		c.kill()
		jobs := len(v.BulkJobs())
		if got := r.command(words("--yes")...); got.code != exitFailed || !strings.Contains(got.stderr, "(unknown)") {
			r.Errorf("%s: after the kill: %s", kind, got)
		}
		got := r.command(words("--verify")...)
		if kind == sandbox.FaultHang {
			if state := one[string](r, `select state from ipscape.bulk_creates order by asked_at desc limit 1`); got.code != exitDone || state != "taken" {
				r.Errorf("%s: it is %s, %s", kind, state, got)
			}
			continue
		}
		if got.code != exitPartly || !strings.Contains(got.stdout, `"unknown": true`) || !strings.Contains(got.stdout, `"free": 0`) {
			r.Errorf("%s: looked for at once: %s", kind, got)
		}
		if got := r.command(words("--yes", "--skip-known")...); got.code != exitDone || !strings.Contains(got.stdout, `"skipped": 1`) || len(v.BulkJobs()) != jobs {
			r.Errorf("%s: with nothing left: %s", kind, got)
		}
		r.exec(`update ipscape.bulk_creates set asked_at = asked_at - interval '61 minutes' where state = 'sending'`)
		if got := r.command(words("--verify")...); got.code != exitPartly || strings.Contains(got.stdout, "unknown") || !strings.Contains(got.stdout, `"free": 1`) {
			r.Errorf("%s: looked for long after: %s", kind, got)
		}
		if got := r.command(words("--yes")...); got.code != exitDone || len(v.BulkJobs()) != jobs+1 {
			r.Errorf("%s: once it was free: %s", kind, got)
		}
	}
	made := 0
	for _, l := range v.Leads() {
		if strings.HasPrefix(l.CustomerKey, "killed-") {
			made++
		}
	}
	if made != 2 {
		r.Errorf("%d leads were made of two", made)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestVendorPushes runs operations of those vendors that ring people: what opted out is not rung by an operator either.
func TestVendorPushes(t *testing.T) {
	t.Parallel()
	r := newRig(t, emptied(32), nil)
	if got := r.command("migrate", "up"); got.code != exitDone {
		t.Fatal(got)
	}
	ask := func(changes map[string]string, args ...string) ended {
		t.Helper()
		return runChild(t, r.with(changes), append([]string{"vendor"}, args...)...)
	}
	insert := []string{"dialedin", "InsertLead", "PrimaryPhone=+13053501230", "ClientId=shell-1", "--yes"}
	if got := ask(nil, insert...); got.code != exitDone || !strings.Contains(got.stdout, `"state": "confirmed"`) {
		t.Errorf("an insert: %s", got)
	}
	if got := ask(nil, insert...); got.code != exitFailed || !strings.Contains(got.stdout, `"reason": "duplicate_phone"`) || strings.Contains(got.stderr, "305350") {
		t.Errorf("the same again: %s", got)
	}
	if got := ask(nil, "dialedin", "search_lead", "searchfield=ClientId", "identifier=shell-1"); got.code != exitDone || !strings.Contains(got.stdout, "LeadExists") {
		t.Errorf("a search: %s", got)
	}
	if got := ask(map[string]string{"DIALEDIN_TOKEN": "not-the-right-token-1"}, "dialedin", "InsertDnc", "Number=3053501231", "--yes"); got.code != exitDenied {
		t.Errorf("refused credentials: %s", got)
	}
	if got := ask(map[string]string{"DIALEDIN_SCRIPT_TEXT": ""}, "dialedin", "SendSms", "From=3053501200", "To=3053501231", "Message=hi", "--yes"); got.code != exitConfig || !strings.Contains(got.stderr, "DIALEDIN_SCRIPT_TEXT") {
		t.Errorf("a script that is only guessed: %s", got)
	}
	if got := ask(nil, "dialedin", "Reload", "Playlist=Hot", "--yes"); got.code != exitDone || r.box.DialedIn().Desk().Reloads["playlist Hot"] != 1 {
		t.Errorf("a reload: %s", got)
	}
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorConvolo, Kind: sandbox.FaultCutAfter})
	if got := ask(nil, "convolo", "StartCall", "lc_number=+15033501233", "lc_param_ref=mine", "--yes"); got.code != exitFailed || !strings.Contains(got.stdout, `"state": "unknown"`) {
		t.Errorf("a call whose answer was lost: %s", got)
	}

	r.exec(`insert into ops.suppressions (org_id, kind, account_id, value, source, stream, object_id, reason, received_at)
		select org_id, 'phone', '', unnest(array['+13053501234', '+61400111777']), 'convoso', 'events', 'x', 'DNC', now() from ops.organisations where is_default`)
	before := len(r.box.Requests())
	for _, args := range [][]string{
		{"dialedin", "InsertLead", "PrimaryPhone=3053501234", "ClientId=shell-2"},
		{"dialedin", "SendSms", "From=3053501200", "To=+13053501234", "Message=hi"},
		{"dialedin", "ConferenceCall", "Agent=dana", "Phone=(305) 350-1234"},
		{"dialedin", "UpdateLead", "SearchField=Phone", "Identifier=3053501234", "CallbackAgent=dana", "CallbackDate=03/05/2026 09:00:00"},
		{"convolo", "StartCall", "lc_number=+15033501233", "lc_number_2=3053501234"},
		{"ipscape", "create_lead", "listId=120", "phone2=0400 111 777"},
		{"ipscape", "bulk_create_leads", `leads=[{"listId":120,"customerKey":"a","phone1":"+61400111777"}]`},
	} {
		if got := ask(nil, append(args, "--yes")...); got.code != exitFailed || !strings.Contains(got.stderr, "do-not-call list") || strings.Contains(got.stderr, "350") {
			t.Errorf("%q to somebody who opted out: %s", args, got)
		}
	}
	if n := len(r.box.Requests()) - before; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if got := ask(nil, "dialedin", "InsertDnc", "Number=3053501234", "--yes"); got.code != exitDone {
		t.Errorf("an opt-out is passed on: %s", got)
	}
	r.lawful()
}

// Every vendor's operations have names that are told apart, and arguments that are told apart in any case.
func TestVendorNames(t *testing.T) {
	t.Parallel()
	for _, v := range callables() {
		seen := map[string]string{}
		for _, op := range v.operations {
			for _, name := range append([]string{op.Name}, op.Aliases...) {
				found, ok := vendorapi.Find(v.operations, strings.ToUpper(name))
				if !ok || found.Name != op.Name {
					t.Errorf("%s: %q finds %q", v.name, name, found.Name)
				}
			}
			for _, p := range op.Params {
				key := op.Name + " " + strings.ToLower(p.Name)
				if other, twice := seen[key]; twice {
					t.Errorf("%s %s: %s and %s", v.name, op.Name, other, p.Name)
				}
				seen[key] = p.Name
			}
		}
	}
	if n := len(ipscape.Described()); n != 20 {
		t.Errorf("%d operations of ipSCAPE", n)
	}
}

// What is in a file of leads is masked one by one, however the file begins and whatever its numbers are written as.
func TestVendorPersonal(t *testing.T) {
	t.Parallel()
	op, _ := vendorapi.Find(ipscape.Described(), ipscape.OpBulkCreateLeads)
	call := vendorCall{op: op, args: map[string]string{"leads": "\n[{\"listId\": 7, \"phone1\": \"+61400111222\", \"leadData\": {\"mobile\": 61400111333}}]\n"}}
	got := map[string]bool{}
	for _, secret := range call.personal() {
		got[secret.Reveal()] = true
	}
	if !got["+61400111222"] || !got["61400111333"] || got["7"] || len(got) != 2 {
		t.Errorf("masked: %d values", len(got))
	}
}
