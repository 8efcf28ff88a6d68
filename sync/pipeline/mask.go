package pipeline

import (
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	masked = "[masked]"
	// plainRunes is the length from which a value is masked wherever it stands; a shorter one only as a word of its own, lest
	// a lead called Al tore every "also" apart.
	plainRunes = 4
)

var jsonEscape = regexp.MustCompile(`\\u[0-9a-fA-F]{4}|\\/`)

// Mask returns text, which a destination sent, for people to read: the lead's personal values are masked in any letter case
// and spacing, also where the text spells them with HTML entities or JSON escapes, and control characters become blanks.
// Values of one character are left alone.
func Mask(text string, personal ...string) string {
	text = html.UnescapeString(jsonEscape.ReplaceAllStringFunc(text, decodeEscape))
	text = strings.Map(blankControl, text)
	var long, short []string
	for _, value := range personal {
		switch n := utf8.RuneCountInString(strings.TrimSpace(value)); {
		case n >= plainRunes:
			long = append(long, value)
		case n >= 2:
			short = append(short, value)
		}
	}
	if re := anyOf(long); re != nil {
		text = re.ReplaceAllLiteralString(text, masked)
	}
	if re := anyOf(short); re != nil {
		text = maskWords(text, re)
	}
	return text
}

// uncutBytes is the length below which an excerpt of an answer was certainly not cut (they end at 200 bytes).
const uncutBytes = 190

// WholeWords drops the last word of an excerpt that may have been cut in its middle: Mask would not know the rest of a name for
// one.
func WholeWords(excerpt string) string {
	if len(excerpt) < uncutBytes {
		return excerpt
	}
	return excerpt[:max(strings.LastIndexAny(excerpt, " \t\"',;<>"), 0)]
}

// Clip returns text in the form in which destinations take it: valid UTF-8, no control characters, no blanks at the ends,
// and at most limit characters (0 for no limit). cut tells whether something was lost to the limit.
func Clip(text string, limit int) (clipped string, cut bool) {
	text = strings.TrimSpace(strings.Map(blankControl, strings.ToValidUTF8(text, "")))
	if limit <= 0 || utf8.RuneCountInString(text) <= limit {
		return text, false
	}
	return strings.TrimSpace(string([]rune(text)[:limit])), true
}

func blankControl(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

func decodeEscape(escape string) string {
	if escape == `\/` {
		return "/"
	}
	code, err := strconv.ParseUint(escape[2:], 16, 32)
	if err != nil {
		return escape
	}
	return string(rune(code))
}

// anyOf matches any of the values, the longest first, with any blanks between their words.
func anyOf(values []string) *regexp.Regexp {
	if len(values) == 0 {
		return nil
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	patterns := make([]string, len(values))
	for i, value := range values {
		words := strings.Fields(value)
		for j, word := range words {
			words[j] = regexp.QuoteMeta(strings.ToValidUTF8(word, "?"))
		}
		patterns[i] = strings.Join(words, `\s+`)
	}
	return regexp.MustCompile(`(?i:` + strings.Join(patterns, "|") + `)`)
}

func maskWords(text string, re *regexp.Regexp) string {
	var b strings.Builder
	end := 0
	for _, hit := range re.FindAllStringIndex(text, -1) {
		before, _ := utf8.DecodeLastRuneInString(text[:hit[0]])
		after, _ := utf8.DecodeRuneInString(text[hit[1]:])
		if inWord(before) || inWord(after) {
			continue
		}
		b.WriteString(text[end:hit[0]] + masked)
		end = hit[1]
	}
	return b.String() + text[end:]
}

func inWord(r rune) bool { return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r)) }
