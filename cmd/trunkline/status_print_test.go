package main

import (
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
)

// TestStatusSaysWhatToDo: the first line says why all is not well, the next ones what to do about it, and no line is wider than a
// terminal.
func TestStatusSaysWhatToDo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	st := &status.Status{
		At: now, Problems: []status.Problem{{Text: "ipscape.dial_attempts fails", Command: "trunkline sync ipscape dial_attempts --wait"}, {Text: "a notice", Runbook: "A vendor says no"}},
		Streams: []status.Stream{{
			Source: "ipscape", Stream: "dial_attempts", CoveredThrough: "2026-03-02T11:59:00Z", LagSeconds: 3599, LastWalk: "live running", LastError: "refused: status 400",
			State: &store.StreamStatus{StreamState: store.StreamState{LastSuccessAt: now.Add(-59 * time.Minute)}},
		}},
		Deliveries: []status.Delivery{{Destination: "convolo", Operation: "start_call", State: "ready", Hold: "call_window", Count: 3}},
	}
	var out strings.Builder
	if err := (statusScreen{w: &out}).print(st); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if lines[0] != "not well: ipscape.dial_attempts fails; a notice" {
		t.Errorf("first line %q", lines[0])
	}
	for _, want := range []string{"trunkline sync ipscape dial_attempts --wait  ipscape.dial_attempts fails\n", "runbook: A vendor says no                    a notice\n", "59m ago\n", "error of ipscape.dial_attempts: refused: status 400\n", "call_window  3\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for _, line := range lines {
		if len(line) > 80 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
}
