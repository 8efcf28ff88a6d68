package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
)

func TestQuickRunPrintsTheTable(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	var out, notes bytes.Buffer
	if err := run(ctx, []string{"-quick", "-rows", "500", "-only", "walk100, outbox, queries"}, &out, &notes); err != nil {
		t.Fatalf("%v\n%s", err, notes.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	const title, blank, head, rule, rows = 1, 1, 1, 1, 3 + 10
	if len(lines) != title+blank+head+rule+rows {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	if !strings.HasPrefix(lines[0], "A smoke test") {
		t.Errorf("a run of one pair is called %q", lines[0])
	}
	for i, line := range lines[2:] {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		if len(cells) != len(columns()) {
			t.Errorf("line %d has %d cells, want %d: %s", i, len(cells), len(columns()), line)
			continue
		}
		if i >= 2 && strings.TrimSpace(cells[3]) == "–" {
			t.Errorf("no ratio: %s", line)
		}
	}
	for i, figure := range []string{"walk, first load, 100 a page", "walk, unchanged re-read, 100 a page", "deliveries through the whole outbox"} {
		if !strings.Contains(lines[4+i], figure) {
			t.Errorf("row %d is not %q: %s", i, figure, lines[4+i])
		}
	}
}

func TestUnknownFigureIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := chosen("walk100,warp"); err == nil || !strings.Contains(err.Error(), `"warp"`) {
		t.Errorf("error %v, want one that names the figure", err)
	}
	all, err := chosen("")
	if err != nil || len(all) != len(benches()) {
		t.Errorf("%d figures, %v; want all %d", len(all), err, len(benches()))
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		row  row
		want string
	}{
		{row{yardstick: "y", ratio: 0.5, must: 0.55, stretch: 0.8}, "SHORT"},
		{row{yardstick: "y", ratio: 0.55, must: 0.55, stretch: 0.8}, "must"},
		{row{yardstick: "y", ratio: 0.9, must: 0.55, stretch: 0.8}, "stretch"},
		{row{yardstick: "y", ratio: 1.2, must: 1.1, stretch: 1.1, atMost: true}, "SHORT"},
		{row{yardstick: "y", ratio: 0.7, must: 1, stretch: 0.5, atMost: true}, "must"},
		{row{value: 60, ratio: 0, must: 64, stretch: 48, atMost: true}, "must"},
		{row{yardstick: "y", ratio: 3}, "no target"},
		{row{must: 1, note: "not measured"}, "not measured"},
	} {
		if got := c.row.verdict(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.row, got, c.want)
		}
	}
}

func TestMedians(t *testing.T) {
	t.Parallel()
	if got := (samples{9, 1, 3}).median(); got != 3 {
		t.Errorf("median %v, want 3", got)
	}
	if got := (samples{4, 1, 3, 2}).median(); got != 2.5 {
		t.Errorf("median %v, want 2.5", got)
	}
	// One pair on a slow machine: its ratio counts like the others'.
	if got := (samples{10, 1, 12}).over(samples{20, 2, 20}); got != 0.5 {
		t.Errorf("ratio %v, want 0.5", got)
	}
}

func TestInterleaveTurnsAround(t *testing.T) {
	t.Parallel()
	var order string
	one := func(name string, v float64) side {
		return func(context.Context) ([]float64, error) { order += name; return []float64{v}, nil }
	}
	got, err := interleave(t.Context(), 3, one("a", 1), one("b", 2))
	if err != nil || order != "abbaab" {
		t.Errorf("order %q, %v; want abbaab", order, err)
	}
	if len(got) != 2 || got[1][0].median() != 2 || len(got[0][0]) != 3 {
		t.Errorf("figures %v", got)
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0.123456: "0.123", 47.06: "47.1", 123.4: "123", 1234: "1,230", 1234567: "1,230,000", 999.6: "1,000"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestRepeatedItemsHaveIDsOfTheirOwn(t *testing.T) {
	t.Parallel()
	items := []item{{raw: []byte(`{"data":{"activityId":17,"leadId":3,"a":1}}`)}, {raw: []byte(`{"data":{"leadId":null,"activityId":18}}`)}}
	v := newVendor(items, 4, 10, 0)
	want := `{"data":{"leadId":null,"activityId":18}},{"data":{"activityId":5000000017,"leadId":5000000003,"a":1}},{"data":{"leadId":null,"activityId":5000000018}}`
	if got := string(v.slice(nil, 1, 4)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
