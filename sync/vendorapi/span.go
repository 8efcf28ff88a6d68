package vendorapi

import (
	"context"
	"errors"
	"io"

	"github.com/trunkline/trunkline/sync/tracing"
)

// failure names what went wrong in a word, for a span.
func failure(ctx context.Context, err error) string {
	switch kind := KindOf(err); {
	case kind != 0:
		return kind.String()
	case ctx.Err() != nil:
		return "stopped"
	}
	return "failed"
}

// answerBody ends the request's deadline and its span together with its body.
type answerBody struct {
	io.ReadCloser
	cancel context.CancelFunc
	span   tracing.Span
}

// Read reads on, and has the span know of a body that breaks.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.span.Fail("cut")
	}
	return n, err
}

// Close closes the body and releases the deadline's timer.
func (b *answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.cancel()
	b.span.End()
	return err
}
