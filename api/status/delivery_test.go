package status

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestChecksInWords: verdicts come in the order in which the checks run, passed ones with what they mean, others with what was in the way,
// and none is lost that this version does not know.
func TestChecksInWords(t *testing.T) {
	t.Parallel()
	got, err := Checks([]byte(`{"zodiac": "taurus", "phone": "none that is valid", "age": "ok", "key": "not_needed"}`))
	want := []Check{
		{"age", "ok", "it is not too old to be sent"},
		{"key", "not_needed", "this operation does not need it"},
		{"phone", "none that is valid", "in the way: none that is valid"},
		{"zodiac", "taurus", ""},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
	for i, passed := range []bool{true, true, false, false} {
		if got[i].Passed() != passed {
			t.Errorf("%s passed: %t", got[i].Name, got[i].Passed())
		}
	}
	if got, err := Checks(nil); err != nil || got != nil {
		t.Errorf("of a search: %v, %v", got, err)
	}
	if _, err := Checks([]byte(`[]`)); err == nil {
		t.Error("what are no checks is read")
	}
}

// TestChecksAreThoseOfDeliveries: every check that runs has its words here, in the same order.
func TestChecksAreThoseOfDeliveries(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../sync/deliver/checks.go")
	if err != nil {
		t.Fatal(err)
	}
	var run, known []string
	for _, m := range regexp.MustCompile(`\{"(\w+)", \(\*round\)\.`).FindAllStringSubmatch(string(source), -1) {
		run = append(run, m[1])
	}
	for _, c := range checksPassed {
		known = append(known, c.Name)
	}
	if diff := cmp.Diff(run, known); diff != "" || len(run) == 0 {
		t.Errorf("checks that run (-) and those that have words (+): %s", diff)
	}
}

// TestRefusedBy tells our own no from the destination's and a person's.
func TestRefusedBy(t *testing.T) {
	t.Parallel()
	send := func(outcome pipeline.OutcomeState, detail string) store.DeliveryAttempt {
		said := string(outcome)
		return store.DeliveryAttempt{Kind: pipeline.AttemptSend, Outcome: &said, Detail: &detail, StartedAt: time.Unix(0, 0)}
	}
	found := "missed"
	search := store.DeliveryAttempt{Kind: pipeline.AttemptSearch, Outcome: &found}
	never, vendor, withheld := send(pipeline.OutcomeNotSent, ""), send(pipeline.OutcomeRejected, "Result: no"), send(pipeline.OutcomeRejected, pipeline.DetailWithheld)
	earlier := store.DeliveryAttempt{Kind: pipeline.AttemptSend, Outcome: vendor.Outcome, Request: "not sent: rendering dialedin InsertLead: would be rejected: not_nanp"}
	for name, c := range map[string]struct {
		state    pipeline.DeliveryState
		reason   string
		attempts []store.DeliveryAttempt
		want     string
	}{
		"confirmed":                           {pipeline.DeliveryConfirmed, "", []store.DeliveryAttempt{vendor}, ""},
		"the vendor's answer":                 {pipeline.DeliveryRejected, "refused", []store.DeliveryAttempt{never, vendor}, "dialedin, in its answer"},
		"our own package":                     {pipeline.DeliveryRejected, "not_nanp", []store.DeliveryAttempt{withheld}, "Trunkline, before anything was sent"},
		"our own, by an earlier version":      {pipeline.DeliveryRejected, "not_nanp", []store.DeliveryAttempt{earlier}, "Trunkline, before anything was sent"},
		"our own check":                       {pipeline.DeliveryRejected, pipeline.ReasonNoValidPhone, nil, "Trunkline, before anything was sent"},
		"our own check after attempts":        {pipeline.DeliveryRejected, pipeline.ReasonNoValidPhone, []store.DeliveryAttempt{never}, "Trunkline, before anything was sent"},
		"our own, after the vendor had heard": {pipeline.DeliveryRejected, "not_nanp", []store.DeliveryAttempt{send(pipeline.OutcomeUnknown, ""), search, withheld}, "Trunkline, before it was sent once more"},
		"our own check, after its answer":     {pipeline.DeliveryRejected, pipeline.ReasonNoValidPhone, []store.DeliveryAttempt{vendor}, "Trunkline, before it was sent once more"},
		"a person":                            {pipeline.DeliveryRejected, "operator", []store.DeliveryAttempt{send(pipeline.OutcomeUnknown, "")}, "a person"},
	} {
		got := RefusedBy(&pipeline.Delivery{Destination: "dialedin", State: c.state, Reason: c.reason}, c.attempts)
		if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestRefusalText: a list says of our own no that it is ours.
func TestRefusalText(t *testing.T) {
	t.Parallel()
	reason, said := pipeline.ReasonNoValidPhone, "dialedin InsertLead: refused by the vendor, status 200"
	if got := RefusalText(&store.DeliveryRow{State: "rejected", Reason: &reason}); got != "refused by us, not sent" {
		t.Errorf("our own check: %q", got)
	}
	if got := RefusalText(&store.DeliveryRow{State: "rejected", Reason: &reason, Error: &said}); got != said {
		t.Errorf("an error: %q", got)
	}
	if got := RefusalText(&store.DeliveryRow{State: "confirmed"}); got != "" {
		t.Errorf("confirmed: %q", got)
	}
}

// TestWhyText says it of a count too, where the reason tells.
func TestWhyText(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]Delivery{
		"not_nanp (refused by us, not sent)": {State: "rejected", Reason: "not_nanp"},
		"duplicate_phone":                    {State: "rejected", Reason: "duplicate_phone"},
		"phone_busy":                         {State: "ready", Hold: "phone_busy"},
	} {
		if got := d.WhyText(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
