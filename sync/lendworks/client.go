package lendworks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Client speaks to one LendWorks account. It is safe for concurrent use.
type Client struct {
	api vendorapi.Client
	key vendorapi.Secret
}

// Codes of refusals that call for more than their status says (contract section 4).
const (
	codeConflict = "IDEMPOTENCY_CONFLICT"
	codeQuota    = "MONTHLY_QUOTA_EXCEEDED"
	codeReused   = "IDEMPOTENCY_KEY_REUSED"
	codeAbsent   = "NOT_FOUND"
)

// Reasons of outcomes beside those that every destination has, for counting.
const (
	// ReasonInvalid: the vendor found fields that it does not take.
	ReasonInvalid = "validation_error"
	// ReasonExists: the vendor says that it has such an object already.
	ReasonExists = "already_exists"
	// ReasonKeyReused: the key was used before for another body.
	ReasonKeyReused = "key_reused"
	// ReasonNotFound: the lead is not there, or another organisation's.
	ReasonNotFound = "not_found"
	// ReasonForbidden: the key's level does not allow it.
	ReasonForbidden = "forbidden"
	// ReasonWrongURL: the answer says that our base URL is wrong.
	ReasonWrongURL = "wrong_url"
	// ReasonUnreadable: a 2xx answer without the id of what was made. With the same key the vendor tells it again.
	ReasonUnreadable = "unreadable_answer"
	// ReasonProcessing: a request with the same key is under way.
	ReasonProcessing = "processing"
	// ReasonQuota: the month's quota is used up.
	ReasonQuota = "monthly_quota"
)

// conflictWait is the wait for a request with the same key that is under way; the vendor's lock ends after 60 s.
const conflictWait = 5 * time.Second

var firstCode = regexp.MustCompile(`"code"\s*:\s*"([A-Z][A-Z0-9_]{0,60})"`)

// errorCode reads the first code of an error's body, which may be cut.
func errorCode(body []byte) string {
	if found := firstCode.FindSubmatch(body); found != nil {
		return string(found[1])
	}
	return ""
}

// NewClient returns a client of the account. HTTP, Now, Log, Gate and Observe are taken from base, the rest from the
// configuration. The error joins every fault, one line each, naming the variable and no value.
func NewClient(config Config, base vendorapi.Client) (*Client, error) {
	u, err := config.check()
	if err != nil {
		return nil, err
	}
	base.Vendor, base.Base, base.Timeout = "lendworks", u, config.Timeout
	base.Secrets = append(slices.Clone(base.Secrets), config.Key)
	base.ErrorCode, base.QuotaCodes, base.Levels = errorCode, []string{codeQuota}, true
	return &Client{api: base, key: config.Key}, nil
}

// Turn waits for the account's budget ahead of a request: the first one made with the returned context starts at once.
func (c *Client) Turn(ctx context.Context) (context.Context, error) {
	return c.api.Turn(ctx, vendorapi.Live)
}

// Object is one entry of an answer. Attributes are as they came: unknown ones and unknown values of enums are kept.
type Object struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Attributes json.RawMessage `json:"attributes"`
}

// Paging is what a list says of itself.
type Paging struct {
	Total     int    `json:"total"`
	Page      int    `json:"page"`
	Limit     int    `json:"limit"`
	HasMore   bool   `json:"hasMore"`
	RequestID string `json:"requestId"`
}

// List is one page of a list.
type List struct {
	// Data holds the entries' bytes, so that one that cannot be read spoils no other.
	Data []json.RawMessage
	Meta Paging
	// AskedAt is when the request was sent (law 4).
	AskedAt time.Time
	// VendorTime is the vendor's own time of the answer, zero when it told none.
	VendorTime time.Time
}

// header returns the headers of a request, with the idempotency key where there is one.
func (c *Client) header(key string) http.Header {
	header := http.Header{"Authorization": {"Bearer " + c.key.Reveal()}}
	if key != "" {
		header.Set("Idempotency-Key", key)
	}
	return header
}

// get reads one object or list into an envelope.
func (c *Client) get(ctx context.Context, op, path string, query url.Values, lane vendorapi.Lane, into any) (*vendorapi.Response, error) {
	resp, err := c.api.Do(ctx, vendorapi.Request{
		Op: op, Method: http.MethodGet, Path: path, Query: query, Header: c.header(""), Lane: lane,
	})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(resp.Body, into); err != nil {
		return nil, &vendorapi.Error{
			Vendor: c.api.Vendor, Op: op, Kind: vendorapi.Malformed, Status: resp.Status, Sent: true, Err: errors.New("the answer is not the JSON it should be"),
		}
	}
	return resp, nil
}

// push is a request with an effect.
type push struct {
	op, method, path string
	// key is the idempotency key, empty for an operation that has none.
	key  string
	body any
	// personal are the values that no error may quote.
	personal []string
	// about tells that the path names an object, so that 404 is about that and not about our base URL.
	about bool
}

var keyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)

// send makes the request and judges the answer. The error is nil exactly when the outcome is confirmed; else it is the
// vendorapi.Error to log and to wait by.
func (c *Client) send(ctx context.Context, p push) (pipeline.Outcome, error) {
	body, err := json.Marshal(p.body)
	if err != nil || p.key != "" && !keyForm.MatchString(p.key) {
		return vendorapi.Withheld(c.api.Vendor, p.op, vendorapi.ReasonBadRequest)
	}
	resp, err := c.api.Masking(p.personal).Do(ctx, vendorapi.Request{
		Op: p.op, Method: p.method, Path: p.path, Header: c.header(p.key), Body: body, ContentType: "application/json",
		Lane: vendorapi.Live, Push: true, Keyed: p.key != "",
	})
	if err != nil {
		return c.failed(p, err)
	}
	var answer struct {
		Data Object `json:"data"`
	}
	if json.Unmarshal(resp.Body, &answer) != nil || answer.Data.ID == "" || len(answer.Data.ID) > pipeline.KeyMax {
		return pipeline.Outcome{State: pipeline.OutcomeUnknown, Reason: ReasonUnreadable}, &vendorapi.Error{
			Vendor: c.api.Vendor, Op: p.op, Kind: vendorapi.Malformed, Status: resp.Status, Code: ReasonUnreadable, Sent: true,
			Detail: c.api.Mask(string(resp.Body[:min(len(resp.Body), 2048)]), p.personal),
		}
	}
	o := pipeline.Outcome{State: pipeline.OutcomeConfirmed, ExternalID: answer.Data.ID}
	if resp.Header.Get("Idempotency-Key-Replay") == "true" {
		o.Detail = "told again: an earlier request with the same key had its effect"
	}
	return o, nil
}

// failed sorts a push without a 2xx answer (contract section 4).
func (c *Client) failed(p push, err error) (pipeline.Outcome, error) {
	v, ok := errors.AsType[*vendorapi.Error](err)
	if !ok {
		return vendorapi.OutcomeOf(err, ReasonWrongURL), err
	}
	absent := p.about && v.Status == http.StatusNotFound
	err = c.api.PushFailed(err, p.personal)
	o := vendorapi.OutcomeOf(err, ReasonWrongURL)
	switch {
	case absent && (v.Code == codeAbsent || v.Code == ""):
		v.Kind, o.State, o.Reason = vendorapi.Refused, pipeline.OutcomeRejected, ReasonNotFound
	case v.Status == http.StatusConflict && v.Code == codeConflict:
		v.Kind, v.After, o.State, o.Reason = vendorapi.Limited, conflictWait, pipeline.OutcomeLimited, ReasonProcessing
	case v.Status == http.StatusConflict:
		o.Reason = ReasonExists
	case v.Code == codeReused:
		o.Reason = ReasonKeyReused
	case v.Status == http.StatusUnprocessableEntity:
		o.Reason = ReasonInvalid
	case v.Status == http.StatusForbidden:
		o.Reason = ReasonForbidden
	case v.Code == codeQuota:
		o.Reason = ReasonQuota
	}
	return o, err
}

// KeyOf makes the idempotency key of a delivery. Keys count within the whole organisation, whatever the endpoint, so the
// operation is part of it (contract section 6).
func KeyOf(operation, delivery string) string {
	return fmt.Sprintf("trunkline-%s-%s", operation, delivery)
}
