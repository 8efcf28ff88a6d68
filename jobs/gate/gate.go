// Package gate is an account's request budget as vendor clients ask for it: vendorapi.Gate over the budgets that all
// daemons share in Postgres (architecture.md law 10).
package gate

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Budgets is what a gate needs of the store; *store.DB has it.
type Budgets interface {
	EnsureBudget(ctx context.Context, key store.BudgetKey, rate float64, credentialHash []byte) error
	TakeBudget(ctx context.Context, key store.BudgetKey, lane string, rate float64, most int) (store.Budget, error)
	LookBudget(ctx context.Context, key store.BudgetKey) (store.Budget, error)
	PauseBudget(ctx context.Context, key store.BudgetKey, wait time.Duration) error
	DenyBudget(ctx context.Context, key store.BudgetKey, credentialHash []byte) error
	AcceptBudget(ctx context.Context, key store.BudgetKey) error
}

// Times of a gate.
const (
	// longestWait is how long Wait blocks before it gives up with an error of kind Limited.
	longestWait = 30 * time.Second
	// lookAgain is the longest sleep between two looks at the budget; an operator may lift a pause meanwhile.
	lookAgain = 500 * time.Millisecond
	// shortest is the shortest sleep.
	shortest = 5 * time.Millisecond
	// trusted is how long what was read of pause and denial holds.
	trusted = 100 * time.Millisecond
	// leaseFor is how long tokens taken ahead may be spent.
	leaseFor = time.Second
)

// Config describes an account's budget.
type Config struct {
	Key store.BudgetKey
	// Rate is in requests a second; 0 is no limit, and only pauses and refused credentials hold requests then.
	Rate float64
	// CredentialHash identifies the credentials without telling them.
	CredentialHash []byte
	Now            func() time.Time
	Log            *slog.Logger
}

// Gate is a vendorapi.Gate. It is safe for concurrent use; an account has one in each daemon.
type Gate struct {
	budgets Budgets
	cfg     Config
	// denied is when the account was seen as denied, nil while it is not.
	denied atomic.Pointer[time.Time]
	// probing is set from the grant of a request that tests refused credentials until it is let go.
	probing atomic.Bool

	mu     sync.Mutex
	tokens map[vendorapi.Lane]lease
	// calm is until when the account counts as neither paused nor denied without another look.
	calm time.Time
}

// lease is requests that were taken ahead, by lane: a lane's share is settled where all daemons' requests meet.
type lease struct {
	left  int
	until time.Time
}

// New makes the account's budget where it is missing, and clears a denial of other credentials.
func New(ctx context.Context, budgets Budgets, cfg Config) (*Gate, error) {
	if err := budgets.EnsureBudget(ctx, cfg.Key, cfg.Rate, cfg.CredentialHash); err != nil {
		return nil, err
	}
	return &Gate{budgets: budgets, cfg: cfg, tokens: map[vendorapi.Lane]lease{}}, nil
}

// Wait blocks until a request may start in the lane, for at most half a minute: then, and when it is plain that it will
// take longer, it fails with an error of kind Limited that tells how long. Refused credentials fail at once, but for one
// request each ten minutes, which tests them.
func (g *Gate) Wait(ctx context.Context, lane vendorapi.Lane) error {
	var waited time.Duration
	for {
		wait, err := g.try(ctx, lane)
		if err != nil || wait == 0 {
			return err
		}
		if waited+wait > longestWait {
			return g.refusal(vendorapi.Limited, max(wait, vendorapi.MinWait), errors.New("no request is free in this lane"))
		}
		sleep := min(max(wait, shortest), lookAgain)
		if err := pause(ctx, sleep); err != nil {
			return err
		}
		waited += sleep
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try takes one request, or says how long to wait.
func (g *Gate) try(ctx context.Context, lane vendorapi.Lane) (wait time.Duration, err error) {
	if g.spend(lane) {
		return 0, nil
	}
	var b store.Budget
	if g.cfg.Rate <= 0 {
		b, err = g.look(ctx, lane)
	} else {
		b, err = g.budgets.TakeBudget(ctx, g.cfg.Key, string(lane), g.cfg.Rate, g.ahead(lane))
	}
	if err != nil {
		return 0, err
	}
	g.saw(b.Denied)
	switch {
	case b.Paused > 0:
		return b.Paused, nil
	case b.Probe:
		g.probing.Store(true)
		return 0, nil
	case b.Denied:
		return 0, g.refusal(vendorapi.Denied, max(b.ProbeIn, vendorapi.MinWait), errors.New("credentials were refused before"))
	case b.Granted > 0:
		g.keep(lane, b.Granted-1)
		return 0, nil
	}
	// With tokens there and none granted, a better lane goes first.
	return max(b.Wait, lookAgain/5), nil
}

// ahead is how many requests are taken at once. Live ones are taken a fifth of a second's worth, so that those of a fast
// vendor cost few statements. The other lanes take one by one: what they had ahead would be sent while a live request waits.
func (g *Gate) ahead(lane vendorapi.Lane) int {
	if lane != vendorapi.Live {
		return 1
	}
	return max(1, int(g.cfg.Rate/5))
}

// look is try without a rate: the row is only read, and written when a probe is to be handed out.
func (g *Gate) look(ctx context.Context, lane vendorapi.Lane) (store.Budget, error) {
	b, err := g.budgets.LookBudget(ctx, g.cfg.Key)
	if err != nil || b.Paused > 0 {
		return b, err
	}
	if b.Probe {
		return g.budgets.TakeBudget(ctx, g.cfg.Key, string(lane), 0, 1)
	}
	if !b.Denied {
		b.Granted = 1
	}
	return b, nil
}

// spend uses a request taken ahead, or with no rate the knowledge that nothing stands against it, while it is fresh.
func (g *Gate) spend(lane vendorapi.Lane) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.cfg.Now()
	if !now.Before(g.calm) {
		return false
	}
	if g.cfg.Rate <= 0 {
		return true
	}
	l := g.tokens[lane]
	if l.left == 0 || !now.Before(l.until) {
		return false
	}
	l.left--
	g.tokens[lane] = l
	return true
}

func (g *Gate) keep(lane vendorapi.Lane, left int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.cfg.Now()
	g.calm = now.Add(trusted)
	g.tokens[lane] = lease{left: left, until: now.Add(leaseFor)}
}

// forget drops what was taken ahead: the vendor has just said something else.
func (g *Gate) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calm = time.Time{}
	clear(g.tokens)
}

// Recheck fails when the account has been paused or denied since Wait let a request pass. A request that is to test refused
// credentials is let pass, one for each probe that Wait granted.
func (g *Gate) Recheck(ctx context.Context) error {
	g.mu.Lock()
	calm := g.cfg.Now().Before(g.calm)
	g.mu.Unlock()
	if calm {
		return nil
	}
	b, err := g.budgets.LookBudget(ctx, g.cfg.Key)
	if err != nil {
		return err
	}
	g.saw(b.Denied)
	switch {
	case b.Paused > 0:
		return g.refusal(vendorapi.Limited, max(b.Paused, vendorapi.MinWait), errors.New("the account was paused meanwhile"))
	case b.Denied && !g.probing.CompareAndSwap(true, false):
		return g.refusal(vendorapi.Denied, max(b.ProbeIn, vendorapi.MinWait), errors.New("credentials were refused meanwhile"))
	case b.Denied:
		return nil
	}
	// Somebody else's request was accepted: a probe that was granted before is an ordinary request now.
	g.probing.Store(false)
	g.mu.Lock()
	g.calm = g.cfg.Now().Add(trusted)
	g.mu.Unlock()
	return nil
}

func (g *Gate) refusal(kind vendorapi.Kind, after time.Duration, err error) error {
	return &vendorapi.Error{Vendor: string(g.cfg.Key.Source), Op: "budget", Kind: kind, After: after, Err: err}
}

// Limited pauses the account for all lanes and daemons.
func (g *Gate) Limited(ctx context.Context, wait time.Duration) {
	g.forget()
	g.report("pausing", g.budgets.PauseBudget(ctx, g.cfg.Key, wait))
	g.cfg.Log.Warn("vendor asks us to slow down; account is paused", "account", g.cfg.Key.String(), "wait", wait)
}

// Denied marks the credentials as refused.
func (g *Gate) Denied(ctx context.Context) {
	g.forget()
	g.probing.Store(false)
	now := g.cfg.Now()
	if g.denied.Swap(&now) == nil {
		g.cfg.Log.Error("vendor refused our credentials; account is denied", "account", g.cfg.Key.String())
	}
	g.report("marking as denied", g.budgets.DenyBudget(ctx, g.cfg.Key, g.cfg.CredentialHash))
}

// saw notes what the budget said of a denial.
func (g *Gate) saw(denied bool) {
	if !denied {
		g.denied.Store(nil)
		return
	}
	now := g.cfg.Now()
	g.denied.CompareAndSwap(nil, &now)
}

// Accepted clears the mark that Denied made, if there is one. A request that was on its way when the credentials were
// refused proves nothing about them: one asked before the denial was seen changes nothing.
func (g *Gate) Accepted(ctx context.Context, askedAt time.Time) {
	if since := g.denied.Load(); since == nil || askedAt.Before(*since) {
		return
	}
	err := g.budgets.AcceptBudget(ctx, g.cfg.Key)
	g.report("clearing the denial", err)
	if err == nil {
		g.denied.Store(nil)
		g.probing.Store(false)
		g.cfg.Log.Info("vendor accepts our credentials again", "account", g.cfg.Key.String())
	}
}

func (g *Gate) report(doing string, err error) {
	if err != nil {
		g.cfg.Log.Error("budget of an account could not be written", "doing", doing, "account", g.cfg.Key.String(), "error", store.Loggable(err))
	}
}
