package main

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

// panel is what the tests look at of a panel of Grafana's.
type panel struct {
	ID          int
	Type, Title string
	Description string
	Datasource  struct{ UID string }
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct{ Expr string }
}

// labelsUsed are the names that a query sums by.
var labelsUsed = regexp.MustCompile(`by \(([a-z_, ]+)\)`)

// TestDashboard reads deploy/grafana/trunkline.json as Grafana would: panels that do not lie on each other, each with a word of what
// it shows, queries of series and labels that a daemon has. What PromQL makes of them is promtool's to say, in `make test-tools`.
func TestDashboard(t *testing.T) {
	t.Parallel()
	var board struct {
		Title, UID    string
		SchemaVersion int
		Templating    struct {
			List []struct{ Name, Type, Query string }
		}
		Panels []panel
	}
	if err := json.Unmarshal([]byte(deployed(t, "grafana", "trunkline.json")), &board); err != nil {
		t.Fatal(err)
	}
	if vars := board.Templating.List; board.Title == "" || board.UID == "" || board.SchemaVersion < 36 || len(vars) != 1 ||
		vars[0].Name != "datasource" || vars[0].Type != "datasource" || vars[0].Query != "prometheus" {
		t.Errorf("the dashboard is %+v", board.Templating)
	}
	series, ids, taken := daemonSeries(t), map[int]bool{}, map[[2]int]string{}
	for i := range board.Panels {
		p := &board.Panels[i]
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%s lies on %q, or beside the page", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s lacks a description, the datasource or a query", p.Title)
		}
		for _, target := range p.Targets {
			if bad := unknownSeries(target.Expr, series); len(bad) > 0 {
				t.Errorf("%s: no daemon has the series %v", p.Title, bad)
			}
			checkLabels(t, p.Title, target.Expr, series)
		}
	}
}

// checkLabels looks for the labels of a query with one series among those of the series.
func checkLabels(t *testing.T, title, expr string, series map[string]string) {
	t.Helper()
	name := strings.TrimPrefix(seriesName.FindString(expr), "trunkline_")
	has := map[string]bool{"le": true, "instance": true, "job": true}
	for label := range strings.SplitSeq(series[name]+", "+series[strings.TrimSuffix(name, "_bucket")], ", ") {
		has[label] = true
	}
	for _, by := range labelsUsed.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(by[1], ",") {
			if label = strings.TrimSpace(label); !has[label] {
				t.Errorf("%s: %s has no label %s", title, name, label)
			}
		}
	}
}
