package main

import (
	"context"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

// addLendWorks makes the one client through which LendWorks is read and written, and its streams.
func (d *daemon) addLendWorks(ctx context.Context) error {
	c := &d.cfg.LendWorks
	if !c.on() {
		return nil
	}
	base, err := d.vendorClient(ctx, pipeline.SourceLendWorks, c.Rate, c.APIKey)
	if err != nil {
		return err
	}
	if d.lendworks, err = lendworks.NewClient(c.client(), base); err != nil {
		return err
	}
	for _, e := range jobs.LendWorksStreams(jobs.LendWorksConfig{
		Client: d.lendworks, Settings: c.settings(d.cfg.General.Region), Start: c.Start.Duration, Settle: c.Settle.Duration,
		Overlap: c.Overlap.Duration, Leads: c.Leads.Spec,
		Rereads: []jobs.RereadEntry{
			{Kind: walk.Lookback, Span: c.Lookback.Duration, Spec: c.LookbackAt.Spec},
			{Kind: walk.Rescan, Span: c.Rescan.Duration, Spec: c.RescanAt.Spec},
		},
	}) {
		d.addStream(e)
	}
	return nil
}

// addConvosoLog adds Convoso's call log, by which calls whose posts were lost come back.
func (d *daemon) addConvosoLog(ctx context.Context) error {
	c := &d.cfg.Convoso
	if !c.logOn() {
		return nil
	}
	settings, err := c.settings(d.cfg.General.Region)
	if err != nil {
		return err
	}
	base, err := d.vendorClient(ctx, pipeline.SourceConvoso, c.Rate, c.AuthToken)
	if err != nil {
		return err
	}
	client, err := convoso.NewLogClient(c.log(), base)
	if err != nil {
		return err
	}
	d.addStream(jobs.ConvosoCallLog(jobs.CallLogConfig{Client: client, Settings: settings, Start: c.Start.Duration, Live: c.CallLog.Spec, Lookback: c.LookbackAt.Spec}))
	return nil
}

// addStream adds a stream of the default account.
func (d *daemon) addStream(e jobs.StreamEntry) {
	d.streams = append(d.streams, accountStream{
		key:         store.StreamKey{Org: d.org.ID, Account: store.DefaultAccount, Source: e.Stream.Source, Stream: e.Stream.Name},
		StreamEntry: e,
	})
}
