package dialedin

import (
	"fmt"
	"html"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Class is a kind of answer that an operator may describe by a pattern of their own.
type Class string

// The classes, as DIALEDIN_PATTERN_<CLASS> names them in upper case. Rejected and unknown have no default pattern: they serve
// to name texts that the rules would sort elsewhere.
const (
	ClassAccepted    Class = "accepted"
	ClassDuplicate   Class = "duplicate"
	ClassCredentials Class = "credentials"
	ClassRejected    Class = "rejected"
	ClassUnknown     Class = "unknown"
)

// Reasons of an outcome, for counting, beside those of vendorapi. The first two are pinned (interface.md section 5).
const (
	ReasonDuplicatePhone = "duplicate_phone"
	ReasonNotNANP        = "not_nanp"
	// ReasonNoClientID: the lead's id is empty or longer than the vendor's 50 characters.
	ReasonNoClientID = "no_client_id"
	// ReasonNothingToUpdate: no field had a value.
	ReasonNothingToUpdate = "nothing_to_update"
	// ReasonBadField: an update names a field that data may not fill.
	ReasonBadField = "bad_field"
	// ReasonNoScript: the operation's script is only assumed and was not configured.
	ReasonNoScript = "no_script"
	// ReasonRefused: the vendor said no in other words.
	ReasonRefused = "refused"
	// ReasonInner4xx and the next three: the front told how the customer's dialler server answered it.
	ReasonInner4xx     = "curl_error_4xx"
	ReasonInner5xx     = "curl_error_5xx"
	ReasonInnerCut     = "curl_error_cut"
	ReasonInnerOffline = "curl_error_not_connected"
	ReasonEmptyAnswer  = "empty_answer"
	ReasonHTMLAnswer   = "html_answer"
	ReasonUnreadable   = "unreadable_answer"
	ReasonAlreadyThere = "already_listed"
	// ReasonNotFoundScript: 404, a wrong base URL or script name.
	ReasonNotFoundScript = "not_found_script"
)

// rules are the compiled patterns of one account.
type rules struct {
	accepted, duplicate, credentials *regexp.Regexp
	// rejected and unknown are nil unless configured.
	rejected, unknown *regexp.Regexp
}

var (
	tag        = regexp.MustCompile(`(?s)<!--.*?-->|<[/!?a-zA-Z][^>]*>`)
	blanks     = regexp.MustCompile(`[\s\x{a0}\x{feff}]+`)
	page       = regexp.MustCompile(`(?i)<!doctype|<(?:html|head|body|title|form|script)\b`)
	curlError  = regexp.MustCompile(`(?i)curl err(?:or\s*\[\s*(\d+)\s*\])?`)
	resultText = regexp.MustCompile(`(?i)^result\s*:\s*(.*)$`)
	plainOK    = regexp.MustCompile(`(?i)^result ?: ?ok$`)
	looksOK    = regexp.MustCompile(`(?i)^ok\b`)
	// brokenScript is what PHP prints of its own failures; the word token in it says nothing of credentials.
	brokenScript = regexp.MustCompile(`(?i)\b(?:parse|syntax|fatal) error\b|unexpected token|uncaught |stack trace`)
)

func newRules(configured map[Class]string, f *faults) *rules {
	r := &rules{
		accepted:    plainOK,
		duplicate:   regexp.MustCompile(`(?i)duplicated phone`),
		credentials: regexp.MustCompile(`(?i)\b(?:token|accid|security)`),
	}
	target := map[Class]**regexp.Regexp{
		ClassAccepted: &r.accepted, ClassDuplicate: &r.duplicate, ClassCredentials: &r.credentials,
		ClassRejected: &r.rejected, ClassUnknown: &r.unknown,
	}
	for _, class := range slices.Sorted(maps.Keys(configured)) {
		variable := "DIALEDIN_PATTERN_" + strings.ToUpper(string(class))
		into, known := target[class]
		if !known {
			f.add(variable, "is no class of answers; there are ACCEPTED, DUPLICATE, CREDENTIALS, REJECTED and UNKNOWN")
			continue
		}
		re, err := regexp.Compile("(?i)" + configured[class])
		switch {
		case err != nil:
			f.add(variable, "is no regular expression")
		case re.MatchString(""):
			// It would match every answer, an empty one too.
			f.add(variable, "matches an empty answer")
		default:
			*into = re
		}
	}
	return r
}

// normalise brings an answer to one line of plain text: tags cut, entities decoded, white space collapsed (contract section 8).
func normalise(body []byte) string {
	text := tag.ReplaceAllString(strings.ToValidUTF8(string(body), "?"), " ")
	return strings.TrimSpace(blanks.ReplaceAllString(html.UnescapeString(text), " "))
}

// variant returns the known acceptance as it was spelt, tags emptied: the number of blanks and line breaks differs and may carry
// meaning (contract section 8). Of a text that only a configured pattern accepts it shows nothing, since that may quote the lead.
func variant(body []byte) string {
	if !plainOK.MatchString(normalise(body)) {
		return ""
	}
	return fmt.Sprintf("%.80q", tag.ReplaceAll(body, []byte("<>")))
}

// judge sorts the body of a 2xx answer to a push (contract section 8). Where the text leaves open whether the lead was
// stored, the answer is unknown, so that nobody is called twice. The personal values are the lead's own: where the vendor
// quotes them they are no text about our credentials.
func (r *rules) judge(body []byte, personal ...string) (pipeline.OutcomeState, string) {
	text := normalise(body)
	switch {
	case text == "":
		return pipeline.OutcomeUnknown, ReasonEmptyAnswer
	case r.unknown != nil && r.unknown.MatchString(text):
		return pipeline.OutcomeUnknown, ReasonUnreadable
	case r.duplicate.MatchString(text):
		return pipeline.OutcomeRejected, ReasonDuplicatePhone
	case r.accepted.MatchString(text):
		return pipeline.OutcomeConfirmed, ""
	case r.rejected != nil && r.rejected.MatchString(text):
		return pipeline.OutcomeRejected, ReasonRefused
	}
	if code := curlError.FindStringSubmatch(text); code != nil {
		return r.judgeInner(code[1], text, personal)
	}
	result := resultText.FindStringSubmatch(text)
	switch {
	case page.Match(body):
		return pipeline.OutcomeUnknown, ReasonHTMLAnswer
	case brokenScript.MatchString(text):
		return pipeline.OutcomeUnknown, ReasonUnreadable
	case r.speaksOfCredentials(text, personal):
		return pipeline.OutcomeDenied, vendorapi.ReasonCredentials
	case result == nil:
		return pipeline.OutcomeUnknown, ReasonUnreadable
	case result[1] == "", looksOK.MatchString(result[1]):
		// The front prints an empty result where its own connection failed; OK with something behind it is not the OK we know.
		return pipeline.OutcomeUnknown, ReasonUnreadable
	}
	return pipeline.OutcomeRejected, ReasonRefused
}

// judgeInner sorts an answer by the status that the customer's dialler server gave to the vendor's front; below 100 it is the
// front's transport code.
func (r *rules) judgeInner(digits, text string, personal []string) (pipeline.OutcomeState, string) {
	code, err := strconv.Atoi(digits)
	switch {
	case err != nil: // the text broke off before the number, or the number is none
		return pipeline.OutcomeUnknown, ReasonUnreadable
	case code == 6 || code == 7:
		return pipeline.OutcomeNotSent, ReasonInnerOffline
	case code < 100:
		return pipeline.OutcomeUnknown, ReasonInnerCut
	case code/100 == 4 && r.speaksOfCredentials(text, personal):
		return pipeline.OutcomeDenied, vendorapi.ReasonCredentials
	case code/100 == 4:
		return pipeline.OutcomeRejected, ReasonInner4xx
	default:
		return pipeline.OutcomeUnknown, ReasonInner5xx
	}
}

func (r *rules) speaksOfCredentials(text string, personal []string) bool {
	return r.credentials.MatchString(pipeline.Mask(text, personal...))
}
