package dialedin

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Client speaks to one DialedIn account. It is safe for concurrent use.
type Client struct {
	config  Config
	api     vendorapi.Client
	scripts map[Group]string
	rules   *rules
	fields  *fieldMap
	// operations are by their names.
	operations map[string]operation
}

// NewClient returns a client of the account. HTTP, Now, Log, Gate and Observe are taken from base, the rest from the
// configuration. The error joins every fault, one line each, naming the variable and no value of a secret.
func NewClient(config Config, base vendorapi.Client) (*Client, error) {
	u, scripts, rules, fields, err := config.check()
	if err != nil {
		return nil, err
	}
	base.Vendor, base.Base, base.Timeout = "dialedin", u, config.Timeout
	base.Secrets = append(slices.Clone(base.Secrets), config.Token, vendorapi.Secret(config.AccID))
	byName := map[string]operation{}
	for _, op := range operations() {
		byName[op.name] = op
	}
	return &Client{config: config, api: base, scripts: scripts, rules: rules, fields: fields, operations: byName}, nil
}

// SuppressesDuplicates tells whether the vendor refuses a second insert of the same phone under these settings. Without it an
// insert of unknown outcome must never be repeated by itself (contract section 9).
func (c *Client) SuppressesDuplicates() bool { return c.config.DuplicatesCheck != 1 }

// Rings tells whether an insert may ring somebody; without dialling it only imports.
func (c *Client) Rings() bool { return c.config.Dial }

// Turn waits for the account's budget ahead of a request: the first one made with the returned context starts at once.
func (c *Client) Turn(ctx context.Context) (context.Context, error) {
	return c.api.Turn(ctx, vendorapi.Live)
}

// op returns one of the operations that the program runs by itself.
func (c *Client) op(name string) operation { return c.operations[name] }

// post sends an operation as a POST form: token, phones and names stay out of URLs. The answer's body is not judged here.
// The personal values are masked where an error quotes the answer.
func (c *Client) post(ctx context.Context, op operation, form url.Values, personal []string) (*vendorapi.Response, error) {
	form.Set("token", c.config.Token.Reveal())
	form.Set("accid", c.config.AccID)
	resp, err := c.api.Masking(personal).Do(ctx, vendorapi.Request{
		Op: op.name, Method: http.MethodPost, Path: c.scripts[op.group], Lane: vendorapi.Live,
		Body: []byte(form.Encode()), ContentType: "application/x-www-form-urlencoded",
		Push: op.effect != vendorapi.Reads, Keyed: op.repeatable,
	})
	return resp, c.api.PushFailed(err, personal)
}

// push sends an operation with an effect and judges the answer. The error is nil exactly when the outcome is confirmed; else
// it is the vendorapi.Error to log and to wait by.
func (c *Client) push(ctx context.Context, op operation, form url.Values, personal []string) (pipeline.Outcome, error) {
	if c.scripts[op.group] == "" {
		return c.unsent(op, pipeline.OutcomeDenied, ReasonNoScript)
	}
	resp, err := c.post(ctx, op, form, personal)
	if err != nil {
		return vendorapi.OutcomeOf(err, ReasonNotFoundScript), err
	}
	state, reason := c.rules.judge(resp.Body, personal...)
	detail := c.api.Mask(normalise(resp.Body[:min(len(resp.Body), 2048)]), personal)
	if state == pipeline.OutcomeConfirmed {
		c.api.Log.DebugContext(ctx, "dialedin accepted", "op", op.name, "answer", variant(resp.Body))
		return pipeline.Outcome{State: state, Detail: detail}, nil
	}
	if state == pipeline.OutcomeDenied {
		c.api.Deny(ctx)
	}
	return pipeline.Outcome{State: state, Reason: reason, Detail: detail}, &vendorapi.Error{
		Vendor: c.api.Vendor, Op: op.name, Kind: kindOf(state, op), Status: resp.Status, Code: reason, Sent: true, Detail: detail,
	}
}

// unsent reports a request that was never made.
func (c *Client) unsent(op operation, state pipeline.OutcomeState, reason string) (pipeline.Outcome, error) {
	if state == pipeline.OutcomeRejected {
		return vendorapi.Withheld(c.api.Vendor, op.name, reason)
	}
	return pipeline.Outcome{State: state, Reason: reason},
		&vendorapi.Error{Vendor: c.api.Vendor, Op: op.name, Kind: kindOf(state, op), Code: reason}
}

// kindOf is the error kind that goes with an outcome.
func kindOf(state pipeline.OutcomeState, op operation) vendorapi.Kind {
	switch state {
	case pipeline.OutcomeRejected:
		return vendorapi.Refused
	case pipeline.OutcomeDenied:
		return vendorapi.Denied
	case pipeline.OutcomeLimited:
		return vendorapi.Limited
	case pipeline.OutcomeUnknown:
		if op.repeatable {
			return vendorapi.Transient
		}
		return vendorapi.Unknown
	case pipeline.OutcomeNotSent, pipeline.OutcomeConfirmed:
	}
	return vendorapi.Transient
}

// maxClientID is the vendor's limit on ClientId (contract section 4.3).
const maxClientID = 50

func usableID(clientID string) bool {
	return strings.TrimSpace(clientID) != "" && utf8.RuneCountInString(clientID) <= maxClientID
}
