package pipeline_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestMask(t *testing.T) {
	t.Parallel()
	lead := pipeline.LeadView{
		Phone: "+13055550123", SecondPhone: "+61291234567", FirstName: "Al José", LastName: "O'Brien-Lee", BusinessName: "Birch  Hill Bakery",
		Email: "al@birch.example", Address: "1 Main St", State: "FL", Custom: map[string]string{"dob": "1980-02-29", "ok": "yes"},
	}
	for _, tc := range []struct{ name, text, want string }{
		{"nothing personal", "Result: campaign is closed also today", "Result: campaign is closed also today"},
		{"a short name as a word", "lead al is known", "lead [masked] is known"},
		{"a short name in words is no name", "also final", "also final"},
		{"letter case", "JOSÉ refused", "[masked] refused"},
		{"an accent beside blanks", "for José.", "for [masked]."},
		{"the whole name", "al josé o'brien-lee refused", "[masked] refused"},
		{"HTML entities", "O&#39;Brien-Lee refused", "[masked] refused"},
		{"JSON escapes", `{"n":"Jos\u00e9","p":"a\/b"}`, `{"n":"[masked]","p":"a/b"}`},
		{"other spacing", "birch hill\n bakery exists", "[masked] exists"},
		{"phones", "3055550123 +13055550123 13055550123 61291234567", "[masked] [masked] [masked] [masked]"},
		{"a custom value", "bad date 1980-02-29", "bad date [masked]"},
		{"a common custom value stays", "yes", "yes"},
		{"the state is no secret", "FL", "FL"},
		{"control characters", "a\x1b[31mb\x00c", "a [31mb c"},
		{"repeated short names", "al al,al", "[masked] [masked],[masked]"},
		{"text that is no UTF-8", "Jos\xe9 al \xff", "Jos\uFFFD [masked] \uFFFD"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := pipeline.Mask(tc.text, lead.Personal()...); got != tc.want {
				t.Errorf("Mask(%q) = %q, want %q", tc.text, got, tc.want)
			}
		})
	}
	if got := pipeline.Mask("as it is", "", " ", "a"); got != "as it is" {
		t.Errorf("empty values changed the text: %q", got)
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text  string
		limit int
		want  string
		cut   bool
	}{
		{" José ", 4, "José", false},
		{"Joséé", 4, "José", true},
		{"abc def", 4, "abc", true},
		{"a\x00b\r\nc", 0, "a b  c", false},
		{"\xff\xfeab", 0, "ab", false},
		{"", 3, "", false},
	} {
		if got, cut := pipeline.Clip(tc.text, tc.limit); got != tc.want || cut != tc.cut {
			t.Errorf("Clip(%q, %d) = %q, %v, want %q, %v", tc.text, tc.limit, got, cut, tc.want, tc.cut)
		}
	}
}

func TestWholeWords(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("word ", 38)
	for text, want := range map[string]string{
		"short Benja":            "short Benja",
		long + "Benja":           strings.TrimSuffix(long, " "),
		strings.Repeat("x", 200): "",
	} {
		if got := pipeline.WholeWords(text); got != want {
			t.Errorf("WholeWords(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestTenDigits(t *testing.T) {
	t.Parallel()
	for e164, want := range map[string]string{
		"+13055550123": "3055550123", "+18765551234": "8765551234",
		"+61412345678": "", "3055550123": "", "+11055550123": "", "+13051550123": "", "+130555501234": "", "+1305555012x": "", "": "", "+1": "",
	} {
		if got, ok := pipeline.TenDigits(e164); got != want || ok != (want != "") {
			t.Errorf("TenDigits(%q) = %q, %v, want %q", e164, got, ok, want)
		}
	}
	if diff := cmp.Diff([]string{"+61412345678", "61412345678"}, pipeline.PhoneForms("+61412345678")); diff != "" {
		t.Errorf("PhoneForms (-want +got):\n%s", diff)
	}
	if got := pipeline.MaskPhone("+13055550123"); got != "+*********23" {
		t.Errorf("MaskPhone = %q", got)
	}
}
