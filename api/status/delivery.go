package status

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// Check is the verdict of one check that ran before a request.
type Check struct {
	// Name and Verdict are as they are kept: ok, not_needed, or what was in the way.
	Name, Verdict string
	// Why says in words what the verdict means.
	Why string
}

// Passed tells whether the check let the request go.
func (c *Check) Passed() bool { return c.Verdict == "ok" || c.Verdict == "not_needed" }

// checksPassed are the checks in the order in which they run, and what it means when one passes.
var checksPassed = []Check{
	{Name: "route", Why: "a route wants the lead there, or a person pushed it"},
	{Name: "age", Why: "it is not too old to be sent"},
	{Name: "key", Why: "the destination still remembers the key it is sent with"},
	{Name: "do_not_call", Why: "nobody opted out"},
	{Name: "lead", Why: "the lead is here, and no merged one was sent already"},
	{Name: "difference", Why: "something differs from what the destination was told"},
	{Name: "phone", Why: "the phone number is a valid one"},
	{Name: "restored", Why: "it was not sent in a time that the database lost"},
	{Name: "call_window", Why: "the lead may be called at this hour"},
	{Name: "dial_cap", Why: "the day's most dials are not reached"},
	{Name: "phone_busy", Why: "no other delivery is at the phone"},
	{Name: "recent_call", Why: "nobody has just dialled the phone"},
}

// Checks reads what is kept of the checks before a request, in the order in which they run; those that this version does not know come
// last. Nothing is kept of a request that was to search.
func Checks(kept []byte) ([]Check, error) {
	verdicts := map[string]string{}
	if len(kept) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(kept, &verdicts); err != nil {
		return nil, fmt.Errorf("reading the checks before a request: %w", err)
	}
	var list []Check
	for _, c := range checksPassed {
		verdict, ok := verdicts[c.Name]
		if !ok {
			continue
		}
		c.Verdict = verdict
		delete(verdicts, c.Name)
		switch {
		case verdict == "not_needed":
			c.Why = "this operation does not need it"
		case !c.Passed():
			c.Why = "in the way: " + strings.ReplaceAll(verdict, "_", " ")
		}
		list = append(list, c)
	}
	for _, name := range slices.Sorted(maps.Keys(verdicts)) {
		list = append(list, Check{Name: name, Verdict: verdicts[name]})
	}
	return list, nil
}

// Who may refuse a delivery, as people are told.
const (
	byUs     = "Trunkline, before anything was sent"
	byUsAnew = "Trunkline, before it was sent once more"
	byPerson = "a person, who settled it so"
	byVendor = "%s, in its answer"
)

// ownReasons are reasons that no vendor gives: of our check of the phone, and of what a vendor's package finds that it could not take.
var ownReasons = []string{
	pipeline.ReasonNoValidPhone, dialedin.ReasonNotNANP, dialedin.ReasonNoClientID, dialedin.ReasonNothingToUpdate, dialedin.ReasonBadField,
	convolo.ReasonNoPhone, convolo.ReasonNoReference,
}

// reasonOperator is the reason of what a person settled.
const reasonOperator = "operator"

// RefusedBy says who refused a delivery that is rejected: Trunkline itself, in which case the destination never heard of it, the
// destination, or a person. It is empty for deliveries in other states. The attempts are all there are, in their order.
func RefusedBy(d *pipeline.Delivery, attempts []store.DeliveryAttempt) string {
	switch {
	case d.State != pipeline.DeliveryRejected:
		return ""
	case d.Reason == reasonOperator:
		return byPerson
	}
	heard, last := false, (*store.DeliveryAttempt)(nil)
	for i := range attempts {
		a := &attempts[i]
		if a.Kind != pipeline.AttemptSend || a.Outcome == nil {
			continue
		}
		last = a
		switch pipeline.OutcomeState(*a.Outcome) {
		case pipeline.OutcomeConfirmed, pipeline.OutcomeUnknown:
			heard = true
		case pipeline.OutcomeRejected:
			heard = heard || !withheld(a)
		case pipeline.OutcomeNotSent, pipeline.OutcomeLimited, pipeline.OutcomeDenied:
		}
	}
	switch {
	case last != nil && *last.Outcome == string(pipeline.OutcomeRejected) && !withheld(last) && d.Reason != pipeline.ReasonNoValidPhone:
		return fmt.Sprintf(byVendor, d.Destination)
	case heard:
		return byUsAnew
	}
	return byUs
}

// withheld tells whether we refused a request ourselves. Rows of earlier versions say so in place of the request alone.
func withheld(a *store.DeliveryAttempt) bool {
	return a.Detail != nil && *a.Detail == pipeline.DetailWithheld || a.Detail == nil && strings.HasPrefix(a.Request, "not sent: ")
}

// RefusalText is the error of a delivery for a list, which says of a check's no too that it is ours.
func RefusalText(d *store.DeliveryRow) string {
	switch {
	case d.Error != nil:
		return *d.Error
	case d.State == string(pipeline.DeliveryRejected) && d.Reason != nil && *d.Reason == pipeline.ReasonNoValidPhone:
		return "refused by us, not sent"
	}
	return ""
}
