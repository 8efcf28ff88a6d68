package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
)

// benchRecords are rows of 0.8 kB or so, without typed rows, as in the yardstick.
func benchRecords(batch, n, second int, content string) []store.LandRecord {
	recs := make([]store.LandRecord, n)
	filler := fmt.Sprintf("%0700d", 7)
	for i := range recs {
		id := fmt.Sprintf("%09d", batch*n+i)
		recs[i] = store.LandRecord{
			ObjectID: id, ObservedAt: landStart.Add(time.Duration(second) * time.Second),
			Payload: fmt.Appendf(nil, `{"id":%q,"v":%q,"filler":%q,"timestamps":{"created":"2026-03-02T09:00:00+10:00"}}`, id, content, filler),
		}
	}
	return recs
}

const benchBatch = 1000

// BenchmarkLand compares landing with a bare COPY into a table of the same shape; look at rows/s.
func BenchmarkLand(b *testing.B) {
	rate := func(b *testing.B) {
		b.ReportMetric(float64(b.N*benchBatch)/b.Elapsed().Seconds(), "rows/s")
	}
	b.Run("copy", func(b *testing.B) {
		w := newLandWorld(b)
		ctx := context.Background()
		if _, err := w.db.Pool.Exec(ctx, `create table ops.yardstick (like ops.records including all)`); err != nil {
			b.Fatal(err)
		}
		batch := 0
		for b.Loop() {
			b.StopTimer()
			recs := benchRecords(batch, benchBatch, 1, "A")
			batch++
			b.StartTimer()
			err := w.db.InTx(ctx, func(tx pgx.Tx) error {
				columns := []string{"org_id", "account_id", "source", "stream", "object_id", "payload", "content_hash", "observed_at", "first_seen_at"}
				_, err := tx.CopyFrom(ctx, pgx.Identifier{"ops", "yardstick"}, columns,
					pgx.CopyFromSlice(len(recs), func(i int) ([]any, error) {
						r := &recs[i]
						return []any{
							w.target.Org, w.target.Account, string(w.target.Source), w.target.Stream, r.ObjectID,
							r.Payload, r.Payload[:32], r.ObservedAt, r.ObservedAt,
						}, nil
					}))
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		rate(b)
	})
	b.Run("first", func(b *testing.B) {
		w := newLandWorld(b)
		w.target.Table = nil
		batch := 0
		for b.Loop() {
			b.StopTimer()
			recs := benchRecords(batch, benchBatch, 1, "A")
			batch++
			b.StartTimer()
			if _, err := w.try(store.LandOptions{}, recs...); err != nil {
				b.Fatal(err)
			}
		}
		rate(b)
	})
	for _, again := range []struct {
		name, content string
		bump          bool
	}{{"unchanged", "A", false}, {"bumped", "A", true}, {"changed", "B", false}} {
		b.Run(again.name, func(b *testing.B) {
			w := newLandWorld(b)
			w.target.Table = nil
			const batches = 50
			for i := range batches {
				if _, err := w.try(store.LandOptions{}, benchRecords(i, benchBatch, 1, "A")...); err != nil {
					b.Fatal(err)
				}
			}
			i := 0
			for b.Loop() {
				b.StopTimer()
				content := again.content
				if content != "A" {
					content = fmt.Sprint(content, i)
				}
				recs := benchRecords(i%batches, benchBatch, i+2, content)
				i++
				b.StartTimer()
				if _, err := w.try(store.LandOptions{Bump: again.bump}, recs...); err != nil {
					b.Fatal(err)
				}
			}
			rate(b)
		})
	}
}
