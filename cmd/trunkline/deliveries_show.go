package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// deliveryShown is all of one delivery.
type deliveryShown struct {
	deliveryRow
	Phone    string         `json:"phone"`
	Requests []attemptShown `json:"requests"`
}

type attemptShown struct {
	Attempt    int             `json:"attempt"`
	Kind       string          `json:"kind"`
	Request    string          `json:"request"`
	Checks     json.RawMessage `json:"checks"`
	Outcome    string          `json:"outcome"`
	Detail     string          `json:"detail"`
	StartedAt  string          `json:"started_at"`
	FinishedAt string          `json:"finished_at"`
}

func (p *program) deliveriesShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a delivery with every request that was made for it",
		Example: "  trunkline deliveries show 0198…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := deliveryID(args[0])
			if err != nil {
				return err
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				return p.showDelivery(ctx, d, id, asJSON)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) showDelivery(ctx context.Context, d *database, id uuid.UUID, asJSON bool) error {
	c, err := d.DeliveryView(ctx, id)
	if err != nil {
		return err
	}
	attempts, err := d.DeliveryAttempts(ctx, id)
	if err != nil {
		return err
	}
	v := &c.Delivery
	shown := deliveryShown{deliveryRow: deliveryRow{
		ID: v.ID, Destination: v.Destination, Operation: v.Operation, State: string(v.State), Reason: v.Reason, Hold: v.Hold, Attempts: v.Attempts,
		CreatedAt: when(v.CreatedAt), NotBefore: when(v.NotBefore), SendingAt: when(v.SendingAt), SettledAt: when(v.SettledAt),
		ExternalID: v.ExternalID, Error: v.Error,
	}, Phone: pipeline.MaskPhone(v.Phone), Requests: []attemptShown{}}
	if v.LeadID != uuid.Nil {
		shown.LeadID = v.LeadID.String()
	}
	for _, a := range attempts {
		shown.Requests = append(shown.Requests, attemptShown{
			a.Attempt, string(a.Kind), a.Request, a.Checks, orEmpty(a.Outcome), orEmpty(a.Detail), when(a.StartedAt), whenPtr(a.FinishedAt),
		})
	}
	if asJSON {
		return printJSON(p.stdout, shown)
	}
	waits := ""
	if v.State == pipeline.DeliveryReady || v.State == pipeline.DeliveryUnknown {
		waits = shown.NotBefore
	}
	fmt.Fprintf(p.stdout, "%s %s to %s: %s\n", shown.ID, shown.Operation, shown.Destination, shown.State)
	for _, line := range [][2]string{
		{"reason", shown.Reason},
		{"refused by", status.RefusedBy(v, attempts)},
		{"waits for", shown.Hold},
		{"not before", waits},
		{"lead", shown.LeadID},
		{"phone", shown.Phone},
		{"created", shown.CreatedAt},
		{"sending", shown.SendingAt},
		{"settled", shown.SettledAt},
		{"their id", shown.ExternalID},
		{"error", shown.Error},
	} {
		if line[1] != "" {
			field(p.stdout, line[0], line[1])
		}
	}
	for _, a := range shown.Requests {
		fmt.Fprintf(p.stdout, "\n%d. %s at %s: %s\n", a.Attempt, a.Kind, a.StartedAt, orDash(a.Outcome))
		for _, line := range [][2]string{{"request", a.Request}, {"answer", a.Detail}} {
			if line[1] != "" {
				field(p.stdout, line[0], line[1])
			}
		}
		if err := p.printChecks(a.Checks); err != nil {
			return err
		}
	}
	return nil
}

// printChecks prints a line for each check before a request.
func (p *program) printChecks(kept json.RawMessage) error {
	checks, err := status.Checks(kept)
	if err != nil {
		return err
	}
	var lines [][]string
	for i := range checks {
		lines = append(lines, []string{"  " + checks[i].Name, checks[i].Verdict, checks[i].Why})
	}
	return section(p.stdout, []string{"  CHECK", "VERDICT", "WHY"}, lines)
}
