package ipscape

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// push sends a write, once: the vendor documents no idempotency key (contracts/ipscape.md section 9). An error of kind Unknown
// means that it may have had its effect: a cut, a 5xx, or a 2xx whose body is no answer to it. judge, if not nil, requires an
// answer and says what is wrong with it; without one an empty answer will do. The answer is nil when it was empty.
func (c *Client) push(ctx context.Context, op, id string, query url.Values, body any, judge func(raw []byte) error) (json.RawMessage, error) {
	if !c.cfg.Writes {
		return nil, fmt.Errorf("ipscape %s: %w", op, ErrWritesOff)
	}
	req := c.request(op, vendorapi.Live)
	if idPlace.MatchString(req.Path) {
		var err error
		if req, err = c.objectRequest(op, id, vendorapi.Live); err != nil {
			return nil, err
		}
	}
	req.Push, req.Query = true, query
	if body != nil {
		var err error
		if req.Body, err = json.Marshal(body); err != nil {
			return nil, fmt.Errorf("ipscape %s: the body cannot be written: %w", op, err)
		}
		req.ContentType = "application/json"
	}
	resp, err := c.api.Do(ctx, req)
	if err != nil {
		if vendorapi.KindOf(err) == vendorapi.Malformed {
			err = c.api.Broken(req, vendorapi.Unknown, err)
		}
		if id != "" {
			err = missing(err)
		}
		return nil, err
	}
	raw, err := pushed(resp.Body, judge)
	if err != nil {
		unknown := c.api.Broken(req, vendorapi.Unknown, err)
		unknown.Status, unknown.Detail = http.StatusOK, vendorapi.Excerpt(resp.Body, c.api.Secrets...)
		return nil, unknown
	}
	return raw, nil
}

// pushed reads the answer of a write that the vendor seems to have accepted.
func pushed(body []byte, judge func(raw []byte) error) (json.RawMessage, error) {
	raw := bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\uFEFF")))
	switch {
	case len(raw) == 0 && judge == nil:
		return nil, nil
	case len(raw) == 0:
		return nil, errors.New("the answer is empty")
	case raw[0] != '{' || !json.Valid(raw):
		return nil, errors.New("the answer is no JSON object")
	case tellsFailure(raw):
		return nil, errors.New("the answer speaks of a failure")
	case judge == nil:
		return raw, nil
	}
	return raw, judge(raw)
}

// tellsFailure knows the ways in which a 200 says no. The vendor's older API wrapped its answers with a result code; whether
// this one does is not known.
func tellsFailure(raw []byte) bool {
	failed := false
	members(raw, func(f *fields) {
		switch name := string(f.key); name {
		case "success":
			ok := f.flag("")
			failed = failed || (ok.ok && !ok.v)
		case "error", "errors", "errorMessage", "errorCode":
			value := bytes.TrimSpace(f.value())
			failed = failed || (!absent(value) && !slices.Contains([]string{"false", "0", "{}"}, string(value)))
		case "resultCode":
			code := strings.ToLower(f.text("").v)
			failed = failed || strings.Contains(code, "err") || strings.Contains(code, "fail")
		default:
			f.value()
		}
	})
	return failed
}

// members hands out an object's members one after the other; read must consume each one's value.
func members(raw []byte, read func(f *fields)) {
	f := fields{decoder: decoder{b: raw}}
	if !f.enter() {
		return
	}
	for f.next() {
		read(&f)
	}
}

// checkNames refuses names that the operation does not have in its body.
func checkNames(op string, names []string) error {
	described, _ := Describe(op)
	for _, name := range names {
		if p, ok := described.Param(name); !ok || p.In != InBody {
			return fmt.Errorf("ipscape %s: there is no %q to change", op, name)
		}
	}
	return nil
}
