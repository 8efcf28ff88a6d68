package store

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// TypedTable is a vendor's table of latest state. Its names are constants of the program, never data. Beside the columns
// named here it has org_id, account_id, observed_at and changed_at, which Land fills.
type TypedTable struct {
	Schema, Name string
	// Key is the column that with org_id and account_id is the primary key.
	Key string
	// MoreKeys are further columns of the primary key. A table of records has none: its key is the object's id.
	MoreKeys []string
	// Columns are the columns that LandRecord.Values fills, the key first.
	Columns []string
	// Missing tells that the table has a column missing_since. Land empties it where an object is seen again.
	Missing bool

	once   sync.Once
	upsert string
	// back, gone and mark are for tables with missing_since; see missing.go.
	back, gone, mark, vanish string
	// names are the columns as keys of a JSON object.
	names []string
}

func (t *TypedTable) all() []string {
	return slices.Concat([]string{"org_id", "account_id"}, t.Columns, []string{"observed_at", "changed_at"})
}

// prepare builds the table's statement, once. It needs no guard of its own: whoever writes a typed row holds the record's
// lock, or has just made the record.
func (t *TypedTable) prepare() {
	t.once.Do(func() {
		table := pgx.Identifier{t.Schema, t.Name}.Sanitize()
		var quoted, sets []string
		for _, name := range t.all() {
			column := pgx.Identifier{name}.Sanitize()
			quoted = append(quoted, column)
			if name != "org_id" && name != "account_id" && name != t.Key && !slices.Contains(t.MoreKeys, name) {
				sets = append(sets, column+" = excluded."+column)
			}
			t.names = append(t.names, strconv.Quote(name)+":")
		}
		columns := strings.Join(quoted, ", ")
		keys := []string{"org_id", "account_id"}
		for _, name := range append([]string{t.Key}, t.MoreKeys...) {
			keys = append(keys, pgx.Identifier{name}.Sanitize())
		}
		t.upsert = "insert into " + table + " (" + columns + ")\n" +
			"select " + columns + "\n" +
			"from jsonb_populate_recordset(null::" + table + ", $1::jsonb)\n" +
			"on conflict (" + strings.Join(keys, ", ") + ") do update\n" +
			"set " + strings.Join(sets, ",\n    ")
		t.prepareMissing(table, pgx.Identifier{t.Key}.Sanitize())
	})
}

// typedRow is the observation's row in the order of TypedTable.all.
func (l *landing) typedRow(o *observation) ([]any, error) {
	if len(o.Values) != len(l.t.Table.Columns) {
		return nil, fmt.Errorf("record has %d typed values, %s.%s takes %d", len(o.Values), l.t.Table.Schema, l.t.Table.Name, len(l.t.Table.Columns))
	}
	row := make([]any, 0, len(o.Values)+4)
	row = append(row, l.t.Org, l.t.Account)
	row = append(row, o.Values...)
	return append(row, o.observedAt, l.now), nil
}

// typed leaves the observations that have a typed row.
func (l *landing) typed(obs []*observation) []*observation {
	if l.t.Table == nil {
		return nil
	}
	l.t.Table.prepare()
	if !slices.ContainsFunc(obs, func(o *observation) bool { return o.Values == nil }) {
		return obs
	}
	var out []*observation
	for _, o := range obs {
		if o.Values != nil {
			out = append(out, o)
		}
	}
	return out
}

// copyTyped copies the typed rows of new records straight in.
func (l *landing) copyTyped(ctx context.Context, tx pgx.Tx, obs []*observation) error {
	obs = l.typed(obs)
	if len(obs) == 0 {
		return nil
	}
	_, err := tx.CopyFrom(ctx, pgx.Identifier{l.t.Table.Schema, l.t.Table.Name}, l.t.Table.all(),
		pgx.CopyFromSlice(len(obs), func(i int) ([]any, error) { return l.typedRow(obs[i]) }))
	return err
}

// upsertTyped writes the typed rows of records that were just written. They go as JSON, in one statement whatever their
// number: a temporary table costs more than it saves at the sizes that change, and arrays would need a type a column.
func (l *landing) upsertTyped(ctx context.Context, obs []*observation) error {
	obs = l.typed(obs)
	if len(obs) == 0 {
		return nil
	}
	rows, err := l.typedJSON(obs)
	if err == nil {
		_, err = l.tx.Exec(ctx, l.t.Table.upsert, planned, rows)
	}
	if err != nil {
		return fmt.Errorf("writing rows of %s.%s: %w", l.t.Table.Schema, l.t.Table.Name, err)
	}
	return nil
}

func (l *landing) typedJSON(obs []*observation) (string, error) {
	var out bytes.Buffer
	for i, o := range obs {
		row, err := l.typedRow(o)
		if err != nil {
			return "", err
		}
		for j, value := range row {
			switch {
			case j > 0:
				out.WriteByte(',')
			case i > 0:
				out.WriteString("},{")
			default:
				out.WriteString("[{")
			}
			if b, ok := value.([]byte); ok && b != nil {
				value = `\x` + hex.EncodeToString(b) // bytea's own spelling
			}
			text, err := json.Marshal(value)
			if err != nil {
				return "", fmt.Errorf("column %s: %w", strings.TrimSuffix(l.t.Table.names[j], ":"), err)
			}
			out.WriteString(l.t.Table.names[j])
			out.Write(text)
		}
	}
	out.WriteString("}]")
	return out.String(), nil
}
