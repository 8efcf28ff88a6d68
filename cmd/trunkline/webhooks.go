package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/webhook"
)

func (p *program) webhooksCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "webhooks", Short: "Webhooks out: who gets them, and what has arrived", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(p.webhooksListCommand(), p.webhooksResendCommand(), p.webhooksRecoverCommand())
	return cmd
}

// endpointRow is an endpoint as commands print it, with its latest deliveries.
type endpointRow struct {
	EndpointID     string               `json:"endpoint_id"`
	OrgID          uuid.UUID            `json:"org_id"`
	URL            string               `json:"url"`
	Events         []string             `json:"events"`
	State          string               `json:"state"`
	Failures       int                  `json:"failures"`
	FailingSince   string               `json:"failing_since"`
	OpenUntil      string               `json:"open_until"`
	LastSuccessAt  string               `json:"last_success_at"`
	LastFailureAt  string               `json:"last_failure_at"`
	LastOutcome    string               `json:"last_outcome"`
	DisabledAt     string               `json:"disabled_at"`
	DisabledReason string               `json:"disabled_reason"`
	CreatedAt      string               `json:"created_at"`
	Deliveries     []webhookDeliveryRow `json:"deliveries"`
}

type webhookDeliveryRow struct {
	DeliveryID  uuid.UUID `json:"delivery_id"`
	EventID     string    `json:"event_id"`
	Event       string    `json:"event"`
	State       string    `json:"state"`
	Attempts    int       `json:"attempts"`
	LastOutcome string    `json:"last_outcome"`
	LastStatus  *int      `json:"last_status"`
	NextAt      string    `json:"next_at"`
	CreatedAt   string    `json:"created_at"`
	SettledAt   string    `json:"settled_at"`
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func endpointRowOf(e *store.WebhookEndpoint) endpointRow {
	return endpointRow{
		EndpointID: "whsub_" + e.ID.String(), OrgID: e.Org, URL: e.URL, Events: e.Events, State: string(e.State()), Failures: e.Failures,
		FailingSince: whenPtr(e.FailingSince), OpenUntil: whenPtr(e.OpenUntil), LastSuccessAt: whenPtr(e.LastSuccessAt),
		LastFailureAt: whenPtr(e.LastFailureAt), LastOutcome: text(e.LastOutcome), DisabledAt: whenPtr(e.DisabledAt),
		DisabledReason: text(e.DisabledReason), CreatedAt: when(e.CreatedAt), Deliveries: []webhookDeliveryRow{},
	}
}

func webhookDeliveryRowOf(w *store.WebhookDelivery) webhookDeliveryRow {
	row := webhookDeliveryRow{
		DeliveryID: w.ID, EventID: webhook.EventID(w.EventID), Event: w.Event, State: w.State, Attempts: w.Attempts,
		LastOutcome: text(w.LastOutcome), LastStatus: w.LastStatus, NextAt: "-", CreatedAt: when(w.CreatedAt), SettledAt: whenPtr(w.SettledAt),
	}
	if w.State == "pending" {
		row.NextAt = when(w.NextAt)
	}
	return row
}

// deliveriesShown is how many deliveries the list shows, those that have not arrived first.
const deliveriesShown = 50

func (p *program) webhooksListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List endpoints, and their latest deliveries, those that have not arrived first",
		Example: "  trunkline webhooks list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				endpoints, err := d.WebhookEndpoints(ctx, uuid.Nil)
				if err != nil {
					return err
				}
				deliveries, err := d.WebhookDeliveries(ctx, deliveriesShown)
				if err != nil {
					return err
				}
				return p.printWebhooks(endpoints, deliveries, asJSON)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) printWebhooks(endpoints []store.WebhookEndpoint, deliveries []store.WebhookDelivery, asJSON bool) error {
	rows := []endpointRow{}
	place := map[uuid.UUID]int{}
	var lines, sent [][]string
	for i := range endpoints {
		row := endpointRowOf(&endpoints[i])
		place[endpoints[i].ID] = i
		rows = append(rows, row)
		lines = append(lines, []string{
			row.EndpointID, row.State, fmt.Sprint(row.Failures), row.LastSuccessAt, row.LastFailureAt, orDash(row.LastOutcome), strings.Join(row.Events, ","), row.URL,
		})
	}
	for i := range deliveries {
		row := webhookDeliveryRowOf(&deliveries[i])
		if n, ok := place[deliveries[i].EndpointID]; ok {
			rows[n].Deliveries = append(rows[n].Deliveries, row)
		}
		sent = append(sent, []string{
			row.DeliveryID.String(), "whsub_" + deliveries[i].EndpointID.String(), row.EventID, row.Event, row.State, fmt.Sprint(row.Attempts),
			orDash(row.LastOutcome), row.NextAt, row.CreatedAt,
		})
	}
	if asJSON {
		return printJSON(p.stdout, rows)
	}
	if err := table(p.stdout, []string{"ENDPOINT_ID", "STATE", "FAILURES", "LAST_SUCCESS", "LAST_FAILURE", "LAST_OUTCOME", "EVENTS", "URL"}, lines); err != nil {
		return err
	}
	return section(p.stdout, []string{"DELIVERY_ID", "ENDPOINT_ID", "EVENT_ID", "EVENT", "STATE", "ATTEMPTS", "LAST_OUTCOME", "NEXT", "CREATED"}, sent)
}

// hookIDs are the prefixes that ids of webhooks may have on the command line.
var hookIDs = []string{"whsub_", "evt_"}

func hookID(arg string) (uuid.UUID, error) {
	for _, prefix := range hookIDs {
		arg = strings.TrimPrefix(arg, prefix)
	}
	id, err := uuid.Parse(arg)
	if err != nil {
		return uuid.Nil, withCode(exitUsage, errors.New("want an id as trunkline webhooks list shows it"))
	}
	return id, nil
}

// orderWebhooks orders webhooks and wakes the daemon in one transaction (law 2), and tells how many there are.
func (p *program) orderWebhooks(ctx context.Context, d *database, order func(tx pgx.Tx) (int, error)) error {
	queue, err := jobs.NewQueue(d.direct, d.Log)
	if err != nil {
		return err
	}
	n := 0
	err = d.InTx(ctx, func(tx pgx.Tx) (err error) {
		if n, err = order(tx); err != nil || n == 0 {
			return err
		}
		return queue.WakeWebhooks(ctx, tx)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, status.Many(n, "delivery", "deliveries")+" ordered")
	return err
}

func (p *program) webhooksResendCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "resend ID",
		Short:   "Send a delivery again, or an event to all who were to get it",
		Example: "  trunkline webhooks resend 0198…\n  trunkline webhooks resend evt_0198…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := hookID(args[0])
			if err != nil {
				return err
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				return p.orderWebhooks(ctx, d, func(tx pgx.Tx) (int, error) { return d.ResendWebhook(ctx, tx, id) })
			})
		},
	}
}

func (p *program) webhooksRecoverCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:     "recover ID --since T",
		Short:   "Send an endpoint what it has missed since a time, and switch it on again if it was switched off for failing",
		Example: "  trunkline webhooks recover whsub_0198… --since 2026-03-02T09:00:00Z",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := hookID(args[0])
			if err != nil {
				return err
			}
			if since == "" {
				return withCode(exitUsage, errors.New("--since is missing"))
			}
			from, err := parseTime(since)
			if err != nil {
				return withCode(exitUsage, fmt.Errorf("--since %w", err))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				return p.orderWebhooks(ctx, d, func(tx pgx.Tx) (int, error) { return d.RecoverWebhooks(ctx, tx, id, from) })
			})
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "date (00:00 UTC) or RFC 3339 time")
	return cmd
}
