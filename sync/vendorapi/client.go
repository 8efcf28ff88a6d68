package vendorapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/trunkline/trunkline/sync/tracing"
)

// Lane is the priority class of a request within one account's budget (architecture.md law 10).
type Lane string

// The three lanes: live work first, then re-reads, then backfill.
const (
	Live     Lane = "live"
	Reread   Lane = "reread"
	Backfill Lane = "backfill"
)

// Gate is the account's budget. It is asked once for each request, before it or ahead of it (Client.Turn), and told what the vendor said of our pace.
type Gate interface {
	// Wait blocks until one request may start in the lane, and fails with an Error of kind Limited or Denied when the
	// account is paused or denied for longer than it is worth waiting.
	Wait(ctx context.Context, lane Lane) error
	// Recheck looks once more, immediately before each request, and fails as Wait does when the account has been paused or denied
	// since its turn was taken. It is asked once for each Wait that let a request pass.
	Recheck(ctx context.Context) error
	// Limited pauses the account for all lanes and daemons.
	Limited(ctx context.Context, wait time.Duration)
	// Denied marks the account's credentials as refused.
	Denied(ctx context.Context)
	// Accepted says that the credentials of a request that was sent at askedAt worked.
	Accepted(ctx context.Context, askedAt time.Time)
}

// Observer is told of every request once it ended; kind is 0 on success.
type Observer func(vendor, op string, status int, kind Kind, took time.Duration)

// Client speaks HTTP to one vendor account. Its zero value is not usable: set every field but Gate, Observe, Trace and Secrets.
type Client struct {
	Vendor string
	// Base is prefixed to each request's path; it has no query.
	Base *url.URL
	HTTP *http.Client
	Now  func() time.Time
	Log  *slog.Logger
	// Timeout bounds one request, body included.
	Timeout time.Duration
	// Gate may be nil: then no budget applies.
	Gate    Gate
	Observe Observer
	// Trace may be nil. A request's span ends with its body.
	Trace *tracing.Tracer
	// Secrets are masked wherever an answer is quoted.
	Secrets []Secret
	// ErrorCode reads the vendor's own code out of the body of a refusal, for Error.Code; nil where the vendor has none.
	ErrorCode func(body []byte) string
	// QuotaCodes are codes of a 429 that lasts for as long as the vendor says, such as a month's quota that is used up.
	QuotaCodes []string
	// Levels marks a vendor whose 403 is about the one operation, for which the key's level is too low: the account stays as
	// it is then.
	Levels bool
}

// NewHTTP returns the transport settings that every vendor client shares: no redirects (a redirected POST becomes a GET,
// and a token must not go to another host), no cookies, bounded waits for connection and headers.
func NewHTTP() *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           dialer.DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          100,
			MaxIdleConnsPerHost:   8,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ResponseHeaderTimeout: 30 * time.Second,
			ExpectContinueTimeout: time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Request is one call to a vendor.
type Request struct {
	// Op names the operation in logs, metrics and errors.
	Op     string
	Method string
	// Path is appended to the client's base.
	Path        string
	Query       url.Values
	Header      http.Header
	Body        []byte
	ContentType string
	// Push marks a request with an effect: it is never repeated here, and a cut after sending is Unknown.
	Push bool
	// Keyed marks a push that the vendor deduplicates by a key, so that a cut is Transient.
	Keyed bool
	Lane  Lane
}

// Response is an answer with a 2xx status.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// AskedAt is when the request was sent: the observed_at of everything in the answer (law 4).
	AskedAt time.Time
}

// Stream is an answer with a 2xx status whose body has not been read. Close it.
type Stream struct {
	Header  http.Header
	Body    io.ReadCloser
	AskedAt time.Time
}

// maxAnswer bounds a body that Do reads whole.
const maxAnswer = 16 << 20

// readRetries is how often a read is repeated at once; longer waits belong to the queue.
const readRetries = 2

// Do sends the request and reads the whole answer. Reads are tried up to three times, pushes once.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	for attempt := 0; ; attempt++ {
		resp, err := c.once(ctx, r)
		if err == nil || r.Push || attempt >= readRetries || KindOf(err) != Transient || ctx.Err() != nil {
			return resp, err
		}
		if c.pause(ctx, attempt) != nil {
			return resp, err
		}
	}
}

// Open sends a read and hands out its body unread, for answers that are too large to hold. It is tried up to three times
// until an answer begins; a body that breaks later is the caller's to report, with Broken.
func (c *Client) Open(ctx context.Context, r Request) (*Stream, error) {
	for attempt := 0; ; attempt++ {
		s, err := c.open(ctx, r)
		if err == nil || attempt >= readRetries || KindOf(err) != Transient || ctx.Err() != nil {
			return s, err
		}
		if c.pause(ctx, attempt) != nil {
			return s, err
		}
	}
}

// pause waits a quarter of a second or so before a read is repeated.
func (c *Client) pause(ctx context.Context, attempt int) error {
	wait := time.Duration(float64(200*time.Millisecond<<attempt) * (0.5 + rand.Float64())) //nolint:gosec // jitter, not a secret
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) once(ctx context.Context, r Request) (*Response, error) {
	s, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer s.Body.Close() //nolint:errcheck // the body has been read or has failed already
	body, err := io.ReadAll(io.LimitReader(s.Body, maxAnswer+1))
	if err != nil {
		return nil, c.cut(r, stripURL(err))
	}
	if len(body) > maxAnswer {
		return nil, c.answered(r, Malformed, http.StatusOK, fmt.Errorf("answer is larger than %d bytes", maxAnswer))
	}
	return &Response{Status: http.StatusOK, Header: s.Header, Body: body, AskedAt: s.AskedAt}, nil
}

// open sends the request once, and tells of it as a span.
func (c *Client) open(ctx context.Context, r Request) (*Stream, error) {
	ctx, span := c.Trace.StartAs(ctx, tracing.Asked, tracing.VendorRequest)
	span.Word(tracing.Source, c.Vendor)
	span.Word(tracing.Operation, r.Op)
	span.Word(tracing.Lane, string(r.Lane))
	s, err := c.send(ctx, r, span)
	if err != nil {
		if v, ok := errors.AsType[*Error](err); ok && v.Status != 0 {
			span.Count(tracing.Status, v.Status)
		}
		span.Fail(failure(ctx, err))
		span.End()
		return nil, err
	}
	return s, nil
}

// send waits for the budget, sends the request and judges the status line. The span is ended by whoever closes the answer.
func (c *Client) send(ctx context.Context, r Request, span tracing.Span) (*Stream, error) {
	began := c.Now()
	if err := c.wait(ctx, r); err != nil {
		return nil, err
	}
	span.Count(tracing.WaitedMS, int(c.Now().Sub(began).Milliseconds()))
	// The budget wait above does not count against the request's own limit.
	reqCtx, cancel := context.WithTimeout(ctx, c.Timeout)
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}
	req, err := c.build(httptrace.WithClientTrace(reqCtx, trace), r)
	if err != nil {
		cancel()
		return nil, err
	}
	askedAt := c.Now().UTC()
	resp, err := c.HTTP.Do(req)
	took := c.Now().Sub(askedAt)
	if err != nil {
		cancel()
		verr := c.noAnswer(r, sent.Load(), err)
		c.observe(r, 0, verr.Kind, took)
		return nil, verr
	}
	if resp.StatusCode/100 == 2 {
		c.observe(r, resp.StatusCode, 0, took)
		if c.Gate != nil {
			c.Gate.Accepted(ctx, askedAt)
		}
		span.Count(tracing.Status, resp.StatusCode)
		return &Stream{Header: resp.Header, Body: &answerBody{resp.Body, cancel, span}, AskedAt: askedAt}, nil
	}
	defer cancel()
	defer resp.Body.Close() //nolint:errcheck // only an excerpt is wanted
	var body []byte
	// After 101 the body is the bare connection, which knows no deadline.
	if resp.StatusCode >= http.StatusOK {
		body, _ = io.ReadAll(io.LimitReader(resp.Body, 2048))
	}
	verr := c.judge(r, resp, body)
	c.observe(r, resp.StatusCode, verr.Kind, took)
	c.tellGate(ctx, verr)
	return nil, verr
}

// tellGate uses a context that outlives a stop: the next daemon must not repeat what this one was just told.
func (c *Client) tellGate(ctx context.Context, err *Error) {
	if c.Gate == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	switch err.Kind {
	case Limited:
		c.Gate.Limited(ctx, err.After)
	case Denied:
		if !c.Levels || err.Status != http.StatusForbidden {
			c.Gate.Denied(ctx)
		}
	case Transient, Refused, Unknown, Malformed:
	}
}

func (c *Client) build(ctx context.Context, r Request) (*http.Request, error) {
	// The path is joined as text: vendors tell trailing slashes apart.
	u := *c.Base
	u.Path += r.Path
	u.RawQuery = r.Query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.Method, u.String(), bytes.NewReader(r.Body))
	if err != nil {
		return nil, c.answered(r, Refused, 0, errors.New("request cannot be built from the configured base URL and path"))
	}
	if r.Body == nil {
		req.Body, req.GetBody = http.NoBody, nil
	}
	for name, values := range r.Header {
		req.Header[name] = values
	}
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	req.Header.Set("User-Agent", "trunkline")
	return req, nil
}

func (c *Client) observe(r Request, status int, kind Kind, took time.Duration) {
	if c.Observe != nil {
		c.Observe(c.Vendor, r.Op, status, kind, took)
	}
	c.Log.Debug("vendor request", "vendor", c.Vendor, "op", r.Op, "status", status, "kind", kind.String(), "took", took)
}
