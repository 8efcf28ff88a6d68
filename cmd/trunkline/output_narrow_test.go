package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// TestNarrowTable: what has no room beside the first columns follows below its row, by name, and what is empty is left out.
func TestNarrowTable(t *testing.T) {
	t.Parallel()
	head := []string{"ID", "STATE", "REASON", "ERROR", ""}
	rows := [][]string{
		{"0198", "rejected", "a_reason", "dialedin InsertLead: refused by us, not sent, code not_nanp", ""},
		{"0199", "ready", "-", "", "overruled"},
	}
	show := func(width int) string {
		w := &sizedBuffer{width: width}
		if err := table(w, head, rows); err != nil {
			t.Fatal(err)
		}
		return w.String()
	}
	if got, want := show(40), `ID    STATE     REASON
0198  rejected  a_reason
    error: dialedin InsertLead: refused
      by us, not sent, code not_nanp
0199  ready     -
    overruled
`; got != want {
		t.Errorf("at 40 columns:\n%s\nwant\n%s", got, want)
	}
	for _, width := range []int{0, 200} {
		if got := show(width); !strings.HasPrefix(got, "ID    STATE     REASON    ERROR ") || strings.Count(got, "\n") != 3 {
			t.Errorf("at %d columns:\n%s", width, got)
		}
	}
}

// TestNarrowTableFits: no line is wider than the terminal unless a single word is, and no word is lost.
func TestNarrowTableFits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(30, 90).Draw(t, "width")
		words := rapid.SliceOfN(rapid.StringMatching(`[a-zé]{1,12}`), 1, 8)
		cell := rapid.Map(words, func(w []string) string { return strings.Join(w, " ") })
		rows := rapid.SliceOfN(rapid.SliceOfN(cell, 4, 4), 1, 4).Draw(t, "rows")
		for i := range rows {
			rows[i][0] = "id"
		}
		w := &sizedBuffer{width: width}
		if err := table(w, []string{"ID", "B", "C", "D"}, rows); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(w.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, " \n")); n > width {
				t.Fatalf("%d columns of %d: %q\n%s", n, width, line, w.String())
			}
		}
		told := strings.Fields(w.String())
		for _, row := range rows {
			for _, word := range strings.Fields(strings.Join(row, " ")) {
				found := false
				for _, s := range told {
					found = found || s == word
				}
				if !found {
					t.Fatalf("%q is lost in\n%s", word, w.String())
				}
			}
		}
	})
}

func TestBrief(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 43 * time.Second: "43s", 123 * time.Second: "2m3s", 20*time.Minute + 21*time.Second: "20m", 59*time.Minute + 40*time.Second: "1h0m",
		80 * time.Minute: "1h20m", 47 * time.Hour: "47h0m", 76 * time.Hour: "3d4h",
	} {
		if got := brief(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
