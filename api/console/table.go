package console

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// col is a column of a table. Num ones stand to the right; Long ones hold texts of others, which may be broken anywhere.
type col struct {
	Name      string
	Num, Long bool
}

// cols makes columns of their names, with # before Num ones and ~ before Long ones.
func cols(names ...string) []col {
	list := make([]col, len(names))
	for i, name := range names {
		plain := strings.TrimLeft(name, "#~")
		list[i] = col{Name: plain, Num: strings.HasPrefix(name, "#"), Long: strings.HasPrefix(name, "~")}
	}
	return list
}

// cell is one value: a text, or a time when At is set.
type cell struct {
	Text string
	At   time.Time
	Link string
	// Label is what is read out instead of a bare number.
	Label string
	// Code shows the text as it would be typed; Class is one of good, bad, warn, soft and state.
	Code  bool
	Class string
}

func text(s string) cell       { return cell{Text: s} }
func code(s string) cell       { return cell{Text: s, Code: true} }
func soft(s string) cell       { return cell{Text: s, Class: "soft"} }
func at(t time.Time) cell      { return cell{At: t} }
func count(n int) cell         { return cell{Text: number(int64(n))} }
func idLink(s, to string) cell { return cell{Text: s, Link: to, Code: true} }

// shortLink shows the end of an id, and reads out all of it.
func shortLink(what string, id uuid.UUID, to string) cell {
	return cell{Text: short(id), Link: to, Label: what + " " + id.String(), Code: true, Class: "short"}
}

// stateCell shows a state in the colour of what it means.
func stateCell(state string) cell { return cell{Text: state, Class: "state " + tone(state)} }

// tone is good, bad, warn or soft.
func tone(state string) string {
	switch state {
	case "confirmed", "done", "running", "sending", "fixed", "delivered", "active":
		return "good"
	case "unknown", "failed", "discarded", "unparsable", "unclassified", "quarantined", "failing", "disabled":
		return "bad"
	case "rejected", "expired", "retryable", "paused", "open":
		return "warn"
	}
	return "soft"
}

// table is a table with its caption, or what to say instead of one without rows.
type table struct {
	Caption string
	// Hidden leaves the caption to those who hear the page: a heading says it already.
	Hidden bool
	Cols   []col
	Rows   [][]cell
	Empty  string
	// Plain tables are narrow enough to stay tables on a small screen.
	Plain bool
}

// choice is one of several ways to look at a list.
type choice struct {
	Name, Link string
	On         bool
}

// listView is a page with tables.
type listView struct {
	layout
	Lead    string
	Choices []choice
	Tables  []table
	// Next leads to older rows.
	Next     string
	Commands []string
}

type fact struct {
	Name string
	cell
}

// button sends a form. Warn is what the reader has to agree to first, empty for what can be undone.
type button struct {
	Action, Label, Warn string
	Grave               bool
	// Hidden go with the form as they are.
	Hidden []hidden
}

type hidden struct{ Name, Value string }

// block is a text to be read as it is.
type block struct{ Title, Text string }

// detailView is a page about one thing.
type detailView struct {
	layout
	Lead     string
	State    cell
	Facts    []fact
	Buttons  []button
	Tables   []table
	Blocks   []block
	Commands []string
}

// some leaves out what has no value.
func some(facts ...fact) []fact {
	var list []fact
	for _, f := range facts {
		if f.Text != "" || !f.At.IsZero() {
			list = append(list, f)
		}
	}
	return list
}
