package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const (
	// sampleAll is how many objects of a stream are read at most to draw from all of them.
	sampleAll = 2000
	// samplePages is how many pages of a larger table are read for each object that is to be drawn.
	samplePages = 8
)

// DriftSample picks stored objects of a stream at random, at most so many; all there are where they are not more. What is marked
// as missing at the vendor is left out. The table's key is a number. What it reads does not depend on the table's size.
func (db *DB) DriftSample(ctx context.Context, key StreamKey, table *TypedTable, most int) (ids []string, err error) {
	q := sampleQueries(table)
	read := func(sql string, limit int) error {
		return db.onConn(ctx, func(conn Queryer) error {
			rows, err := conn.Query(ctx, sql, key.Org, key.Account, limit)
			if err != nil {
				return err
			}
			ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
	}
	if err = read(q.all, sampleAll+1); err == nil && len(ids) > sampleAll {
		if err = read(q.pages, most); err == nil && len(ids) < most {
			err = read(q.points, most)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("picking objects of %s: %w", key, err)
	}
	return ids[:min(len(ids), most)], nil
}

// driftSampling are the ways to draw from a table: from all that is there, from pages picked at random, and, where most of what the pages
// hold is somebody else's, at points between the least and the greatest id. Gaps between ids make their neighbours likelier
// there, and a large one leaves few others.
type driftSampling struct{ all, pages, points string }

// sampleQueries are made of names that are constants of the program.
func sampleQueries(table *TypedTable) driftSampling {
	name, column := pgx.Identifier{table.Schema, table.Name}.Sanitize(), pgx.Identifier{table.Key}.Sanitize()
	const present = ` where org_id = $1 and account_id = $2 and missing_since is null`
	return driftSampling{
		all: `
select s.id
from (
  select ` + column + `::text as id
  from ` + name + present + `
  order by ` + column + `
  limit $3
) s
order by random()`,
		pages: `
select ` + column + `::text
from ` + name + ` tablesample system (least(100, 100.0 * $3 * ` + fmt.Sprint(samplePages) + ` * current_setting('block_size')::int / greatest(1, pg_relation_size('` + name + `'))))` + present + `
order by random()
limit $3`,
		points: `
with ends as materialized (
  select min(` + column + `) as least, max(` + column + `) as most
  from ` + name + present + `
), points as materialized (
  select e.least + floor(random() * (e.most - e.least + 1))::bigint as point
  from ends e, generate_series(1, $3)
)
select distinct s.id
from points p
cross join lateral (
  select ` + column + `::text as id
  from ` + name + present + `
    and ` + column + ` >= p.point
  order by ` + column + `
  limit 1
) s`,
	}
}
