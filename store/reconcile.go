package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Reconciler folds new records into the pipeline. Its fields are set once, before use.
type Reconciler struct {
	DB *DB
	// Facts turns a record into facts; an error puts the record into quarantine, where its facts say nothing. It is called by two
	// goroutines at once.
	Facts func(*pipeline.Record) (pipeline.Facts, error)
	// Rules are those that hold for every organisation; what operators set for one is laid over them: see RulesOf.
	Rules pipeline.Rules
	// MaxAge is how old a lead may be to be pushed by itself (law 7), counted from its earliest source time.
	MaxAge time.Duration
	// Blockers are the destinations that must hear of an opt-out.
	Blockers []string
	// LocalBlockers are diallers that cannot be told of an opt-out: our own check blocks it, and a settled row says so.
	LocalBlockers []string
	// Wake is called in the transaction with the destinations that got deliveries; it may be nil.
	Wake func(ctx context.Context, tx pgx.Tx, destinations []string) error
	// WakeWebhooks is called in the transaction when it ordered webhooks. Where it is nil nothing is told of: a rebuild, which
	// brings about nothing new, sets none (law 7).
	WakeWebhooks func(ctx context.Context, tx pgx.Tx) error
	// Batch is how many queued records one transaction begins with at the most; 0 means 150. Whatever else is queued of the same
	// leads is folded with them, so that it need not be large for a lead to be folded once, and a small one keeps memory low.
	Batch int
	// Observe is told of every batch; it may be nil.
	Observe func(records, leads, calls int, took time.Duration)
	// Sped is told how long after its lead came to be a first push was ordered (ready), or a pushed lead was first dialled or
	// answered; it may be nil.
	Sped func(destination, step string, took time.Duration)
	// Tells says whether an update_lead with these parameters, of a lead that the destination was told as one and that is now the
	// other, would tell it anything: it may have no field for what changed. Where it is nil, or says yes in error, the update is
	// decided away when its turn has come.
	Tells func(destination string, params json.RawMessage, was, now pipeline.LeadView) bool

	// repairing makes a fold write every row, whatever the stored hashes say, and push nothing (law 7).
	repairing bool
}

// reconcileBatch is Reconciler.Batch where nothing else is said.
const reconcileBatch = 150

// reconcileHold is how long a batch may keep its organisation to itself before the next one is made smaller: a write whose
// answer shows its result waits for it.
const reconcileHold = time.Second

// reconcileRead is about how many records a batch may read for each that it may begin with. It keeps the memory of a fold, some
// kilobytes a record, from growing with the history of leads.
const reconcileRead = 2

// errTooMuch stops a batch with which far more belongs together than it may read, before that is read.
var errTooMuch = errors.New("too much belongs together with the batch")

func (r *Reconciler) batchSize() int {
	if r.Batch > 0 {
		return r.Batch
	}
	return reconcileBatch
}
