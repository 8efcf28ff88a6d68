// Package queries holds the sample queries for analysts, so that tests run and the bench times the very files that people
// read.
package queries

import (
	"embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed *.sql
var files embed.FS

// Query is one sample query.
type Query struct {
	// Name is the file's name without its ending.
	Name string
	// Question is the file's first line.
	Question string
	// Reads is the view that the query is mainly about, with its schema.
	Reads string
	SQL   string
}

var head = regexp.MustCompile(`^-- (.+)\n-- Reads (analytics\.[a-z_]+)\.\n`)

// All returns every query, by name. A file that does not begin with its question and the view it reads is an error.
func All() ([]Query, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("listing sample queries: %w", err)
	}
	var all []Query
	for _, e := range entries {
		text, err := files.ReadFile(e.Name())
		if err != nil {
			return nil, fmt.Errorf("reading sample query %s: %w", e.Name(), err)
		}
		m := head.FindSubmatch(text)
		if m == nil {
			return nil, fmt.Errorf("sample query %s does not begin with its question and the view it reads", e.Name())
		}
		all = append(all, Query{Name: strings.TrimSuffix(e.Name(), ".sql"), Question: string(m[1]), Reads: string(m[2]), SQL: string(text)})
	}
	return all, nil
}
