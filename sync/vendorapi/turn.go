package vendorapi

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ticket is one request's turn within the budget, taken ahead of the request.
type ticket struct {
	vendor string
	lane   Lane
	used   atomic.Bool
}

type ticketKey struct{}

// Turn waits for the account's budget ahead of a request, so that whatever decides about the request can be looked at after
// the wait and not before it. The first request of this vendor and lane that is made with the returned context starts at
// once, unless the account has been paused or denied since, which fails it unsent; those after it wait as ever. A turn that is
// not used is lost. Errors are the gate's.
func (c *Client) Turn(ctx context.Context, lane Lane) (context.Context, error) {
	if c.Gate == nil {
		return ctx, nil
	}
	if err := c.Gate.Wait(ctx, lane); err != nil {
		return nil, fmt.Errorf("%s: waiting for the account's budget: %w", c.Vendor, err)
	}
	return context.WithValue(ctx, ticketKey{}, &ticket{vendor: c.Vendor, lane: lane}), nil
}

// recheckWithin bounds the look before a request: a database that answers late must not let it leave late, when what was checked
// before it holds no more.
const recheckWithin = 2 * time.Second

// wait lets one request start: by the turn in its context, or in its lane's time. Both look once more before they let it go, which
// is what uses up the one request that may test refused credentials.
func (c *Client) wait(ctx context.Context, r Request) error {
	if c.Gate == nil {
		return nil
	}
	if t, ok := ctx.Value(ticketKey{}).(*ticket); !ok || t.vendor != c.Vendor || t.lane != r.Lane || !t.used.CompareAndSwap(false, true) {
		if err := c.Gate.Wait(ctx, r.Lane); err != nil {
			return fmt.Errorf("%s %s: waiting for the account's budget: %w", c.Vendor, r.Op, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, recheckWithin)
	defer cancel()
	err := c.Gate.Recheck(ctx)
	if _, told := errors.AsType[*Error](err); err != nil && !told {
		// Whatever it is, nothing has left.
		return &Error{Vendor: c.Vendor, Op: r.Op, Kind: Transient, Err: err}
	}
	if err != nil {
		return fmt.Errorf("%s %s: the account's budget: %w", c.Vendor, r.Op, err)
	}
	return nil
}
