package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeListsEveryVariable keeps the README's table in step with what trunkline config lists.
func TestReadmeListsEveryVariable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, page, found := strings.Cut(string(text), "## All variables\n")
	if !found {
		t.Fatal("the README has no table of variables")
	}
	page, _, _ = strings.Cut(page, "\n## ")
	rows := map[string]bool{}
	for line := range strings.Lines(page) {
		if cells := strings.SplitN(line, "|", 4); len(cells) == 4 && strings.Contains(cells[1], "`") {
			rows[strings.TrimSpace(cells[1])+" "+strings.TrimSpace(cells[2])] = true
		}
	}
	for _, v := range variables(&config{}) {
		row := fmt.Sprintf("`%s` ", v.name)
		if fallback := strings.TrimSpace(v.fallback); fallback != "" {
			row += "`" + fallback + "`"
		}
		if !rows[row] {
			t.Errorf("the README's table lacks %s", row)
		}
		delete(rows, row)
	}
	for row := range rows {
		t.Errorf("the README's table has %s, which is no variable", row)
	}
}
