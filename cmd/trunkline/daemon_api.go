package main

import (
	"context"
	"crypto/sha256"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/api"
	"github.com/trunkline/trunkline/api/console"
	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/migrations"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convoso"
)

func (d *daemon) buildAPI(ctx context.Context) (err error) {
	settings, err := d.cfg.Convoso.settings(d.cfg.General.Region)
	if err != nil {
		return err
	}
	fixed := map[[sha256.Size]byte]uuid.UUID{}
	if token := d.cfg.Convoso.OrgToken; token != "" {
		fixed[store.HashReceiverToken(token.Reveal())] = d.org.ID
	}
	backfiller := &jobs.Backfiller{DB: d.db.DB, Queue: d.queue, Account: store.DefaultAccount}
	rules, err := d.cfg.rules()
	if err != nil {
		return err
	}
	if d.cfg.General.Roles.api {
		if err := d.db.openReplica(ctx, &d.cfg.General, poolConns, d.metrics.readsDone); err != nil {
			return err
		}
	}
	lists, err := d.db.openLists(ctx)
	if err != nil {
		return err
	}
	site, err := console.New(console.Config{
		DB: d.db.DB, Lists: lists, Log: d.log, Lookback: d.cfg.IPSCAPE.Lookback.Duration, Rules: rules, AdminToken: d.cfg.General.AdminToken, Version: versionText(), Replica: d.replicaState,
		Actions: &jobs.Operator{DB: d.db.DB, Queue: d.queue, Backfills: backfiller, Replayer: d.replayer(pagePatience), Patience: pagePatience},
	})
	if err != nil {
		return err
	}
	d.server, err = api.New(api.Config{
		Log: d.log, Now: d.now, Version: versionText(), Zone: d.cfg.General.Timezone.Location,
		AdminToken: d.cfg.General.AdminToken, APIKey: d.cfg.General.APIKey, DefaultOrg: d.org.ID, FixedTokens: fixed,
		Reads: &store.Reads{Primary: d.db.DB, Replica: d.db.replica}, Keys: d.db.DB, Tokens: d.db.DB, Intake: d.intake,
		Convoso:         api.ConvosoSettings(func(uuid.UUID) convoso.Settings { return settings }),
		ConvosoFrom:     d.cfg.Convoso.AllowCIDRs,
		LendWorksSecret: d.cfg.LendWorks.WebhookSecret,
		Rates:           d.db.DB, Quotas: d.db.DB, Writes: store.NewWriter(d.db.DB, d.fold), Region: string(d.cfg.General.Region),
		Backfills: backfiller,
		Webhooks:  &api.Webhooks{Store: d.db.DB, Guard: d.cfg.webhookGuard(), Keys: d.cfg.webhookKeys()},
		Page:      site,
		Checks:    d.checks(),
		Metrics:   d.registry, Trace: d.trace,
	})
	return err
}

// checks are what readyz asks. The API answers without its replica.
func (d *daemon) checks() []api.Check {
	checks := []api.Check{
		{Name: "database", Run: d.db.Writable},
		{Name: "schema", Run: func(ctx context.Context) error { return migrations.Check(ctx, d.db.direct) }},
	}
	if d.db.replica != nil {
		checks = append(checks, api.Check{Name: "replica", Optional: true, Run: func(context.Context) error {
			if s := d.db.replica.State(); s.Trouble != "" {
				return s.Cause
			}
			return nil
		}})
	}
	return checks
}
