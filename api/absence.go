package api

import (
	"errors"
	"sync"
	"time"

	"github.com/trunkline/trunkline/store"
)

// absenceKept is how long it is believed that the database cannot be asked.
const absenceKept = time.Second

// absence remembers that requests could not be counted, so that they do not queue for a database that does not answer: one of all
// keys asks a second, the others are let through as if they had asked.
type absence struct {
	mu    sync.Mutex
	err   error
	until time.Time
}

// lasting is why the last who asked got no answer, nil where there was one.
func (a *absence) lasting() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// fresh is lasting while nobody needs to ask again. Who does is the only one for a while.
func (a *absence) fresh(now time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil || now.Before(a.until) {
		return a.err
	}
	a.until = now.Add(absenceKept)
	return nil
}

// note is what came of asking. Who waits for the key's lock until somebody has asked finds it here.
func (a *absence) note(now time.Time, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if errors.Is(err, store.ErrBusy) {
		// Requests themselves fill the pool: whoever sends so many must not be let through for it.
		return
	}
	if !store.Unavailable(err) {
		a.err, a.until = nil, time.Time{}
		return
	}
	a.err, a.until = err, now.Add(absenceKept)
}

// lock locks a key's lease, unless another request holds it that may be asking a database that gave no answer before.
func (a *absence) lock(lease *sync.Mutex) error {
	if lease.TryLock() {
		return nil
	}
	if err := a.lasting(); err != nil {
		return err
	}
	lease.Lock()
	return nil
}
