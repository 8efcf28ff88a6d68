package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// stormPost is one thing that Convoso tells.
type stormPost struct{ event, contentType, body string }

// stormPosts are posts of which each is about a moment of its own: of a quarter as many calls, and of leads that are called
// again and again.
func stormPosts(n int) []stormPost {
	base := time.Now().Add(-48 * time.Hour).Unix()
	posts := make([]stormPost, 0, n)
	for i := range n {
		call, at := i/4, strconv.FormatInt(base+int64(i), 10)
		lead := call % max(1, n/12)
		fields := map[string]string{
			"call_log_id": fmt.Sprint(2_000_000 + call), "lead_id": fmt.Sprint(480_000 + lead), "phone_number": fmt.Sprintf("212555%04d", lead),
			"user_id": fmt.Sprint(60 + call%5), "agent_full_name": fmt.Sprint("Agent ", call%5), "call_type": "OUTBOUND", "call_date": at,
		}
		event := "call_event"
		switch i % 4 {
		case 0:
			fields["status"] = "INCALL"
		case 1:
			fields["status"], fields["term_reason"], fields["length_in_sec"] = "", "AGENT", fmt.Sprint(call%300)
		case 2:
			event, fields["status"] = "disposition", []string{"CB", "NI", "NA", "SALE", "B"}[call%5]
			if call%50 == 7 {
				event, fields["status"] = "dnc", "DNC"
			}
		case 3:
			event, fields["recording"] = "recording", fmt.Sprintf("https://recordings.example/%d.mp3", call)
			if call%2 == 0 {
				event = "lead_update"
				delete(fields, "recording")
				delete(fields, "call_log_id")
				delete(fields, "call_date")
				fields["modified_at"], fields["first_name"], fields["city"] = at, fmt.Sprint("Name", i), []string{"Salem", "Bend", "Eugene"}[call%3]
			}
		}
		p := stormPost{event: event, contentType: "application/json"}
		if i%3 == 0 {
			form := url.Values{}
			for key, value := range fields {
				form.Set(key, value)
			}
			p.contentType, p.body = "application/x-www-form-urlencoded", form.Encode()
		} else {
			text, _ := json.Marshal(fields) // texts only
			p.body = string(text)
		}
		posts = append(posts, p)
	}
	return posts
}

// door is where posts go: the address of whichever daemon runs.
type door struct {
	r   *rig
	url atomic.Value
	// tries are requests begun, acked those answered 200, by body.
	tries atomic.Int64
	mu    sync.Mutex
	acked map[string]int
	total atomic.Int64
}

// send posts until it is answered 200, as Convoso's own side does not: what is lost with a daemon is not this test's matter.
func (d *door) send(ctx context.Context, client *http.Client, p stormPost) error {
	for {
		d.tries.Add(1)
		address := d.url.Load().(string) + "/v1/dialer/convoso/" + d.r.env["CONVOSO_ORG_TOKEN"] + "/" + p.event
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader([]byte(p.body)))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", p.contentType)
		resp, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			switch resp.StatusCode {
			case http.StatusOK:
				d.mu.Lock()
				d.acked[p.body]++
				d.mu.Unlock()
				d.total.Add(1)
				return nil
			case http.StatusServiceUnavailable:
			default:
				return fmt.Errorf("a post was answered %d", resp.StatusCode)
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// pour sends posts over connections of their own each, and returns once all are answered.
func (d *door) pour(ctx context.Context, posts []stormPost, connections int) error {
	queue := make(chan stormPost)
	failed := make(chan error, connections)
	for range connections {
		go func() {
			client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}, Timeout: 30 * time.Second}
			defer client.CloseIdleConnections()
			var err error
			for p := range queue {
				if err == nil {
					err = d.send(ctx, client, p)
				}
			}
			failed <- err
		}()
	}
	for _, p := range posts {
		queue <- p
	}
	close(queue)
	var first error
	for range connections {
		if err := <-failed; err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (r *rig) newDoor() *door {
	return &door{r: r, acked: map[string]int{}}
}

// folded waits until all posts are read and all records folded.
func (r *rig) folded(within time.Duration) {
	r.Helper()
	eventually(r, within, func() string {
		posts, records := one[int](r, `select count(*) from ops.inbox where state = 'new'`), one[int](r, `select count(*) from ops.reconcile_queue`)
		if posts+records > 0 {
			return fmt.Sprintf("%d posts and %d records", posts, records)
		}
		return ""
	})
}

// pipelineTold is the pipeline without our own ids and without when we heard of it.
func (r *rig) pipelineTold() []string {
	r.Helper()
	const lead = `(select string_agg(k.value, ',' order by k.value) from pipeline.lead_keys k where k.org_id = c.org_id and k.lead_id = c.lead_id and k.kind = 'convoso_lead')`
	all := list[string](r, `
		select 'call ' || concat_ws('|', c.external_call_id, `+lead+`, c.direction, c.agent_external_id, c.agent_name, c.started_at, c.answered_at, c.ended_at, c.talk_s,
		  c.disposition, c.disposition_raw, c.contacted, c.recording_url, c.occurred_at, c.provenance) from pipeline.calls c
		union all
		select 'event ' || concat_ws('|', e.external_call_id, e.event_type, e.occurred_at, e.disposition, e.told_by) from pipeline.call_events e
		union all
		select 'lead ' || concat_ws('|', `+lead+`, c.contact_first_name, c.city, c.phone_e164, c.stage_key, c.stage_changed_at, c.last_contacted_at, c.attempts,
		  c.first_dialled_at, c.is_do_not_call, c.created_at) from pipeline.leads c
		union all
		select 'dnc ' || concat_ws('|', n.phone, n.reason, n.source, n.since, n.lifted_at) from pipeline.do_not_call n`)
	slices.Sort(all)
	return all
}

// TestPostsThroughKills posts from 64 connections in any order, a fifth of it twice, while the daemon is killed: what was
// answered 200 is kept, nothing counts twice, and the pipeline is that of the same posts told once and in order.
// TRUNKLINE_TEST_FULL=1 makes it 20,000 posts and five kills.
func TestPostsThroughKills(t *testing.T) {
	t.Parallel()
	n, kills := 1_000, 2
	if fullSize() {
		n, kills = 20_000, 5
	}
	posts := stormPosts(n * 4 / 5)
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	storm := slices.Clone(posts)
	for len(storm) < n {
		storm = append(storm, posts[rng.IntN(len(posts))])
	}
	rng.Shuffle(len(storm), func(i, j int) { storm[i], storm[j] = storm[j], storm[i] })

	r := newRig(t, emptied(71), map[string]string{"TRUNKLINE_PUSH": ""})
	d, door := r.serve(nil), r.newDoor()
	door.url.Store(d.url())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	began := time.Now()
	poured := make(chan error, 1)
	go func() { poured <- door.pour(ctx, storm, 64) }()
	for k := range kills {
		at := int64((k + 1) * n / (kills + 1))
		eventually(t, 5*time.Minute, func() string {
			if got := door.total.Load(); got < at {
				return fmt.Sprintf("%d posts to be answered, %d are", at, got)
			}
			return ""
		})
		time.Sleep(time.Duration(rng.IntN(50_000)) * time.Microsecond)
		d.kill()
		t.Logf("kill %d after %s: %d posts answered, %d of them new", k+1, time.Since(began).Round(time.Millisecond), door.total.Load(), one[int](r, `select count(*) from ops.inbox where state = 'new'`))
		d = r.serve(nil)
		door.url.Store(d.url())
	}
	if err := <-poured; err != nil {
		t.Fatal(err)
	}
	answered := time.Since(began)
	r.folded(10 * time.Minute)
	t.Logf("%d posts answered after %s, %d tries, folded after %s", door.total.Load(), answered.Round(time.Millisecond), door.tries.Load(), time.Since(began).Round(time.Millisecond))
	r.checkKept(door, len(posts))
	got := r.pipelineTold()

	// Ties: two words on one moment, the second told later. What is told again is no later for it (law 3).
	tie := func(code string) stormPost {
		return stormPost{"disposition", "application/json", fmt.Sprintf(`{"call_log_id":"7","lead_id":"7","phone_number":"2125559999","status":%q,"call_date":"1700000000"}`, code)}
	}
	for _, code := range []string{"CB", "NI", "CB"} {
		if err := door.pour(ctx, []stormPost{tie(code)}, 1); err != nil {
			t.Fatal(err)
		}
	}
	r.folded(time.Minute)
	if code := one[string](r, `select disposition_raw from pipeline.calls where external_call_id = '7'`); code != "NI" {
		t.Errorf("of two dispositions of one moment %s stands, want NI, which was told last for the first time", code)
	}
	if checked := answer[rebuildResult](r, exitDone, "rebuild", "--check"); !checked.Agrees {
		t.Errorf("a rebuild differs: %+v", checked)
	}
	d.signal(sigterm)

	once := newRig(t, emptied(72), map[string]string{"TRUNKLINE_PUSH": ""})
	d, door = once.serve(nil), once.newDoor()
	door.url.Store(d.url())
	if err := door.pour(ctx, posts, 1); err != nil {
		t.Fatal(err)
	}
	once.folded(10 * time.Minute)
	want := once.pipelineTold()
	if len(want) < len(posts) {
		t.Fatalf("%d rows of %d posts: too few to compare", len(want), len(posts))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the pipeline is not that of the posts told once in order (-once +storm):\n%.4000s", diff)
	}
	t.Logf("%d rows of the pipeline are the same", len(want))
}

// checkKept compares the inbox with what was answered 200.
func (r *rig) checkKept(door *door, distinct int) {
	r.Helper()
	lost := 0
	kept := map[string]int{}
	for _, body := range list[string](r, `select convert_from(body, 'UTF8') from ops.inbox`) {
		kept[body]++
	}
	for body, n := range door.acked {
		if kept[body] < n {
			lost++
		}
	}
	if lost > 0 || len(door.acked) != distinct {
		r.Errorf("%d bodies were answered 200 more often than they are kept; %d bodies answered, want %d", lost, len(door.acked), distinct)
	}
	if n := one[int](r, `select count(*) from ops.inbox where state not in ('done', 'duplicate')`); n > 0 {
		r.Errorf("%d posts are neither done nor duplicates", n)
	}
	done, bodies := one[int](r, `select count(*) from ops.inbox where state = 'done'`), one[int](r, `select count(distinct body) from ops.inbox where state = 'done'`)
	if done != distinct || bodies != distinct {
		r.Errorf("%d posts of %d bodies count as told for the first time, want one of each of %d", done, bodies, distinct)
	}
	events, told := one[int](r, `select count(*) from convoso.events`), one[int](r, `select count(*) from ops.records where source = 'convoso'`)
	if versions := one[int](r, `select count(*) from ops.record_history`); versions > 0 || events != told || told < distinct {
		r.Errorf("%d records, %d events, %d replaced versions: something was processed twice", told, events, versions)
	}
	r.Logf("inbox: %d rows of %d answers, %d of them duplicates", len(list[string](r, `select id::text from ops.inbox`)), door.total.Load(), one[int](r, `select count(*) from ops.inbox where state = 'duplicate'`))
}
