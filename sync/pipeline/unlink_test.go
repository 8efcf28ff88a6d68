package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestUnlinkKeepsApart: three records, tied by a customer key and by a phone; each way to take them apart gives the leads that
// are left, each named by its keys that tie.
func TestUnlinkKeepsApart(t *testing.T) {
	t.Parallel()
	ips := pipeline.Key{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "1"}
	con := pipeline.Key{Kind: pipeline.KeyConvosoLead, Account: "default", Value: "2"}
	other := pipeline.Key{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "3"}
	customer := pipeline.Key{Kind: pipeline.KeyCustomer, Account: "default", Value: "C"}
	phone := pipeline.Key{Kind: pipeline.KeyPhone, Value: "+15032221111"}
	facts := [][]pipeline.Key{{ips, customer, phone}, {con, phone}, {other, customer}}
	for name, tc := range map[string]struct {
		unlinks []pipeline.UnlinkFact
		want    []string
	}{
		"nothing": {nil, []string{"2 1 3 C +15032221111:phone"}},
		"the phone": {
			[]pipeline.UnlinkFact{{Key: phone, From: []pipeline.Key{ips, con, other}}},
			[]string{"1 3 C +15032221111:unlinked", "2 +15032221111:unlinked"},
		},
		"the customer key": {
			[]pipeline.UnlinkFact{{Key: customer, From: []pipeline.Key{ips, con, other}}},
			[]string{"2 1 +15032221111:phone", "3"},
		},
		"one lead of the vendor's": {
			[]pipeline.UnlinkFact{{Key: con, From: []pipeline.Key{ips, other}}},
			[]string{"1 3 C +15032221111:phone", "2 +15032221111:unlinked"},
		},
		"both": {
			[]pipeline.UnlinkFact{{Key: phone, From: []pipeline.Key{ips, con}}, {Key: customer, From: []pipeline.Key{ips, other}}},
			[]string{"1 +15032221111:unlinked", "2 +15032221111:unlinked", "3"},
		},
	} {
		var told []pipeline.Told
		for i, keys := range facts {
			told = append(told, tellKeys(i, pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: keys}}}))
		}
		told = append(told, tellKeys(9, pipeline.Facts{Unlinks: tc.unlinks}))
		for range 3 {
			var got []string
			for _, l := range pipeline.Fold(told, pipeline.Rules{}).Leads {
				text := ""
				for i, k := range l.Keys {
					if i > 0 {
						text += " "
					}
					text += k.Value
					if k.Kind == pipeline.KeyPhone {
						text += ":" + k.Rule
					}
				}
				got = append(got, text)
			}
			slices.Sort(got)
			want := slices.Clone(tc.want)
			for i := range want {
				want[i] = reorder(want[i])
			}
			for i := range got {
				got[i] = reorder(got[i])
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got)\n%s", name, diff)
			}
			told = append(told[1:], told[0]) // in any order
		}
	}
}

// reorder makes the order of keys no matter.
func reorder(text string) string {
	words := strings.Fields(text)
	slices.Sort(words)
	return fmt.Sprint(words)
}

func tellKeys(n int, f pipeline.Facts) pipeline.Told {
	at := time.Date(2026, 3, 2, 9, n, 0, 0, time.UTC)
	r := pipeline.Record{Source: pipeline.SourceConvoso, Stream: "s", ObjectID: fmt.Sprint(n), Payload: []byte{byte(n)}, ObservedAt: at, SourceTime: at}
	return pipeline.TellOf(&r, f)
}
