package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func (p *program) deliveriesCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "deliveries", Short: "What is sent to destinations, and what became of it", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(
		p.deliveriesListCommand(), p.deliveriesShowCommand(),
		p.deliveriesMoveCommand("retry", "Send it again; every check but age applies", (*store.DB).RetryDelivery),
		p.deliveriesMoveCommand("cancel", "End one that is ready or unknown; what was sent stays sent", (*store.DB).CancelDelivery),
		p.deliveriesResolveCommand(),
	)
	return cmd
}

// deliveryRow is a delivery as commands print it.
type deliveryRow struct {
	ID          uuid.UUID `json:"id"`
	Destination string    `json:"destination"`
	Operation   string    `json:"operation"`
	LeadID      string    `json:"lead_id"`
	State       string    `json:"state"`
	Reason      string    `json:"reason"`
	Hold        string    `json:"hold"`
	Attempts    int       `json:"attempts"`
	CreatedAt   string    `json:"created_at"`
	NotBefore   string    `json:"not_before"`
	SendingAt   string    `json:"sending_at"`
	SettledAt   string    `json:"settled_at"`
	ExternalID  string    `json:"external_id"`
	Error       string    `json:"error"`
}

func deliveryRowOf(r *store.DeliveryRow) deliveryRow {
	row := deliveryRow{
		ID: r.ID, Destination: r.Destination, Operation: r.Operation, State: r.State, Reason: orEmpty(r.Reason), Hold: orEmpty(r.Hold),
		Attempts: r.Attempts, CreatedAt: when(r.CreatedAt), NotBefore: when(r.NotBefore), SendingAt: whenPtr(r.SendingAt),
		SettledAt: whenPtr(r.SettledAt), ExternalID: orEmpty(r.ExternalID), Error: orEmpty(r.Error),
	}
	if r.LeadID != nil {
		row.LeadID = r.LeadID.String()
	}
	return row
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// deliveryStates are the states that --state takes.
var deliveryStates = []pipeline.DeliveryState{
	pipeline.DeliveryReady, pipeline.DeliverySending, pipeline.DeliveryConfirmed, pipeline.DeliveryRejected, pipeline.DeliveryUnknown,
	pipeline.DeliveryExpired, pipeline.DeliveryCancelled,
}

func (p *program) deliveriesListCommand() *cobra.Command {
	var q store.DeliveryQuery
	var org, lead string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list [--state S] [--to DEST] [--lead ID] [--limit N]",
		Short:   "List deliveries, newest first",
		Example: "  trunkline deliveries list --state unknown",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.State != "" && !slices.Contains(deliveryStates, pipeline.DeliveryState(q.State)) {
				return withCode(exitUsage, fmt.Errorf("--state must be one of %v", deliveryStates))
			}
			if q.Limit < 1 {
				return withCode(exitUsage, errors.New("--limit must be above zero"))
			}
			var err error
			if lead != "" {
				if q.LeadID, err = uuid.Parse(lead); err != nil {
					return withCode(exitUsage, errors.New("--lead is not an id"))
				}
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				if q.Org, err = orgID(ctx, d, org); err != nil {
					return err
				}
				list, total, err := d.Deliveries(ctx, q)
				if err != nil {
					return err
				}
				return p.printDeliveries(list, total, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&q.State, "state", "", "only those in this state")
	cmd.Flags().StringVar(&q.Destination, "to", "", "only those to this destination")
	cmd.Flags().StringVar(&lead, "lead", "", "only those of this lead")
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "how many")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) printDeliveries(list []store.DeliveryRow, total int64, asJSON bool) error {
	rows := []deliveryRow{}
	var lines [][]string
	for i := range list {
		r := deliveryRowOf(&list[i])
		rows = append(rows, r)
		why := r.Reason
		if why == "" {
			why = r.Hold
		}
		age := brief(time.Since(list[i].CreatedAt))
		lines = append(lines, []string{
			r.ID.String(), r.State, r.Destination, r.Operation, orDash(why), fmt.Sprint(r.Attempts), r.CreatedAt, age, orDash(r.LeadID), orDash(status.RefusalText(&list[i])),
		})
	}
	if asJSON {
		return printJSON(p.stdout, rows)
	}
	if len(list) == 0 {
		fmt.Fprintln(p.stderr, "there is no such delivery")
	}
	if int64(len(list)) < total {
		fmt.Fprintf(p.stderr, "%d of %d; --limit shows more\n", len(list), total)
	}
	return table(p.stdout, []string{"ID", "STATE", "DESTINATION", "OPERATION", "REASON", "ATTEMPTS", "CREATED", "AGE", "LEAD", "ERROR"}, lines)
}

func deliveryID(text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return id, withCode(exitUsage, errors.New("want a delivery's id"))
	}
	return id, nil
}

func (p *program) deliveriesMoveCommand(name, short string, move func(*store.DB, context.Context, uuid.UUID, time.Time) error) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     name + " ID",
		Short:   short,
		Example: "  trunkline deliveries " + name + " 0198…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := deliveryID(args[0])
			if err != nil {
				return err
			}
			return p.moveDelivery(cmd.Context(), id, asJSON, func(ctx context.Context, d *database) error { return move(d.DB, ctx, id, d.Now()) })
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) deliveriesResolveCommand() *cobra.Command {
	var as string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "resolve ID --as confirmed|rejected",
		Short:   "Settle an unknown outcome: you know what the destination did",
		Example: "  trunkline deliveries resolve 0198… --as confirmed",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := deliveryID(args[0])
			if err != nil {
				return err
			}
			if as != string(pipeline.DeliveryConfirmed) && as != string(pipeline.DeliveryRejected) {
				return withCode(exitUsage, errors.New("--as must be confirmed or rejected"))
			}
			return p.moveDelivery(cmd.Context(), id, asJSON, func(ctx context.Context, d *database) error {
				return d.ResolveDelivery(ctx, id, pipeline.DeliveryState(as), d.Now())
			})
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "confirmed or rejected")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// moveDelivery changes a delivery, wakes its destination where there is something to send, and shows it.
func (p *program) moveDelivery(ctx context.Context, id uuid.UUID, asJSON bool, move func(context.Context, *database) error) error {
	return p.withDatabase(ctx, func(ctx context.Context, c *config, d *database) error {
		if err := move(ctx, d); err != nil {
			return err
		}
		v, err := d.DeliveryView(ctx, id)
		if err != nil {
			return err
		}
		if v.Delivery.State == pipeline.DeliveryReady {
			queue, err := jobs.NewQueue(d.direct, p.toolLog(c))
			if err != nil {
				return err
			}
			// A wake-up that is lost is made good by the daemon's sweeper.
			err = d.InTx(ctx, func(tx pgx.Tx) error { return queue.WakeDeliver(ctx, tx, []string{v.Delivery.Destination}) })
			if err != nil {
				return err
			}
		}
		return p.showDelivery(ctx, d, id, asJSON)
	})
}
