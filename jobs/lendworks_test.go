package jobs_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// A window is read from the newest lead down to its lower end and no further, and leads that come meanwhile push none out.
func TestLendWorksWindows(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	box := sandbox.New(sandbox.Options{Now: func() time.Time { return now }, Activities: -1, Leads: -1, Posts: -1})
	server := httptest.NewServer(box.Handler())
	t.Cleanup(server.Close)
	env := box.Env(server.URL)
	config := lendworks.Defaults()
	config.BaseURL, config.Key = env["LENDWORKS_BASE_URL"], vendorapi.Secret(env["LENDWORKS_API_KEY"])
	client, err := lendworks.NewClient(config, vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	add := func() {
		now = now.Add(time.Minute)
		ids = append(ids, box.LendWorks().AddLead(map[string]any{"businessName": fmt.Sprint("Lead ", len(ids))}))
	}
	for range 350 {
		add()
	}
	stream := jobs.LendWorksStreams(jobs.LendWorksConfig{Client: client})[0].Stream
	read := func(from time.Time, between func()) (got []string, pages int) {
		t.Helper()
		cursor := ""
		for {
			page, err := stream.Fetch(t.Context(), walk.PageRequest{From: from, To: now, Cursor: cursor, Lane: vendorapi.Live}, walk.Sink{
				Next: func(string) {},
				Emit: func(raw []byte, bad error) error {
					item, err := stream.Map(raw)
					if err != nil || bad != nil {
						t.Fatal(err, bad)
					}
					got = append(got, item.ObjectID)
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			between()
			pages++
			if cursor = page.Next; cursor == "" {
				return got, pages
			}
		}
	}
	nothing := func() {}
	if got, pages := read(now.Add(-9*time.Minute), nothing); pages != 1 || len(got) != 10 {
		t.Errorf("the last ten minutes: %d leads on %d pages", len(got), pages)
	}
	if got, pages := read(now.Add(-99*time.Minute), nothing); pages != 2 || len(got) != 100 {
		t.Errorf("a full page and one to find its end: %d leads on %d pages", len(got), pages)
	}
	before := slices.Clone(ids)
	got, pages := read(time.Time{}, add)
	if pages != 4 {
		t.Errorf("%d pages", pages)
	}
	for _, id := range before {
		if !slices.Contains(got, id) {
			t.Fatalf("lead %s was pushed out", id)
		}
	}
	if _, err := stream.Fetch(t.Context(), walk.PageRequest{Cursor: "1; drop"}, walk.Sink{}); err == nil {
		t.Error("a cursor that is no page number is taken")
	}
	if wrong := box.Violations(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

// TestNormalPriorityIsNoChange tells LendWorks of no priority that nobody gave.
func TestNormalPriorityIsNoChange(t *testing.T) {
	t.Parallel()
	update, ok := jobs.LendWorks(nil).Operation(store.OpUpdateLead)
	if !ok {
		t.Fatal("no operation")
	}
	for _, c := range []struct {
		was, now string
		differs  bool
	}{{"", "normal", false}, {"normal", "normal", false}, {"", "urgent", true}, {"urgent", "normal", true}} {
		v := deliver.View{Lead: pipeline.LeadView{Priority: c.now}, Was: &pipeline.LeadView{Priority: c.was}}
		if got := update.Differs(v); got != c.differs {
			t.Errorf("from %q to %q: differs is %t", c.was, c.now, got)
		}
	}
}

// TestWithheldNameIsNoChange sends no name that an update withholds, and what else changed.
func TestWithheldNameIsNoChange(t *testing.T) {
	t.Parallel()
	settings := dialedin.Defaults()
	settings.Token, settings.AccID, settings.Campaign = "t", "1", "c"
	client, err := dialedin.NewClient(settings, vendorapi.Client{Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	params, _ := json.Marshal(store.UpdateParams{Withheld: pipeline.NameFields()})
	for name, destination := range map[string]deliver.Destination{"lendworks": jobs.LendWorks(nil), "dialedin": jobs.DialedIn(client)} {
		update, ok := destination.Operation(store.OpUpdateLead)
		if !ok {
			t.Fatal("no operation")
		}
		was := pipeline.LeadView{ID: "x", FirstName: "Ann", Email: "a@a.example"}
		v := deliver.View{Delivery: pipeline.Delivery{Params: params}, Lead: pipeline.LeadView{ID: "x", FirstName: "Bob", Email: "a@a.example"}, Was: &was}
		if update.Differs(v) {
			t.Errorf("%s: a withheld name is a change", name)
		}
		v.Delivery.Params = nil
		if !update.Differs(v) {
			t.Errorf("%s: a name is no change", name)
		}
	}
}
