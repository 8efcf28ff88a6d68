package operator_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/operator"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestOrdersComeBackAsFacts(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 6, 2, 16, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		order operator.DoNotCall
		want  pipeline.DNCFact
	}{
		{operator.DoNotCall{Phone: "+13055550123", At: at}, pipeline.DNCFact{Phone: "+13055550123", Reason: "operator", Since: at}},
		{operator.DoNotCall{Phone: "+13055550123", Reason: "letter", At: at}, pipeline.DNCFact{Phone: "+13055550123", Reason: "letter", Since: at}},
		{operator.DoNotCall{Phone: "+13055550123", Lift: true, At: at}, pipeline.DNCFact{Phone: "+13055550123", Reason: "operator", Since: at, Lift: true}},
	} {
		r, err := tc.order.Record(uuid.New(), "default")
		if err != nil {
			t.Fatal(err)
		}
		facts, err := operator.Facts(&r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(pipeline.Facts{DNC: []pipeline.DNCFact{tc.want}}, facts); diff != "" {
			t.Errorf("facts (-want +got):\n%s", diff)
		}
		if again, err := tc.order.Record(r.Org, "default"); err != nil || again.ObjectID == r.ObjectID {
			t.Errorf("the same order twice is one object: %v", err)
		}
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := (operator.DoNotCall{Phone: "305 555 0123"}).Record(uuid.New(), "default"); err == nil {
		t.Error("a number that is not in E.164 was taken")
	}
	for _, r := range []pipeline.Record{
		{Stream: "links", Payload: []byte(`{}`)},
		{Stream: operator.StreamDoNotCall, Payload: []byte(`{"phone":"secret"}`)},
		{Stream: operator.StreamDoNotCall, Payload: []byte(`[]`)},
	} {
		if _, err := operator.Facts(&r); err == nil {
			t.Errorf("%s %s was taken", r.Stream, r.Payload)
		}
	}
}
