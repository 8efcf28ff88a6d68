package export

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// kind is what a column's values are to a writer.
type kind int

const (
	kindText kind = iota
	kindInt
	kindBigint
	kindNumeric
	kindFloat
	kindBool
	// kindInstant is a timestamptz, kindClock a timestamp without a zone.
	kindInstant
	kindClock
	kindDate
	kindJSON
	// kindArray is read as JSON: Postgres' own text of an array is known to Postgres only.
	kindArray
)

// kinds are the types that are more than text to us.
func kinds() map[string]kind {
	return map[string]kind{
		"int2": kindInt, "int4": kindInt, "int8": kindBigint, "numeric": kindNumeric, "float4": kindFloat, "float8": kindFloat, "bool": kindBool,
		"timestamptz": kindInstant, "timestamp": kindClock, "date": kindDate, "json": kindJSON, "jsonb": kindJSON,
	}
}

// column is one column of a relation.
type column struct {
	name string
	kind kind
	// precision and scale are a numeric's, 0 and 0 where its type does not say.
	precision, scale int
}

// quoted is the column's name in SQL.
func (c *column) quoted() string { return pgx.Identifier{c.name}.Sanitize() }

// relation is a view or table that may be read.
type relation struct {
	schema, name string
	columns      []column
}

// named is how people call it: the views for analysts need no schema.
func (r *relation) named() string {
	if r.schema == "analytics" {
		return r.name
	}
	return r.schema + "." + r.name
}

// readableSQL lists what the role may read of what is meant for analysts.
const readableSQL = `
select n.nspname, c.relname
from pg_class c
join pg_namespace n
  on n.oid = c.relnamespace
where n.nspname in ('analytics', 'ipscape', 'convoso', 'convolo', 'dialedin', 'pipeline')
  and c.relkind in ('r', 'v', 'm', 'p')
  and has_schema_privilege(n.oid, 'usage')
  and has_table_privilege(c.oid, 'select')
order by n.nspname <> 'analytics', n.nspname, c.relname`

// columnsSQL lists a relation's columns. Of a numeric, the modifier holds precision and scale.
const columnsSQL = `
select a.attname, t.typname, t.typcategory = 'A' as is_array,
  case when a.atttypmod > 0 and t.typname = 'numeric' then ((a.atttypmod - 4) >> 16) & 65535 else 0 end as precision,
  case when a.atttypmod > 0 and t.typname = 'numeric' then (a.atttypmod - 4) & 2047 else 0 end as scale
from pg_attribute a
join pg_type d
  on d.oid = a.atttypid
join pg_type t
  on t.oid = case when d.typtype = 'd' then d.typbasetype else d.oid end
where a.attrelid = format('%I.%I', @schema::text, @relation::text)::regclass
  and a.attnum > 0
  and not a.attisdropped
order by a.attnum`

// find looks a relation up by the name that people gave.
func find(ctx context.Context, tx pgx.Tx, name string) (*relation, error) {
	rows, err := tx.Query(ctx, readableSQL)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (relation, error) {
		var r relation
		return r, row.Scan(&r.schema, &r.name)
	})
	if err != nil {
		return nil, fmt.Errorf("listing what can be exported: %w", err)
	}
	wanted := strings.TrimPrefix(name, "analytics.")
	i := slices.IndexFunc(all, func(r relation) bool { return r.named() == wanted })
	if i < 0 {
		known := make([]string, len(all))
		for i := range all {
			known[i] = all[i].named()
		}
		return nil, &UnknownError{What: "view or table", Name: name, Known: known}
	}
	r := &all[i]
	if rows, err = tx.Query(ctx, columnsSQL, pgx.StrictNamedArgs{"schema": r.schema, "relation": r.name}); err != nil {
		return nil, err
	}
	known := kinds()
	r.columns, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (column, error) {
		var (
			c        column
			typeName string
			array    bool
		)
		err := row.Scan(&c.name, &typeName, &array, &c.precision, &c.scale)
		if c.kind = known[typeName]; array {
			c.kind = kindArray
		}
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the columns of %s: %w", r.named(), err)
	}
	return r, nil
}

// column finds one by its name.
func (r *relation) column(name string) (*column, error) {
	i := slices.IndexFunc(r.columns, func(c column) bool { return c.name == name })
	if i < 0 {
		known := make([]string, len(r.columns))
		for i := range r.columns {
			known[i] = r.columns[i].name
		}
		return nil, &UnknownError{What: "column of " + r.named(), Name: name, Known: known}
	}
	return &r.columns[i], nil
}
