package jobs

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/trunkline/trunkline/sync/tracing"
)

// TestTraceOfAJob: a job takes along what made it. Its first run goes on in that trace, a later one has a trace of its own that links
// back, and one of which nobody knows where it is from begins one.
func TestTraceOfAJob(t *testing.T) {
	t.Parallel()
	kept := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(kept), sdk.WithSampler(sdk.AlwaysSample()))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	tracer := tracing.New(provider)

	ctx, post := tracer.Start(t.Context(), tracing.PostCommit)
	made := []*rivertype.JobInsertParams{{}, {Metadata: []byte(`{"snoozes":1}`)}, {Metadata: []byte(`[]`)}}
	insert := func(context.Context) ([]*rivertype.JobInsertResult, error) { return nil, nil }
	if _, err := (&traced{}).InsertMany(ctx, made, insert); err != nil {
		t.Fatal(err)
	}
	post.End()
	from := kept.GetSpans()[0].SpanContext
	place := `"traceparent":"` + tracing.PlaceOf(ctx).String() + `"}`
	for i, want := range []string{"{" + place, `{"snoozes":1,` + place, "[]"} {
		if got := string(made[i].Metadata); got != want {
			t.Errorf("job %d takes along %s, want %s", i, got, want)
		}
	}

	for name, tc := range map[string]struct {
		attempt     int
		metadata    []byte
		same, links bool
		err         error
		outcome     string
	}{
		"the first run":        {1, made[0].Metadata, true, false, nil, "done"},
		"tried again":          {2, made[0].Metadata, false, true, errors.New("no luck"), "failed"},
		"after it was put off": {1, made[1].Metadata, false, true, river.JobSnooze(time.Second), "put_off"},
		"of nobody":            {1, []byte(`{}`), false, false, river.JobCancel(errors.New("no use")), "ended"},
		"unreadable":           {1, []byte(`nonsense`), false, false, nil, "done"},
	} {
		kept.Reset()
		job := &rivertype.JobRow{ID: 7, Kind: "inbox", Queue: "inbox", Attempt: tc.attempt, Metadata: tc.metadata}
		if err := (&traced{tracer: tracer}).Work(t.Context(), job, func(context.Context) error { return tc.err }); !errors.Is(err, tc.err) {
			t.Errorf("%s: %v", name, err)
		}
		s := kept.GetSpans()[0]
		if same := s.SpanContext.TraceID() == from.TraceID() && s.Parent.SpanID() == from.SpanID(); same != tc.same {
			t.Errorf("%s: it goes on in the trace: %t", name, same)
		}
		if links := len(s.Links) == 1 && s.Links[0].SpanContext.SpanID() == from.SpanID(); links != tc.links {
			t.Errorf("%s: it links back: %t", name, links)
		}
		if fails := tc.outcome == "failed" || tc.outcome == "ended"; (s.Status.Code == codes.Error) != fails ||
			!slices.Contains(s.Attributes, attribute.String(string(tracing.Outcome), tc.outcome)) {
			t.Errorf("%s: it ends as %v, %+v", name, s.Attributes, s.Status)
		}
	}
}
