package jobs_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/deliver"
)

// jobsWorld is a database with a queue on it and a clock that stands still.
type jobsWorld struct {
	db    *store.DB
	queue *jobs.Queue
}

func newJobsWorld(t *testing.T) *jobsWorld {
	t.Helper()
	now := time.Now()
	db := &store.DB{Pool: storetest.DB(t), Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return now }}
	queue, err := jobs.NewQueue(db.Pool, db.Log)
	if err != nil {
		t.Fatal(err)
	}
	return &jobsWorld{db: db, queue: queue}
}

// sweeper is a sweeper that knows no destination and looks for holes in the given streams.
func (w *jobsWorld) sweeper(t *testing.T, streams ...store.StreamKey) *jobs.Sweeper {
	t.Helper()
	engine, err := deliver.New(deliver.Config{Store: w.db, Hours: deliver.Window{}, Owner: uuid.New(), Now: w.db.Clock, Log: w.db.Log})
	if err != nil {
		t.Fatal(err)
	}
	return &jobs.Sweeper{
		DB: w.db, Queue: w.queue, Engine: engine, Log: w.db.Log, Streams: streams,
		Daemon: store.Daemon{ID: uuid.New(), Host: "test", Version: "test", StartedAt: w.db.Now()},
	}
}
