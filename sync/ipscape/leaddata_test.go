package ipscape

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/sync/sandbox"
)

func TestMergeLeadData(t *testing.T) {
	t.Parallel()
	box, client := writing(t)
	lead := box.IPSCAPE().Leads()[0]
	box.IPSCAPE().UpdateLead(lead.ID, func(l *sandbox.Lead) {
		l.DataFields = map[string]any{"plan": "silver", "big": json.Number("9007199254740993"), "list": []string{"a"}}
	})
	id := strconv.FormatInt(lead.ID, 10)
	if err := client.MergeLeadData(t.Context(), id, map[string]any{"plan": "gold", "new": 1}); err != nil {
		t.Fatal(err)
	}
	raw, _, err := client.GetLead(t.Context(), id, "")
	if err != nil {
		t.Fatal(err)
	}
	l, _, err := Settings{}.parseLead(raw)
	if err != nil || string(l.dataFields) != `{"big":9007199254740993,"list":["a"],"new":1,"plan":"gold"}` {
		t.Errorf("%s, %v", l.dataFields, err)
	}
	box.IPSCAPE().UpdateLead(lead.ID, func(l *sandbox.Lead) { l.DataFields = nil }) // sent as []
	if err := client.MergeLeadData(t.Context(), id, map[string]any{"plan": "gold"}); err != nil {
		t.Error(err)
	}
	box.IPSCAPE().UpdateLead(lead.ID, func(l *sandbox.Lead) {
		l.Raw = json.RawMessage(fmt.Sprintf(`{"leadId":%d,"dataFields":"a text"}`, l.ID))
	})
	if err := client.MergeLeadData(t.Context(), id, map[string]any{"plan": "gold"}); err == nil || !strings.Contains(err.Error(), "would be lost") {
		t.Errorf("fields that cannot be read were overwritten: %v", err)
	}
	if err := client.MergeLeadData(t.Context(), "1", map[string]any{"plan": "gold"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a lead that is gone: %v", err)
	}
}

func TestRemovePersonalData(t *testing.T) {
	t.Parallel()
	box, client := writing(t)
	v := box.IPSCAPE()
	lead := v.Leads()[0]
	calls := 0
	for _, a := range v.Activities() {
		if slices.Contains([]string{a.Source, a.Destination}, lead.Phones[0]) {
			calls++
		}
	}
	removed, err := client.RemovePersonalData(t.Context(), lead.Phones[0], "")
	if err != nil || removed["leadData"]["leadsDeleted"] != 1 || removed["callData"]["activitiesOverwritten"] != int64(calls) || len(removed["emailData"]) != 5 {
		t.Errorf("%v, %v, %d calls", removed, err, calls)
	}
	if _, err := client.RemovePersonalData(t.Context(), " ", ""); err == nil {
		t.Error("nobody's data was removed")
	}
	for _, req := range box.Requests() {
		if strings.Contains(fmt.Sprint(req), lead.Phones[0]) {
			t.Error("the phone is in the simulator's log")
		}
	}
	if wrong := box.Violations(); len(wrong) > 0 {
		t.Errorf("the contract was broken: %v", wrong)
	}
}
