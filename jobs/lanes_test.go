package jobs_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/jobs/gate"
	"github.com/trunkline/trunkline/jobs/walkstore"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

// TestBackfillYieldsToLive reads a long history in one daemon and a live window of many pages in another, on one budget. The
// vendor's own log has to show that the live walk never waited for more than one request of the backfill (law 10).
func TestBackfillYieldsToLive(t *testing.T) {
	t.Parallel()
	// So slow that a live walk waits for the budget also on a machine that is busy with other tests: one that does not keep up
	// with the rate leaves what it does not use to others, rightly.
	const rate, days = 5, 10
	w := newJobsWorld(t)
	w.db.Clock = time.Now
	org, err := w.db.EnsureDefault(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	box := sandbox.New(sandbox.Options{Seed: 9, Activities: 2000, Leads: -1, Posts: -1, Span: days * 24 * time.Hour, PageSize: 5, Now: time.Now})
	server, err := box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	env := box.Env(server.URL())
	daemon := func() *walk.Runner {
		g, err := gate.New(t.Context(), w.db, gate.Config{
			Key:  store.BudgetKey{Org: org.ID, Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE},
			Rate: rate, CredentialHash: []byte("x"), Now: time.Now, Log: w.db.Log,
		})
		if err != nil {
			t.Fatal(err)
		}
		client, err := ipscape.NewClient(
			ipscape.Config{BaseURL: env["IPSCAPE_BASE_URL"], Token: vendorapi.Secret(env["IPSCAPE_TOKEN"]), AuthHeader: "Authorization", AuthPrefix: "Bearer "},
			vendorapi.Client{HTTP: &http.Client{}, Now: time.Now, Log: w.db.Log, Gate: g},
		)
		if err != nil {
			t.Fatal(err)
		}
		entry := jobs.IPSCAPE(jobs.IPSCAPEConfig{Client: client, Settings: ipscape.Settings{Zone: time.UTC, Region: "AU"}})[0]
		return &walk.Runner{
			Store:   &walkstore.Store{DB: w.db, Table: func(pipeline.Source, string) *store.TypedTable { return entry.Table }},
			Streams: func(walk.Walk) (*walk.Stream, bool) { return entry.Stream, true }, Now: time.Now, Log: w.db.Log,
		}
	}
	now := time.Now().UTC().Truncate(time.Second)
	key := store.StreamKey{Org: org.ID, Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE, Stream: ipscape.StreamActivities}
	order := func(kind walk.Kind, lane vendorapi.Lane, from, to time.Duration) (id uuid.UUID) {
		err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
			if err := w.db.EnsureStream(t.Context(), tx, key, string(walk.Created)); err != nil {
				return err
			}
			made, err := w.db.CreateWalk(t.Context(), tx, store.NewWalk{
				Key: key, Kind: string(kind), Lane: string(lane), Window: &store.TimeRange{From: now.Add(-from), To: now.Add(-to)},
			})
			id = made.ID
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}

	ctx, stop := context.WithCancel(t.Context())
	back, running := errgroup.WithContext(ctx)
	far := daemon()
	for day := 2; day < days; day += 2 {
		id := order(walk.Rescan, vendorapi.Backfill, time.Duration(day+2)*24*time.Hour, time.Duration(day)*24*time.Hour)
		back.Go(func() error { return far.Run(running, id) })
	}
	for giveUp := time.Now().Add(time.Minute); len(box.Requests()) < 2*rate && time.Now().Before(giveUp); { // past the first burst
		time.Sleep(20 * time.Millisecond)
	}
	began := len(box.Requests())
	if err := daemon().Run(ctx, order(walk.Live, vendorapi.Live, 2*24*time.Hour, 0)); err != nil {
		t.Fatal(err)
	}
	during := box.Requests()[began:]
	stop()
	_ = back.Wait() // it was stopped on purpose

	live := "" // the lower bound of the live window, by which the vendor tells its requests from the others
	for _, q := range during {
		live = max(live, q.Filters["createdTimestampFrom"])
	}
	pages, between, most := 0, 0, 0
	for _, q := range during {
		if q.Filters["createdTimestampFrom"] != live {
			between++
			continue
		}
		if pages++; pages > 1 {
			most = max(most, between)
		}
		between = 0
	}
	if pages < 40 || most > 1 {
		t.Errorf("between two of %d live requests there were up to %d of the backfill", pages, most)
	}
}
