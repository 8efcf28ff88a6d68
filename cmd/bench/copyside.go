package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// copied are the rows of one stream as COPY takes them: records and typed rows.
type copied struct {
	typed         pgx.Identifier
	columns       []string
	records, rows [][]any
}

// copyBatch is how many rows COPY writes in one transaction, as the walk does.
const copyBatch = 1000

func recordColumns() []string {
	return []string{
		"record_id", "org_id", "account_id", "source", "stream", "object_id", "payload", "content_hash", "observed_at",
		"first_seen_at", "source_time", "zone_assumed", "changed_at",
	}
}

// forCopy prepares everything beforehand: the yardstick is the database's work alone.
func forCopy(stream string, columns []string, items []item, after int) copied {
	now, org := time.Now().UTC(), uuid.New()
	c := copied{
		typed:   pgx.Identifier{"ipscape", stream},
		columns: append(append([]string{"org_id", "account_id"}, columns...), "observed_at", "changed_at"),
	}
	for i := range items {
		it := &items[i]
		hash := sha256.Sum256(it.Payload)
		c.records = append(c.records, []any{
			after + i + 1, org, store.DefaultAccount, string(pipeline.SourceIPSCAPE), stream, it.ObjectID, it.Payload, hash[:], now,
			now, orNull(it.SourceTime), it.ZoneAssumed, now,
		})
		row := append([]any{org, store.DefaultAccount}, it.Values...)
		c.rows = append(c.rows, append(row, now, now))
	}
	return c
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}

func (d *dataset) activitiesForCopy() copied {
	return forCopy(ipscape.StreamActivities, ipscape.ActivityColumns(), d.activities, 0)
}

func (d *dataset) leadsForCopy() copied {
	return forCopy(ipscape.StreamLeads, ipscape.LeadColumns(), d.leads, len(d.activities))
}

// copySide is the yardstick of everything that writes rows: COPY of the same rows into the same tables, with all their keys
// and indexes, a thousand a transaction over one connection. It returns rows a second.
func (l *lab) copySide(streams ...copied) side {
	return l.on(emptyTemplate, func(ctx context.Context, b *base) ([]float64, error) {
		conn, err := b.Pool.Acquire(ctx)
		if err != nil {
			return nil, fmt.Errorf("connecting: %w", err)
		}
		defer conn.Release()
		started, n := time.Now(), 0
		for i := range streams {
			s := &streams[i]
			for from := 0; from < len(s.records); from += copyBatch {
				to := min(from+copyBatch, len(s.records))
				err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
					if _, err := tx.CopyFrom(ctx, pgx.Identifier{"ops", "records"}, recordColumns(), pgx.CopyFromRows(s.records[from:to])); err != nil {
						return err
					}
					_, err := tx.CopyFrom(ctx, s.typed, s.columns, pgx.CopyFromRows(s.rows[from:to]))
					return err
				})
				if err != nil {
					return nil, fmt.Errorf("copying %v: %w", s.typed, err)
				}
				n += to - from
			}
		}
		return []float64{perSecond(n, time.Since(started))}, nil
	})
}
