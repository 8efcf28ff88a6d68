package ipscape

import (
	"context"
	"errors"
	"io"
	"time"
)

// errIdle is the cause of a read that was given up because the vendor sent nothing for too long.
var errIdle = errors.New("the vendor stopped sending")

// idleReader gives up a body of which nothing comes for a while. Only the time spent reading counts, not what the reader's
// user does in between.
type idleReader struct {
	ctx   context.Context
	src   io.Reader
	timer *time.Timer
	limit time.Duration
}

// newIdleReader makes a reader that cancels the request, whose context was derived from ctx, by cancel.
func newIdleReader(ctx context.Context, cancel context.CancelCauseFunc, src io.Reader, limit time.Duration) *idleReader {
	timer := time.AfterFunc(limit, func() { cancel(errIdle) })
	timer.Stop()
	return &idleReader{ctx: ctx, src: src, timer: timer, limit: limit}
}

// Read reads from the body. A read that was given up reports errIdle, not the cancellation by which that was done.
func (r *idleReader) Read(p []byte) (int, error) {
	r.timer.Reset(r.limit)
	n, err := r.src.Read(p)
	r.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) && errors.Is(context.Cause(r.ctx), errIdle) {
		err = errIdle
	}
	return n, err
}
