package store

import (
	"log/slog"
	"testing"
	"time"
)

// A replica that failed has its rest, whatever else fails meanwhile.
func TestReplicaRests(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r := &Replica{primary: &DB{Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return now }}}
	r.fail(ReplicaAway, errNotTold, replicaRest)
	now = now.Add(time.Second)
	r.fail(ReplicaBehind, errNotShown, 0)
	r.trust()
	if r.State().Trouble == "" {
		t.Error("a shorter rest took the place of a longer one")
	}
	now = now.Add(replicaRest)
	r.trust()
	if s := r.State(); s.Trouble != "" {
		t.Errorf("after its rest: %+v", s)
	}
}
