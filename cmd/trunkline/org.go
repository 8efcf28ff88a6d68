package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/store"
)

func (p *program) orgCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "org", Short: "Organisations and their receiver tokens", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(p.orgCreateCommand(), p.orgListCommand(), p.orgTokenCommand())
	return cmd
}

// needsSubcommand is the run of a command that only groups others.
func needsSubcommand(cmd *cobra.Command, _ []string) error {
	return withCode(exitUsage, fmt.Errorf("%s needs one of its subcommands; see %s --help", cmd.Name(), cmd.CommandPath()))
}

// orgRow is an organisation as commands print it.
type orgRow struct {
	OrgID            uuid.UUID `json:"org_id"`
	Name             string    `json:"name"`
	IsDefault        bool      `json:"is_default"`
	HasReceiverToken bool      `json:"has_receiver_token"`
	CreatedAt        string    `json:"created_at"`
}

func rowOf(o store.Organisation) orgRow {
	return orgRow{o.ID, o.Name, o.IsDefault, o.HasReceiverToken, when(o.CreatedAt)}
}

func (p *program) orgCreateCommand() *cobra.Command {
	var name string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "create --name N",
		Short:   "Make an organisation with the default stages",
		Example: "  trunkline org create --name \"Birch Hill Funding\"",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name == "" {
				return withCode(exitUsage, errors.New("--name is missing"))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				o, err := d.CreateOrganisation(ctx, name)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(p.stdout, rowOf(o))
				}
				_, err = fmt.Fprintln(p.stdout, o.ID)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "name of the organisation")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) orgListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List organisations",
		Example: "  trunkline org list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				list, err := d.Organisations(ctx)
				if err != nil {
					return err
				}
				rows := []orgRow{}
				var lines [][]string
				for _, o := range list {
					r := rowOf(o)
					rows = append(rows, r)
					lines = append(lines, []string{r.OrgID.String(), r.Name, fmt.Sprint(r.IsDefault), fmt.Sprint(r.HasReceiverToken), r.CreatedAt})
				}
				if asJSON {
					return printJSON(p.stdout, rows)
				}
				return table(p.stdout, []string{"ORG_ID", "NAME", "DEFAULT", "RECEIVER_TOKEN", "CREATED"}, lines)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) orgTokenCommand() *cobra.Command {
	var org string
	var rotate, asJSON bool
	cmd := &cobra.Command{
		Use:     "token [--org ID] [--rotate]",
		Short:   "Make an organisation's receiver token and print it, once",
		Example: "  trunkline org token\n  trunkline org token --org 0198… --rotate",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				token, err := d.MakeReceiverToken(ctx, id, rotate)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(p.stdout, map[string]string{"org_id": id.String(), "token": token})
				}
				_, err = fmt.Fprintln(p.stdout, token)
				return err
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().BoolVar(&rotate, "rotate", false, "replace the token that there is")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// orgID reads an organisation's id from a flag, the default one where it is empty.
func orgID(ctx context.Context, d *database, text string) (uuid.UUID, error) {
	if text == "" {
		o, err := d.EnsureDefault(ctx)
		return o.ID, err
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, withCode(exitUsage, errors.New("--org is not an id; trunkline org list shows them"))
	}
	orgs, err := d.Organisations(ctx)
	if err != nil {
		return uuid.Nil, err
	}
	// Of one that there is not, every list would be empty.
	if !slices.ContainsFunc(orgs, func(o store.Organisation) bool { return o.ID == id }) {
		return uuid.Nil, fmt.Errorf("organisation %s: %w; trunkline org list shows them", id, store.ErrNotFound)
	}
	return id, nil
}
