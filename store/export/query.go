package export

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// query is what is read: some columns of a relation's rows.
type query struct {
	columns []column
	from    string
	where   []string
	args    []any
}

// usualTimes are the columns that a range of time looks at when none is named, the first that a relation has: the time of what
// a row is about before the time of what we know of it.
func usualTimes() []string {
	return []string{
		"occurred_at", "created_at", "dialled_at", "started_at", "since", "linked_at", "checked_at", "source_time", "day", "local_day", "last_success_at",
		"observed_at",
	}
}

// query reads the options against the relation.
func (r *relation) query(ctx context.Context, tx pgx.Tx, o *Options) (*query, error) {
	q := &query{columns: r.columns, from: pgx.Identifier{r.schema, r.name}.Sanitize()}
	if len(o.Columns) > 0 {
		q.columns = nil
	}
	for _, name := range o.Columns {
		c, err := r.column(name)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(q.columns, func(had column) bool { return had.name == name }) {
			return nil, fmt.Errorf("column %s is named twice", name)
		}
		q.columns = append(q.columns, *c)
	}
	if o.Organisation != "" {
		id, err := organisation(ctx, tx, o.Organisation)
		if err != nil {
			return nil, err
		}
		if _, err := r.column("org_id"); err != nil {
			return nil, fmt.Errorf("%s is the same for all organisations: leave the organisation out", r.named())
		}
		q.keep("org_id = $%d", id)
	}
	if o.From.IsZero() && o.To.IsZero() {
		return q, nil
	}
	at, err := r.timeColumn(o.TimeColumn)
	if err != nil {
		return nil, err
	}
	// A day and a time without zone count from their UTC reading. The column stands bare, so that an index serves it.
	as := map[kind]string{kindInstant: "$%d::timestamptz", kindClock: "$%d::timestamptz at time zone 'UTC'", kindDate: "$%d::timestamptz at time zone 'UTC'"}[at.kind]
	if !o.From.IsZero() {
		q.keep(at.quoted()+" >= "+as, o.From)
	}
	if !o.To.IsZero() {
		q.keep(at.quoted()+" < "+as, o.To)
	}
	return q, nil
}

// keep adds a condition, in which %d is the number of its one parameter.
func (q *query) keep(condition string, arg any) {
	q.args = append(q.args, arg)
	q.where = append(q.where, fmt.Sprintf(condition, len(q.args)))
}

// timeColumn is the column that a range of time looks at.
func (r *relation) timeColumn(name string) (*column, error) {
	if name != "" {
		c, err := r.column(name)
		if err == nil && c.kind != kindInstant && c.kind != kindClock && c.kind != kindDate {
			err = fmt.Errorf("column %s holds no time", name)
		}
		return c, err
	}
	for _, name := range usualTimes() {
		if c, err := r.column(name); err == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%s has no time to go by: leave the range out", r.named())
}

// sql is the whole statement. It is put together because relation and columns are the operator's choice; each name in it was
// found in the catalogue and is quoted, each value is a parameter.
func (q *query) sql() string {
	list := make([]string, len(q.columns))
	for i := range q.columns {
		c := &q.columns[i]
		if list[i] = c.quoted(); c.kind == kindArray {
			list[i] = "to_json(" + c.quoted() + ")::text"
		}
	}
	return "select " + strings.Join(list, ", ") + q.rest()
}

// rest is the statement from its "from" on.
func (q *query) rest() string {
	sql := " from " + q.from
	if len(q.where) > 0 {
		sql += " where " + strings.Join(q.where, " and ")
	}
	return sql
}

// organisationSQL finds an organisation by its id or by its name.
const organisationSQL = `
select org_id
from analytics.organisations
where org_id::text = lower(@given)
   or name = @given
order by org_id::text = lower(@given) desc
limit 1`

// organisationsSQL lists them for people.
const organisationsSQL = `
select org_id || ' (' || name || ')'
from analytics.organisations
order by name, org_id`

func organisation(ctx context.Context, tx pgx.Tx, given string) (uuid.UUID, error) {
	var id uuid.UUID
	err := tx.QueryRow(ctx, organisationSQL, pgx.StrictNamedArgs{"given": given}).Scan(&id)
	if err == nil {
		return id, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, fmt.Errorf("looking for the organisation: %w", err)
	}
	rows, err := tx.Query(ctx, organisationsSQL)
	if err != nil {
		return uuid.Nil, err
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return uuid.Nil, fmt.Errorf("listing organisations: %w", err)
	}
	return uuid.Nil, &UnknownError{What: "organisation", Name: given, Known: known}
}
