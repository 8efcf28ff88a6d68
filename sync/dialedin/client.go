package dialedin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
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
	return &Client{config: config, api: base, scripts: scripts, rules: rules, fields: fields}, nil
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

// operation is one kind of request.
type operation struct {
	name  string
	group Group
	// push marks an operation with an effect.
	push bool
	// repeatable marks a push that may be repeated without harm (law 5): a cut then calls for another try.
	repeatable bool
}

// Operations by the contract's names.
var (
	opInsert = operation{name: "InsertLead", group: GroupInsert, push: true}
	opUpdate = operation{name: "UpdateLead", group: GroupUpdate, push: true, repeatable: true}
	opSearch = operation{name: "SearchLead", group: GroupLead}
	opDNC    = operation{name: "InsertDnc", group: GroupLead, push: true, repeatable: true}
)

// post sends an operation as a POST form: token, phones and names stay out of URLs. The answer's body is not judged here.
// The personal values are masked where an error quotes the answer.
func (c *Client) post(ctx context.Context, op operation, form url.Values, personal []string) (*vendorapi.Response, error) {
	form.Set("token", c.config.Token.Reveal())
	form.Set("accid", c.config.AccID)
	api := c.api
	api.Secrets = c.hidden(personal)
	resp, err := api.Do(ctx, vendorapi.Request{
		Op: op.name, Method: http.MethodPost, Path: c.scripts[op.group], Lane: vendorapi.Live,
		Body: []byte(form.Encode()), ContentType: "application/x-www-form-urlencoded",
		Push: op.push, Keyed: op.repeatable,
	})
	if err == nil {
		return resp, nil
	}
	if v, ok := errors.AsType[*vendorapi.Error](err); ok {
		c.maskError(v, personal)
		if configFault(v.Status) {
			// Our settings are wrong, not the lead: nothing may be given up over it.
			v.Kind = vendorapi.Denied
		}
	}
	return nil, err
}

// push sends an operation with an effect and judges the answer. The error is nil exactly when the outcome is confirmed; else
// it is the vendorapi.Error to log and to wait by.
func (c *Client) push(ctx context.Context, op operation, form url.Values, personal []string) (pipeline.Outcome, error) {
	if c.scripts[op.group] == "" {
		return c.unsent(op, pipeline.OutcomeDenied, ReasonNoScript)
	}
	resp, err := c.post(ctx, op, form, personal)
	if err != nil {
		return outcomeOf(err), err
	}
	state, reason := c.rules.judge(resp.Body, personal...)
	detail := c.mask(normalise(resp.Body[:min(len(resp.Body), 2048)]), personal)
	if state == pipeline.OutcomeConfirmed {
		c.api.Log.DebugContext(ctx, "dialedin accepted", "op", op.name, "answer", variant(resp.Body))
		return pipeline.Outcome{State: state}, nil
	}
	if state == pipeline.OutcomeDenied {
		c.deny(ctx)
	}
	return pipeline.Outcome{State: state, Reason: reason, Detail: detail}, &vendorapi.Error{
		Vendor: c.api.Vendor, Op: op.name, Kind: kindOf(state, op), Status: resp.Status, Code: reason, Sent: true, Detail: detail,
	}
}

// deny pauses the account when the answer's text, and not its status, said that the credentials are wrong. Its context
// outlives a stop: the next daemon must not repeat what this one was just told.
func (c *Client) deny(ctx context.Context) {
	if c.api.Gate == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	c.api.Gate.Denied(ctx)
}

// unsent reports a request that was never made.
func (c *Client) unsent(op operation, state pipeline.OutcomeState, reason string) (pipeline.Outcome, error) {
	return pipeline.Outcome{State: state, Reason: reason},
		&vendorapi.Error{Vendor: c.api.Vendor, Op: op.name, Kind: kindOf(state, op), Code: reason}
}

// maskError masks what a failed request quotes. The cause is kept unless it quotes the vendor, as one about a bad redirect does.
func (c *Client) maskError(v *vendorapi.Error, personal []string) {
	v.Detail = c.mask(pipeline.WholeWords(v.Detail), personal)
	if v.Err == nil {
		return
	}
	if text := v.Err.Error(); vendorapi.Scrub(pipeline.Mask(text, personal...), c.hidden(personal)...) != text {
		v.Err = errors.New(c.mask(text, personal))
	}
}

// mask makes an answer fit to be stored and logged.
func (c *Client) mask(text string, personal []string) string {
	return vendorapi.Excerpt([]byte(pipeline.Mask(text, personal...)), c.hidden(personal)...)
}

// hidden returns what is masked in every form that a secret may take, hex and base64 among them.
func (c *Client) hidden(personal []string) []vendorapi.Secret {
	secrets := slices.Clone(c.api.Secrets)
	for _, value := range personal {
		secrets = append(secrets, vendorapi.Secret(value))
	}
	return secrets
}

// configFault tells whether a status says that base URL or script name are wrong (contract section 8: stop, alert).
func configFault(status int) bool {
	switch status {
	case http.StatusSwitchingProtocols, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return true
	}
	return status/100 == 3
}

// outcomeOf sorts a request that brought no 2xx answer.
func outcomeOf(err error) pipeline.Outcome {
	v, ok := errors.AsType[*vendorapi.Error](err)
	if !ok {
		// Only the wait for the account's budget fails without a vendor error, and that is before anything is sent.
		return pipeline.Outcome{State: pipeline.OutcomeNotSent, Reason: ReasonNotConnected}
	}
	o := pipeline.Outcome{Detail: v.Detail}
	switch v.Kind {
	case vendorapi.Limited:
		o.State, o.Reason = pipeline.OutcomeLimited, ReasonLimited
	case vendorapi.Denied:
		o.State, o.Reason = pipeline.OutcomeDenied, deniedReason(v.Status)
	case vendorapi.Refused:
		o.State, o.Reason = pipeline.OutcomeRejected, ReasonBadRequest
	case vendorapi.Transient, vendorapi.Unknown, vendorapi.Malformed:
		switch {
		case !v.Sent:
			o.State, o.Reason = pipeline.OutcomeNotSent, ReasonNotConnected
		case v.Status >= http.StatusBadRequest:
			o.State, o.Reason = pipeline.OutcomeUnknown, ReasonServerError
		default:
			o.State, o.Reason = pipeline.OutcomeUnknown, ReasonCut
		}
	}
	return o
}

func deniedReason(status int) string {
	switch {
	case status/100 == 3:
		return ReasonRedirected
	case configFault(status):
		return ReasonNotFoundScript
	}
	return ReasonCredentials
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
