package main

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/jobs/gate"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/walk"
)

func newVendorHTTP() *http.Client { return vendorapi.NewHTTP() }

// accountGate is the budget of one of the organisation's own accounts.
func accountGate(ctx context.Context, db *store.DB, org uuid.UUID, account vendorAccount, log *slog.Logger) (*gate.Gate, error) {
	hash := sha256.Sum256([]byte(account.credential.Reveal()))
	return gate.New(ctx, db, gate.Config{
		Key:  store.BudgetKey{Org: org, Account: store.DefaultAccount, Source: account.source},
		Rate: float64(account.rate), CredentialHash: hash[:], Now: time.Now, Log: log,
	})
}

// vendorClient is what all vendor clients have in common, with the account's budget as its gate.
func (d *daemon) vendorClient(ctx context.Context, source pipeline.Source, perSecond rate, credential vendorapi.Secret) (vendorapi.Client, error) {
	g, err := accountGate(ctx, d.db.DB, d.org.ID, vendorAccount{source, perSecond, credential}, d.log)
	if err != nil {
		return vendorapi.Client{}, err
	}
	d.metrics.budget.WithLabelValues(string(source)).Set(float64(perSecond))
	return vendorapi.Client{HTTP: d.http, Now: d.now, Log: d.log, Gate: g, Observe: d.metrics.requested, Trace: d.trace, Secrets: d.cfg.secrets()}, nil
}

func (d *daemon) addIPSCAPE(ctx context.Context) error {
	c := &d.cfg.IPSCAPE
	if !c.on() {
		return nil
	}
	base, err := d.vendorClient(ctx, pipeline.SourceIPSCAPE, c.Rate, c.Token)
	if err != nil {
		return err
	}
	client, err := ipscape.NewClient(c.client(), base)
	if err != nil {
		return err
	}
	d.ipscape = client
	key := store.StreamKey{Org: d.org.ID, Account: store.DefaultAccount, Source: pipeline.SourceIPSCAPE}
	d.unknowns = &jobs.Unknowns{DB: d.db.DB, Log: d.log, Key: key}
	entries := jobs.IPSCAPE(jobs.IPSCAPEConfig{
		Client: client, Settings: c.settings(), Start: c.Start.Duration, Settle: c.Settle.Duration, Overlap: c.Overlap.Duration,
		MaxPages: int(c.MaxPages), Schedules: c.schedules(), Sweep: c.SweepAt.Spec, Unknowns: d.unknowns,
		Rereads: []jobs.RereadEntry{
			{Kind: walk.Lookback, Span: c.Lookback.Duration, Spec: c.LookbackAt.Spec},
			{Kind: walk.Rescan, Span: c.Rescan.Duration, Spec: c.RescanAt.Spec},
		},
	})
	d.refetch = jobs.NewRefetcher(&jobs.Refetcher{DB: d.db.DB, Queue: d.queue, Log: d.log, Now: d.now, Key: key}, entries)
	for _, e := range entries {
		key.Stream = e.Stream.Name
		d.streams = append(d.streams, accountStream{key: key, StreamEntry: e})
	}
	key.Stream = ipscape.StreamCampaigns
	d.stats = jobs.NewCampaignStats(jobs.CampaignStats{
		DB: d.db.DB, Queue: d.queue, Log: d.log, Client: client, Settings: c.settings(), Key: key,
	})
	return nil
}

func (d *daemon) buildDeliveries(ctx context.Context) error {
	var destinations []deliver.Destination
	if c := &d.cfg.DialedIn; c.on() {
		base, err := d.vendorClient(ctx, pipeline.SourceDialedIn, c.Rate, c.Token)
		if err != nil {
			return err
		}
		client, err := dialedin.NewClient(c.client(), base)
		if err != nil {
			return err
		}
		destinations = append(destinations, jobs.DialedIn(client))
	}
	if c := &d.cfg.Convolo; c.on() {
		base, err := d.vendorClient(ctx, pipeline.SourceConvolo, c.Rate, c.APIKey)
		if err != nil {
			return err
		}
		client, err := convolo.NewClient(c.client(), base)
		if err != nil {
			return err
		}
		destinations = append(destinations, jobs.Convolo(client))
	}
	if d.ipscape != nil && d.cfg.IPSCAPE.Writes {
		destinations = append(destinations, jobs.IPSCAPEOptOuts(d.ipscape, d.db.DB))
	}
	if d.lendworks != nil {
		destinations = append(destinations, jobs.LendWorks(d.lendworks))
	}
	if d.fold != nil {
		d.fold.Tells = jobs.Tells(destinations)
	}
	hours, err := d.cfg.General.hours()
	if err != nil {
		return err
	}
	d.engine, err = deliver.New(deliver.Config{
		Store: d.db.DB, Destinations: destinations, Hours: hours,
		Owner: d.id, Now: d.now, Log: d.log, Observe: d.metrics.delivered, Sped: d.metrics.sped, Trace: d.trace,
		Settings: deliver.Settings{
			DialQuiet: d.cfg.General.dialQuiet(), ReconcileDelay: d.cfg.DialedIn.ReconcileDelay.Duration, WebhookWait: d.cfg.Convolo.WebhookWait.Duration,
			// Above the longest request, so that a slow vendor is not taken for a cut.
			SendTimeout: max(time.Minute, 2*d.cfg.DialedIn.Timeout.Duration, 2*d.cfg.Convolo.Timeout.Duration, 2*d.cfg.LendWorks.Timeout.Duration),
		},
	})
	if err != nil {
		return err
	}
	d.warnOfRoutes()
	return nil
}

// hours are the rules of places, or the one window that the environment sets in their stead.
func (g *generalConfig) hours() (deliver.Hours, error) {
	rules, err := pipeline.DefaultCallRules()
	if err != nil || !g.CallWindow.explicit {
		return rules, err
	}
	return deliver.Window{CallWindow: g.CallWindow.CallWindow, Places: rules}, nil
}

// dialQuiet turns 0, which is none in the environment, into what the engine takes for none.
func (g *generalConfig) dialQuiet() time.Duration {
	if g.DialQuiet.Duration == 0 {
		return -1
	}
	return g.DialQuiet.Duration
}

// warnOfRoutes tells of routes to destinations that are off: their leads wait.
func (d *daemon) warnOfRoutes() {
	known := map[string]bool{}
	for _, name := range d.engine.Destinations() {
		known[name] = true
	}
	for _, name := range d.cfg.General.Push.names() {
		if !known[name] {
			d.log.Warn("TRUNKLINE_PUSH names a destination that is off: nothing is sent there", "destination", name)
		}
	}
}
