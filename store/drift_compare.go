package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// DriftSeen is what a stored object looks like beside what the vendor says of it.
type DriftSeen struct {
	ObjectID string
	RecordID int64
	// Fields are the names of what differs at the vendor, Columns those in which the typed row is not what the record says.
	Fields, Columns []string
	// Refused is set where Postgres cannot hold what the vendor says, with its code: it differs then, whatever it says.
	Refused string
}

const driftRecordsSQL = `
select r.object_id, r.record_id, r.payload::text, r.payload = g.payload::jsonb
from unnest(@objects::text[], @payloads::text[], @asked::timestamptz[]) as g (object_id, payload, asked)
join ops.records r
  on r.org_id = @org and r.account_id = @account and r.source = @source and r.stream = @stream and r.object_id = g.object_id
where r.observed_at <= g.asked
order by r.record_id`

// DriftCompare compares stored objects with what the vendor has just said of them. One that was read since by somebody else, or is
// not stored any more, is left out. What Postgres refuses stands alone in the end, and keeps no other from being compared (law 13).
// It writes nothing.
func (db *DB) DriftCompare(ctx context.Context, key StreamKey, table *TypedTable, told []LandRecord) ([]DriftSeen, error) {
	out, err := db.driftCompare(ctx, key, table, told)
	switch {
	case err == nil:
		return out, nil
	case ctx.Err() != nil || !refusedData(err):
		return nil, fmt.Errorf("comparing objects of %s: %w", key, err)
	case len(told) == 1:
		return db.driftRefused(ctx, key, &told[0], out, err)
	}
	half := len(told) / 2
	if out, err = db.DriftCompare(ctx, key, table, told[:half]); err != nil {
		return nil, err
	}
	more, err := db.DriftCompare(ctx, key, table, told[half:])
	return append(out, more...), err
}

// errTyped marks a failure to compare a typed row, of which the record is as the vendor says.
var errTyped = errors.New("comparing the typed row")

// driftCompare is DriftCompare of one snapshot: records and typed rows are written together, and are read so. Where the typed rows
// fail it returns what the records came to beside the error.
func (db *DB) driftCompare(ctx context.Context, key StreamKey, table *TypedTable, told []LandRecord) (out []DriftSeen, err error) {
	objects, payloads, asked := make([]string, len(told)), make([]string, len(told)), make([]time.Time, len(told))
	byID := map[string]*LandRecord{}
	for i := range told {
		r := &told[i]
		objects[i], payloads[i], asked[i], byID[r.ObjectID] = r.ObjectID, string(r.Payload), micros(r.ObservedAt), r
	}
	conn, err := db.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	err = pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, driftRecordsSQL, key.args(pgx.StrictNamedArgs{"objects": objects, "payloads": payloads, "asked": asked}))
		if err != nil {
			return err
		}
		var (
			s      DriftSeen
			stored []byte
			same   bool
			typed  []*observation
		)
		_, err = pgx.ForEachRow(rows, []any{&s.ObjectID, &s.RecordID, &stored, &same}, func() error {
			r := byID[s.ObjectID]
			if s.Fields, s.Columns = nil, nil; !same {
				s.Fields = fieldsThatDiffer(stored, r.Payload)
			} else if r.Values != nil {
				typed = append(typed, &observation{LandRecord: r, observedAt: micros(r.ObservedAt)})
			}
			out = append(out, s)
			return nil
		})
		if err != nil || len(typed) == 0 {
			return err
		}
		wrong, err := db.typedDiffers(ctx, tx, key, table, typed)
		if err != nil {
			return fmt.Errorf("%w: %w", errTyped, err)
		}
		for i := range out {
			out[i].Columns = wrong[out[i].ObjectID]
		}
		return nil
	})
	return out, err
}

const driftRefusedSQL = `
select r.record_id
from ops.records r
where r.org_id = @org
  and r.account_id = @account
  and r.source = @source
  and r.stream = @stream
  and r.object_id = @object
  and r.observed_at <= @asked
  and not exists (
    select
    from ops.quarantine q
    where q.org_id = @org and q.account_id = @account and q.source = @source and q.stream = @stream and q.object_id = @object and q.state = 'open')`

// driftRefused tells of an object of which Postgres refuses what the vendor says. One that lies in quarantine is known already.
func (db *DB) driftRefused(ctx context.Context, key StreamKey, told *LandRecord, seen []DriftSeen, refusal error) ([]DriftSeen, error) {
	code := "it cannot be encoded"
	if pgErr, ok := errors.AsType[*pgconn.PgError](refusal); ok {
		code = pgErr.Code
	}
	if errors.Is(refusal, errTyped) && len(seen) == 1 {
		seen[0].Columns = []string{"a value that Postgres refuses (" + code + ")"}
		return seen, nil
	}
	s := DriftSeen{ObjectID: told.ObjectID, Refused: code}
	err := db.onConn(ctx, func(q Queryer) error {
		return q.QueryRow(ctx, driftRefusedSQL, key.args(pgx.StrictNamedArgs{"object": told.ObjectID, "asked": micros(told.ObservedAt)})).Scan(&s.RecordID)
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("comparing an object of %s that is refused: %w", key, err)
	}
	return []DriftSeen{s}, nil
}

// typedDiffers finds typed rows that are not what their records say, with the columns.
func (db *DB) typedDiffers(ctx context.Context, tx pgx.Tx, key StreamKey, table *TypedTable, obs []*observation) (map[string][]string, error) {
	table.prepare()
	l := landing{t: &Target{Org: key.Org, Account: key.Account, Source: key.Source, Stream: key.Stream, Table: table}, now: db.Now()}
	given, err := l.typedJSON(obs)
	if err != nil {
		return nil, err
	}
	name, column := pgx.Identifier{table.Schema, table.Name}.Sanitize(), pgx.Identifier{table.Key}.Sanitize()
	const since = ` - '{observed_at,changed_at,missing_since}'::text[]`
	rows, err := tx.Query(ctx, `
select t.`+column+`::text, coalesce((to_jsonb(s)`+since+`)::text, ''), (to_jsonb(t)`+since+`)::text
from jsonb_populate_recordset(null::`+name+`, $1::jsonb) t
left join `+name+` s
  on s.org_id = t.org_id and s.account_id = t.account_id and s.`+column+` = t.`+column, given)
	if err != nil {
		return nil, err
	}
	wrong := map[string][]string{}
	var id string
	var both line
	_, err = pgx.ForEachRow(rows, []any{&id, &both.stored, &both.told}, func() error {
		change, columns, err := both.difference()
		if change == RowMissing {
			wrong[id] = []string{"the whole row"}
		}
		for _, c := range columns {
			wrong[id] = append(wrong[id], c.Column)
		}
		return err
	})
	return wrong, err
}

// fieldsThatDiffer names the members in which two JSON objects differ, down to the second level.
func fieldsThatDiffer(a, b []byte) []string {
	var fields []string
	var walk func(prefix string, a, b json.RawMessage, depth int)
	walk = func(prefix string, a, b json.RawMessage, depth int) {
		var was, is map[string]json.RawMessage
		if depth == 0 || json.Unmarshal(a, &was) != nil || json.Unmarshal(b, &is) != nil || was == nil || is == nil {
			if canonicalJSON(a) != canonicalJSON(b) {
				fields = append(fields, strings.TrimPrefix(prefix, "."))
			}
			return
		}
		names := maps.Clone(was)
		maps.Copy(names, is)
		for _, name := range slices.Sorted(maps.Keys(names)) {
			walk(prefix+"."+name, was[name], is[name], depth-1)
		}
	}
	walk("", a, b, 2)
	return fields
}

// canonicalJSON spells equal values alike; numbers keep their digits.
func canonicalJSON(text []byte) string {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return string(text)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return string(text)
	}
	return string(out)
}
