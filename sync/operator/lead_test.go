package operator_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/operator"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestOrdersAboutLeadsComeBackAsFacts(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 2, 16, 0, 0, 0, time.UTC)
	vendor := pipeline.Key{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "7"}
	phone := pipeline.Key{Kind: pipeline.KeyPhone, Value: "+13055550123"}
	unlink := operator.Unlink{LeadID: uuid.New(), Key: operator.KeyOf(phone), From: []operator.Key{operator.KeyOf(vendor)}, At: at}
	stage := operator.Stage{LeadID: uuid.New(), Key: operator.KeyOf(vendor), Stage: "won", At: at}
	for _, tc := range []struct {
		record func(uuid.UUID, string) (pipeline.Record, error)
		want   pipeline.Facts
	}{
		{unlink.Record, pipeline.Facts{Unlinks: []pipeline.UnlinkFact{{Key: phone, From: []pipeline.Key{vendor}}}}},
		{stage.Record, pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: []pipeline.Key{vendor}, Stage: "won"}}}},
	} {
		r, err := tc.record(uuid.New(), "default")
		if err != nil {
			t.Fatal(err)
		}
		facts, err := operator.Facts(&r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, facts); diff != "" {
			t.Errorf("facts (-want +got):\n%s", diff)
		}
	}
	for _, r := range []pipeline.Record{
		{Stream: "elsewhere", Payload: []byte(`{}`)}, {Stream: operator.StreamUnlinks, Payload: []byte(`{}`)}, {Stream: operator.StreamStages, Payload: []byte(`[]`)},
	} {
		if _, err := operator.Facts(&r); err == nil {
			t.Errorf("%s %s was taken", r.Stream, r.Payload)
		}
	}
}
