package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/store"
)

func (p *program) stagesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "stages", Short: "Stages of the lead pipeline", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(p.stagesListCommand(), p.stagesSetCommand())
	return cmd
}

// stageRow is a stage as commands print it.
type stageRow struct {
	StageID  uuid.UUID `json:"stage_id"`
	StageKey string    `json:"stage_key"`
	Label    string    `json:"label"`
	Color    string    `json:"color"`
	Slot     string    `json:"semantic_slot"`
	Position int       `json:"position"`
	Leads    int64     `json:"leads"`
}

func (p *program) stagesListCommand() *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the stages in their order",
		Example: "  trunkline stages list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				stages, err := d.Stages(ctx, id)
				if err != nil {
					return err
				}
				rows := []stageRow{}
				var lines [][]string
				for _, s := range stages {
					rows = append(rows, stageRow{s.ID, s.Key, s.Label, s.Color, s.Slot, s.Position, s.Leads})
					lines = append(lines, []string{fmt.Sprint(s.Position), s.Key, s.Label, s.Slot, s.Color, fmt.Sprint(s.Leads), s.ID.String()})
				}
				if asJSON {
					return printJSON(p.stdout, rows)
				}
				return table(p.stdout, []string{"POSITION", "STAGE", "LABEL", "SLOT", "COLOR", "LEADS", "STAGE_ID"}, lines)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	jsonFlag(cmd, &asJSON)
	return cmd
}

var (
	stageKey   = regexp.MustCompile(`^[a-z0-9][a-z0-9_]{0,63}$`)
	stageColor = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)
	stageSlots = []string{"new", "working", "contacted", "qualified", "application", "won", "lost"}
)

func (p *program) stagesSetCommand() *cobra.Command {
	var org, label, color, slot string
	var position int
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "set STAGE [--label L] [--color #rrggbb] [--slot S] [--position N]",
		Short:   "Make a stage, or change one; what is not given stays",
		Example: "  trunkline stages set nurture --label Nurture --slot working --position 3",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case !stageKey.MatchString(args[0]):
				return withCode(exitUsage, errors.New("STAGE must be a key in lower case, such as nurture"))
			case color != "" && !stageColor.MatchString(color):
				return withCode(exitUsage, errors.New("--color must be #rrggbb"))
			case slot != "" && !slices.Contains(stageSlots, slot):
				return withCode(exitUsage, fmt.Errorf("--slot must be one of %s", strings.Join(stageSlots, ", ")))
			case cmd.Flags().Changed("position") && position < 1:
				return withCode(exitUsage, errors.New("--position must be at least 1"))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				return p.setStage(ctx, d, org, store.Stage{Key: args[0], Label: label, Color: color, Slot: slot, Position: position}, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().StringVar(&label, "label", "", "label for people")
	cmd.Flags().StringVar(&color, "color", "", "colour, #rrggbb")
	cmd.Flags().StringVar(&slot, "slot", "", "meaning: "+strings.Join(stageSlots, ", "))
	cmd.Flags().IntVar(&position, "position", 0, "place in the order; the first stage is the default")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) setStage(ctx context.Context, d *database, orgText string, s store.Stage, asJSON bool) error {
	org, err := orgID(ctx, d, orgText)
	if err != nil {
		return err
	}
	stages, err := d.Stages(ctx, org)
	if err != nil {
		return err
	}
	was := store.Stage{Label: s.Key, Color: "#64748b", Slot: "working", Position: 1}
	for _, other := range stages {
		if was.Position <= other.Position {
			was.Position = other.Position + 1
		}
	}
	if i := slices.IndexFunc(stages, func(o store.Stage) bool { return o.Key == s.Key }); i >= 0 {
		was = stages[i]
	}
	s.Label, s.Color, s.Slot = cmp.Or(s.Label, was.Label), cmp.Or(s.Color, was.Color), cmp.Or(s.Slot, was.Slot)
	if s.Position == 0 {
		s.Position = was.Position
	}
	if err := d.SetStage(ctx, org, s); err != nil {
		return err
	}
	if !asJSON {
		return nil
	}
	if stages, err = d.Stages(ctx, org); err != nil {
		return err
	}
	for _, o := range stages {
		if o.Key == s.Key {
			return printJSON(p.stdout, stageRow{o.ID, o.Key, o.Label, o.Color, o.Slot, o.Position, o.Leads})
		}
	}
	return nil
}
