package main

import (
	"context"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// buildDrift makes what compares samples with the vendor.
func (d *daemon) buildDrift(context.Context) error {
	d.drift = &jobs.Drift{
		DB: d.db.DB, Queue: d.queue, Log: d.log, Now: d.now, Fold: d.fold, Sample: int(d.cfg.IPSCAPE.DriftSample),
		Entry: func(key store.StreamKey) (jobs.StreamEntry, bool) {
			for i := range d.streams {
				if d.streams[i].key == key {
					return d.streams[i].StreamEntry, true
				}
			}
			return jobs.StreamEntry{}, false
		},
	}
	return nil
}

// driftable are the streams of a source that can be looked at.
func (d *daemon) driftable(source pipeline.Source) []store.StreamKey {
	var keys []store.StreamKey
	for i := range d.streams {
		if s := &d.streams[i]; s.key.Source == source && jobs.Driftable(s.StreamEntry) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

func (d *daemon) driftSchedules() []jobs.Recurring {
	var list []jobs.Recurring
	for _, key := range d.driftable(pipeline.SourceIPSCAPE) {
		list = append(list, jobs.Recurring{Name: store.DriftSchedule(key), Spec: d.cfg.IPSCAPE.DriftAt.Spec, Due: d.drift.Due(key), Later: true})
	}
	return list
}
