package pipeline_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox/scenario"
)

// scenarios is how many worlds law 3 is tried on.
const scenarios = 500

// TestScenariosHaveOneHash is law 3 on what the vendors really say: however the records arrive, the pipeline is the same.
func TestScenariosHaveOneHash(t *testing.T) {
	t.Parallel()
	met := map[string]int{}
	read := scenario.Reader()
	for seed := range uint64(scenarios) {
		s := scenario.New(seed)
		want := folded(t, read, [][]pipeline.Record{s.Observations})
		if err := scenario.Check(&want); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		meet(met, s, &want)
		rng := rand.New(rand.NewPCG(seed, 3))
		for range 2 {
			if got := folded(t, read, s.Deliver(rng)); contentHash(t, &got) != contentHash(t, &want) {
				t.Fatalf("seed %d: another order of arrival gives another pipeline (-in order +shuffled):\n%s", seed, cmp.Diff(content(t, &want), content(t, &got)))
			}
		}
	}
	// What never comes about is not tested.
	for _, what := range []string{
		"ipscape.activities", "ipscape.leads", "ipscape.dial_attempts", "ipscape.users", "ipscape.campaigns", "ipscape.lead_lists",
		"convoso.dispositions", "convoso.recordings", "convoso.call_events", "convoso.lead_updates", "convoso.dnc", "convoso.call_log", "convolo.calls",
		"lendworks.leads", "lendworks.events", "lendworks.pushed", "api.leads", "api.lead_fields", "api.stages", "api.do_not_call", "api.events",
		"api.dispositions", "api.presence", "operator.do_not_call", "operator.unlinks", "operator.stages",
		"merged", "shared phone", "unlinked", "lifted", "opted out", "told ahead", "zone assumed", "several versions", "call of two sources",
	} {
		if met[what] < 20 {
			t.Errorf("%s: met in %d scenarios of %d, too few to be tried", what, met[what], scenarios)
		}
	}
}

// reader says what a record tells.
type reader func(*pipeline.Record) (pipeline.Facts, error)

// folded lands batches as the store does and folds what there is then. In between it folds what has come so far, which must
// leave nothing behind.
func folded(t *testing.T, read reader, batches [][]pipeline.Record) pipeline.Result {
	t.Helper()
	kept := scenario.Kept{}
	var out pipeline.Result
	for i, batch := range batches {
		for _, r := range batch {
			kept.Land(r)
		}
		if i == len(batches)-1 || i == len(batches)/2 {
			var err error
			if out, err = kept.Fold(read); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

// content is the pipeline as lines: a call with the keys of its lead in place of an index.
func content(t *testing.T, p *pipeline.Result) []string {
	t.Helper()
	var lines []string
	add := func(kind string, values ...any) {
		text, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, kind+" "+string(text))
	}
	for i := range p.Leads {
		add("lead", p.Leads[i])
	}
	for i := range p.Calls {
		var keys []pipeline.LinkedKey
		if lead := p.Calls[i].Lead; lead >= 0 {
			keys = p.Leads[lead].Keys
		}
		add("call", p.Calls[i], keys)
	}
	for i := range p.DNC {
		add("dnc", p.DNC[i])
	}
	for i := range p.Presence {
		add("presence", p.Presence[i])
	}
	slices.Sort(lines)
	return lines
}

func contentHash(t *testing.T, p *pipeline.Result) string {
	t.Helper()
	sum := sha256.Sum256([]byte(strings.Join(content(t, p), "\n")))
	return hex.EncodeToString(sum[:])
}

// meet counts in how many scenarios each thing came about.
func meet(met map[string]int, s *scenario.Scenario, p *pipeline.Result) {
	here := map[string]bool{}
	versions := map[string]string{}
	for _, r := range s.Observations {
		here[fmt.Sprintf("%s.%s", r.Source, r.Stream)] = true
		here["told ahead"] = here["told ahead"] || r.SourceTime.After(r.ObservedAt)
		here["zone assumed"] = here["zone assumed"] || r.ZoneAssumed
		k := fmt.Sprint(r.Source, r.Stream, r.ObjectID)
		// The probe has versions of its own.
		if old, ok := versions[k]; ok && old != string(r.Payload) && r.ObjectID != fmt.Sprint(scenario.ProbeLead) {
			here["several versions"] = true
		}
		versions[k] = string(r.Payload)
	}
	for i := range p.Leads {
		kinds := map[pipeline.KeyKind]bool{}
		for _, k := range p.Leads[i].Keys {
			kinds[k.Kind] = kinds[k.Kind] || k.Strong()
			here["shared phone"] = here["shared phone"] || k.Rule == pipeline.RuleShared
			here["unlinked"] = here["unlinked"] || k.Rule == pipeline.RuleUnlinked
		}
		here["merged"] = here["merged"] || kinds[pipeline.KeyIPSCAPELead] && kinds[pipeline.KeyConvosoLead]
	}
	for i := range p.DNC {
		here["lifted"] = here["lifted"] || !p.DNC[i].Active() && p.DNC[i].Phone != scenario.ProbeLifted
		here["opted out"] = here["opted out"] || p.DNC[i].Active() && p.DNC[i].Phone != scenario.ProbeKept
	}
	for i := range p.Calls {
		sources := map[string]bool{}
		for _, ref := range p.Calls[i].Provenance {
			source, _, _ := strings.Cut(ref, "/")
			sources[source] = true
		}
		here["call of two sources"] = here["call of two sources"] || len(sources) > 1
	}
	for what := range maps.Keys(here) {
		if here[what] {
			met[what]++
		}
	}
}
