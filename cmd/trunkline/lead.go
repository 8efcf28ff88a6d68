package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
)

func (p *program) leadCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "lead", Short: "One lead: what it is, and why", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(p.leadShowCommand(), p.leadExplainCommand(), p.leadUnlinkCommand(), p.leadStageCommand())
	return cmd
}

// leadRow is a lead as commands print it; keys are the columns of analytics.leads where there is such a one.
type leadRow struct {
	LeadID           uuid.UUID       `json:"lead_id"`
	BusinessName     string          `json:"business_name"`
	ContactFirstName string          `json:"contact_first_name"`
	ContactLastName  string          `json:"contact_last_name"`
	Email            string          `json:"email"`
	Phone            string          `json:"phone"`
	Industry         string          `json:"industry"`
	MonthlyRevenue   string          `json:"monthly_revenue"`
	RequestedAmount  string          `json:"requested_amount"`
	Source           string          `json:"source"`
	Priority         string          `json:"priority"`
	Tags             json.RawMessage `json:"tags"`
	CustomFields     json.RawMessage `json:"custom_fields"`
	ExternalIDs      json.RawMessage `json:"external_ids"`
	StageKey         string          `json:"stage_key"`
	StageChangedAt   string          `json:"stage_changed_at"`
	LastContactedAt  string          `json:"last_contacted_at"`
	IsDoNotCall      bool            `json:"is_do_not_call"`
	DNCReason        string          `json:"dnc_reason"`
	DNCAt            string          `json:"dnc_at"`
	CreatedAt        string          `json:"created_at"`
	UpdatedAt        string          `json:"updated_at"`
}

func (p *program) leadShowCommand() *cobra.Command {
	var org string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a lead; the id of one that merged into it will do",
		Example: "  trunkline lead show 0198…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := argID(args[0])
			if err != nil {
				return err
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				o, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				return p.showLead(ctx, d, o, id, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) showLead(ctx context.Context, d *database, org, id uuid.UUID, asJSON bool) error {
	l, err := d.Lead(ctx, org, id)
	if err != nil {
		return err
	}
	r := leadRow{
		l.ID, orEmpty(l.BusinessName), orEmpty(l.ContactFirstName), orEmpty(l.ContactLastName), orEmpty(l.Email), orEmpty(l.Phone),
		orEmpty(l.Industry), orEmpty(l.MonthlyRevenue), orEmpty(l.RequestedAmount), l.Source, l.Priority, l.Tags, l.CustomFields,
		l.ExternalIDs, l.Stage.Key, whenPtr(l.StageChangedAt), whenPtr(l.LastContactedAt), l.IsDoNotCall, orEmpty(l.DNCReason), whenPtr(l.DNCAt),
		when(l.CreatedAt), when(l.UpdatedAt),
	}
	if asJSON {
		return printJSON(p.stdout, r)
	}
	return properties(p.stdout, [][2]string{
		{"LEAD_ID", r.LeadID.String()},
		{"BUSINESS", orDash(r.BusinessName)},
		{"CONTACT", orDash(strings.TrimSpace(r.ContactFirstName + " " + r.ContactLastName))},
		{"PHONE", orDash(r.Phone)},
		{"EMAIL", orDash(r.Email)},
		{"INDUSTRY", orDash(r.Industry)},
		{"MONTHLY_REVENUE", orDash(r.MonthlyRevenue)},
		{"REQUESTED_AMOUNT", orDash(r.RequestedAmount)},
		{"SOURCE", r.Source},
		{"PRIORITY", r.Priority},
		{"STAGE", r.StageKey + " since " + r.StageChangedAt},
		{"DO_NOT_CALL", doNotCallText(&r)},
		{"LAST_CONTACTED", r.LastContactedAt},
		{"CREATED", r.CreatedAt},
		{"UPDATED", r.UpdatedAt},
		{"EXTERNAL_IDS", string(r.ExternalIDs)},
		{"TAGS", string(r.Tags)},
		{"CUSTOM_FIELDS", string(r.CustomFields)},
	})
}

func doNotCallText(r *leadRow) string {
	if !r.IsDoNotCall {
		return "no"
	}
	return "yes: " + orDash(r.DNCReason) + " at " + r.DNCAt
}

// explainRow is an explanation as commands print it.
type explainRow struct {
	LeadID    uuid.UUID        `json:"lead_id"`
	Merged    []uuid.UUID      `json:"merged_lead_ids"`
	SplitFrom string           `json:"split_from"`
	At        string           `json:"at"`
	Leads     []explainedLeads `json:"leads"`
}

type explainedLeads struct {
	Links     []linkRow  `json:"links"`
	Fields    []fieldRow `json:"fields"`
	StageKey  string     `json:"stage_key"`
	StageAt   string     `json:"stage_changed_at"`
	DoNotCall bool       `json:"is_do_not_call"`
	DNCReason string     `json:"dnc_reason"`
	Calls     int        `json:"calls"`
	Records   []string   `json:"records"`
}

type linkRow struct {
	Kind     string `json:"kind"`
	Account  string `json:"account_id"`
	Value    string `json:"value"`
	Rule     string `json:"rule"`
	Evidence string `json:"evidence"`
	LinkedAt string `json:"linked_at"`
}

type fieldRow struct {
	Field      string         `json:"field"`
	Value      string         `json:"value"`
	Source     string         `json:"source"`
	SourceTime string         `json:"source_time"`
	Record     string         `json:"record"`
	Overruled  []overruledRow `json:"overruled"`
}

type overruledRow struct {
	Value      string `json:"value"`
	Record     string `json:"record"`
	SourceTime string `json:"source_time"`
}

func (p *program) leadExplainCommand() *cobra.Command {
	var org, at string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain ID [--at T]",
		Short: "Say which records make a lead: each link with rule and evidence, each field with who told it",
		Long: "Say which records make a lead: each link with rule and evidence, each field with who told it and who was overruled.\n\n" +
			"--at shows the lead as it was known here at a time, as far as the history of records reaches back.",
		Example: "  trunkline lead explain 0198…\n  trunkline lead explain 0198… --at 2026-03-02T09:30:00Z",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := argID(args[0])
			if err != nil {
				return err
			}
			var then time.Time
			if at != "" {
				if then, err = time.Parse(time.RFC3339, at); err != nil {
					if then, err = time.Parse(time.DateOnly, at); err != nil {
						return withCode(exitUsage, errors.New("--at must be a date or an RFC 3339 time"))
					}
				}
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				o, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				dm, err := p.newTool(ctx, c, d, withFold)
				if err != nil {
					return err
				}
				x, err := dm.fold.Explain(ctx, o, id, then.UTC())
				if err != nil {
					return err
				}
				return p.printExplanation(explainRowOf(&x, then), asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().StringVar(&at, "at", "", "as known at this time, a date (00:00 UTC) or RFC 3339")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func explainRowOf(x *store.Explanation, at time.Time) explainRow {
	r := explainRow{LeadID: x.LeadID, Merged: x.Merged, At: when(at), Leads: []explainedLeads{}}
	if r.Merged == nil {
		r.Merged = []uuid.UUID{}
	}
	if x.SplitFrom != uuid.Nil {
		r.SplitFrom = x.SplitFrom.String()
	}
	for i := range x.Leads {
		l := &x.Leads[i]
		out := explainedLeads{
			Links: []linkRow{}, Fields: []fieldRow{}, StageKey: l.Stage, StageAt: when(l.StageChangedAt), DoNotCall: l.DNC, DNCReason: l.DNCReason,
			Calls: l.Calls, Records: l.Records,
		}
		for _, k := range l.Links {
			out.Links = append(out.Links, linkRow{string(k.Kind), k.Account, k.Value, k.Rule, k.Evidence, when(k.LinkedAt)})
		}
		for _, f := range l.Fields {
			row := fieldRow{string(f.Field), f.Value, string(f.Source), when(f.At), f.Record, []overruledRow{}}
			for _, o := range f.Overruled {
				row.Overruled = append(row.Overruled, overruledRow{o.Value, o.Record, when(o.At)})
			}
			out.Fields = append(out.Fields, row)
		}
		r.Leads = append(r.Leads, out)
	}
	return r
}

func (p *program) printExplanation(r explainRow, asJSON bool) error {
	if asJSON {
		return printJSON(p.stdout, r)
	}
	head := [][2]string{{"LEAD_ID", r.LeadID.String()}}
	for _, m := range r.Merged {
		head = append(head, [2]string{"MERGED", m.String()})
	}
	if r.SplitFrom != "" {
		head = append(head, [2]string{"SPLIT_FROM", r.SplitFrom})
	}
	if err := properties(p.stdout, head); err != nil {
		return err
	}
	if len(r.Leads) == 0 {
		fmt.Fprintln(p.stdout, "nothing was known of it at that time")
	}
	for _, l := range r.Leads {
		doNotCall := "no"
		if l.DoNotCall {
			doNotCall = strings.TrimSuffix("yes, "+l.DNCReason, ", ")
		}
		fmt.Fprintf(p.stdout, "\nstage %s since %s, %s, do not call: %s\n\n", l.StageKey, l.StageAt, status.Many(l.Calls, "call", "calls"), doNotCall)
		var lines [][]string
		for _, k := range l.Links {
			lines = append(lines, []string{k.Kind, orDash(k.Account), k.Value, k.Rule, k.Evidence, k.LinkedAt})
		}
		if err := table(p.stdout, []string{"KEY", "ACCOUNT", "VALUE", "RULE", "EVIDENCE", "LINKED"}, lines); err != nil {
			return err
		}
		fmt.Fprintln(p.stdout)
		lines = nil
		for _, f := range l.Fields {
			lines = append(lines, []string{f.Field, f.Value, f.Source, f.SourceTime, f.Record, ""})
			for _, o := range f.Overruled {
				lines = append(lines, []string{"", o.Value, "", o.SourceTime, o.Record, "overruled"})
			}
		}
		if err := table(p.stdout, []string{"FIELD", "VALUE", "SOURCE", "TOLD", "RECORD", ""}, lines); err != nil {
			return err
		}
	}
	return nil
}
