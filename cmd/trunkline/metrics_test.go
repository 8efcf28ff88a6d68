package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/store/storetest"
)

// descText is how the library prints what it knows of a series.
var descText = regexp.MustCompile(`fqName: "(trunkline_[^"]*)", help: "([^"]*)".*variableLabels: \{([^}]*)\}`)

// daemonSeries is what a whole daemon registers: by name without its prefix the labels, in their order. Series without a value
// yet are among them, which a scrape would not show.
func daemonSeries(t *testing.T) map[string]string {
	t.Helper()
	c, err := loadConfig([]string{"DATABASE_URL=" + storetest.DSN(t), "TRUNKLINE_DATA_DIR=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	db, err := openDatabase(t.Context(), &c.General, slog.New(slog.DiscardHandler), toolConns, false)
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDaemon(t.Context(), c, slog.New(slog.DiscardHandler), db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if _, err := d.registry.Gather(); err != nil {
		t.Errorf("a scrape: %v", err)
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		d.registry.Describe(descs)
	}()
	series := map[string]string{}
	for desc := range descs {
		m := descText.FindStringSubmatch(desc.String())
		if m == nil {
			continue // one of the Go runtime's or the process's own
		}
		if m[2] == "" {
			t.Errorf("%s says nothing of itself", m[1])
		}
		labels := slices.DeleteFunc(strings.Split(m[3], ","), func(l string) bool { return l == "" })
		if m[1] == "trunkline_build_info" {
			labels = []string{"version", "go_version"} // which are constant
		}
		series[strings.TrimPrefix(m[1], "trunkline_")] = strings.Join(labels, ", ")
	}
	return series
}

// operations is the page for operators.
func operations(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	codeWord = regexp.MustCompile("`([a-z_]+)`")
	// spelledOut are the values of a label in the table, or what they leave out.
	spelledOut = regexp.MustCompile(`:[^|]*| \([^)]*\)`)
)

// TestMetricsAreDocumented holds the table of docs/operations.md and what a daemon registers together, labels included.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	_, page, found := strings.Cut(operations(t), "\n## Metrics\n")
	if !found {
		t.Fatal("docs/operations.md has no table of metrics")
	}
	page, _, _ = strings.Cut(page, "\n## ")
	documented := map[string]string{}
	for line := range strings.Lines(page) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || !strings.Contains(cells[1], "`") || strings.Contains(cells[1], "begin with") {
			continue
		}
		labels := strings.TrimSpace(spelledOut.ReplaceAllString(cells[2], ""))
		for _, name := range codeWord.FindAllStringSubmatch(cells[1], -1) {
			documented[name[1]] = labels
		}
	}
	if diff := cmp.Diff(documented, daemonSeries(t)); diff != "" {
		t.Errorf("-docs/operations.md +/metrics:\n%s", diff)
	}
}
