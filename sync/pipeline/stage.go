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
	// by chose the move: it was said by a disposition, or set by somebody. Moves of nobody's choice follow from the call and only ever
	// move forward from the early stages.
	by *Chooser
}

// StageChange is one step of a lead from a stage to another.
type StageChange struct {
	From string    `json:"from"`
	To   string    `json:"to"`
	At   time.Time `json:"at"`
	// By is who chose the step, nil where it followed from a call.
	By *Chooser `json:"by,omitempty"`
}

// Chooser is who chose a stage: the agent whose disposition says so, or else whoever told it.
type Chooser struct {
	// Source and Account are who names the agent. Without an agent, Source is who told the choice.
	Source  Source `json:"source"`
	Account string `json:"account_id,omitempty"`
	Agent   string `json:"agent,omitempty"`
}

// chooserOf is who told a disposition of a call.
func (c *Call) chooserOf(e *ToldEvent) *Chooser {
	who := e.Agent
	if who.ID == "" {
		who = c.Agent
	}
	if who.ID == "" {
		return &Chooser{Source: c.Key.Dialler}
	}
	if who.Source == "" {
		who.Source, who.Account = c.Key.Dialler, c.Key.Account
	}
	return &Chooser{Source: who.Source, Account: who.Account, Agent: who.ID}
}

// stageOf walks through all moves by time and returns the stage they lead to, when it was reached, and the steps on the
// way. Of moves at the same moment a chosen one comes after the others, and the later given one last.
func stageOf(created time.Time, moves []stageMove) (stage string, since time.Time, steps []StageChange) {
	slices.SortStableFunc(moves, func(a, b stageMove) int {
		return cmp.Or(a.at.Compare(b.at), compareBool(a.by != nil, b.by != nil))
	})
	stage, since = StageNew, created
	for _, m := range moves {
		if m.stage == stage {
			continue
		}
		if m.by == nil {
			from, early := progress[stage]
			if !early || progress[m.stage] <= from {
				continue
			}
		}
		steps = append(steps, StageChange{From: stage, To: m.stage, At: m.at, By: m.by})
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
	for i := range c.Events {
		e := &c.Events[i]
		// A client of our API may say the disposition with any step, such as the call's end.
		if e.Disposition == "" {
			continue
		}
		if rule, _ := rules.Of(cmp.Or(e.Codes, c.Key.Dialler), e.Disposition); rule.Stage != "" {
			out = append(out, stageMove{at: e.OccurredAt, stage: rule.Stage, by: c.chooserOf(e)})
		}
	}
	return out
}
