package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// heartbeatEvery is how often the heartbeat is raised: as much can be lost before it shows outside.
const heartbeatEvery = 2 * time.Second

// heartbeatFile keeps the newest heartbeat outside the database, in TRUNKLINE_DATA_DIR.
type heartbeatFile struct{ path string }

// heartbeatKept is what the file holds.
type heartbeatKept struct {
	DatabaseID uuid.UUID `json:"database_id"`
	Beat       int64     `json:"beat"`
	At         time.Time `json:"at"`
}

func newHeartbeatFile(dir string) heartbeatFile {
	return heartbeatFile{filepath.Join(dir, "heartbeat.json")}
}

// fresh is this process's own file on its way: several daemons may share a directory.
func (f heartbeatFile) fresh() string { return fmt.Sprintf("%s.%d", f.path, os.Getpid()) }

// read returns the zero heartbeat where there is no file.
func (f heartbeatFile) read() (store.Heartbeat, error) {
	text, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return store.Heartbeat{}, nil
	}
	if err != nil {
		return store.Heartbeat{}, fmt.Errorf("reading the heartbeat outside the database: %w", err)
	}
	var kept heartbeatKept
	if err := json.Unmarshal(text, &kept); err != nil {
		return store.Heartbeat{}, fmt.Errorf("reading the heartbeat outside the database, %s: %w", f.path, err)
	}
	return store.Heartbeat(kept), nil
}

// write replaces the file at once, so that a crash leaves the old one or the new one. It need not outlive a power cut of this
// machine: an older beat only makes a loss look smaller by seconds.
func (f heartbeatFile) write(h store.Heartbeat) error {
	text, err := json.Marshal(heartbeatKept(h))
	if err == nil {
		err = os.MkdirAll(filepath.Dir(f.path), 0o700)
	}
	if err == nil {
		err = os.WriteFile(f.fresh(), text, 0o600)
	}
	if err == nil {
		err = os.Rename(f.fresh(), f.path)
	}
	if err != nil {
		return fmt.Errorf("keeping the heartbeat outside the database: %w", err)
	}
	return nil
}

// beat raises the heartbeat, keeps it outside, and tells of a database that is behind what was kept.
func (d *daemon) beat(ctx context.Context) error {
	h, lost, err := d.db.Beat(ctx, d.lastBeat)
	if err != nil {
		return err
	}
	d.lastBeat = h
	if lost != nil {
		d.log.Error("THE DATABASE HAS LOST COMMITS: it was restored, or a failover took a server that lagged. What may have rung is asked about "+
			"before it rings, and streams are read again; posts of the time that is missing are gone", "lost_from", lost.From, "lost_until", lost.Until,
			"deliveries_ready", lost.Waiting)
	}
	return newHeartbeatFile(d.cfg.General.DataDir).write(h)
}

// firstBeat looks, before anything is sent, whether the database has lost commits since a daemon last ran here.
func (d *daemon) firstBeat(ctx context.Context) error {
	kept, err := newHeartbeatFile(d.cfg.General.DataDir).read()
	if err != nil {
		// A broken file proves nothing, and must not keep the daemon down.
		d.log.Warn("whether the database lost commits before this start is not known", "error", err)
	}
	d.lastBeat = kept
	err = d.beat(ctx)
	if err != nil && d.lastBeat == kept {
		return err // the database did not take it
	}
	if err != nil {
		d.log.Warn("a loss of commits is noticed only while this daemon runs", "error", err)
	}
	return nil
}

// beatOn raises the heartbeat until ctx ends.
func (d *daemon) beatOn(ctx context.Context) {
	ticker := time.NewTicker(heartbeatEvery)
	defer ticker.Stop()
	failing, alive := false, d.pulses.of("heartbeat")
	alive()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		look, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := d.beat(look)
		cancel()
		alive()
		if err != nil && !failing && ctx.Err() == nil {
			d.log.Warn("the heartbeat was not raised", "error", store.Loggable(err))
		}
		failing = err != nil
	}
}
