package status

import (
	"time"

	"github.com/trunkline/trunkline/store"
)

// Replica is how the replica stands that requests are read from.
type Replica struct {
	Read bool `json:"read"`
	// Trouble is why it is not read from, in a word; empty while it is.
	Trouble string `json:"trouble"`
	// LagSeconds is how far it is behind, at least.
	LagSeconds float64 `json:"lag_s"`
}

// AddReplica tells of the replica. One that is not read from is something to look at, though nothing is missing without it.
func (s *Status) AddReplica(state store.ReplicaState) {
	s.Replica = &Replica{Read: state.Trouble == "", Trouble: state.Trouble, LagSeconds: state.Lag.Seconds()}
	if state.Trouble != "" {
		s.wrong("the replica is not read from ("+state.Trouble+")", "", "")
		s.Well = false
	}
}

// Text says it in a line.
func (r *Replica) Text() string {
	if !r.Read {
		return "replica: not read from (" + r.Trouble + ")"
	}
	return "replica: read from, behind " + time.Duration(r.LagSeconds*float64(time.Second)).Round(time.Second).String()
}
