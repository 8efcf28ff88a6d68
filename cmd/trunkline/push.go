package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// pushOrder is what a push command asks for.
type pushOrder struct {
	lead            uuid.UUID
	to              string
	route, campaign string
	org             string
	limit           int
	dryRun, asJSON  bool
}

func (p *program) pushCommand() *cobra.Command {
	var o pushOrder
	cmd := &cobra.Command{
		Use:   "push LEAD --to DEST [--dry-run]",
		Short: "Send a lead to a destination now, or show what that would do",
		Long: "Send a lead to a destination now, or show what that would do.\n\n" +
			"A person's push is free of the age rule only: do-not-call, hours and everything else are checked just before the request.\n" +
			"A dry run sends nothing: it prints the request with secrets and personal data masked, every check, what the destination\n" +
			"will cut or ignore, and whether a phone would ring. With --route or --campaign it counts that over many leads.",
		Example: "  trunkline push 0198… --to dialedin --dry-run\n  trunkline push --campaign 12 --to convolo --dry-run",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.read(args); err != nil {
				return withCode(exitUsage, err)
			}
			return p.withVendors(cmd.Context(), func(ctx context.Context, c *config, d *database) error { return p.push(ctx, c, d, &o) })
		},
	}
	cmd.Flags().StringVar(&o.to, "to", "", "destination: "+strings.Join(destinationNames, ", "))
	cmd.Flags().StringVar(&o.route, "route", "", "dry run over all leads that a route's condition takes, by the route's id")
	cmd.Flags().StringVar(&o.campaign, "campaign", "", "dry run over all leads of a campaign of ipSCAPE's, by its id")
	cmd.Flags().StringVar(&o.org, "org", "", "organisation; empty = the default one")
	cmd.Flags().IntVar(&o.limit, "limit", 10_000, "how many leads a dry run over many looks at, youngest first")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "send nothing, show what would be sent")
	jsonFlag(cmd, &o.asJSON)
	return cmd
}

func (o *pushOrder) read(args []string) error {
	many := o.route != "" || o.campaign != ""
	switch {
	case many && (!o.dryRun || len(args) > 0 || o.route != "" && o.campaign != ""):
		return errors.New("--route and --campaign go with --dry-run, without a lead and without each other")
	case !many && len(args) == 0:
		return errors.New("want a lead's id")
	case o.route == "" && !slices.Contains(destinationNames, o.to):
		return errors.New("--to must be one of " + strings.Join(destinationNames, ", "))
	case o.route != "" && o.to != "":
		return errors.New("--route says by itself where its leads go")
	case o.limit < 1:
		return errors.New("--limit must be above zero")
	}
	if many {
		return nil
	}
	var err error
	if o.lead, err = uuid.Parse(args[0]); err != nil {
		return errors.New("want a lead's id")
	}
	return nil
}

func (p *program) push(ctx context.Context, c *config, d *database, o *pushOrder) error {
	org, err := orgID(ctx, d, o.org)
	if err != nil {
		return err
	}
	steps := []func(*daemon) func(context.Context) error{func(d *daemon) func(context.Context) error { return d.addLendWorks }, withEngine}
	if !o.dryRun {
		steps = nil // the daemon knows the destination, this command need not
	}
	tool, err := p.newTool(ctx, c, d, steps...)
	if err != nil {
		return err
	}
	if o.route != "" || o.campaign != "" {
		return p.previewMany(ctx, d, tool.engine, org, o)
	}
	delivery, err := d.PlanPush(ctx, org, o.lead, o.to)
	if err != nil {
		return err
	}
	if o.dryRun {
		preview, err := previewOf(ctx, tool.engine, delivery)
		if err != nil {
			return err
		}
		return p.printPreview(&delivery, &preview, o.asJSON)
	}
	id, err := d.Push(ctx, delivery, tool.queue.WakeDeliver)
	if err != nil {
		return err
	}
	if o.asJSON {
		return p.showDelivery(ctx, d, id, true)
	}
	fmt.Fprintln(p.stderr, "ordered; a daemon checks and sends it: trunkline deliveries show "+id.String())
	_, err = fmt.Fprintln(p.stdout, id)
	return err
}

// previewOf needs the destination's own settings, which say how it would be asked.
func previewOf(ctx context.Context, e *deliver.Engine, d pipeline.Delivery) (deliver.Preview, error) {
	if !slices.Contains(e.Destinations(), d.Destination) {
		return deliver.Preview{}, withCode(exitConfig, fmt.Errorf("%s is off here: a dry run needs its settings", d.Destination))
	}
	return e.Preview(ctx, d)
}

// pushPreview is a dry run of one lead.
type pushPreview struct {
	LeadID      uuid.UUID       `json:"lead_id"`
	Destination string          `json:"destination"`
	Operation   string          `json:"operation"`
	WouldSend   bool            `json:"would_send"`
	RingsNow    bool            `json:"rings_now"`
	State       string          `json:"state"`
	Reason      string          `json:"reason"`
	Hold        string          `json:"hold"`
	NotBefore   string          `json:"not_before"`
	Request     string          `json:"request"`
	Notes       []string        `json:"notes"`
	Checks      json.RawMessage `json:"checks"`
}

func (p *program) printPreview(d *pipeline.Delivery, v *deliver.Preview, asJSON bool) error {
	out := pushPreview{
		LeadID: d.LeadID, Destination: d.Destination, Operation: d.Operation, WouldSend: v.WouldSend, RingsNow: v.WouldDial,
		State: string(v.Change.State), Reason: v.Change.Reason, Hold: v.Change.Hold, Request: v.Request, Notes: v.Notes, Checks: v.Checks,
	}
	if out.Notes == nil {
		out.Notes = []string{}
	}
	if v.WouldSend {
		out.State = string(pipeline.DeliverySending)
	} else if v.Change.State == pipeline.DeliveryReady {
		out.NotBefore = when(v.Change.NotBefore)
	}
	if asJSON {
		return printJSON(p.stdout, out)
	}
	switch {
	case v.WouldDial:
		fmt.Fprintln(p.stdout, "would be sent, and rings now")
	case v.WouldSend && v.WouldRing:
		fmt.Fprintln(p.stdout, "would be sent, and does not ring by itself")
	case v.WouldSend:
		fmt.Fprintln(p.stdout, "would be sent, and rings nobody")
	case out.NotBefore != "":
		fmt.Fprintf(p.stdout, "would not ring now: waits for %s, looked at again at %s\n", out.Hold, out.NotBefore)
	default:
		fmt.Fprintf(p.stdout, "would never be sent: %s, %s\n", out.State, out.Reason)
	}
	fmt.Fprintf(p.stdout, "\n%s\n", orDash(out.Request))
	for _, note := range out.Notes {
		fmt.Fprintln(p.stdout, "  "+note)
	}
	return p.printChecks(out.Checks)
}

// pushCounts is a dry run over many leads.
type pushCounts struct {
	Destination string         `json:"destination"`
	Leads       int            `json:"leads"`
	WouldSend   int            `json:"would_send"`
	RingNow     int            `json:"rings_now"`
	Held        map[string]int `json:"held"`
	Ended       map[string]int `json:"ended"`
	Notes       map[string]int `json:"notes"`
}

func (p *program) previewMany(ctx context.Context, d *database, e *deliver.Engine, org uuid.UUID, o *pushOrder) error {
	condition, to := pipeline.Condition{}, o.to
	if o.route != "" {
		route, err := findRoute(ctx, d.DB, org, o.route)
		if err != nil {
			return err
		}
		condition, to = route.Condition, route.Destination
	}
	leads, err := d.LeadsMatching(ctx, org, condition, o.campaign, o.limit)
	if err != nil {
		return err
	}
	n := pushCounts{Destination: to, Leads: len(leads), Held: map[string]int{}, Ended: map[string]int{}, Notes: map[string]int{}}
	for _, lead := range leads {
		delivery, err := d.PlanPush(ctx, org, lead, to)
		if errors.Is(err, store.ErrNotFound) {
			n.Leads-- // merged since
			continue
		}
		if err != nil {
			return err
		}
		v, err := previewOf(ctx, e, delivery)
		if err != nil {
			return err
		}
		n.add(&v)
	}
	if o.asJSON {
		return printJSON(p.stdout, n)
	}
	fmt.Fprintf(p.stdout, "%s: %s, %d would be sent, %d of them ring now\n", to, status.Many(n.Leads, "lead", "leads"), n.WouldSend, n.RingNow)
	for _, group := range []struct {
		head string
		of   map[string]int
	}{{"WAITS_FOR", n.Held}, {"NEVER_SENT", n.Ended}, {"NOTE", n.Notes}} {
		var lines [][]string
		for _, name := range slices.Sorted(maps.Keys(group.of)) {
			lines = append(lines, []string{name, fmt.Sprint(group.of[name])})
		}
		if err := section(p.stdout, []string{group.head, "LEADS"}, lines); err != nil {
			return err
		}
	}
	return nil
}

func (n *pushCounts) add(v *deliver.Preview) {
	switch {
	case v.WouldSend:
		n.WouldSend++
	case v.Change.State == pipeline.DeliveryReady:
		n.Held[v.Change.Hold]++
	default:
		n.Ended[v.Change.Reason]++
	}
	if v.WouldDial {
		n.RingNow++
	}
	for _, note := range v.Notes {
		n.Notes[note]++
	}
}

func findRoute(ctx context.Context, db *store.DB, org uuid.UUID, text string) (store.Route, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return store.Route{}, withCode(exitUsage, errors.New("--route is not an id"))
	}
	list, err := db.Routes(ctx, db.Pool, org)
	if err != nil {
		return store.Route{}, err
	}
	for _, r := range list {
		if r.ID == id {
			return r, nil
		}
	}
	return store.Route{}, fmt.Errorf("route %s: %w", id, store.ErrNotFound)
}
