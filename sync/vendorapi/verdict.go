package vendorapi

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Waits after a 429 that names none.
const (
	limitedFallback = 60 * time.Second
	quotaFallback   = 24 * time.Hour
)

// judge sorts an answer that is not 2xx (contracts: ipscape 4.3, dialedin 8, convolo 4, lendworks 4).
func (c *Client) judge(r Request, resp *http.Response, body []byte) *Error {
	e := c.answered(r, Refused, resp.StatusCode, nil)
	e.Detail = Excerpt(body, c.Secrets...)
	if c.ErrorCode != nil {
		e.Code = c.ErrorCode(body)
	}
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests && slices.Contains(c.QuotaCodes, e.Code):
		e.Kind, e.After = Limited, LongRetryAfter(resp.Header, c.Now(), quotaFallback)
	case code == http.StatusTooManyRequests:
		e.Kind, e.After = Limited, RetryAfter(resp.Header, c.Now(), limitedFallback)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		e.Kind = Denied
	case code == http.StatusRequestTimeout, code >= 500:
		// A push that met a 5xx may have been carried out before it failed.
		e.Kind = c.uncertain(r)
	}
	return e
}

// noAnswer sorts a request that got no status line.
func (c *Client) noAnswer(r Request, sent bool, err error) *Error {
	kind := Transient
	if sent {
		kind = c.uncertain(r)
	}
	return c.failure(r, kind, sent, stripURL(err))
}

// cut sorts an answer whose body broke off after a good status line.
func (c *Client) cut(r Request, err error) *Error {
	return c.failure(r, c.uncertain(r), true, fmt.Errorf("answer broke off: %w", err))
}

// Broken is for callers of Open: it reports a body that broke off or cannot be read as promised.
func (c *Client) Broken(r Request, kind Kind, err error) *Error {
	return c.failure(r, kind, true, stripURL(err))
}

func (c *Client) uncertain(r Request) Kind {
	if r.Push && !r.Keyed {
		return Unknown
	}
	return Transient
}

func (c *Client) answered(r Request, kind Kind, status int, err error) *Error {
	e := c.failure(r, kind, true, err)
	e.Status = status
	return e
}

func (c *Client) failure(r Request, kind Kind, sent bool, err error) *Error {
	if err != nil {
		switch text := Scrub(err.Error(), c.Secrets...); {
		case text != err.Error():
			// net/http quotes what a server sent, and a server may echo what it was sent.
			err = errors.New(text)
		case kind == Unknown:
			// An unknown outcome must not carry a context error: the queue would put the job back as if nothing had been sent.
			err = errors.New(text)
		}
	}
	return &Error{Vendor: c.Vendor, Op: r.Op, Kind: kind, Sent: sent, Err: err}
}
