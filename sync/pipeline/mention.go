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
		national := strings.Join(strings.Split(phonenumbers.GetNationalSignificantNumber(n), ""), between)
		country := strings.Join(strings.Split(strconv.Itoa(int(n.GetCountryCode())), ""), between)
		any = append(any, fmt.Sprintf(`(?:^|[^0-9]|%s)(?:0{1,2}|011)?%s(?:%s%s)?0?%s%s(?:[^0-9]|$)`, escaped, between, country, between, between, national))
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

// Digits returns the forms in which a number in E.164 comes once all but its digits is left out, without the zeros before it.
func Digits(e164 string) []string {
	n, err := phonenumbers.Parse(e164, "")
	if err != nil {
		return nil
	}
	return []string{strings.TrimPrefix(e164, "+"), phonenumbers.GetNationalSignificantNumber(n)}
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
		for _, run := range digitRuns.FindAllString(text, -1) {
			bare := strings.Map(func(r rune) rune {
				if r < '0' || r > '9' {
					return -1
				}
				return r
			}, run)
			abroad, _ := strings.CutPrefix(bare, "011")
			digits = append(digits, strings.TrimLeft(bare, "0"), strings.TrimLeft(abroad, "0"))
		}
		for _, address := range addresses.FindAllString(text, -1) {
			emails = append(emails, strings.ToLower(address))
		}
	}
	slices.Sort(digits)
	slices.Sort(emails)
	return slices.Compact(digits), slices.Compact(emails)
}
