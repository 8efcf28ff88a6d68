package pipeline

import (
	"cmp"
	"slices"
	"time"
)

// Keys of the default stages (interface.md section 5).
const (
	StageNew         = "new_lead"
	StageAttempting  = "attempting"
	StageContacted   = "contacted"
	StageQualified   = "qualified"
	StageApplication = "application"
	StageWon         = "won"
	StageLost        = "lost"
)

// progress orders the stages that calls lead through by themselves: a call never moves a lead back.
var progress = map[string]int{StageNew: 0, StageAttempting: 1, StageContacted: 2}

// stageMove is one reason for a lead's stage to change.
type stageMove struct {
	at    time.Time
	stage string
	// chosen moves were said by a disposition, or set by somebody; the others follow from the call and only ever move forward from the
	// early stages.
	chosen bool
}

// StageChange is one step of a lead from a stage to another.
type StageChange struct {
	From string    `json:"from"`
	To   string    `json:"to"`
	At   time.Time `json:"at"`
}

// stageOf walks through all moves by time and returns the stage they lead to, when it was reached, and the steps on the
// way. Of moves at the same moment a chosen one comes after the others, and the later given one last.
func stageOf(created time.Time, moves []stageMove) (stage string, since time.Time, steps []StageChange) {
	slices.SortStableFunc(moves, func(a, b stageMove) int {
		return cmp.Or(a.at.Compare(b.at), compareBool(a.chosen, b.chosen))
	})
	stage, since = StageNew, created
	for _, m := range moves {
		if m.stage == stage {
			continue
		}
		if !m.chosen {
			from, early := progress[stage]
			if !early || progress[m.stage] <= from {
				continue
			}
		}
		steps = append(steps, StageChange{From: stage, To: m.stage, At: m.at})
		stage, since = m.stage, m.at
	}
	return stage, since, steps
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// moves returns what a call means for its lead's stage.
func (c *Call) moves(rules *Dispositions) []stageMove {
	var out []stageMove
	if c.Direction == Outbound {
		out = append(out, stageMove{at: c.OccurredAt, stage: StageAttempting})
	}
	if c.Contacted {
		out = append(out, stageMove{at: c.contactedAt(), stage: StageContacted})
	}
	for _, e := range c.Events {
		if e.Type != EventDisposition {
			continue
		}
		if rule, _ := rules.Of(cmp.Or(e.Codes, c.Key.Dialler), e.Disposition); rule.Stage != "" {
			out = append(out, stageMove{at: e.OccurredAt, stage: rule.Stage, chosen: true})
		}
	}
	return out
}
