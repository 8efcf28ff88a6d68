package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/operator"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func (p *program) leadUnlinkCommand() *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "unlink ID KEY",
		Short: "Take a key off a lead: what it tied together becomes leads of their own",
		Long: "Take a key off a lead: what it tied together becomes leads of their own.\n\n" +
			"KEY is kind:value as lead explain prints them, such as phone:+13055550123 or convoso_lead:48213377. Of a phone, the lead keeps it and\n" +
			"is no more joined by it. The part with the elder key keeps the id; nothing that was split off is pushed.",
		Example: "  trunkline lead unlink 0198… phone:+13055550123",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := argID(args[0])
			if err != nil {
				return err
			}
			kind, value, ok := strings.Cut(args[1], ":")
			if !ok || kind == "" || value == "" {
				return withCode(exitUsage, errors.New("KEY must be kind:value, such as phone:+13055550123"))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				return p.orderOfLead(ctx, c, d, org, id, asJSON, func(lead uuid.UUID, links []pipeline.LinkedKey) (record, error) {
					return unlinkOrder(d, lead, links, kind, value)
				})
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// record makes an order's record for an organisation.
type record func(org uuid.UUID, account string) (pipeline.Record, error)

func unlinkOrder(d *database, lead uuid.UUID, links []pipeline.LinkedKey, kind, value string) (record, error) {
	order := operator.Unlink{LeadID: lead, At: d.Now()}
	for _, k := range links {
		switch {
		case string(k.Kind) == kind && k.Value == value && k.Kind != pipeline.KeyEmail:
			order.Key = operator.KeyOf(k.Key)
		case k.Rule == pipeline.RuleIdentity:
			order.From = append(order.From, operator.KeyOf(k.Key))
		}
	}
	if order.Key.Value == "" {
		return nil, fmt.Errorf("lead %s has no key %s:…: %w", lead, kind, store.ErrNotFound)
	}
	if len(order.From) == 0 {
		return nil, errors.New("the lead is known by this key alone: there is nothing to take it from")
	}
	return order.Record, nil
}

func (p *program) leadStageCommand() *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "stage ID STAGE",
		Short:   "Set the stage of a lead; a later call or change moves it on",
		Example: "  trunkline lead stage 0198… won",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := argID(args[0])
			if err != nil {
				return err
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				o, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				stages, err := d.Stages(ctx, o)
				if err != nil {
					return err
				}
				if !slices.ContainsFunc(stages, func(s store.Stage) bool { return s.Key == args[1] }) {
					return fmt.Errorf("stage %s: %w", args[1], store.ErrNotFound)
				}
				return p.orderOfLead(ctx, c, d, org, id, asJSON, func(lead uuid.UUID, links []pipeline.LinkedKey) (record, error) {
					l := pipeline.Lead{Keys: links}
					keys := l.LedgerKeys(false)
					if len(keys) == 0 {
						return nil, fmt.Errorf("lead %s has no key by which the fold knows it: %w", lead, store.ErrNotFound)
					}
					order := operator.Stage{LeadID: lead, Key: operator.KeyOf(anchor(links, keys)), Stage: args[1], At: d.Now()}
					return order.Record, nil
				})
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// anchor picks the key to name a lead by: one by which a record itself names it.
func anchor(links []pipeline.LinkedKey, keys []pipeline.Key) pipeline.Key {
	for _, k := range links {
		if k.Rule == pipeline.RuleIdentity {
			return k.Key
		}
	}
	return keys[0]
}

// orderOfLead keeps an order about a lead, folds it, and shows the lead.
func (p *program) orderOfLead(
	ctx context.Context, c *config, d *database, orgText string, id uuid.UUID, asJSON bool,
	order func(lead uuid.UUID, links []pipeline.LinkedKey) (record, error),
) error {
	org, err := orgID(ctx, d, orgText)
	if err != nil {
		return err
	}
	lead, err := d.Lead(ctx, org, id)
	if err != nil {
		return err
	}
	links, err := d.LeadLinks(ctx, org, lead.ID)
	if err != nil {
		return err
	}
	recordFor, err := order(lead.ID, links)
	if err != nil {
		return err
	}
	r, err := recordFor(org, store.DefaultAccount)
	if err != nil {
		return err
	}
	tool, err := p.newTool(ctx, c, d, withFold)
	if err != nil {
		return err
	}
	kept, err := d.LandOrder(ctx, &r, "", "", tool.queue.WakeReconcile)
	if err != nil {
		return err
	}
	shown, err := foldOrder(ctx, d.DB, tool.fold, org, kept)
	if err != nil {
		return err
	}
	if !shown {
		fmt.Fprintln(p.stderr, "the order is kept; the pipeline shows it as soon as a daemon has folded it")
	}
	return p.showLead(ctx, d, org, lead.ID, asJSON)
}
