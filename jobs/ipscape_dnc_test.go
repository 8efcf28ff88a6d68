package jobs_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

type fixedLeads []string

func (f fixedLeads) IPSCAPELeadsOf(context.Context, uuid.UUID, string, string) ([]string, error) {
	return f, nil
}

// TestOptOutCompletesEveryLead completes all leads that can be, whatever becomes of the others, and leaves an opt-out to a person only
// once no lead is left that may do better.
func TestOptOutCompletesEveryLead(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	answers := map[string]int{"1": 422, "2": 500}
	done := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		id := path.Base(r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodGet {
			_ = json.NewEncoder(w).Encode(map[string]any{"leadId": json.Number(id), "completed": done[id]})
			return
		}
		if status := answers[id]; status != 0 {
			w.WriteHeader(status)
			return
		}
		done[id] = true
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	client, err := ipscape.NewClient(
		ipscape.Config{BaseURL: server.URL + "/platform-api", Token: "t0ken-of-a-test", AuthPrefix: "Bearer ", Timeout: time.Minute, IdleTimeout: time.Minute, Writes: true},
		vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	send := func(ids ...string) (pipeline.Outcome, error) {
		op, ok := jobs.IPSCAPEOptOuts(client, fixedLeads(ids)).Operation(pipeline.OperationAddDNC)
		if !ok {
			t.Fatal("no operation")
		}
		return op.Send(t.Context(), deliver.View{Phone: "+15032220001"})
	}
	_, err = send("1", "2", "3", "4")
	if kind := vendorapi.KindOf(err); kind != vendorapi.Transient && kind != vendorapi.Unknown {
		t.Errorf("with one refused and one in trouble: %v", err)
	}
	if !done["3"] || !done["4"] {
		t.Errorf("complete are %v", done)
	}
	delete(answers, "2")
	out, err := send("1", "2", "3", "4")
	if vendorapi.KindOf(err) != vendorapi.Refused || !strings.Contains(err.Error(), "lead 1") || !done["2"] {
		t.Errorf("with one refused: %v", err)
	}
	if out.State != pipeline.OutcomeUnknown || out.Reason != pipeline.ReasonNeedsPerson {
		t.Errorf("with one refused: %+v, want it left to a person", out)
	}
	if out, err := send("2", "3", "4"); err != nil || out.State != pipeline.OutcomeConfirmed {
		t.Errorf("with all complete: %v, %v", out, err)
	}
	clear(done)
	out, err = send(slices.Repeat([]string{"5"}, 21)...)
	if err != nil || out.State != pipeline.OutcomeUnknown || out.Reason != pipeline.ReasonNeedsPerson || len(done) > 0 {
		t.Errorf("with more leads than anybody has: %v, %v, complete are %v", out, err, done)
	}
}
