package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func (p *program) dispositionsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "dispositions", Short: "What the diallers' raw codes mean", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(p.dispositionsListCommand(), p.dispositionsSetCommand())
	return cmd
}

// dispositionRow is a rule, or a code without one, as commands print it.
type dispositionRow struct {
	Source string `json:"source"`
	Code   string `json:"code"`
	// Name is the dialler's own words.
	Name    string `json:"name"`
	Outcome string `json:"outcome"`
	Stage   string `json:"stage_key"`
	// Contacted is yes, no or as_answered.
	Contacted string `json:"contacted"`
	OptOut    bool   `json:"opt_out"`
	// Origin is operator, default (built in or by the environment) or unmapped.
	Origin string `json:"origin"`
	Calls  int64  `json:"calls"`
}

func (p *program) dispositionsListCommand() *cobra.Command {
	var org string
	var unmapped, asJSON bool
	cmd := &cobra.Command{
		Use:     "list [--unmapped]",
		Short:   "List the rules, and the codes of calls that have none",
		Example: "  trunkline dispositions list --unmapped",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				rows, err := p.dispositions(ctx, c, d, id)
				if err != nil {
					return err
				}
				if unmapped {
					rows = slices.DeleteFunc(rows, func(r dispositionRow) bool { return r.Origin != "unmapped" })
				}
				if asJSON {
					return printJSON(p.stdout, rows)
				}
				var lines [][]string
				for _, r := range rows {
					lines = append(lines, []string{
						r.Source, r.Code, orDash(r.Name), orDash(r.Outcome), orDash(r.Stage), r.Contacted, fmt.Sprint(r.OptOut), r.Origin, fmt.Sprint(r.Calls),
					})
				}
				return table(p.stdout, []string{"SOURCE", "CODE", "NAME", "OUTCOME", "STAGE", "CONTACTED", "OPT_OUT", "ORIGIN", "CALLS"}, lines)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().BoolVar(&unmapped, "unmapped", false, "only codes without a rule")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) dispositions(ctx context.Context, c *config, d *database, org uuid.UUID) ([]dispositionRow, error) {
	dm, err := p.newTool(ctx, c, d, withFold)
	if err != nil {
		return nil, err
	}
	rules, err := dm.fold.RulesOf(ctx, d.Pool, org)
	if err != nil {
		return nil, err
	}
	own, err := d.DispositionRules(ctx, d.Pool, org)
	if err != nil {
		return nil, err
	}
	used, err := d.UsedCodes(ctx, org)
	if err != nil {
		return nil, err
	}
	type name struct {
		source pipeline.Source
		code   string
	}
	calls, words := map[name]int64{}, map[name]string{}
	rows := []dispositionRow{}
	for _, u := range used {
		n := name{pipeline.Source(u.Source), strings.ToUpper(u.Code)}
		calls[n] += u.Calls
		words[n] = orEmpty(u.Name)
	}
	for _, r := range rules.Dispositions.List() {
		n := name{r.Source, r.Code}
		row := dispositionRow{
			Source: string(r.Source), Code: r.Code, Name: words[n], Outcome: r.Outcome, Stage: r.Stage, Contacted: contactedText(r.Disposition), OptOut: r.OptOut,
			Origin: "default", Calls: calls[n],
		}
		if slices.ContainsFunc(own, func(o pipeline.DispositionRule) bool { return o.Source == r.Source && o.Code == r.Code }) {
			row.Origin = "operator"
		}
		rows = append(rows, row)
		delete(calls, n)
	}
	for _, u := range used {
		n := name{pipeline.Source(u.Source), strings.ToUpper(u.Code)}
		count, left := calls[n]
		// A client of our API tells of a dialler's call in the API's words.
		if _, known := rules.Dispositions.Of(pipeline.SourceAPI, n.code); !left || known {
			continue
		}
		delete(calls, n)
		rows = append(rows, dispositionRow{Source: u.Source, Code: n.code, Name: words[n], Outcome: strings.ToLower(n.code), Contacted: "as_answered", Origin: "unmapped", Calls: count})
	}
	return rows, nil
}

func contactedText(d pipeline.Disposition) string {
	switch {
	case d.AsAnswered:
		return "as_answered"
	case d.Contacted:
		return "yes"
	default:
		return "no"
	}
}

// outcomeWord is how our words for outcomes are spelt, as CONVOSO_DISPOSITIONS takes them.
var outcomeWord = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// codeSources are those that tell codes.
var codeSources = []string{
	string(pipeline.SourceConvoso), string(pipeline.SourceConvolo), string(pipeline.SourceIPSCAPE), string(pipeline.SourceLendWorks), string(pipeline.SourceAPI),
}

func (p *program) dispositionsSetCommand() *cobra.Command {
	var org, outcome, stage, contacted string
	var optOut, remove, asJSON bool
	cmd := &cobra.Command{
		Use:   "set SOURCE CODE --outcome O [--stage S] [--contacted yes|no|as_answered] [--opt-out] | --remove",
		Short: "Say what a code means, and fold the calls that carry it again",
		Long: "Say what a code means, and fold the calls that carry it again. It overrules the built-in rule and the environment's.\n\n" +
			"--opt-out tells analysts; whether a post opts somebody out is decided on the raw code, by CONVOSO_DNC_CODES.",
		Example: "  trunkline dispositions set ipscape 14 --outcome callback --stage contacted --contacted yes",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			rule := pipeline.DispositionRule{Source: pipeline.Source(args[0]), Code: strings.ToUpper(strings.TrimSpace(args[1]))}
			rule.Outcome, rule.Stage, rule.OptOut = outcome, stage, optOut
			rule.AsAnswered, rule.Contacted = contacted == "as_answered", contacted == "yes"
			switch {
			case !slices.Contains(codeSources, args[0]):
				return withCode(exitUsage, fmt.Errorf("SOURCE must be one of %s", strings.Join(codeSources, ", ")))
			case rule.Code == "" || len(rule.Code) > pipeline.KeyMax:
				return withCode(exitUsage, errors.New("CODE is empty or too long"))
			case !remove && !outcomeWord.MatchString(outcome):
				return withCode(exitUsage, errors.New("--outcome must be a word in lower case, such as callback"))
			case contacted != "yes" && contacted != "no" && contacted != "as_answered":
				return withCode(exitUsage, errors.New("--contacted must be yes, no or as_answered"))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				return p.setDisposition(ctx, c, d, org, rule, remove, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().StringVar(&outcome, "outcome", "", "the code in our words; analysts group by it")
	cmd.Flags().StringVar(&stage, "stage", "", "stage that the lead moves to; empty = none")
	cmd.Flags().StringVar(&contacted, "contacted", "as_answered", "whether somebody spoke with the lead: yes, no or as_answered")
	cmd.Flags().BoolVar(&optOut, "opt-out", false, "the code asks not to be called again")
	cmd.Flags().BoolVar(&remove, "remove", false, "take the rule back: the built-in one holds again")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) setDisposition(ctx context.Context, c *config, d *database, orgText string, rule pipeline.DispositionRule, remove, asJSON bool) error {
	org, err := orgID(ctx, d, orgText)
	if err != nil {
		return err
	}
	if rule.Stage != "" && !remove {
		stages, err := d.Stages(ctx, org)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(stages, func(s store.Stage) bool { return s.Key == rule.Stage }) {
			return withCode(exitUsage, fmt.Errorf("there is no stage %q; trunkline stages list", rule.Stage))
		}
	}
	wake, err := p.wakeFold(c, d)
	if err != nil {
		return err
	}
	touched, err := d.SetDispositionRule(ctx, org, rule, remove, wake)
	if err != nil {
		return err
	}
	return p.printTouched(map[string]any{"source": rule.Source, "code": rule.Code, "removed": remove}, touched, asJSON)
}
