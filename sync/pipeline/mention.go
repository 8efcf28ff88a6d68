package pipeline

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// between is what may stand between the digits of a number: blanks, brackets and the like, also as forms and JSON spell them.
const between = `(?:[^0-9A-Za-z]|%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}){0,4}`

// escaped ends in what may be a digit and is none of a number.
const escaped = `%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}`

// Mailbox tells whether a text is an e-mail address that may name somebody. What people write where they have none, such as
// "none" or "n/a", is not: many have it.
func Mailbox(text string) bool {
	address, err := mail.ParseAddress(text)
	if err != nil || address.Address != text {
		return false
	}
	domain := text[strings.LastIndexByte(text, '@')+1:]
	return strings.Contains(strings.Trim(domain, "."), ".")
}

// plainDigits is how many digits a number needs to be told from an id where neither a country's code nor a zero goes before it.
const plainDigits = 10

// TimePattern is a regular expression, for Go and for Postgres, that finds dates with their times as JSON and forms spell them, so
// that their digits are not taken for a number's. Put TimeGap in their place before a search by MentionPattern.
const (
	TimePattern = `(?:^|[^0-9]|%[0-9A-Fa-f]{2})(?:19|20)[0-9]{2}(?:-|/|%2[Ff])(?:0[1-9]|1[0-2])(?:-|/|%2[Ff])(?:0[1-9]|[12][0-9]|3[01])` +
		`(?:(?:[T +]|%20)[0-2][0-9](?::|%3[Aa])[0-5][0-9](?:(?::|%3[Aa])[0-5][0-9](?:[.][0-9]+)?)?)?`
	TimeGap = ` T `
)

var times = regexp.MustCompile(TimePattern)

// WithoutTimes takes the dates and times out of a text.
func WithoutTimes(text string) string { return times.ReplaceAllString(text, TimeGap) }

// MentionPattern returns a regular expression, for Go and for Postgres, that finds numbers in E.164 and e-mail addresses in text
// however they are spelt there: international, national or formatted, in JSON, in a form or in a query. It is empty for no
// name at all.
func MentionPattern(phones, emails []string) string {
	var any []string
	for _, phone := range phones {
		n, err := phonenumbers.Parse(phone, "")
		if err != nil {
			continue
		}
		digits := phonenumbers.GetNationalSignificantNumber(n)
		national := strings.Join(strings.Split(digits, ""), between)
		country := strings.Join(strings.Split(strconv.Itoa(int(n.GetCountryCode())), ""), between)
		code, trunk := fmt.Sprintf(`(?:%s%s)?`, country, between), `0?`
		if len(digits) < plainDigits {
			// Bare, it reads as any id.
			code, trunk = fmt.Sprintf(`(?:%s%s0?|0)`, country, between), ``
		}
		any = append(any, fmt.Sprintf(`(?:^|[^0-9]|%s)(?:0{1,2}|011)?%s%s%s%s%s(?:[^0-9]|$)`, escaped, between, code, trunk, between, national))
	}
	for _, email := range emails {
		if !Mailbox(email) {
			continue
		}
		var spelt strings.Builder
		for _, c := range []byte(strings.ToLower(email)) {
			if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
				spelt.WriteByte(c)
				continue
			}
			fmt.Fprintf(&spelt, `(?:%s|%%%02x|\\u%04x)`, regexp.QuoteMeta(string(rune(c))), c, c)
		}
		any = append(any, `(?:^|[^a-z0-9._+-]|`+escaped+`)`+spelt.String()+`(?:[^a-z0-9.-]|\.(?:[^a-z0-9]|$)|$)`)
	}
	if len(any) == 0 {
		return ""
	}
	return "(?i)" + strings.Join(any, "|")
}

// Digits returns the forms in which a number in E.164 comes once all but its digits is left out, without the zeros before it; a
// short national number has the one that tells it from an id.
func Digits(e164 string) []string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return nil
	}
	national := phonenumbers.GetNationalSignificantNumber(n)
	if len(national) < plainDigits {
		national = "0" + national
	}
	return []string{strings.TrimPrefix(e164, "+"), national}
}

var (
	digitRuns = regexp.MustCompile(`[0-9](?:[^0-9A-Za-z"]{0,4}[0-9]){6,17}`)
	addresses = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+`)
)

// Mentions returns what may be a number, in the forms of Digits, and what may be an e-mail address, in lower case, in a text of
// any kind. It errs on the side of finding too much.
func Mentions(text []byte) (digits, emails []string) {
	plain := jsonEscape.ReplaceAllStringFunc(string(text), decodeEscape)
	texts := []string{plain}
	if strings.Contains(plain, "%") {
		// A form; what is none is left as it is.
		if decoded, err := url.QueryUnescape(plain); err == nil {
			texts = append(texts, decoded)
		}
	}
	for _, text := range texts {
		for _, run := range digitRuns.FindAllString(WithoutTimes(text), -1) {
			bare := strings.Map(func(r rune) rune {
				if r < '0' || r > '9' {
					return -1
				}
				return r
			}, run)
			abroad, _ := strings.CutPrefix(bare, "011")
			digits = append(digits, strings.TrimLeft(bare, "0"), strings.TrimLeft(abroad, "0"))
			if strings.HasPrefix(bare, "0") {
				digits = append(digits, "0"+strings.TrimLeft(bare, "0"))
			}
		}
		for _, address := range addresses.FindAllString(text, -1) {
			emails = append(emails, strings.ToLower(address))
		}
	}
	slices.Sort(digits)
	slices.Sort(emails)
	return slices.Compact(digits), slices.Compact(emails)
}
