package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCleanJSON(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	deepObjects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	tests := []struct {
		name, in, want, reason string
	}{
		{name: "plain", in: `{"a":[1,2.5,-3e4,true,false,null,"x"],"b":{}}`},
		{name: "blanks", in: " \n\t\r{ \"a\" : [ ] , \"b\" : 1 } \n"},
		{name: "scalar", in: `"text"`},
		{name: "nul escape", in: `{"a":"x\u0000y"}`, want: "{\"a\":\"x\uFFFDy\"}"},
		{name: "nul escape in a key", in: `{"\u0000":1}`, want: "{\"\uFFFD\":1}"},
		{name: "two nul escapes", in: `["\u0000\u0000z"]`, want: "[\"\uFFFD\uFFFDz\"]"},
		{name: "escaped backslash before u0000", in: `["\\u0000"]`},
		{name: "backslash, then nul escape", in: `["\\\u0000"]`, want: "[\"\\\\\uFFFD\"]"},
		{name: "pair", in: `["\ud83d\ude00","\uD83D\uDE00"]`},
		{name: "lone high", in: `["\ud83dx"]`, want: "[\"\uFFFDx\"]"},
		{name: "lone low", in: `["\ude00"]`, want: "[\"\uFFFD\"]"},
		{name: "high before an ordinary escape", in: `["\ud83d\n"]`, want: "[\"\uFFFD\\n\"]"},
		{name: "high before a nul escape", in: `["\ud83d\u0000"]`, want: "[\"\uFFFD\uFFFD\"]"},
		{name: "two highs and a low", in: `["\ud83d\ud83d\ude00"]`, want: "[\"\uFFFD\\ud83d\\ude00\"]"},
		{name: "invalid utf-8", in: "[\"a\xffb\"]", want: "[\"a\uFFFDb\"]"},
		{name: "surrogate as utf-8", in: "[\"\xed\xa0\x80\"]", want: "[\"\uFFFD\uFFFD\uFFFD\"]"},
		{name: "cut rune", in: "[\"\xe2\x82\"]", want: "[\"\uFFFD\uFFFD\"]"},
		{name: "replacement rune is fine", in: "[\"\uFFFD\"]"},
		{name: "deepest", in: deep(500)},
		{name: "deepest objects", in: deepObjects(500)},
		{name: "too deep", in: deep(501), reason: ReasonNesting},
		{name: "absurdly deep", in: deep(100_000), reason: ReasonNesting},
		{name: "mixed depth across words", in: strings.Repeat(`[{"a":`, 70) + "1" + strings.Repeat("}]", 70)},
		{name: "largest number", in: "9e131071"},
		{name: "number too large", in: "1e131072", reason: ReasonNumber},
		{name: "smallest number", in: "1e-16383"},
		{name: "number too small", in: "1e-16384", reason: ReasonNumber},
		{name: "fraction moves the point", in: "0.0001e131075"},
		{name: "fraction moves the point too far", in: "0.0001e131076", reason: ReasonNumber},
		{name: "many digits", in: strings.Repeat("9", 131072)},
		{name: "too many digits", in: strings.Repeat("9", 131073), reason: ReasonNumber},
		{name: "many decimals", in: "0." + strings.Repeat("1", 16383)},
		{name: "too many decimals", in: "0." + strings.Repeat("1", 16384), reason: ReasonNumber},
		{name: "zero times much", in: "0e400000"},
		{name: "zero with too many decimals", in: "0e-16384", reason: ReasonNumber},
		{name: "absurd exponent", in: "1e" + strings.Repeat("9", 400), reason: ReasonNumber},
		{name: "empty", in: "", reason: ReasonNotJSON},
		{name: "blank", in: "  ", reason: ReasonNotJSON},
		{name: "cut object", in: `{"a":1`, reason: ReasonNotJSON},
		{name: "cut text", in: `{"a`, reason: ReasonNotJSON},
		{name: "cut escape", in: `"\`, reason: ReasonNotJSON},
		{name: "cut unit", in: `"\u00"`, reason: ReasonNotJSON},
		{name: "unknown escape", in: `"\x41"`, reason: ReasonNotJSON},
		{name: "raw newline in text", in: "\"a\nb\"", reason: ReasonNotJSON},
		{name: "raw nul in text", in: "\"a\x00b\"", reason: ReasonNotJSON},
		{name: "wrong bracket", in: `{"a":[1}]`, reason: ReasonNotJSON},
		{name: "trailing comma", in: `[1,]`, reason: ReasonNotJSON},
		{name: "trailing comma in an object", in: `{"a":1,}`, reason: ReasonNotJSON},
		{name: "no comma", in: `[1 2]`, reason: ReasonNotJSON},
		{name: "no colon", in: `{"a" 1}`, reason: ReasonNotJSON},
		{name: "bare key", in: `{a:1}`, reason: ReasonNotJSON},
		{name: "two documents", in: `{}{}`, reason: ReasonNotJSON},
		{name: "leading zero", in: `01`, reason: ReasonNotJSON},
		{name: "bare minus", in: `-`, reason: ReasonNotJSON},
		{name: "bare point", in: `1.`, reason: ReasonNotJSON},
		{name: "bare exponent", in: `1e+`, reason: ReasonNotJSON},
		{name: "not a number", in: `NaN`, reason: ReasonNotJSON},
		{name: "cut literal", in: `tru`, reason: ReasonNotJSON},
		{name: "byte order mark", in: "\uFEFF{}", reason: ReasonNotJSON},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, changed, err := CleanJSON([]byte(tt.in))
			if tt.reason != "" {
				e, ok := errors.AsType[*UnstorableError](err)
				if !ok || e.Reason != tt.reason {
					t.Fatalf("got error %v, want reason %q", err, tt.reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := tt.want
			if want == "" {
				want = tt.in
			}
			if string(got) != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if changed != (tt.want != "") {
				t.Errorf("changed = %v", changed)
			}
		})
	}
}

// Not parallel: testing.AllocsPerRun does not allow it.
func TestCleanJSONReturnsTheSameBytes(t *testing.T) {
	raw := []byte(`{"a":"ordinary","b":[1,2,3]}`)
	allocs := testing.AllocsPerRun(100, func() {
		clean, _, err := CleanJSON(raw)
		if err != nil || &clean[0] != &raw[0] {
			t.Fatal("a clean document was copied")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations for a clean document, want 0", allocs)
	}
}

func TestCleanText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                 "",
		"plain é":          "plain é",
		"a\x00b":           "ab",
		"a\xffb":           "a\uFFFDb",
		"\x00\xc3\x00\x28": "\uFFFD(",
		"\xc3\x00\xa9":     "\uFFFD\uFFFD",
	} {
		got := CleanText(in)
		if got != want {
			t.Errorf("CleanText(%q) = %q, want %q", in, got, want)
		}
		if again := CleanText(got); again != got {
			t.Errorf("CleanText(%q) is not stable: %q", got, again)
		}
	}
}

// tokens reads a document with the standard decoder, NULs seen as CleanJSON leaves them.
func tokens(t *testing.T, doc []byte) []json.Token {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	var all []json.Token
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%q: %v", doc, err)
		}
		if s, ok := tok.(string); ok {
			tok = strings.ReplaceAll(s, "\x00", replacement)
		}
		all = append(all, tok)
	}
}

func FuzzCleanJSON(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-2.5e3,true,null,"x\u0000\ud800\\u0000"]}`, `"\ud83d\ude00"`, "[\"\xff\"]", `0.00e-5`, `[[[{}]]]`, `{"a":1,}`, ` 1 `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		clean, changed, err := CleanJSON(raw)
		if !bytes.Equal(raw, before) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			e, ok := errors.AsType[*UnstorableError](err)
			if !ok {
				t.Fatalf("error of type %T", err)
			}
			if (e.Reason == ReasonNotJSON) && json.Valid(raw) {
				t.Fatalf("%q is JSON, yet %v", raw, err)
			}
			return
		}
		if !json.Valid(raw) || !json.Valid(clean) || !utf8.Valid(clean) {
			t.Fatalf("%q was let through as %q", raw, clean)
		}
		if changed == bytes.Equal(raw, clean) {
			t.Fatalf("changed = %v for %q and %q", changed, raw, clean)
		}
		if again, changed, err := CleanJSON(clean); err != nil || changed || !bytes.Equal(again, clean) {
			t.Fatalf("%q is not stable: %q, %v", clean, again, err)
		}
		want, got := tokens(t, raw), tokens(t, clean)
		if len(want) != len(got) {
			t.Fatalf("%d tokens became %d", len(want), len(got))
		}
		for i := range want {
			if want[i] != got[i] {
				t.Fatalf("token %d: %q became %q", i, want[i], got[i])
			}
		}
	})
}

func BenchmarkCleanJSON(b *testing.B) {
	raw := []byte(`{"type":"call.outbound","data":{"attemptId":501,"phoneNumber":"+61400111222","durations":{"dial":7,"interaction":41},` +
		`"timestamps":{"created":"2024-03-02T09:00:00+11:00","answered":"2024-03-02T09:00:07+11:00"},"activityId":9001,` +
		`"agentFullName":"A. Agent","wrapCode":4,"wrapDescription":"Callback","voicemailMetadata":[]}}`)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := CleanJSON(raw); err != nil {
			b.Fatal(err)
		}
	}
}
