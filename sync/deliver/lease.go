package deliver

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
)

// renewEvery is the part of a lease after which it is renewed.
const renewEvery = 4

// startRenewing keeps the leases of all that is in hand until stop is called, which waits for it.
func (e *Engine) startRenewing(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(e.set.Lease / renewEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if ids := e.inHand(); len(ids) > 0 {
				if err := e.renew(ctx, ids); err != nil && ctx.Err() == nil {
					e.log.Warn("leases of deliveries could not be renewed", "count", len(ids), "error", err)
				}
			}
		}
	})
	return func() {
		cancel()
		done.Wait()
	}
}

func (e *Engine) renew(ctx context.Context, ids []uuid.UUID) error {
	ctx, cancel := context.WithTimeout(ctx, e.set.Lease/renewEvery)
	defer cancel()
	return e.store.RenewDeliveries(ctx, e.owner, ids, e.now().Add(e.set.Lease))
}
