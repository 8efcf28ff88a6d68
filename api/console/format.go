package console

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
)

func (s *Site) functions() template.FuncMap {
	return template.FuncMap{
		"asset":   s.assetPath,
		"ago":     func(t time.Time) string { return span(s.cfg.DB.Now().Sub(t)) + " ago" },
		"clock":   s.clock,
		"command": s.command,
		"iso":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"number":  func(n int) string { return number(int64(n)) },
	}
}

// clock writes a time of today without its day, and one of this year without the year.
func (s *Site) clock(t time.Time) string {
	t, now := t.UTC(), s.cfg.DB.Now()
	switch {
	case t.YearDay() == now.YearDay() && t.Year() == now.Year():
		return t.Format("15:04:05")
	case t.Year() == now.Year():
		return t.Format("2 Jan 15:04")
	}
	return t.Format("2 Jan 2006 15:04")
}

// span writes a length of time in its two largest units.
func span(d time.Duration) string {
	d = max(d, 0)
	part := func(large, small time.Duration, names ...string) string {
		d := d.Round(small)
		text := fmt.Sprintf("%d %s", d/large, names[0])
		if rest := d % large / small; rest > 0 {
			text += fmt.Sprintf(" %d %s", rest, names[1])
		}
		return text
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return part(time.Minute, time.Second, "min", "s")
	case d < 48*time.Hour:
		return part(time.Hour, time.Minute, "h", "min")
	}
	return part(24*time.Hour, time.Hour, "d", "h")
}

// number writes a count with its thousands apart.
func number(n int64) string {
	text := strconv.FormatInt(n, 10)
	var out strings.Builder
	for i, r := range text {
		if left := len(text) - i; i > 0 && left%3 == 0 && text[i-1] != '-' {
			out.WriteRune(',')
		}
		out.WriteRune(r)
	}
	return out.String()
}

// many writes a count with its thousands apart, and its word.
func many(n int64, one, more string) string {
	if n == 1 {
		more = one
	}
	return number(n) + " " + more
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func derefTime(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
