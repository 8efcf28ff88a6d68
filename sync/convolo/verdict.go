package convolo

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"regexp"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Reasons of an outcome, for counting.
const (
	// ReasonNoPhone: the lead has no number in E.164; nothing was sent.
	ReasonNoPhone = "no_phone"
	// ReasonNoReference: a call without our reference could never be joined with its webhooks; nothing was sent.
	ReasonNoReference = "no_reference"
	// ReasonBadParameter: a custom parameter's name is not allowed, reserved, or given twice; nothing was sent.
	ReasonBadParameter = "bad_parameter"
	// ReasonRefused: a 2xx answer said success false.
	ReasonRefused    = "refused"
	ReasonHTMLAnswer = "html_answer"
	// ReasonUnreadable goes with a confirmed outcome: a 2xx answer that is neither JSON nor HTML counts as accepted, and the
	// webhooks will tell.
	ReasonUnreadable = "unreadable_answer"
	// ReasonEmptyAnswer goes with a confirmed outcome in the same way.
	ReasonEmptyAnswer  = "empty_answer"
	ReasonBadRequest   = "bad_request"
	ReasonCredentials  = "credentials"
	ReasonRedirected   = "redirected"
	ReasonWrongURL     = "wrong_url"
	ReasonLimited      = "limited"
	ReasonServerError  = "server_error"
	ReasonCut          = "answer_cut"
	ReasonNotConnected = "not_connected"
)

var (
	page     = regexp.MustCompile(`(?i)^\s*<(?:!doctype|!--|\?xml|html|head|body|[a-z][a-z0-9]*[\s>/])`)
	callForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// judge sorts a 2xx answer (contract section 4). Success false is a refusal, and so is a page of HTML, as after a move of the
// service; everything else was accepted.
func judge(header http.Header, body []byte) pipeline.Outcome {
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	var answer struct {
		Success any `json:"success"`
		CallID  any `json:"call_id"`
	}
	if len(body) == 0 {
		return pipeline.Outcome{State: pipeline.OutcomeConfirmed, Reason: ReasonEmptyAnswer}
	}
	if json.Unmarshal(body, &answer) != nil {
		if kind, _, _ := mime.ParseMediaType(header.Get("Content-Type")); strings.Contains(kind, "html") || page.Match(body) {
			return pipeline.Outcome{State: pipeline.OutcomeRejected, Reason: ReasonHTMLAnswer}
		}
		return pipeline.Outcome{State: pipeline.OutcomeConfirmed, Reason: ReasonUnreadable}
	}
	if refused(answer.Success) {
		return pipeline.Outcome{State: pipeline.OutcomeRejected, Reason: ReasonRefused}
	}
	outcome := pipeline.Outcome{State: pipeline.OutcomeConfirmed}
	if id, ok := answer.CallID.(string); ok && callForm.MatchString(id) {
		outcome.ExternalID = id
	}
	return outcome
}

// refused takes the spellings of false that a loosely typed server may send.
func refused(success any) bool {
	switch v := success.(type) {
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return strings.EqualFold(v, "false") || v == "0"
	}
	return false
}

// configFault tells whether a status says that the URL is wrong (contract section 4: alarm, do not follow).
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
			// A phone may be ringing all the same.
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
		return ReasonWrongURL
	}
	return ReasonCredentials
}
