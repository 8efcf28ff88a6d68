package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// The most records of a kind that are folded.
const (
	foldActivities = 20_000
	foldLeads      = 5_000
	foldPosts      = 2_000
)

// reconcileBench measures how fast new records are folded into leads and calls.
func reconcileBench(ctx context.Context, l *lab) ([]row, error) {
	d, err := l.dataset(ctx)
	if err != nil {
		return nil, err
	}
	d = &dataset{
		activities: d.activities[:min(len(d.activities), foldActivities)], leads: d.leads[:min(len(d.leads), foldLeads)],
		posts: d.posts[:min(len(d.posts), foldPosts)],
	}
	landed, err := l.fresh(ctx, emptyTemplate)
	if err != nil {
		return nil, err
	}
	if err := landed.land(ctx, d); err != nil {
		return nil, errors.Join(err, landed.drop(context.WithoutCancel(ctx)))
	}
	landed.shut() // a template must be used by nobody
	fold := l.on(landed.name, func(ctx context.Context, b *base) ([]float64, error) { return b.foldAll(ctx) })
	got, err := interleave(ctx, l.pairs, l.copySide(d.activitiesForCopy(), d.leadsForCopy()), fold)
	if err = errors.Join(err, landed.drop(context.WithoutCancel(ctx))); err != nil {
		return nil, err
	}
	r := row{figure: "records reconciled", unit: "records/s", yardstick: "COPY of the rows", must: 0.15, stretch: 0.3}
	return []row{r.against(got[1][0], got[0][0])}, nil
}

// land puts the records in as walks and the inbox do.
func (b *base) land(ctx context.Context, d *dataset) error {
	org, err := b.EnsureDefault(ctx)
	if err != nil {
		return err
	}
	table := func(name, key string, columns []string) *store.TypedTable {
		return &store.TypedTable{Schema: "ipscape", Name: name, Key: key, Columns: columns}
	}
	if err := b.landItems(ctx, org.ID, d.leads, table(ipscape.StreamLeads, "lead_id", ipscape.LeadColumns())); err != nil {
		return err
	}
	if err := b.landItems(ctx, org.ID, d.activities, table(ipscape.StreamActivities, "activity_id", ipscape.ActivityColumns())); err != nil {
		return err
	}
	return b.landPosts(ctx, org.ID, d)
}

func (b *base) landItems(ctx context.Context, org uuid.UUID, items []item, table *store.TypedTable) error {
	target := store.Target{Org: org, Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE, Stream: table.Name, Table: table}
	for from := 0; from < len(items); from += copyBatch {
		var records []store.LandRecord
		for i := from; i < min(from+copyBatch, len(items)); i++ {
			it := &items[i]
			records = append(records, store.LandRecord{
				ObjectID: it.ObjectID, Payload: it.Payload, SourceTime: it.SourceTime, ZoneAssumed: it.ZoneAssumed, ObservedAt: b.Now(), Values: it.Values,
			})
		}
		err := b.InTx(ctx, func(tx pgx.Tx) error {
			_, err := b.Land(ctx, tx, target, records, store.LandOptions{})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *base) landPosts(ctx context.Context, org uuid.UUID, d *dataset) error {
	settings, err := convoso.NewSettings(convoso.Config{Account: store.DefaultAccount})
	if err != nil {
		return err
	}
	in := store.NewIntake(b.DB, store.IntakeConfig{})
	in.Start()
	for i := range d.posts {
		p := &d.posts[i]
		err := in.Accept(ctx, store.Post{
			ID: uuid.Must(uuid.NewV7()), Org: org, Source: string(pipeline.SourceConvoso), State: store.PostNew, ReceivedAt: b.Now(),
			Method: "POST", ContentType: p.ContentType, Query: url.Values{"event": {p.Event}}.Encode(), Body: p.Body,
		})
		if err != nil {
			return errors.Join(err, in.Stop(ctx))
		}
	}
	if err := in.Stop(ctx); err != nil {
		return err
	}
	drain := &store.InboxDrain{DB: b.DB, Read: jobs.ReadConvoso(settings)}
	_, err = drain.Drain(ctx)
	return err
}

// foldAll folds everything that is queued and returns records a second.
func (b *base) foldAll(ctx context.Context) ([]float64, error) {
	convosoSettings, err := convoso.NewSettings(convoso.Config{Account: store.DefaultAccount})
	if err != nil {
		return nil, err
	}
	ipscapeSettings := settings()
	r := &store.Reconciler{
		DB: b.DB, MaxAge: 72 * time.Hour, Wake: b.queue.WakeDeliver, Blockers: []string{jobs.DestinationDialedIn},
		Facts: func(r *pipeline.Record) (pipeline.Facts, error) {
			if r.Source == pipeline.SourceConvoso {
				return convosoSettings.Facts(*r)
			}
			return ipscapeSettings.Facts(*r)
		},
	}
	started := time.Now()
	n, err := r.Drain(ctx)
	took := time.Since(started)
	if err != nil {
		return nil, err
	}
	var leads, calls, left int
	err = b.Pool.QueryRow(ctx, `select (select count(*) from pipeline.leads), (select count(*) from pipeline.calls),
		(select count(*) from ops.reconcile_queue)`).Scan(&leads, &calls, &left)
	if err != nil {
		return nil, fmt.Errorf("counting what was folded: %w", err)
	}
	if n == 0 || leads == 0 || calls == 0 || left != 0 {
		return nil, fmt.Errorf("folded %d records into %d leads and %d calls, %d are left", n, leads, calls, left)
	}
	return []float64{perSecond(n, took)}, nil
}
