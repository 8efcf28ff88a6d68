package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/sync/pipeline"
)

func (p *program) linkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "link", Short: "Phones that never link leads", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(p.linkListCommand(), p.linkChangeCommand(false), p.linkChangeCommand(true))
	return cmd
}

func (p *program) linkListCommand() *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the phones that are kept from linking leads",
		Example: "  trunkline link list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				phones, err := d.BlockedPhones(ctx, d.Pool, id)
				if err != nil {
					return err
				}
				rows := []map[string]string{}
				var lines [][]string
				for _, b := range phones {
					rows = append(rows, map[string]string{"phone": b.Phone, "blocked_at": when(b.BlockedAt)})
					lines = append(lines, []string{b.Phone, when(b.BlockedAt)})
				}
				if asJSON {
					return printJSON(p.stdout, rows)
				}
				return table(p.stdout, []string{"PHONE", "BLOCKED"}, lines)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) linkChangeCommand(allow bool) *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "block PHONE",
		Short:   "Keep a phone from linking leads, such as a switchboard's",
		Example: "  trunkline link block +13055550123",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := p.config()
			if err != nil {
				return err
			}
			phone := pipeline.ParsePhone(args[0], string(c.General.Region))
			if !phone.Valid {
				return withCode(exitUsage, errors.New("PHONE is no valid number; write it as +13055550123"))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				wake, err := p.wakeFold(c, d)
				if err != nil {
					return err
				}
				touched, err := d.BlockPhone(ctx, id, phone.E164, allow, wake)
				if err != nil {
					return err
				}
				return p.printTouched(map[string]any{"phone": phone.E164, "blocked": !allow}, touched, asJSON)
			})
		},
	}
	if allow {
		cmd.Use, cmd.Short, cmd.Example = "allow PHONE", "Let a phone link leads again", "  trunkline link allow +13055550123"
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	jsonFlag(cmd, &asJSON)
	return cmd
}
