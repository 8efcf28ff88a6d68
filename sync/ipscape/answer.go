package ipscape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// answer is a 2xx answer whose body is still to be read.
type answer struct {
	client  *Client
	req     vendorapi.Request
	askedAt time.Time
	date    time.Time
	header  http.Header
	body    io.Reader
	excerpt string
	close   func()
}

// open sends the request and prepares to read its answer. Close the answer.
func (c *Client) open(ctx context.Context, req vendorapi.Request) (*answer, error) {
	return c.openFor(ctx, req, c.api.Timeout)
}

// openFor is open with a limit of its own on the whole answer.
func (c *Client) openFor(ctx context.Context, req vendorapi.Request, timeout time.Duration) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	api := c.api
	api.Timeout = timeout
	stream, err := api.Open(ctx, req)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	ans := &answer{
		client:  c,
		req:     req,
		askedAt: stream.AskedAt,
		header:  stream.Header,
		body:    newIdleReader(ctx, cancel, stream.Body, c.idle),
		close: func() {
			_ = stream.Body.Close() // the body has been read to its end, or has failed already
			cancel(nil)
		},
	}
	if date, err := http.ParseTime(stream.Header.Get("Date")); err == nil {
		ans.date = date.UTC()
	}
	return ans, nil
}

// check tells a JSON object from a login page by content type and first byte, without consuming anything that counts.
func (a *answer) check(scan *scanner) error {
	err := scan.skipMark()
	var first byte
	if err == nil {
		first, err = scan.peek()
	}
	switch {
	case errors.Is(err, io.EOF):
		return malformed("answer is empty")
	case err != nil:
		return err
	case !jsonType(a.header.Get("Content-Type")):
		err = malformed("answer is no JSON by its content type")
	case first != '{':
		err = malformed("answer does not begin as a JSON object")
	}
	if err != nil {
		a.excerpt = vendorapi.Excerpt(scan.head(2048), a.client.api.Secrets...)
	}
	return err
}

// jsonType allows what careless servers call JSON; the first byte decides then.
func jsonType(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return contentType == ""
	}
	switch kind {
	case "application/json", "text/json", "text/plain", "text/javascript", "application/javascript", "application/octet-stream":
		return true
	}
	return strings.HasSuffix(kind, "+json")
}

// broken turns what went wrong while reading a 2xx answer into the vendor's error.
func (a *answer) broken(err error) *vendorapi.Error {
	kind := vendorapi.Transient
	switch {
	case errors.Is(err, errForeignHost):
		kind = vendorapi.Refused
	case errors.Is(err, errPageTooLarge), errors.Is(err, errAudioTooLarge):
		kind = vendorapi.Malformed
	case isSyntax(err):
		kind = vendorapi.Malformed
	default:
		err = fmt.Errorf("answer broke off: %w", err)
	}
	e := a.client.api.Broken(a.req, kind, err)
	e.Status = http.StatusOK
	e.Detail = a.excerpt
	return e
}

func isSyntax(err error) bool {
	_, ok := errors.AsType[*syntaxError](err)
	return ok
}
