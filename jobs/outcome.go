package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// giveUp is how long a job may be put off before its error counts as a failed attempt.
const giveUp = 24 * time.Hour

// deniedProbe is how often credentials that a vendor refused are tried again (law 10).
const deniedProbe = 10 * time.Minute

// outcome is the one place where an error of a worker becomes what River does with the job.
type outcome struct {
	river.MiddlewareDefaults
	now func() time.Time
	log *slog.Logger
}

var _ rivertype.WorkerMiddleware = (*outcome)(nil)

// Work runs the job and translates its error: a vendor that asks us to wait or refuses our credentials puts the job off
// without costing an attempt, a refusal or an unknown outcome ends it, anything else is retried.
func (o *outcome) Work(ctx context.Context, job *rivertype.JobRow, inner func(context.Context) error) error {
	err := inner(ctx)
	if err == nil {
		return nil
	}
	err = store.Quiet(err)
	var snooze *river.JobSnoozeError
	if errors.As(err, &snooze) || ctx.Err() != nil {
		return err
	}
	o.log.WarnContext(ctx, "job failed", "job_id", job.ID, "kind", job.Kind, "attempt", job.Attempt, "error", err)
	verr, ok := errors.AsType[*vendorapi.Error](err)
	if !ok {
		return err
	}
	switch verr.Kind {
	case vendorapi.Limited, vendorapi.Denied:
		if o.now().Sub(job.CreatedAt) < giveUp {
			return fmt.Errorf("%w: %w", err, river.JobSnooze(putOff(verr)))
		}
	case vendorapi.Refused, vendorapi.Unknown:
		return river.JobCancel(err)
	case vendorapi.Transient, vendorapi.Malformed:
	}
	return err
}

func putOff(err *vendorapi.Error) time.Duration {
	if err.After > 0 {
		return err.After
	}
	if err.Kind == vendorapi.Denied {
		return deniedProbe
	}
	return vendorapi.MinWait
}
