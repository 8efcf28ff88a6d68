package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// SharedRow is a typed row that several records make up, such as a call of which start and end are told apart. It is made
// anew from all of them whenever one lands, so that no order of arrival matters.
type SharedRow struct {
	Table *TypedTable
	// Key is the row's value of the table's key column.
	Key string
	// Objects are the records, in the fact's own stream, whose payloads Values takes, in this order.
	Objects []string
	// Values returns the row in the order of TypedTable.Columns. Payloads of records that are not there are left out.
	Values func(payloads [][]byte) ([]any, error)
}

// sharedID names a shared row.
type sharedID struct {
	org                                 uuid.UUID
	account, source, stream, table, key string
}

func (id sharedID) compare(o sharedID) int {
	return cmp.Or(
		slices.Compare(id.org[:], o.org[:]), strings.Compare(id.account, o.account), strings.Compare(id.source, o.source),
		strings.Compare(id.stream, o.stream), strings.Compare(id.table, o.table), strings.Compare(id.key, o.key),
	)
}

// writeShared writes the rows that the landed facts are part of, in a fixed order.
func (d *InboxDrain) writeShared(ctx context.Context, tx pgx.Tx, out []settledPost) error {
	facts := map[sharedID]*InboxFact{}
	var ids []sharedID
	for i := range out {
		for j := range out[i].facts {
			f := &out[i].facts[j]
			if f.Row == nil {
				continue
			}
			id := sharedID{f.Target.Org, f.Target.Account, string(f.Target.Source), f.Target.Stream, f.Row.Table.Schema + "." + f.Row.Table.Name, f.Row.Key}
			if facts[id] == nil {
				ids = append(ids, id)
			}
			facts[id] = f
		}
	}
	slices.SortFunc(ids, sharedID.compare)
	for _, id := range ids {
		if err := d.writeSharedRow(ctx, tx, facts[id]); err != nil {
			return fmt.Errorf("writing a row of %s: %w", id.table, err)
		}
	}
	return nil
}

const sharedRecordsSQL = `
select r.payload::text, r.observed_at
from unnest(@objects::text[]) with ordinality as n (object_id, ord)
join ops.records r
  on r.org_id = @org and r.account_id = @account and r.source = @source and r.stream = @stream and r.object_id = n.object_id
order by n.ord`

func (d *InboxDrain) writeSharedRow(ctx context.Context, tx pgx.Tx, f *InboxFact) error {
	t := f.Target
	rows, err := tx.Query(ctx, sharedRecordsSQL, pgx.StrictNamedArgs{
		"org": t.Org, "account": t.Account, "source": string(t.Source), "stream": t.Stream, "objects": f.Row.Objects,
	})
	if err != nil {
		return err
	}
	var payloads [][]byte
	var payload string
	var observed, last time.Time
	_, err = pgx.ForEachRow(rows, []any{&payload, &observed}, func() error {
		payloads = append(payloads, []byte(payload))
		if observed.After(last) {
			last = observed
		}
		return nil
	})
	if err != nil || len(payloads) == 0 {
		return err // of a type that has no part in the row
	}
	values, err := f.Row.Values(payloads)
	if err != nil {
		return err
	}
	t.Table = f.Row.Table
	l := landing{tx: tx, t: &t, now: d.DB.Now()}
	return l.upsertTyped(ctx, []*observation{{LandRecord: &LandRecord{Values: values}, observedAt: last.UTC()}})
}
