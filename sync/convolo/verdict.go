package convolo

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"regexp"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Reasons of an outcome, for counting, beside those of vendorapi.
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
	ReasonEmptyAnswer = "empty_answer"
	// ReasonWrongURL: 404 and the like.
	ReasonWrongURL = "wrong_url"
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
