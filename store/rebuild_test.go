package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// compare returns what differs, each difference as a line.
func (w *foldWorld) compare() (store.Comparison, []string) {
	w.t.Helper()
	lines := []string{}
	c, err := w.rec.Compare(w.t.Context(), foldOrg, store.CompareOptions{Diff: func(d store.Difference) error {
		text := d.Table + " " + d.Change
		for _, c := range d.Columns {
			text += " " + c.Column
		}
		lines = append(lines, text)
		return nil
	}})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(lines)
	if c.Differing != len(lines) || (c.StoredHash == c.ToldHash) != (len(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, "record_keys") })) == 0) {
		w.t.Fatalf("%d rows differ by the count, stored %s, told %s: %q", c.Differing, c.StoredHash, c.ToldHash, lines)
	}
	return c, lines
}

// repair mends what differs, and what is left of it.
func (w *foldWorld) repair() []string {
	w.t.Helper()
	c, _ := w.compare()
	return w.mend(c)
}

func (w *foldWorld) mend(c store.Comparison) []string {
	w.t.Helper()
	if _, err := w.rec.Repair(w.t.Context(), foldOrg, c, nil); err != nil {
		w.t.Fatal(err)
	}
	_, lines := w.compare()
	return lines
}

// route makes every young lead ring.
func (w *foldWorld) route() {
	w.t.Helper()
	mustExec(w.t, w.db, fmt.Sprintf(
		`insert into ops.routes (route_id, org_id, destination, origin, created_at) values (gen_random_uuid(), '%s', 'dialedin', 'operator', '%s')`,
		foldOrg, foldStart.Add(-time.Hour).Format(time.RFC3339)))
}

func (w *foldWorld) rings() int {
	w.t.Helper()
	return w.number(`select count(*) from ops.deliveries where class = 'rings'`)
}

// TestRebuildAgrees: whatever order, batches and repetition the records came in, a fold over all of them finds nothing to
// change, and two databases with the same records have one hash. TestScenariosThroughPostgres does so with what vendors say.
func TestRebuildAgrees(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 11))
			var all []foldRecord
			for range 15 + rng.IntN(30) {
				all = append(all, randomRecord(rng))
			}
			hashes := map[string]bool{}
			for range 2 {
				w := newFoldWorld(t)
				w.route()
				again := append(slices.Clone(all), all[:len(all)/4]...)
				rng.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
				for len(again) > 0 {
					n := min(len(again), 1+rng.IntN(9))
					w.land(again[:n]...)
					w.drain()
					again = again[n:]
				}
				rang := w.rings()
				c, lines := w.compare()
				if len(lines) > 0 {
					t.Fatalf("differs: %q", lines)
				}
				hashes[c.StoredHash] = true
				if _, err := w.rec.Repair(t.Context(), foldOrg, c, nil); err != nil {
					t.Fatal(err)
				}
				if w.rings() != rang {
					t.Errorf("%d ringing deliveries, %d before", w.rings(), rang)
				}
			}
			if len(hashes) != 1 {
				t.Errorf("the same records have hashes %v", hashes)
			}
		})
	}
}

// TestRebuildMends spoils every table of the pipeline.
func TestRebuildMends(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	told := func(id string, minute int, phone string) foldRecord {
		r := ownLead(id, minute, foldPhone(phone))
		r.facts.Leads[0].Fields = map[pipeline.Field]string{pipeline.FieldCity: "Salem"}
		r.facts.Calls = []pipeline.CallFact{{
			Key:  pipeline.CallKey{Dialler: pipeline.SourceConvoso, Account: "default", ExternalID: "c" + id},
			Lead: []pipeline.Key{foldPhone(phone)}, Direction: pipeline.Outbound, StartedAt: foldStart, Agent: pipeline.AgentRef{ID: "a" + id, Name: "Ines"},
			Events: []pipeline.CallEvent{{Type: pipeline.EventStarted, OccurredAt: foldStart}},
		}}
		return r
	}
	optOut := told("3", 3, "+15032221113")
	optOut.facts.DNC = []pipeline.DNCFact{{Phone: "+15032221113", Reason: "DNC"}}
	w.land(told("1", 1, "+15032221111"), told("2", 2, "+15032221112"), optOut, told("4", 4, "+15032221114"))
	w.drain()
	whole := w.stored()
	ids := func() string {
		var text string
		if err := w.db.Pool.QueryRow(t.Context(), `select string_agg(value || lead_id, ',' order by value) from pipeline.lead_keys where kind = 'ipscape_lead'`).Scan(&text); err != nil {
			t.Fatal(err)
		}
		return text
	}
	before := ids()
	for _, c := range []struct{ spoil, want string }{
		{`update pipeline.leads set city = 'Bend' where lead_id = (select lead_id from pipeline.lead_keys where value = '1' and kind = 'ipscape_lead')`, "leads differs city"},
		{`delete from pipeline.leads where lead_id = (select lead_id from pipeline.lead_keys where value = '2' and kind = 'ipscape_lead')`, "leads missing"},
		{`delete from pipeline.lead_keys where value = '+15032221111'`, "lead_keys missing"},
		{`update pipeline.lead_keys set evidence = 'x' where value = '+15032221112'`, "lead_keys differs evidence"},
		{`insert into pipeline.lead_keys select org_id, 'customer_key', 'default', 'forged', lead_id, 'strong_key', 'x', now() from pipeline.leads limit 1`, "lead_keys extra"},
		{`insert into pipeline.lead_keys values ('` + foldOrg.String() + `', 'customer_key', 'default', 'forged', gen_random_uuid(), 'strong_key', 'x', now())`, "lead_keys extra"},
		{`update pipeline.calls set talk_s = 9 where external_call_id = 'c1'`, "calls differs talk_s"},
		{`update pipeline.calls set lead_id = null where external_call_id = 'c1'`, "calls differs lead_id"},
		{`delete from pipeline.calls where external_call_id = 'c2'`, "calls missing"},
		{`delete from pipeline.call_events where external_call_id = 'c3'`, "call_events differs steps"},
		{`update pipeline.call_events set told_by = 'x' where external_call_id = 'c4'`, "call_events differs call_started"},
		{`insert into pipeline.do_not_call values ('` + foldOrg.String() + `', '+15032221199', 'x', 'api', now(), null, 'x', now())`, "do_not_call extra"},
		{`update pipeline.do_not_call set lifted_at = now() where phone = '+15032221113'`, "do_not_call differs lifted_at"},
		{`delete from pipeline.do_not_call`, "do_not_call missing"},
		{`delete from ops.record_keys where kind = 'ipscape_lead' and value = '4'`, "record_keys differs"},
		{`update pipeline.agents set name = 'Otto' where external_id = 'a1'`, "agents differs name"},
		{`delete from pipeline.agents where external_id = 'a2'`, "agents missing"},
	} {
		mustExec(t, w.db, c.spoil)
		found, lines := w.compare()
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, c.want) }) {
			t.Errorf("%s: found %q, want %s", c.spoil, lines, c.want)
		}
		if left := w.mend(found); len(left) > 0 {
			t.Fatalf("%s: left is %q", c.spoil, left)
		}
		if diff := cmp.Diff(whole, w.stored()); diff != "" {
			t.Errorf("%s: (-whole +mended)\n%s", c.spoil, diff)
		}
	}
	if after := ids(); after != before {
		t.Errorf("ids are %s, were %s", after, before)
	}
	mustExec(t, w.db, `insert into pipeline.leads (org_id, lead_id, source, priority, stage_key, content_hash, first_source_time, created_at, updated_at)
		values ('`+foldOrg.String()+`', gen_random_uuid(), 'api', 'normal', 'new_lead', '', now(), now(), now())`)
	if left := w.repair(); len(left) > 0 || w.number(`select count(*) from pipeline.leads`) != 4 {
		t.Errorf("a lead that nobody told is still there: %q", left)
	}
}

// TestRebuildShowsAChangedMapping: what a change of the mapping would do is shown before it is done, exactly, and nothing
// rings for it.
func TestRebuildShowsAChangedMapping(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	w.route()
	plain := w.rec.Facts
	// Two records that only the new mapping ties together, and one that it does not concern.
	w.land(ownLead("1", 1, foldPhone("+15032221111")), ownLead("2", 2, foldPhone("+15032221112")), ownLead("3", 3))
	w.drain()
	rang := w.rings()
	w.rec.Facts = func(r *pipeline.Record) (pipeline.Facts, error) {
		f, err := plain(r)
		if r.ObjectID != "3" {
			f.Leads[0].Keys = append(f.Leads[0].Keys, customerKey("K"))
		}
		return f, err
	}
	_, lines := w.compare()
	want := []string{
		"lead_keys extra", "lead_keys extra", "lead_keys missing", "lead_keys missing", "lead_keys missing",
		"leads differs external_ids phones", "leads extra", "record_keys differs", "record_keys differs",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +shown)\n%s", diff)
	}
	if n := w.number(`select count(*) from ops.record_keys where kind = 'customer_key'`); n != 0 {
		t.Errorf("showing left %d keys behind", n)
	}
	if left := w.repair(); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
	if n := w.number(`select count(*) from pipeline.leads`); n != 2 || w.rings() != rang {
		t.Errorf("%d leads, want 2; %d ringing deliveries, want %d", n, w.rings(), rang)
	}
	if n := w.number(`select count(*) from pipeline.lead_merges`); n != 1 {
		t.Errorf("%d ids resolve to another, want the merged lead's", n)
	}
}

// TestRebuildLeavesWhatWaits: what landed and is not folded yet is no difference, and a rebuild does not take its push away.
func TestRebuildLeavesWhatWaits(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	w.route()
	w.land(ownLead("1", 1, foldPhone("+15032221111")), ownLead("2", 2))
	w.drain()
	rang := w.rings()
	changed := ownLead("1", 3, foldPhone("+15032221111"))
	changed.facts.Leads[0].Fields = map[pipeline.Field]string{pipeline.FieldCity: "Bend"}
	w.land(changed, ownLead("3", 4, foldPhone("+15032221113")))
	mustExec(t, w.db, `update pipeline.leads set state = 'OR'`)
	c, lines := w.compare()
	if diff := cmp.Diff([]string{"leads differs state"}, lines); diff != "" || c.Unsettled != 2 {
		t.Errorf("%d wait, want 2 (-want +found)\n%s", c.Unsettled, diff)
	}
	w.repair()
	w.drain()
	if w.rings() != rang+1 {
		t.Errorf("%d ringing deliveries, want that of the lead that waited beside %d", w.rings(), rang)
	}
	if left := w.repair(); len(left) > 0 {
		t.Errorf("left is %q", left)
	}
}

// TestRebuildBesidesReconcile compares again and again while records land and are folded: no difference is ever seen.
func TestRebuildBesidesReconcile(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if _, err := w.rec.Drain(ctx); err != nil && ctx.Err() == nil {
				done <- err
				return
			}
		}
	}()
	rng := rand.New(rand.NewPCG(3, 3))
	for range 10 {
		var batch []foldRecord
		for range 5 {
			batch = append(batch, randomRecord(rng))
		}
		w.land(batch...)
		if _, lines := w.compare(); len(lines) > 0 {
			t.Fatalf("differs: %q", lines)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
