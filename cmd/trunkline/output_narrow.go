package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// gap stands between two columns, under that what a narrow terminal has no room for beside them.
const (
	gap   = "  "
	under = "    "
)

// sizedBuffer holds what will be shown on a terminal of so many columns, 0 for none.
type sizedBuffer struct {
	bytes.Buffer
	width int
}

// columnsOf is how many columns a terminal has; 0 for what is none, which may be as wide as it likes.
func columnsOf(w io.Writer) int {
	switch to := w.(type) {
	case *sizedBuffer:
		return to.width
	case *os.File:
		if width, _, err := term.GetSize(int(to.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// tooWide tells whether a table would be broken over lines by the terminal itself, where nobody can read it.
func tooWide(width int, widths []int) bool {
	total := -len(gap)
	for _, w := range widths {
		total += w + len(gap)
	}
	return width > 0 && total > width
}

// widthsOf are those of a table's columns.
func widthsOf(head []string, rows [][]string) []int {
	widths := make([]int, len(head))
	for i, name := range head {
		widths[i] = utf8.RuneCountInString(name)
	}
	for _, row := range rows {
		for i, text := range row[:min(len(row), len(head))] {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	return widths
}

// narrowTable prints rows for a terminal that is too narrow: the first columns that fit stand side by side, and below each row the
// others follow with their names, those without a value left out.
func narrowTable(w io.Writer, width int, head []string, rows [][]string) error {
	widths := widthsOf(head, rows)
	fit := len(head)
	for fit > 1 && tooWide(width, widths[:fit]) {
		fit--
	}
	side := func(cells []string) string {
		var b strings.Builder
		for i, text := range cells {
			b.WriteString(text + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)) + gap)
		}
		return strings.TrimRight(b.String(), " ")
	}
	var out strings.Builder
	out.WriteString(side(head[:fit]) + "\n")
	for _, row := range rows {
		if line := side(row[:fit]); line != "" {
			out.WriteString(line + "\n")
		}
		var rest []string
		for i := fit; i < len(row); i++ {
			switch text := row[i]; {
			case text == "" || text == "-":
			case head[i] == "":
				rest = append(rest, text)
			default:
				rest = append(rest, strings.ToLower(head[i])+": "+text)
			}
		}
		out.WriteString(flow(width, rest))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// flow puts parts beside each other as they fit below a row, and those that do not fit a line at their blanks.
func flow(width int, parts []string) string {
	var out strings.Builder
	line := ""
	end := func() {
		if line != "" {
			out.WriteString(under + line + "\n")
		}
		line = ""
	}
	room := width - len(under)
	for _, part := range parts {
		if line != "" && utf8.RuneCountInString(line+gap+part) > room {
			end()
		}
		if line != "" {
			line += gap
		}
		for _, word := range strings.Split(part, " ") {
			if line != "" && utf8.RuneCountInString(line+word)+1 > room {
				line = strings.TrimRight(line, " ")
				end()
				word = gap + word // belongs to what stands above
			}
			if line != "" && !strings.HasSuffix(line, " ") {
				line += " "
			}
			line += word
		}
	}
	end()
	return out.String()
}

// field prints a name and its value, which goes on below itself on a terminal where it is too long for a line.
func field(w io.Writer, name, value string) {
	const begins = 2 + 10 + 2
	lead := fmt.Sprintf("  %-10s  ", name)
	room := columnsOf(w) - begins
	if room < 20 {
		fmt.Fprintln(w, lead+value)
		return
	}
	line := ""
	for _, word := range strings.Split(value, " ") {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > room {
			fmt.Fprintln(w, lead+line)
			lead, line = strings.Repeat(" ", begins), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(w, lead+line)
}
