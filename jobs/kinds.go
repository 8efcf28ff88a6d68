package jobs

import (
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// Queues. Each destination has one of its own, so that a slow vendor holds up nobody else.
const (
	queueWalks     = "walks"
	queueBackfill  = "backfill"
	queueReconcile = "reconcile"
	queueInbox     = "inbox"
	queueUpkeep    = "upkeep"
	// queueRefetch is for requests about single objects, in the re-read lane.
	queueRefetch  = "refetch"
	queueWebhooks = "webhooks"
)

func queueOf(destination string) string { return "deliver_" + destination }

// Attempts of a job before River discards it. A drain that is given up is woken again by the sweeper or the next record.
const (
	walkAttempts  = 12
	drainAttempts = 5
)

// WalkArgs asks to go on with a walk. Schedule and Slot say which due slot asked, where one did.
type WalkArgs struct {
	WalkID   uuid.UUID  `json:"walk_id"`
	Schedule string     `json:"schedule,omitempty"`
	Slot     *time.Time `json:"slot,omitempty"`
	Backfill bool       `json:"backfill,omitempty"`
}

// Kind implements river.JobArgs.
func (WalkArgs) Kind() string { return "walk" }

// InsertOpts sends backfills to their own queue, so that they never take a live walk's worker.
func (a WalkArgs) InsertOpts() river.InsertOpts {
	queue := queueWalks
	if a.Backfill {
		queue = queueBackfill
	}
	return river.InsertOpts{Queue: queue, MaxAttempts: walkAttempts}
}

// ReconcileArgs wakes the fold.
type ReconcileArgs struct{}

// Kind implements river.JobArgs.
func (ReconcileArgs) Kind() string { return "reconcile" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (ReconcileArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueReconcile, MaxAttempts: drainAttempts}
}

// InboxArgs wakes the drain of the inbox.
type InboxArgs struct{}

// Kind implements river.JobArgs.
func (InboxArgs) Kind() string { return "inbox" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (InboxArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueInbox, MaxAttempts: drainAttempts}
}

// DeliverArgs wakes the drain of one destination.
type DeliverArgs struct {
	Destination string `json:"destination"`
}

// Kind implements river.JobArgs.
func (DeliverArgs) Kind() string { return "deliver" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (a DeliverArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueOf(a.Destination), MaxAttempts: drainAttempts}
}

// UpkeepArgs asks for the daily upkeep: partitions made ahead, old ones dropped.
type UpkeepArgs struct {
	Slot time.Time `json:"slot"`
}

// Kind implements river.JobArgs.
func (UpkeepArgs) Kind() string { return "upkeep" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (UpkeepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueUpkeep, MaxAttempts: drainAttempts}
}
