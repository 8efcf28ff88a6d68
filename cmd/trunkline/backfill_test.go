package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/sandbox"
)

// inProcess runs one command in this process. signals may be nil.
func inProcess(t testing.TB, env map[string]string, signals <-chan os.Signal, args ...string) ended {
	t.Helper()
	var out, talk bytes.Buffer
	var environ []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		environ = append(environ, name+"="+env[name])
	}
	p := &program{stdout: &out, stderr: &talk, environ: environ, signals: signals}
	code := p.main(t.Context(), args)
	return ended{code, out.String(), talk.String()}
}

func TestBackfillUsage(t *testing.T) {
	t.Parallel()
	// A database that is not there: usage is checked before it is looked for.
	env := map[string]string{"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}
	for _, c := range []struct{ want, args string }{
		{"requires at least 1 arg", "backfill start"},
		{"--from is missing", "backfill start ipscape"},
		{"SOURCE must be ipscape or convoso", "backfill start lendworks --from 2026-01-01"},
		{"STREAM must be of activities", "backfill start ipscape calls --from 2026-01-01"},
		{"--from must be a date", "backfill start ipscape --from yesterday"},
		{"--to must be a date", "backfill start ipscape --from 2026-01-01 --to 2026-13-01"},
		{"--to must be after from", "backfill start ipscape --from 2026-01-01 --to 2026-01-01"},
		{"--to must be after from", "backfill start ipscape --from 2026-01-02 --to 2026-01-01"},
		{"--from must be in the past", "backfill start ipscape --from 2126-01-02"},
		{"--window must be a length", "backfill start ipscape --from 2026-01-01 --window long"},
		{"--window must be a length", "backfill start ipscape --from 2026-01-01 --window 0h"},
		{"--window is too short", "backfill start ipscape --from 2026-01-01 --to 2026-02-01 --window 1s"},
		{"--filter must be k=v", "backfill start ipscape activities --from 2026-01-01 --filter campaignId"},
		{"--filter has one that activities does not take", "backfill start ipscape activities --from 2026-01-01 --filter listId=1"},
		{"--filter has a value of campaignId", "backfill start ipscape activities --from 2026-01-01 --filter campaignId=x"},
		{"--filter has one that lead_lists does not take", "backfill start ipscape activities lead_lists --from 2026-01-01 --filter leadId=1"},
		{"needs one of its subcommands", "backfill"},
		{"unknown flag", "backfill start ipscape --from 2026-01-01 --fast"},
		{"want a backfill's id", "backfill show 7"},
		{"want a backfill's id", "backfill pause x"},
		{"accepts 1 arg", "backfill resume"},
		{"accepts 1 arg", "backfill cancel a b"},
		{"unknown command", "backfill list now"},
		{"requires at least 1 arg", "sync"},
		{"SOURCE must be ipscape, convoso or lendworks", "sync dialedin"},
		{"no stream of ipscape is called calls", "sync ipscape activities calls"},
	} {
		got := inProcess(t, env, nil, strings.Fields(c.args)...)
		if got.code != exitUsage || !strings.Contains(got.stderr, c.want) || got.stdout != "" {
			t.Errorf("trunkline %s: want exit 2 and %q, got %s", c.args, c.want, got)
		}
	}
	good := inProcess(t, env, nil, strings.Fields("backfill start ipscape leads --from 2026-01-01 --window 7d --filter listId=3 --filter phone1=+61400111222")...)
	if good.code != exitDatabase {
		t.Errorf("good usage without a database: %s", good)
	}
}

// newIdleRig is a rig with a migrated database and no daemon.
func newIdleRig(t *testing.T, opt sandbox.Options) *rig {
	t.Helper()
	env := map[string]string{"TRUNKLINE_PUSH": ""}
	for _, name := range []string{"ACTIVITIES", "LEADS", "DIAL_ATTEMPTS", "LEAD_LISTS", "CAMPAIGNS", "USERS", "LOOKBACK", "RESCAN", "SWEEP"} {
		env["IPSCAPE_SCHEDULE_"+name] = "off"
	}
	r := newRig(t, opt, env)
	if got := inProcess(t, r.env, nil, "migrate", "up"); got.code != exitDone {
		t.Fatal(got)
	}
	return r
}

func decoded[T any](t testing.TB, got ended) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(got.stdout), &v); err != nil || got.code != exitDone {
		t.Fatalf("want exit 0 and JSON: %v, %s", err, got)
	}
	return v
}

func TestBackfillCommandsWithoutADaemon(t *testing.T) {
	t.Parallel()
	r := newIdleRig(t, sandbox.Options{Seed: 21, Activities: -1, Leads: -1, Posts: -1})
	run := func(args string) ended { return inProcess(t, r.env, nil, strings.Fields(args)...) }

	dry := run("backfill start ipscape activities users --from 2026-01-01 --to 2026-01-04 --dry-run")
	if dry.code != exitDone || !strings.Contains(dry.stdout, "4 windows") || !strings.Contains(dry.stdout, "pages of ipscape.activities are unknown") ||
		strings.Count(dry.stdout, "2026-01-0") != 6 || one[int](r, `select count(*) from ops.backfills`) != 0 {
		t.Errorf("dry run: %s", dry)
	}

	got := run("backfill start ipscape activities users --from 2026-01-01 --to 2026-01-04T12:00:00+00:00 --window 24h")
	id, err := uuid.Parse(strings.TrimSpace(got.stdout))
	if err != nil || got.code != exitDone {
		t.Fatalf("start prints %s", got)
	}
	b := decoded[backfillRow](t, run("backfill show "+id.String()+" --json"))
	if b.ID != id || b.State != "planned" || b.Windows != 5 || b.WindowsLeft != 5 || b.From != "2026-01-01T00:00:00Z" || b.To != "2026-01-04T12:00:00Z" || b.Actor != "cli" {
		t.Errorf("show: %+v", b)
	}
	if list := decoded[[]backfillRow](t, run("backfill list --json")); len(list) != 1 || list[0].ID != id {
		t.Errorf("list: %+v", list)
	}
	for _, c := range []struct{ do, state string }{
		{"pause", "paused"}, {"resume", "running"}, {"pause", "paused"}, {"cancel", "cancelled"},
	} {
		if got := run("backfill " + c.do + " " + id.String()); got.code != exitDone || got.stdout != c.state+"\n" || one[string](r, `select state from ops.backfills`) != c.state {
			t.Errorf("%s: %s", c.do, got)
		}
	}
	for _, args := range []string{"resume " + id.String(), "show " + uuid.NewString(), "pause " + uuid.NewString()} {
		if got := run("backfill " + args); got.code != exitFailed || got.stdout != "" {
			t.Errorf("%s: %s", args, got)
		}
	}
	for _, args := range []string{"show " + id.String(), "list"} {
		if got := run("backfill " + args); got.code != exitDone || !strings.Contains(got.stdout, "cancelled") || !strings.Contains(got.stdout, id.String()) {
			t.Errorf("%s: %s", args, got)
		}
	}
}

// interrupter is a standard error whose reader interrupts as soon as a word is told, and once only.
type interrupter struct {
	output
	at     string
	signal func()
	once   sync.Once
}

// Write implements io.Writer.
func (i *interrupter) Write(p []byte) (int, error) {
	n, err := i.output.Write(p)
	if strings.Contains(i.String(), i.at) {
		i.once.Do(i.signal)
	}
	return n, err
}

// Waiting without a daemon says so, and ends with a signal; what was ordered stays.
func TestWaitingForADaemonIsInterrupted(t *testing.T) {
	t.Parallel()
	r := newIdleRig(t, sandbox.Options{Seed: 22, Activities: -1, Leads: -1, Posts: -1})
	for _, args := range []string{"backfill start ipscape activities --from 2026-01-01 --to 2026-01-03 --wait", "sync ipscape activities --wait"} {
		signals := make(chan os.Signal, 1)
		talk := &interrupter{at: "no daemon is running", signal: func() { signals <- syscall.SIGINT }}
		var environ []string
		for name, value := range r.env {
			environ = append(environ, name+"="+value)
		}
		p := &program{stdout: io.Discard, stderr: talk, environ: environ, signals: signals}
		if code := p.main(t.Context(), strings.Fields(args)); code != exitInterrupted || !strings.Contains(talk.String(), "in the daemon") {
			t.Errorf("%s: exit %d: %s", args, code, talk.String())
		}
	}
	if n := one[int](r, `select count(*) from ops.walks where state = 'ready' and kind in ('backfill', 'live')`); n != 3 {
		t.Errorf("%d walks wait for a daemon, want 3", n)
	}
}

func TestBackfillWaits(t *testing.T) {
	t.Parallel()
	r := newIdleRig(t, sandbox.Options{Seed: 23, Activities: 400, Leads: 50, Posts: -1, Span: 96 * time.Hour, PageSize: 20})
	from := time.Now().UTC().Add(-100 * time.Hour).Format(time.RFC3339)
	early := inProcess(t, r.env, nil, "backfill", "start", "ipscape", "activities", "--from", from)
	if early.code != exitDone {
		t.Fatal(early)
	}
	d := r.serve(nil)

	// What was ordered before there was a daemon is read by it.
	eventually(t, time.Minute, func() string {
		if state := one[string](r, `select state from ops.backfills where id = $1`, strings.TrimSpace(early.stdout)); state != "done" {
			return "the early backfill is " + state
		}
		return ""
	})
	if n := one[int](r, `select count(*) from ipscape.activities`); n != 400 {
		t.Errorf("%d activities were read, want 400", n)
	}

	got := inProcess(t, r.env, nil, "backfill", "start", "ipscape", "activities", "--from", from, "--window", "12h", "--wait")
	if got.code != exitDone || strings.Count(got.stderr, "window ") != 9 || !strings.Contains(got.stderr, "backfill done: 9 of 9 windows, 400 rows") {
		t.Errorf("waited: %s", got)
	}

	dry := inProcess(t, r.with(map[string]string{"IPSCAPE_RATE": "2"}), nil, "backfill", "start", "ipscape", "activities", "--from", from, "--dry-run", "--json")
	report := decoded[dryRunReport](t, dry)
	if report.Pages == nil || *report.Pages < 10 || *report.Pages > 60 || report.Seconds == nil || *report.Seconds != (*report.Pages+1)/2 || len(report.Windows) != 5 {
		t.Errorf("dry run of what is known: %s", dry)
	}

	// Leads are refused for good, activities are not.
	r.box.Faults().Add(sandbox.Fault{Vendor: sandbox.VendorIPSCAPE, Op: sandbox.OpListLeads, Kind: sandbox.FaultStatus, Status: 400, Times: -1})
	got = inProcess(t, r.env, nil, "backfill", "start", "ipscape", "activities", "leads", "--from", from, "--window", "200h", "--wait")
	if got.code != exitPartly || !strings.Contains(got.stderr, "window 2/2 failed: leads") || !strings.Contains(got.stderr, "1 of 2 windows failed") {
		t.Errorf("leads refused: %s", got)
	}
	r.box.Faults().Clear()
	id := strings.TrimSpace(got.stdout)
	if shown := inProcess(t, r.env, nil, "backfill", "show", id); shown.code != exitDone || !strings.Contains(shown.stdout, "LAST PROBLEM") || !strings.Contains(shown.stdout, "status 400") {
		t.Errorf("show of a failed one: %s", shown)
	}
	if got := inProcess(t, r.env, nil, "backfill", "resume", id); got.code != exitDone || got.stdout != "running\n" {
		t.Errorf("resume of a failed one: %s", got)
	}
	eventually(t, time.Minute, func() string {
		if state := one[string](r, `select state from ops.backfills where id = $1`, id); state != "done" {
			return "the resumed backfill is " + state
		}
		return ""
	})
	if n := one[int](r, `select count(*) from ops.streams where origin is not null and source = 'ipscape'`); n != 0 {
		t.Errorf("%d streams have a live position that only a backfill can have set", n)
	}

	synced := inProcess(t, r.env, nil, "sync", "ipscape", "activities", "leads", "--wait", "--json")
	for _, s := range decoded[[]syncRow](t, synced) {
		if s.State != "done" || s.Rows == 0 {
			t.Errorf("synced: %+v", s)
		}
	}
	if n := one[int](r, `select count(*) from ops.streams where origin is not null and source = 'ipscape'`); n != 2 {
		t.Errorf("%d streams have a live position after a sync", n)
	}
	r.lawful()
	d.signal(syscall.SIGTERM)
	if code := d.wait(time.Minute); code != exitDone {
		t.Errorf("the daemon ended with %d", code)
	}
}

func TestBackfillEndCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state        store.BackfillState
		done, failed int
		want         int
	}{
		{store.BackfillDone, 3, 0, exitDone},
		{store.BackfillFailed, 2, 1, exitPartly},
		{store.BackfillFailed, 0, 3, exitFailed},
		{store.BackfillCancelled, 2, 0, exitFailed},
	} {
		p := &program{stderr: &bytes.Buffer{}}
		err := p.backfillEnded(&store.Backfill{State: c.state, Error: "x", Progress: store.BackfillProgress{Done: c.done, Failed: c.failed}})
		if (err == nil) != (c.want == exitDone) || err != nil && codeOf(err) != c.want {
			t.Errorf("%s with %d windows done: %v, want exit %d", c.state, c.done, err, c.want)
		}
	}
}

func TestProgressBar(t *testing.T) {
	t.Parallel()
	r := newIdleRig(t, sandbox.Options{Seed: 24, Activities: 100, Leads: -1, Posts: -1, Latency: 50 * time.Millisecond, PageSize: 5})
	r.serve(nil)
	var out, talk bytes.Buffer
	var environ []string
	for name, value := range r.env {
		environ = append(environ, name+"="+value)
	}
	p := &program{stdout: &out, stderr: &talk, environ: environ, terminal: true}
	now := time.Now().UTC()
	from, to := now.Add(-80*time.Hour).Format(time.RFC3339), now.Format(time.RFC3339)
	if code := p.main(t.Context(), []string{"backfill", "start", "ipscape", "activities", "--from", from, "--to", to, "--window", "20h", "--wait"}); code != exitDone {
		t.Fatalf("exit %d: %s", code, talk.String())
	}
	if _, err := uuid.Parse(strings.TrimSpace(out.String())); err != nil {
		t.Errorf("stdout is %q, want the id alone", out.String())
	}
	bar := talk.String()
	for _, want := range []string{"\r\x1b[K[", "/4 windows", " rows/s", " left", "backfill done: 4 of 4 windows, 100 rows"} {
		if !strings.Contains(bar, want) {
			t.Errorf("the bar lacks %q: %q", want, bar)
		}
	}
	if strings.Contains(bar, "window 1/") {
		t.Errorf("lines for windows beside the bar: %q", bar)
	}
}
