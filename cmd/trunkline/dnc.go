package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/operator"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func (p *program) dncCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "dnc", Short: "Do-not-call", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(p.dncListCommand(), p.dncOrderCommand(false), p.dncOrderCommand(true))
	return cmd
}

// dncRow is a phone as commands print it.
type dncRow struct {
	Phone    string `json:"phone"`
	Reason   string `json:"reason"`
	Source   string `json:"source"`
	Since    string `json:"since"`
	LiftedAt string `json:"lifted_at"`
}

// dncAnswer is what became of an order.
type dncAnswer struct {
	Phone   string `json:"phone"`
	Blocked bool   `json:"blocked"`
	// Folded is false when the pipeline does not show the order yet: the daemon goes on.
	Folded      bool            `json:"folded"`
	Obligations []obligationRow `json:"obligations"`
	Notes       []string        `json:"notes"`
}

type obligationRow struct {
	DeliveryID  uuid.UUID `json:"delivery_id"`
	Destination string    `json:"destination"`
	State       string    `json:"state"`
	Reason      string    `json:"reason"`
	Attempts    int       `json:"attempts"`
	CreatedAt   string    `json:"created_at"`
	SettledAt   string    `json:"settled_at"`
}

func (p *program) dncListCommand() *cobra.Command {
	var org string
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:     "list [--all]",
		Short:   "List the phones that must not be called",
		Example: "  trunkline dnc list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				list, err := d.DoNotCalls(ctx, id, "", all)
				if err != nil {
					return err
				}
				rows := []dncRow{}
				var lines [][]string
				for _, e := range list {
					r := dncRow{e.Phone, e.Reason, e.Source, when(e.Since), whenPtr(e.LiftedAt)}
					rows = append(rows, r)
					lines = append(lines, []string{r.Phone, r.Reason, r.Source, r.Since, r.LiftedAt})
				}
				if asJSON {
					return printJSON(p.stdout, rows)
				}
				return table(p.stdout, []string{"PHONE", "REASON", "SOURCE", "SINCE", "LIFTED"}, lines)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().BoolVar(&all, "all", false, "those too that were lifted")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) dncOrderCommand(lift bool) *cobra.Command {
	var org, reason string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "add PHONE [--reason R]",
		Short:   "Call a phone no more, on any dialler that can be told",
		Example: "  trunkline dnc add +13055550123",
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
			order := operator.DoNotCall{Phone: phone.E164, Lift: lift, Reason: reason}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				return p.orderDoNotCall(ctx, c, d, id, order, asJSON)
			})
		},
	}
	if lift {
		cmd.Use, cmd.Short, cmd.Example = "remove PHONE", "Lift the opt-outs of a phone that were told so far", "  trunkline dnc remove +13055550123"
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) orderDoNotCall(ctx context.Context, c *config, d *database, org uuid.UUID, order operator.DoNotCall, asJSON bool) error {
	if order.Lift {
		held, err := d.DoNotCalls(ctx, org, order.Phone, false)
		if err != nil {
			return err
		}
		if len(held) == 0 {
			return fmt.Errorf("the phone is not on the list: %w", store.ErrNotFound)
		}
	}
	tool, err := p.newTool(ctx, c, d, withFold)
	if err != nil {
		return err
	}
	order.At = d.Now()
	record, err := order.Record(org, store.DefaultAccount)
	if err != nil {
		return err
	}
	optOut := order.Phone
	if order.Lift {
		optOut = ""
	}
	kept, err := d.LandOrder(ctx, &record, optOut, operator.Reason, tool.queue.WakeReconcile)
	if err != nil {
		return err
	}
	answer := dncAnswer{Phone: order.Phone, Obligations: []obligationRow{}, Notes: []string{}}
	if answer.Folded, err = foldOrder(ctx, d.DB, tool.fold, org, kept); err != nil {
		return err
	}
	held, err := d.DoNotCalls(ctx, org, order.Phone, false)
	if err != nil {
		return err
	}
	answer.Blocked = len(held) > 0
	obligations, err := d.Obligations(ctx, org, order.Phone)
	if err != nil {
		return err
	}
	for _, o := range obligations {
		answer.Obligations = append(answer.Obligations, obligationRow{
			o.ID, o.Destination, o.State, orEmpty(o.Reason), o.Attempts, when(o.CreatedAt), whenPtr(o.SettledAt),
		})
		if order.Lift && o.Destination == jobs.DestinationIPSCAPE && o.Attempts > 0 && orEmpty(o.Reason) != jobs.ReasonNoLead {
			answer.Notes = append(answer.Notes, "ipSCAPE's leads with this number were completed, and stay so: no request can undo that")
		}
		if order.Lift && o.Destination == jobs.DestinationDialedIn && o.Attempts > 0 {
			answer.Notes = append(answer.Notes, "DialedIn was told of the opt-out: its leads with this number stay marked there, and no request can undo that. "+
				"New leads with it need DeleteDnc there first")
		}
	}
	if !answer.Folded {
		answer.Notes = append(answer.Notes, "the order is kept; the pipeline shows it as soon as a daemon has folded it")
	}
	return p.printDoNotCall(answer, asJSON)
}

func (p *program) printDoNotCall(a dncAnswer, asJSON bool) error {
	if asJSON {
		return printJSON(p.stdout, a)
	}
	state := "may be called"
	if a.Blocked {
		state = "must not be called"
	}
	fmt.Fprintln(p.stdout, a.Phone, state)
	for _, note := range a.Notes {
		fmt.Fprintln(p.stderr, note)
	}
	var lines [][]string
	for _, o := range a.Obligations {
		lines = append(lines, []string{o.DeliveryID.String(), o.Destination, o.State, orDash(o.Reason), fmt.Sprint(o.Attempts), o.CreatedAt, o.SettledAt})
	}
	return section(p.stdout, []string{"DELIVERY_ID", "DIALLER", "STATE", "REASON", "ATTEMPTS", "CREATED", "SETTLED"}, lines)
}
