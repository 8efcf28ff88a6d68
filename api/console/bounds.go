package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/trunkline/trunkline/store"
)

// ErrTooMuch means that a list takes too long to find, or that too many people look at lists at once.
var ErrTooMuch = errors.New("too much is asked of the lists")

const (
	// ListConns is how many lists are read at once, and how many connections Config.Lists needs.
	ListConns = 3
	// ListStatement is how long a statement of Config.Lists may take.
	ListStatement = 5 * time.Second
	// listPatience is for how long a list waits for its turn.
	listPatience = 2 * time.Second
)

// bounded lets ListConns pages of rows be read at once: who looks may slow down others who look, never the daemon's work.
func (s *Site) bounded(handle func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		turn := time.NewTimer(listPatience)
		defer turn.Stop()
		select {
		case s.turns <- struct{}{}:
			defer func() { <-s.turns }()
		case <-turn.C:
			return ErrTooMuch
		}
		s.countOrgs(context.WithoutCancel(r.Context()))
		err := handle(w, r)
		if store.TookTooLong(err) || errors.Is(err, store.ErrBusy) {
			return fmt.Errorf("%w: %w", ErrTooMuch, err)
		}
		return err
	}
}
