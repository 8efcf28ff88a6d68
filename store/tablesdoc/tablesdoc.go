// Package tablesdoc writes the page of tables, docs/tables.md, from the comments in the database: what analysts read in
// psql and what they read on the page is one text, kept in the migrations.
package tablesdoc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// schemas are listed on the page in this order: what others read first, how the daemon works after it.
var schemas = []string{"ipscape", "convoso", "convolo", "dialedin", "pipeline", "ops", "analytics"}

// schema is a schema and what its comment says.
type schema struct {
	name, comment string
	// readable tells whether analysts may read it.
	readable bool
}

// table is a table or a view.
type table struct {
	schema, name string
	comment      string
	view         bool
	columns      []column
}

// full is the name with its schema.
func (t *table) full() string { return t.schema + "." + t.name }

// column is one column; kind is its type, required means not null, key that it is part of the primary key.
type column struct {
	name, kind, comment string
	required, key       bool
}

const head = `# Tables

<!-- Generated from the comments in the database. Change them in migrations/, then: UPDATE_DOCS=1 go test ./store/tablesdoc -->

All times are ` + "`timestamptz`" + `, stored and shown in UTC. A column with ` + "`not null`" + ` always has a value; any other may be empty.
The views of ` + "`analytics`" + ` are the stable contract: columns are added, never renamed. The tables behind them may change with a version.

`

// Write writes the page about the database behind pool, which has to be migrated. The same schema gives the same page, on
// any server and at any time.
func Write(ctx context.Context, pool *pgxpool.Pool, w io.Writer) error {
	list, err := readSchemas(ctx, pool)
	if err != nil {
		return err
	}
	tables, err := readTables(ctx, pool)
	if err != nil {
		return err
	}
	var page strings.Builder
	page.WriteString(head)
	writeContents(&page, list, tables)
	page.WriteString("## How they hang together\n\nThe main tables and the columns that lead from one to another; views and settings are left out.\n\n")
	if err := drawDiagram(&page, tables, links); err != nil {
		return err
	}
	for _, s := range list {
		fmt.Fprintf(&page, "\n## %s\n\n%s.", s.name, prose(s.comment))
		if s.readable {
			page.WriteString(" Readable by `trunkline_analyst`.")
		}
		page.WriteString("\n")
		for i := range tables {
			if tables[i].schema == s.name {
				writeTable(&page, &tables[i])
			}
		}
	}
	if _, err := io.WriteString(w, page.String()); err != nil {
		return fmt.Errorf("writing the page of tables: %w", err)
	}
	return nil
}

func writeContents(page *strings.Builder, list []schema, tables []table) {
	for _, s := range list {
		fmt.Fprintf(page, "- [%s](#%s):", s.name, s.name)
		for i := range tables {
			if t := &tables[i]; t.schema == s.name {
				fmt.Fprintf(page, " [%s](#%s)", t.name, anchor(t))
			}
		}
		page.WriteString("\n")
	}
	page.WriteString("\n")
}

// heading is the table's heading, anchor what a link to it is called: lower case, marks dropped, spaces as dashes.
func heading(t *table) string {
	if t.view {
		return t.full() + " (view)"
	}
	return t.full()
}

func anchor(t *table) string {
	return strings.NewReplacer(".", "", "(", "", ")", "", " ", "-").Replace(heading(t))
}

func writeTable(page *strings.Builder, t *table) {
	fmt.Fprintf(page, "\n### %s\n\n%s\n\n", heading(t), prose(t.comment))
	var key []string
	for _, c := range t.columns {
		if c.key {
			key = append(key, c.name)
		}
	}
	if len(key) > 0 {
		fmt.Fprintf(page, "Key: `%s`\n\n", strings.Join(key, ", "))
	}
	page.WriteString("| Column | Type | Meaning |\n|---|---|---|\n")
	for _, c := range t.columns {
		kind := c.kind
		if c.required {
			kind += " not null"
		}
		fmt.Fprintf(page, "| `%s` | `%s` | %s |\n", c.name, kind, prose(c.comment))
	}
}

// prose makes a comment fit for a line of Markdown and for a cell of a table.
func prose(comment string) string {
	text := strings.Join(strings.Fields(comment), " ")
	return strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(text)
}

const schemasSQL = `
select n.nspname,
  coalesce(obj_description(n.oid, 'pg_namespace'), ''),
  has_schema_privilege('trunkline_analyst', n.oid, 'usage')
from unnest(@schemas::text[]) with ordinality as s (name, position)
join pg_namespace n on n.nspname = s.name
order by s.position`

func readSchemas(ctx context.Context, pool *pgxpool.Pool) ([]schema, error) {
	rows, err := pool.Query(ctx, schemasSQL, pgx.StrictNamedArgs{"schemas": schemas})
	if err != nil {
		return nil, fmt.Errorf("reading schemas: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s schema, err error) {
		err = row.Scan(&s.name, &s.comment, &s.readable)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading schemas: %w", err)
	}
	if len(list) < len(schemas) {
		return nil, errors.New("reading schemas: some are missing, the database is not migrated")
	}
	return list, nil
}

// Partitions are left out: their parent stands for them.
const columnsSQL = `
select n.nspname, c.relname, c.relkind in ('v', 'm'), coalesce(obj_description(c.oid, 'pg_class'), ''),
  a.attname, format_type(a.atttypid, a.atttypmod), coalesce(col_description(c.oid, a.attnum), ''), a.attnotnull,
  coalesce(a.attnum = any(k.conkey), false)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join pg_constraint k on k.conrelid = c.oid and k.contype = 'p'
where n.nspname = any(@schemas::text[])
  and c.relkind in ('r', 'p', 'v', 'm')
  and not c.relispartition
order by array_position(@schemas::text[], n.nspname::text), c.relname collate "C", a.attnum`

func readTables(ctx context.Context, pool *pgxpool.Pool) ([]table, error) {
	rows, err := pool.Query(ctx, columnsSQL, pgx.StrictNamedArgs{"schemas": schemas})
	if err != nil {
		return nil, fmt.Errorf("reading tables: %w", err)
	}
	var tables []table
	var t table
	var c column
	_, err = pgx.ForEachRow(rows, []any{&t.schema, &t.name, &t.view, &t.comment, &c.name, &c.kind, &c.comment, &c.required, &c.key}, func() error {
		if last := len(tables) - 1; last < 0 || tables[last].full() != t.full() {
			tables = append(tables, t)
		}
		of := &tables[len(tables)-1]
		of.columns = append(of.columns, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading tables: %w", err)
	}
	return tables, nil
}
