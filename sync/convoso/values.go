package convoso

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"github.com/tidwall/gjson"

	"github.com/trunkline/trunkline/sync/pipeline"
)

var (
	uuidShape  = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	seconds    = regexp.MustCompile(`^(\d{1,8})(\.\d*)?$`)
	clockShape = regexp.MustCompile(`^(\d{1,3}):(\d{2}):(\d{2})$`)
	amount     = regexp.MustCompile(`^\d{1,15}(\.\d{1,10})?$`)
)

// maxSeconds is 30 days: what is longer is no call.
const maxSeconds = 30 * 24 * 3600

// readSeconds reads a talk time, in seconds or as h:mm:ss; nil when it is neither.
func readSeconds(text string) *int {
	var total int
	if m := seconds.FindStringSubmatch(text); m != nil {
		total, _ = strconv.Atoi(m[1])
	} else if m := clockShape.FindStringSubmatch(text); m != nil {
		h, _ := strconv.Atoi(m[1])
		mins, _ := strconv.Atoi(m[2])
		secs, _ := strconv.Atoi(m[3])
		total = h*3600 + mins*60 + secs
	} else {
		return nil
	}
	if total > maxSeconds {
		return nil
	}
	return &total
}

// readAmount returns an exact decimal, without currency sign and thousands separators; empty when the text is none.
func readAmount(text string) string {
	text = strings.NewReplacer("$", "", ",", "", " ", "").Replace(text)
	if !amount.MatchString(text) {
		return ""
	}
	return text
}

// direction maps the call types of section 2; a three-way call has none.
func direction(text string) pipeline.Direction {
	switch strings.ToUpper(text) {
	case "OUTBOUND", "MANUAL", "OUT", "OUTGOING":
		return pipeline.Outbound
	case "INBOUND", "IN", "INCOMING":
		return pipeline.Inbound
	default:
		return ""
	}
}

// recordingOf returns the address of a recording: of a list of objects the first public_url, else src, else url, else file
// name; of a bare text the text, which may be a file name. Empty means that there is no recording (yet).
func recordingOf(text string) string {
	switch strings.ToLower(text) {
	case "", "null", "none", "n/a", "false", "0":
		return ""
	}
	if text[0] != '[' && text[0] != '{' {
		return text
	}
	var objects []map[string]json.RawMessage
	var one map[string]json.RawMessage
	var names []string
	switch {
	case json.Unmarshal([]byte(text), &objects) == nil:
	case json.Unmarshal([]byte(text), &one) == nil:
		objects = append(objects, one)
	case json.Unmarshal([]byte(text), &names) == nil:
		for _, name := range names {
			if name = strings.TrimSpace(name); name != "" {
				return name
			}
		}
		return ""
	default:
		return text
	}
	for _, want := range []string{"publicurl", "src", "url", "filename"} {
		for _, object := range objects {
			if found := member(object, want); found != "" {
				return found
			}
		}
	}
	return ""
}

// member returns the text of an object's member by the normal form of its key; of several the least key's.
func member(object map[string]json.RawMessage, want string) string {
	var chosen, value string
	for key, raw := range object {
		if normal(key) != want {
			continue
		}
		if text := pipeline.CleanText(strings.TrimSpace(valueText(gjson.ParseBytes(raw)))); text != "" && (chosen == "" || key < chosen) {
			chosen, value = key, text
		}
	}
	return value
}

// readPhone reads a number with its country code beside it, which may be digits or a country's two letters.
func (s Settings) readPhone(number, code string) pipeline.Phone {
	for _, try := range s.spellings(number, code) {
		if p := pipeline.ParsePhone(try.number, try.region); p.Valid {
			p.Raw = number
			return p
		}
	}
	return pipeline.Phone{Raw: number}
}

type spelling struct{ number, region string }

// spellings lists the ways to read a number, the most trusted first.
func (s Settings) spellings(number, code string) []spelling {
	number, code = strings.TrimSpace(number), strings.TrimSpace(code)
	if strings.HasPrefix(number, "+") {
		return []spelling{{number, s.Region}}
	}
	var ways []spelling
	if digits := onlyDigits(code); digits != "" {
		ways = append(ways, spelling{"+" + digits + " " + number, s.Region})
		if strings.HasPrefix(onlyDigits(number), digits) {
			ways = append(ways, spelling{"+" + number, s.Region})
		}
	} else if len(code) == 2 {
		ways = append(ways, spelling{number, code})
	}
	return append(ways, spelling{number, s.Region})
}

// optOutPhone returns the E.164 form under which an opt-out is kept. Unlike readPhone it also takes a number that the
// numbering plan does not know (plans grow faster than their tables): an opt-out must not get lost over that.
func (s Settings) optOutPhone(number, code string) string {
	if p := s.readPhone(number, code); p.Valid {
		return p.E164
	}
	for _, try := range s.spellings(number, code) {
		if n, err := phonenumbers.Parse(try.number, try.region); err == nil {
			return phonenumbers.Format(n, phonenumbers.E164)
		}
	}
	if digits := onlyDigits(number); len(digits) >= 3 && len(digits) <= 15 {
		return "+" + digits
	}
	return ""
}

func onlyDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}
