// Package walk reads a stream page by page: it plans windows, fetches, maps and writes side by side, goes on where it was
// stopped, and knows when a vendor leads it in circles. It knows no vendor and no SQL: both are handed in.
package walk

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Capability is what a list can honestly be asked for.
type Capability string

// Created lists filter by creation time alone; Snapshot lists are only read whole.
const (
	Created  Capability = "created"
	Snapshot Capability = "snapshot"
)

// Kind is why a walk is made.
type Kind string

// The kinds of walks.
const (
	Live     Kind = "live"
	Lookback Kind = "lookback"
	Rescan   Kind = "rescan"
	Sweep    Kind = "sweep"
	Backfill Kind = "backfill"
	Hole     Kind = "hole"
)

// Window is half-open: From is in it, To is not. Both are UTC.
type Window struct {
	From, To time.Time
}

// Walk is one read of a stream.
type Walk struct {
	ID      uuid.UUID
	Org     uuid.UUID
	Account string
	Source  pipeline.Source
	Stream  string
	Kind    Kind
	Lane    vendorapi.Lane
	// Window is nil for a whole snapshot.
	Window *Window
	// Filters are the stream's own. A walk with any reads a part only and claims no coverage.
	Filters map[string]string
	// Cursor is of the next page to ask for, empty for the first.
	Cursor   string
	Pages    int
	Restarts int
}

// Stream is one list of one account: how to ask for a page, and how to read an item.
type Stream struct {
	Source     pipeline.Source
	Name       string
	Capability Capability
	// Overlap is how much of the covered time a live walk reads again; Settle is the youngest time not read yet, for rows that
	// the vendor writes late; Start is how far the first live walk reaches back.
	Overlap, Settle, Start time.Duration
	// MaxPages ends a walk that does not end by itself; 0 means no ceiling.
	MaxPages int
	// Fetch asks for one page. It calls sink.Next as soon as it knows the next cursor, and sink.Emit for each item.
	Fetch func(ctx context.Context, r PageRequest, sink Sink) (Page, error)
	// Map reads an item. An error puts the item into quarantine, under Item.ObjectID where that could be read; its text
	// holds no personal data.
	Map func(raw []byte) (Item, error)
	// CursorRefused tells whether an error means that the vendor no longer takes the cursor; nil means it never does.
	CursorRefused func(error) bool
	// Reason names an error of Map or of Sink.Emit in a word or two; nil gives every item the same reason.
	Reason func(error) string
}

// PageRequest asks for one page.
type PageRequest struct {
	// From and To are inclusive, in whole seconds and at least as wide as the walk's window; zero for a whole snapshot.
	From, To time.Time
	Filters  map[string]string
	// Cursor is empty for the first page.
	Cursor string
	Lane   vendorapi.Lane
}

// Sink takes a page's contents while it is read.
type Sink struct {
	// Next tells the cursor of the next page, empty for none. Calling it is a courtesy that lets the next page be asked for
	// before this one is read; Page.Next counts.
	Next func(cursor string)
	// Emit takes one item and keeps raw. bad, when set, says why the item cannot be read: it goes to quarantine.
	Emit func(raw []byte, bad error) error
}

// Page is what was learnt of a page that was read to its end.
type Page struct {
	// Next is the cursor of the next page, empty on the last.
	Next string
	// AskedAt is when the request was sent, by our clock.
	AskedAt time.Time
	// VendorTime is the vendor's own time of the answer, zero when it told none.
	VendorTime time.Time
	// Cut tells of a last page after which the list goes on, though the vendor gives no way to follow.
	Cut bool
}

// Item is one object, ready to be stored.
type Item struct {
	ObjectID string
	// Payload is JSON that can be stored; Cleaned tells that it differs from what came.
	Payload []byte
	Cleaned bool
	// SourceTime is the source's own time of this version, zero when it told none.
	SourceTime  time.Time
	ZoneAssumed bool
	// FilterTime is the time that the list's window filters on, zero when absent: when the object was made.
	FilterTime time.Time
	// Open tells that more of the object is still to come at its source. Touches are objects of the account that may have
	// changed with it.
	Open    bool
	Touches []Ref
	// Values is the typed row.
	Values []any
}

// Ref names an object of an account.
type Ref struct{ Stream, ObjectID string }

// Record is an item with the time at which it was observed (law 4).
type Record struct {
	Item
	// Raw is the exact bytes, set only where the item was cleaned.
	Raw        []byte
	ObservedAt time.Time
}

// BadItem is an item for quarantine.
type BadItem struct {
	ObjectID string
	Reason   string
	Err      error
	Raw      []byte
}

// Batch is what one transaction commits: all of it, or nothing (law 1).
type Batch struct {
	Walk Walk
	// Run is the lease that must still hold.
	Run     uuid.UUID
	Lease   time.Duration
	Records []Record
	Bad     []BadItem
	// Cursor is of the next page to ask for.
	Cursor string
	// Pages is how many pages end in this batch.
	Pages int
	// Window narrows the walk's window when set.
	Window *Window
	// Bump raises the observation time of every record, changed or not. A walk of the whole list does: what it has not seen
	// is then what was observed before it began.
	Bump bool
	// Done ends the walk; Covers, when set, joins the stream's coverage. Cut is Page.Cut.
	Done   bool
	Covers *Window
	Cut    bool
}

// Committed says what became of a batch.
type Committed struct {
	New, Changed, Unchanged, Older int
}

// Store keeps walks and their rows. Renew, Commit, Restart, Release and Fail return ErrLost when the lease is not run's.
type Store interface {
	// Claim takes the lease, or returns ErrTaken.
	Claim(ctx context.Context, id, run uuid.UUID, lease time.Duration) (Walk, error)
	Renew(ctx context.Context, id, run uuid.UUID, lease time.Duration) error
	Commit(ctx context.Context, b Batch) (Committed, error)
	// Restart drops the cursor and counts the restart.
	Restart(ctx context.Context, id, run uuid.UUID, lease time.Duration) error
	// Release gives the walk back for a later run; problem may be nil.
	Release(ctx context.Context, id, run uuid.UUID, problem error) error
	// Fail ends the walk without coverage.
	Fail(ctx context.Context, id, run uuid.UUID, problem error, keepCursor bool) error
}

var (
	// ErrTaken means that another run has the walk, or that it has ended. There is nothing to do.
	ErrTaken = errors.New("walk is taken or has ended")
	// ErrLost means that the lease is lost: another run has the walk, or an operator stopped it.
	ErrLost = errors.New("walk is no longer ours")
)
