package tablesdoc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// age is by when dbt expects a source to have a newer row, and the column that says how new one is.
type age struct {
	view, column string
	// warn and fail are in minutes.
	warn, fail int
}

// ages are the views of which it means something that nothing new came. Walks end well day and night; calls and leads have
// weekends. Of the others, such as opt-outs, there may honestly be none for a week.
var ages = []age{
	{"freshness", "last_success_at", 15, 60},
	{"calls", "updated_at", 24 * 60, 4 * 24 * 60},
	{"leads", "updated_at", 24 * 60, 4 * 24 * 60},
	{"drift", "checked_at", 12 * 60, 48 * 60},
}

const sourcesHead = `# The views of schema analytics as sources of dbt. Copy it among the models of a project whose target is this database.
# Generated from the comments in the database. Change them in migrations/, then: UPDATE_DOCS=1 go test ./store/tablesdoc
version: 2

sources:
  - name: trunkline
    schema: analytics
`

// WriteSources writes dbt's description of the schema that is a contract, analytics: every view and column with its comment.
func WriteSources(ctx context.Context, pool *pgxpool.Pool, w io.Writer) error {
	list, err := readSchemas(ctx, pool)
	if err != nil {
		return err
	}
	tables, err := readTables(ctx, pool)
	if err != nil {
		return err
	}
	var out strings.Builder
	out.WriteString(sourcesHead)
	for _, s := range list {
		if s.name == "analytics" {
			fmt.Fprintf(&out, "    description: %s\n    tables:\n", scalar(s.comment))
		}
	}
	for i := range tables {
		if t := &tables[i]; t.schema == "analytics" {
			writeSource(&out, t)
		}
	}
	if _, err := io.WriteString(w, out.String()); err != nil {
		return fmt.Errorf("writing the sources of dbt: %w", err)
	}
	return nil
}

func writeSource(out *strings.Builder, t *table) {
	fmt.Fprintf(out, "      - name: %s\n        description: %s\n", t.name, scalar(t.comment))
	if i := slices.IndexFunc(ages, func(a age) bool { return a.view == t.name }); i >= 0 {
		fmt.Fprintf(out, "        loaded_at_field: %s\n        freshness:\n          warn_after: {count: %d, period: minute}\n          error_after: {count: %d, period: minute}\n",
			ages[i].column, ages[i].warn, ages[i].fail)
	} else {
		out.WriteString("        freshness: null\n")
	}
	out.WriteString("        columns:\n")
	for _, c := range t.columns {
		fmt.Fprintf(out, "          - name: %s\n            data_type: %s\n            description: %s\n", c.name, c.kind, scalar(c.comment))
	}
}

// scalar quotes a text for YAML, of which a JSON string is a part.
func scalar(text string) string {
	var quoted strings.Builder
	enc := json.NewEncoder(&quoted)
	enc.SetEscapeHTML(false)
	// A string always encodes.
	_ = enc.Encode(strings.Join(strings.Fields(text), " "))
	return strings.TrimSpace(quoted.String())
}
