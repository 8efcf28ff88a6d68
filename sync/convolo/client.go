package convolo

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Client speaks to one Convolo widget. It is safe for concurrent use.
type Client struct {
	config Config
	api    vendorapi.Client
}

// NewClient returns a client of the widget. HTTP, Now, Log, Gate and Observe are taken from base, the rest from the
// configuration. The error joins every fault, one line each, naming the variable and no value.
func NewClient(config Config, base vendorapi.Client) (*Client, error) {
	u, err := config.check()
	if err != nil {
		return nil, err
	}
	config.Agents = slices.Clone(config.Agents)
	base.Vendor, base.Base, base.Timeout = "convolo", u, config.Timeout
	base.Secrets = append(slices.Clone(base.Secrets), config.APIKey, config.WidgetKey)
	return &Client{config: config, api: base}, nil
}

// Turn waits for the account's budget ahead of a request: the first one made with the returned context starts at once.
func (c *Client) Turn(ctx context.Context) (context.Context, error) {
	return c.api.Turn(ctx, vendorapi.Live)
}

const opStartCall = "StartCall"

// StartCall asks for one call to the lead now: agents first, then the lead's phone and, where that fails, the second one
// (contract sections 1 to 4). Ref is the delivery's id; it comes back in the webhooks and is the only way to join them with
// this request. Params are further custom parameters, names without prefix; values are cut to 255 characters.
//
// The request is sent once and never repeated here: confirmed means accepted, and the webhooks tell the rest. The error is nil
// exactly when the outcome is confirmed; else it is the vendorapi.Error to log and to wait by.
func (c *Client) StartCall(ctx context.Context, ref string, lead pipeline.LeadView, params map[string]string) (pipeline.Outcome, error) {
	body, notes, reason := c.callBody(ref, lead, params)
	if reason != "" {
		return vendorapi.Withheld(c.api.Vendor, opStartCall, reason)
	}
	outcome, err := c.send(ctx, body, c.personal(lead, params))
	if outcome.State == pipeline.OutcomeConfirmed {
		outcome.Note(notes)
	}
	return outcome, err
}

// send makes the one request. The personal values are masked in what is told of the answer.
func (c *Client) send(ctx context.Context, body map[string]string, personal []string) (pipeline.Outcome, error) {
	raw, err := c.encode(body)
	if err != nil {
		return vendorapi.Withheld(c.api.Vendor, opStartCall, ReasonBadParameter)
	}
	resp, err := c.api.Masking(personal).Do(ctx, vendorapi.Request{
		Op: opStartCall, Method: http.MethodPost, Lane: vendorapi.Live, Push: true, Body: raw, ContentType: "application/json",
	})
	if err != nil {
		err = c.api.PushFailed(err, personal)
		return vendorapi.OutcomeOf(err, ReasonWrongURL), err
	}
	outcome := judge(resp.Header, resp.Body)
	outcome.Detail = c.api.Mask(string(resp.Body[:min(len(resp.Body), 2048)]), personal)
	if outcome.State == pipeline.OutcomeConfirmed {
		return outcome, nil
	}
	return outcome, &vendorapi.Error{
		Vendor: c.api.Vendor, Op: opStartCall, Kind: vendorapi.Refused, Status: resp.Status, Code: outcome.Reason, Sent: true, Detail: outcome.Detail,
	}
}

// personal returns what of the request must not be quoted: the lead's values, the parameters and the agents.
func (c *Client) personal(lead pipeline.LeadView, params map[string]string) []string {
	values := lead.Personal()
	for _, value := range params {
		values = append(values, value)
	}
	for _, agent := range c.config.Agents {
		values = append(values, agent.Name, agent.Phone, strings.TrimPrefix(agent.Phone, "+"))
	}
	return values
}

// Render returns the request that StartCall would send, as a person may see it: keys and phones are masked. The error names
// the reason why no request would be sent.
func (c *Client) Render(ref string, lead pipeline.LeadView, params map[string]string) (pipeline.Rendered, error) {
	body, notes, reason := c.callBody(ref, lead, params)
	if reason != "" {
		return pipeline.Rendered{}, fmt.Errorf("rendering convolo %s: would be rejected: %s", opStartCall, reason)
	}
	body["widget_key"], body["api_key"] = c.config.WidgetKey.String(), c.config.APIKey.String()
	for name, value := range body {
		if name == "lc_number" || name == "lc_number_2" || strings.HasSuffix(name, "phone") {
			body[name] = pipeline.MaskPhone(value)
		}
	}
	return pipeline.Rendered{Method: http.MethodPost, URL: c.api.Base.String(), Params: body, Notes: notes}, nil
}
