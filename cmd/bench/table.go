package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// row is one line of the table.
type row struct {
	figure string
	unit   string
	// value and yard are medians; yard is 0 where a figure is judged by itself.
	value, yard float64
	yardstick   string
	// ratio is the median of the pairs' ratios.
	ratio         float64
	must, stretch float64
	// atMost tells that less is better.
	atMost bool
	// note stands in place of the verdict, for what was not measured.
	note string
}

// judged is what the targets speak of: the ratio, or the value where there is no yardstick.
func (r *row) judged() float64 {
	if r.yardstick == "" {
		return r.value
	}
	return r.ratio
}

func (r *row) reaches(target float64) bool {
	if r.atMost {
		return r.judged() <= target
	}
	return r.judged() >= target
}

// verdict says how far a figure gets. One that falls short says so.
func (r *row) verdict() string {
	switch {
	case r.note != "":
		return r.note
	case r.must == 0:
		return "no target"
	case r.reaches(r.stretch):
		return "stretch"
	case r.reaches(r.must):
		return "must"
	}
	return "SHORT"
}

// columns are the heads of the table.
func columns() []string {
	return []string{"figure", "value", "yardstick in the same run", "ratio", "must", "stretch", "verdict"}
}

func (r *row) cells() []string {
	sign := "≥ "
	if r.atMost {
		sign = "≤ "
	}
	target := func(v float64) string {
		if v == 0 {
			return "–"
		}
		return sign + strconv.FormatFloat(v, 'g', 4, 64)
	}
	value, yard, ratio := "–", "–", "–"
	if r.note == "" {
		value = number(r.value) + " " + r.unit
		if r.yardstick != "" {
			yard = fmt.Sprintf("%s: %s", r.yardstick, number(r.yard))
			ratio = strconv.FormatFloat(r.ratio, 'f', 2, 64)
		}
	}
	return []string{r.figure, value, yard, ratio, target(r.must), target(r.stretch), r.verdict()}
}

// number writes three significant digits, with commas between thousands.
func number(v float64) string {
	if v < 100 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	unit := math.Pow(10, math.Floor(math.Log10(v))-2)
	text := strconv.FormatFloat(math.Round(v/unit)*unit, 'f', 0, 64)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// printTable writes the table as Markdown.
func printTable(w io.Writer, title string, rows []row) {
	lines := [][]string{columns()}
	for i := range rows {
		lines = append(lines, rows[i].cells())
	}
	widths := make([]int, len(columns()))
	for _, cells := range lines {
		for i, cell := range cells {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	fmt.Fprintf(w, "%s\n\n", title)
	for n, cells := range lines {
		for i, cell := range cells {
			fmt.Fprintf(w, "| %s%s ", cell, strings.Repeat(" ", widths[i]-len([]rune(cell))))
		}
		fmt.Fprintln(w, "|")
		if n == 0 {
			for _, width := range widths {
				fmt.Fprintf(w, "|%s", strings.Repeat("-", width+2))
			}
			fmt.Fprintln(w, "|")
		}
	}
}

// plural counts things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
