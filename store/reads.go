package store

import (
	"context"

	"github.com/google/uuid"
)

// Reader is what requests that only read are answered from: one database, of which nothing but these lists can be had.
type Reader interface {
	Leads(ctx context.Context, org uuid.UUID, query LeadQuery) (LeadPage, error)
	// Lead returns ErrNotFound when the organisation has no such lead.
	Lead(ctx context.Context, org, id uuid.UUID) (LeadDetail, error)
	Agents(ctx context.Context, org uuid.UUID, query AgentQuery) (AgentPage, error)
	CallEvents(ctx context.Context, org uuid.UUID, query EventQuery) (EventPage, error)
	Timeline(ctx context.Context, org uuid.UUID, query TimelineQuery) (TimelinePage, error)
	Deliveries(ctx context.Context, query DeliveryQuery) ([]DeliveryRow, int64, error)
}

var _ Reader = (*DB)(nil)

// Caller is who sends requests: an organisation's API key, by its prefix or by what stands for it.
type Caller struct {
	Org uuid.UUID
	Key string
}

// Reads picks the database that a request is answered from, and is the one way there: the replica where that shows all that the
// caller wrote and is fit otherwise, the primary else.
type Reads struct {
	Primary *DB
	// Replica is nil where there is none.
	Replica *Replica
}

// Read runs work on one database from its beginning to its end; on the replica, on one connection. Where the replica fails it, work runs once more, on the primary: it
// must not have done anything by then that cannot be done over.
func (r *Reads) Read(ctx context.Context, who Caller, work func(ctx context.Context, from Reader) error) error {
	if r.Replica != nil {
		if answered, err := r.Replica.read(ctx, who, work); answered {
			return err
		}
	}
	return work(ctx, r.Primary)
}

// Writing notes that a request of the caller's may write, before it does. wrote is called when what it wrote is committed and before
// the caller learns of it; where nobody knows whether it is, not at all. So no read that follows can miss it, at whatever daemon.
func (r *Reads) Writing(ctx context.Context, who Caller) (wrote func(), err error) {
	if r.Replica == nil {
		return func() {}, nil
	}
	return r.Replica.writing(ctx, who)
}
