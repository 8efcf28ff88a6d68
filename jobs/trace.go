package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/tracing"
)

// traced tells of jobs as spans. A job takes the place of what made it in the trace along, in its metadata: its first run goes on
// in that trace, and a later one, which may be hours after, has a trace of its own that links back. Without a tracer, as in a queue
// that works no jobs, it notes places alone, where there are any.
type traced struct {
	river.MiddlewareDefaults
	tracer *tracing.Tracer
}

var (
	_ rivertype.WorkerMiddleware    = (*traced)(nil)
	_ rivertype.JobInsertMiddleware = (*traced)(nil)
)

// placeKey is where the place stands in a job's metadata; the name and the form are W3C's.
const placeKey = "traceparent"

// InsertMany notes the place of what makes the jobs.
func (t *traced) InsertMany(ctx context.Context, many []*rivertype.JobInsertParams, inner func(context.Context) ([]*rivertype.JobInsertResult, error)) ([]*rivertype.JobInsertResult, error) {
	if place := tracing.PlaceOf(ctx); place.Known() {
		for _, job := range many {
			job.Metadata = withPlace(job.Metadata, place)
		}
	}
	return inner(ctx)
}

// withPlace adds a place to metadata. What is no object is left as it is: a job matters more than its trace.
func withPlace(metadata []byte, place tracing.Place) []byte {
	members := map[string]json.RawMessage{}
	if len(metadata) > 0 && (json.Unmarshal(metadata, &members) != nil || members == nil) {
		return metadata
	}
	members[placeKey] = json.RawMessage(`"` + place.String() + `"`)
	out, err := json.Marshal(members)
	if err != nil {
		return metadata
	}
	return out
}

// Work runs the job within its span.
func (t *traced) Work(ctx context.Context, job *rivertype.JobRow, inner func(context.Context) error) error {
	if !t.tracer.On() {
		return inner(ctx)
	}
	var kept struct {
		Place   string `json:"traceparent"`
		Snoozes int    `json:"snoozes"`
	}
	// Metadata that cannot be read has no place.
	_ = json.Unmarshal(job.Metadata, &kept)
	place, name := tracing.ParsePlace(kept.Place), tracing.Name("job "+job.Kind)
	var span tracing.Span
	if place.Known() && job.Attempt == 1 && kept.Snoozes == 0 {
		ctx, span = t.tracer.StartAs(place.On(ctx), tracing.Taken, name)
	} else {
		ctx, span = t.tracer.StartAfter(ctx, tracing.Taken, name, place)
	}
	defer span.End()
	span.Count(tracing.JobID, int(job.ID))
	span.Word(tracing.Queue, job.Queue)
	span.Count(tracing.Attempt, job.Attempt)
	err := inner(ctx)
	word := jobEnding(ctx, err)
	span.Word(tracing.Outcome, word)
	if word == "failed" || word == "ended" {
		span.Fail(word)
	}
	return err
}

// jobEnding names what becomes of a job.
func jobEnding(ctx context.Context, err error) string {
	var snooze *river.JobSnoozeError
	var cancel *river.JobCancelError
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &snooze):
		return "put_off"
	case errors.As(err, &cancel):
		return "ended"
	case ctx.Err() != nil:
		return "stopped"
	}
	return "failed"
}

// TracedFold is a fold that tells of each of its batches as a span.
type TracedFold struct {
	Fold   *store.Reconciler
	Tracer *tracing.Tracer
}

// Drain implements what the worker needs.
func (t TracedFold) Drain(ctx context.Context) (int, error) {
	one := *t.Fold
	one.Observe = func(records, leads, calls int, took time.Duration) {
		_, span := t.Tracer.StartAt(ctx, tracing.ReconcileBatch, one.DB.Now().Add(-took))
		span.Count(tracing.Records, records)
		span.Count(tracing.Leads, leads)
		span.Count(tracing.Calls, calls)
		span.EndAt(one.DB.Now())
		if t.Fold.Observe != nil {
			t.Fold.Observe(records, leads, calls, took)
		}
	}
	return one.Drain(ctx)
}
