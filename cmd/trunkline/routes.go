package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/store"
)

func (p *program) routesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "routes", Short: "Where new leads go by themselves", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(p.routesListCommand(), p.routesAddCommand(), p.routesRemoveCommand())
	return cmd
}

// routeRow is a route as commands print it.
type routeRow struct {
	RouteID     uuid.UUID `json:"route_id"`
	Destination string    `json:"destination"`
	Condition   string    `json:"condition"`
	Origin      string    `json:"origin"`
	CreatedAt   string    `json:"created_at"`
}

func (p *program) printRoutes(list []store.RouteRow, asJSON bool) error {
	rows := []routeRow{}
	var lines [][]string
	for _, r := range list {
		rows = append(rows, routeRow{r.RouteID, r.Destination, r.Condition, r.Origin, when(r.CreatedAt)})
		lines = append(lines, []string{r.RouteID.String(), r.Destination, orDash(r.Condition), r.Origin, when(r.CreatedAt)})
	}
	if asJSON {
		return printJSON(p.stdout, rows)
	}
	return table(p.stdout, []string{"ROUTE_ID", "DESTINATION", "CONDITION", "ORIGIN", "CREATED"}, lines)
}

func (p *program) routesListCommand() *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List routes, those of TRUNKLINE_PUSH included",
		Example: "  trunkline routes list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				list, err := d.RouteList(ctx, id)
				if err != nil {
					return err
				}
				return p.printRoutes(list, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) routesAddCommand() *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "add DEST[:CONDITION]",
		Short:   "Send leads that come from now on to a destination",
		Example: "  trunkline routes add convolo:priority=urgent",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var parsed routes
			if err := parsed.EnvDecode(args[0]); err != nil || len(parsed) != 1 {
				return withCode(exitUsage, errors.Join(errors.New("want one DEST[:k=v&k=v]"), err))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				r, err := d.AddRoute(ctx, id, parsed[0].Destination, parsed[0].Condition)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(p.stdout, routeRow{r.RouteID, r.Destination, r.Condition, r.Origin, when(r.CreatedAt)})
				}
				return p.printRoutes([]store.RouteRow{r}, false)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) routesRemoveCommand() *cobra.Command {
	var org string
	cmd := &cobra.Command{
		Use:     "remove ID",
		Short:   "Take away a route that was added by command; what it ordered is not sent any more, unless another route wants it",
		Example: "  trunkline routes remove 0198…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			route, err := uuid.Parse(args[0])
			if err != nil {
				return withCode(exitUsage, errors.New("want a route's id"))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				if err := d.RemoveRoute(ctx, id, route); err != nil {
					return err
				}
				fmt.Fprintln(p.stderr, "what it ordered and no other route wants ends as cancelled, no_route, when its turn comes: trunkline deliveries list")
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	return cmd
}
