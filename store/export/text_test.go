package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTextComesBack reads any text back as it was, out of CSV and JSON, and out of a guarded CSV with no formula in it.
func TestTextComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.OneOf(rapid.SampledFrom([]string{"=", "+", "-", "@", "\t", "\n", "\"", ",", "'", " ", "＝", "\u2028", "\u2029", "\u2027", "€", "\\", "5", ".", "\x7f", "\x01"}), rapid.String())
		text := strings.ReplaceAll(strings.Join(rapid.SliceOf(piece).Draw(t, "pieces"), ""), "\x00", "")
		text = strings.ReplaceAll(text, "\r", "") // the reader of the standard library makes \n of \r\n
		var asJSON string
		if err := json.Unmarshal(appendJSONString(nil, []byte(text)), &asJSON); err != nil || asJSON != text {
			t.Fatalf("JSON: %q, %v", asJSON, err)
		}
		for _, guard := range []bool{false, true} {
			var b bytes.Buffer
			e := newCSV(&b, []column{{name: "a"}, {name: "b"}}, guard)
			if err := e.write([][]byte{[]byte(text), nil}); err != nil {
				t.Fatal(err)
			}
			if err := e.close(); err != nil {
				t.Fatal(err)
			}
			records, err := csv.NewReader(&b).ReadAll()
			if err != nil || len(records) != 2 {
				t.Fatalf("CSV: %v, %v", records, err)
			}
			got := records[1][0]
			if bare := strings.TrimPrefix(got, "'"); guard && got != text && bare == text {
				got = bare
			} else if guard && text != "" && strings.ContainsAny(text[:1], "=+-@\t\r") && !isNumber([]byte(text)) {
				t.Fatalf("%q is not guarded", text)
			}
			if got != text {
				t.Fatalf("CSV: %q, want %q", got, text)
			}
		}
	})
}

func TestGuard(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"=1+1": true, "+1 415": true, "-": true, "@SUM(A1)": true, "\tx": true, "\rx": true, "-1+1": true, "+cmd|' /C calc'!A0": true, "-.5": true, " =1": true, "＝1": true,
		"-5": false, "+14155550100": false, "-0.25": false, "1=1": false, "": false, "'=1": false, "x@y.example": false,
	} {
		if got := dangerous([]byte(text)); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
