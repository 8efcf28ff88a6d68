package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// answer runs a command that prints JSON and reads it.
func answer[T any](r *rig, code int, args ...string) T {
	r.Helper()
	e := r.command(append(args, "--json")...)
	if e.code != code {
		r.Fatalf("%q: %s", args, e)
	}
	var v T
	if err := json.Unmarshal([]byte(e.stdout), &v); err != nil {
		r.Fatalf("%q: %v in %s", args, err, e)
	}
	return v
}

// TestRebuildAndReplay runs what an operator does when the mapping was wrong: compare, show, mend; look into quarantine and
// the inbox, and try again; beside a running daemon and without one.
func TestRebuildAndReplay(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Seed: 61, Activities: 60, Leads: 30, Posts: 40}, nil)
	d := r.serve(nil)
	r.post(d)
	r.settled(2 * time.Minute)
	rang := one[int](r, `select count(*) from ops.deliveries where class = 'rings'`)
	whole := answer[rebuildResult](r, exitDone, "rebuild", "--check")
	if !whole.Agrees || whole.Leads == 0 || whole.Calls == 0 || whole.DoNotCall == 0 || whole.StoredHash != whole.ToldHash {
		t.Fatalf("after a sync: %+v", whole)
	}

	// Beside the running daemon.
	r.exec(`update pipeline.leads set city = 'Nowhere' where lead_id = (select lead_id from pipeline.leads order by lead_id limit 1)`)
	if e := r.command("rebuild", "--check"); e.code != exitFailed || !strings.Contains(e.stderr, "1 row of") {
		t.Errorf("a spoilt lead: %s", e)
	}
	shown := answer[rebuildResult](r, exitDone, "rebuild", "--diff")
	if len(shown.Differences) != 1 || shown.Differences[0].Table != "leads" || shown.Differences[0].Columns[0].Column != "city" {
		t.Errorf("shown: %+v", shown.Differences)
	}
	if mended := answer[rebuildResult](r, exitDone, "rebuild"); !mended.Agrees || mended.Repaired != 1 || mended.ToldHash != whole.ToldHash {
		t.Errorf("mended: %+v, at first %+v", mended, whole)
	}

	// Without a daemon: two items that an older mapping did not understand, and one that nobody will.
	d.signal(sigterm)
	if code := d.wait(time.Minute); code != exitDone {
		t.Fatalf("exit %d", code)
	}
	org := one[uuid.UUID](r, `select org_id from ops.organisations where is_default`)
	quarantine := func(stream, object, reason, body string) uuid.UUID {
		id := uuid.Must(uuid.NewV7())
		r.exec(`insert into ops.quarantine (id, org_id, account_id, source, stream, object_id, reason, error, body, body_hash, first_seen_at, last_seen_at)
			values ($1, $2, 'default', 'ipscape', $3, $4, $5, 'field 12 is "Perplexina"', $6, sha256($6), now(), now())`, id, org, stream, object, reason, []byte(body))
		return id
	}
	record := one[string](r, `select object_id from ops.records where source = 'ipscape' and stream = 'leads' limit 1`)
	payload := one[string](r, `select payload::text from ops.records where source = 'ipscape' and stream = 'leads' and object_id = $1`, record)
	facts := quarantine("leads", record, "facts", payload)
	item := quarantine("leads", "", "bad id", strings.Replace(payload, record, "990017", 1))
	hopeless := quarantine("leads", "", "bad id", `{"name":"Perplexina Ostrovander","phone":"+1 (212) 736-9876","email":"perplexina@bakery.example"}`)

	groups := answer[[]quarantineGroupRow](r, exitDone, "quarantine", "list")
	if len(groups) != 2 || groups[0].Items != 2 || groups[0].ExampleID != hopeless || !strings.Contains(groups[0].Example, `"phone"`) {
		t.Errorf("groups: %+v", groups)
	}
	for _, personal := range []string{"perplexina", "ostrovander", "736", "9876", "bakery"} {
		if strings.Contains(strings.ToLower(fmt.Sprint(groups[0])), personal) {
			t.Errorf("the example shows %s: %+v", personal, groups[0])
		}
	}
	if e := r.command("quarantine", "show", hopeless.String()); e.code != exitDone || !strings.Contains(e.stdout, "Ostrovander") {
		t.Errorf("show: %s", e)
	}
	result := answer[replayResult](r, exitPartly, "quarantine", "replay", "--all")
	if result.Replayed != 3 || result.Fixed != 2 || result.Left != 1 || result.Items[0].ID != hopeless {
		t.Errorf("replay: %+v", result)
	}
	for _, id := range []uuid.UUID{facts, item} {
		if state := one[string](r, `select state from ops.quarantine where id = $1`, id); state != "fixed" {
			t.Errorf("item %s is %s", id, state)
		}
	}
	if n := one[int](r, `select count(*) from pipeline.lead_keys where kind = 'ipscape_lead' and value = '990017'`); n != 1 {
		t.Errorf("the item that could be read makes %d leads", n)
	}

	post := one[uuid.UUID](r, `update ops.inbox set state = 'unclassified' where id = (select id from ops.inbox where state = 'done' limit 1) returning id`)
	if posts := answer[[]inboxRow](r, exitDone, "inbox", "list"); len(posts) != 1 || posts[0].ID != post || posts[0].Body != "" {
		t.Errorf("inbox: %+v", posts)
	}
	if again := answer[inboxRow](r, exitDone, "inbox", "replay", post.String()); again.State != "done" || again.Body == "" {
		t.Errorf("the post is %+v", again)
	}
	if e := r.command("inbox", "show", uuid.NewString()); e.code != exitFailed {
		t.Errorf("an unknown post: %s", e)
	}
	if last := answer[rebuildResult](r, exitDone, "rebuild", "--check"); !last.Agrees {
		t.Errorf("in the end: %+v", last)
	}
	if n := one[int](r, `select count(*) from ops.deliveries where class = 'rings'`); n != rang {
		t.Errorf("%d ringing deliveries, %d before", n, rang)
	}
	for _, args := range [][]string{{"rebuild", "--check", "--diff"}, {"quarantine", "replay"}, {"quarantine", "show", "x"}, {"inbox"}} {
		if e := r.command(args...); e.code != exitUsage {
			t.Errorf("%q: %s", args, e)
		}
	}
}
