package pipeline

import "strings"

// Disposition is what a dialler's raw code means.
type Disposition struct {
	// Outcome is the code in our words; analysts group by it.
	Outcome string
	// Stage is the stage the lead moves to, empty = none.
	Stage string
	// Contacted tells whether somebody spoke with the lead.
	Contacted bool
	// AsAnswered marks a rule that does not know whether somebody spoke: then the call does, by having been answered.
	AsAnswered bool
	// OptOut tells whether the code asks not to be called again. The vendor packages decide on the raw code; this flag
	// tells analysts.
	OptOut bool
}

// Dispositions maps the raw codes of each dialler.
type Dispositions struct {
	byCode map[Source]map[string]Disposition
}

// NewDispositions returns the built-in rules overlaid with given ones; codes compare without case.
func NewDispositions(given map[Source]map[string]Disposition) *Dispositions {
	d := DefaultDispositions()
	for source, codes := range given {
		if d.byCode[source] == nil {
			d.byCode[source] = map[string]Disposition{}
		}
		for code, rule := range codes {
			d.byCode[source][strings.ToUpper(code)] = rule
		}
	}
	return d
}

// DefaultDispositions returns the built-in rules: Convoso's codes by contracts/convoso.md section 3, Convolo's words by
// contracts/convolo.md section 5.4. ipSCAPE's wrap codes and LendWorks' open vocabulary have none.
func DefaultDispositions() *Dispositions {
	noAnswer := Disposition{Outcome: "no_answer"}
	convoso := map[string]Disposition{
		"CB":   {Outcome: "callback", Stage: StageContacted, Contacted: true},
		"NI":   {Outcome: "not_interested", Stage: StageLost, Contacted: true},
		"SALE": {Outcome: "interested", Stage: StageQualified, Contacted: true},
		"DNC":  {Outcome: "dnc", Contacted: true, OptOut: true},
	}
	for _, code := range []string{"NA", "NAIC", "B", "AA", "AM", "AL", "A"} {
		convoso[code] = noAnswer
	}
	convolo := map[string]Disposition{
		"ANSWERED":  {Outcome: "answered", Stage: StageContacted, Contacted: true},
		"NO_ANSWER": noAnswer,
		// No agent picked up, so that the lead was never rung.
		"MISSED": {Outcome: "missed"},
	}
	words := map[string]Disposition{
		"INTERESTED":     {Outcome: "interested", Stage: StageQualified, Contacted: true},
		"CALLBACK":       {Outcome: "callback", Stage: StageContacted, Contacted: true},
		"NOT_INTERESTED": {Outcome: "not_interested", Stage: StageLost, Contacted: true},
		"NO_ANSWER":      noAnswer,
	}
	for _, code := range []string{"DNC", "DO_NOT_CALL"} {
		words[code] = Disposition{Outcome: "dnc", Contacted: true, OptOut: true}
	}
	return &Dispositions{byCode: map[Source]map[string]Disposition{SourceConvoso: convoso, SourceConvolo: convolo, SourceAPI: words, SourceLendWorks: words}}
}

// Of returns the rule of a raw code. An unmapped code passes through in lower case, with mapped false.
func (d *Dispositions) Of(dialler Source, raw string) (rule Disposition, mapped bool) {
	if rule, ok := d.byCode[dialler][strings.ToUpper(raw)]; ok {
		return rule, true
	}
	return Disposition{Outcome: strings.ToLower(raw)}, false
}
