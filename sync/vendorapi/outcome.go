package vendorapi

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Reasons of outcomes that every destination has, for counting.
const (
	ReasonBadRequest   = "bad_request"
	ReasonCredentials  = "credentials"
	ReasonCut          = "answer_cut"
	ReasonLimited      = "limited"
	ReasonNotConnected = "not_connected"
	ReasonRedirected   = "redirected"
	ReasonServerError  = "server_error"
)

// OutcomeOf sorts a push that brought no 2xx answer (contracts: dialedin 8, convolo 4). wrongAddress is the destination's
// own reason for an answer that says that our URL is wrong.
func OutcomeOf(err error, wrongAddress string) pipeline.Outcome {
	v, ok := errors.AsType[*Error](err)
	if !ok {
		// Only the wait for the account's budget fails without a vendor error, and that is before anything is sent.
		return pipeline.Outcome{State: pipeline.OutcomeNotSent, Reason: ReasonNotConnected}
	}
	o := pipeline.Outcome{Detail: v.Detail}
	switch v.Kind {
	case Limited:
		o.State, o.Reason = pipeline.OutcomeLimited, ReasonLimited
	case Denied:
		o.State, o.Reason = pipeline.OutcomeDenied, ReasonCredentials
		if v.Status/100 == 3 {
			o.Reason = ReasonRedirected
		} else if WrongAddress(v.Status) {
			o.Reason = wrongAddress
		}
	case Refused:
		o.State, o.Reason = pipeline.OutcomeRejected, ReasonBadRequest
	case Transient, Unknown, Malformed:
		switch {
		case !v.Sent:
			o.State, o.Reason = pipeline.OutcomeNotSent, ReasonNotConnected
		case v.Status >= http.StatusBadRequest:
			// It may have been carried out before it failed: a phone may be ringing.
			o.State, o.Reason = pipeline.OutcomeUnknown, ReasonServerError
		default:
			o.State, o.Reason = pipeline.OutcomeUnknown, ReasonCut
		}
	}
	return o
}

// Withheld is what a push comes to that we refuse by ourselves, because the vendor could not take it: nothing leaves.
func Withheld(vendor, op, reason string) (pipeline.Outcome, error) {
	return pipeline.Outcome{State: pipeline.OutcomeRejected, Reason: reason, Detail: pipeline.DetailWithheld},
		&Error{Vendor: vendor, Op: op, Kind: Refused, Code: reason}
}

// WrongAddress tells whether the status of an answer to a push says that our URL is wrong: stop and alert, and give up
// nothing that was to be sent.
func WrongAddress(status int) bool {
	switch status {
	case http.StatusSwitchingProtocols, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return true
	}
	return status/100 == 3
}

// Masking returns the client with values masked besides its secrets, in every form that a secret may take, wherever an error
// quotes an answer.
func (c *Client) Masking(personal []string) *Client {
	masking := *c
	masking.Secrets = slices.Clone(c.Secrets)
	for _, value := range personal {
		masking.Secrets = append(masking.Secrets, Secret(value))
	}
	return &masking
}

// Mask makes an answer fit to be stored and logged: one line, without secrets and the personal values.
func (c *Client) Mask(text string, personal []string) string {
	return Excerpt([]byte(pipeline.Mask(text, personal...)), c.Masking(personal).Secrets...)
}

// PushFailed makes the error of a push without a 2xx answer fit to be stored and logged, and tells a wrong address from a
// refusal: that is Denied, since our settings are at fault and not what was pushed. The cause is kept unless it quotes the
// vendor, as one about a bad redirect does.
func (c *Client) PushFailed(err error, personal []string) error {
	v, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	v.Detail = c.Mask(pipeline.WholeWords(v.Detail), personal)
	if v.Err != nil {
		if text := v.Err.Error(); Scrub(pipeline.Mask(text, personal...), c.Masking(personal).Secrets...) != text {
			v.Err = errors.New(c.Mask(text, personal))
		}
	}
	if WrongAddress(v.Status) {
		v.Kind = Denied
	}
	return err
}

// Deny pauses the account when the text of an answer, and not its status, said that the credentials are wrong. Its context
// outlives a stop: the next daemon must not repeat what this one was just told.
func (c *Client) Deny(ctx context.Context) {
	if c.Gate == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	c.Gate.Denied(ctx)
}

// Report is what an operator is told of a push.
type Report struct {
	Operation string                `json:"operation"`
	State     pipeline.OutcomeState `json:"state"`
	// Reason is the outcome's, empty for a plain confirmation.
	Reason     string `json:"reason,omitempty"`
	ExternalID string `json:"external_id,omitempty"`
	// Reference is ours, by which the effect is found again.
	Reference string `json:"reference,omitempty"`
	// Detail is the answer's excerpt, masked.
	Detail string `json:"detail,omitempty"`
	// Notes say what was cut or left out of the request.
	Notes []string `json:"notes,omitempty"`
}
