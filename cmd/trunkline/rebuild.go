package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
)

// rebuildOptions are the flags of rebuild.
type rebuildOptions struct {
	check, diff, asJSON bool
	org                 string
}

func (p *program) rebuildCommand() *cobra.Command {
	var o rebuildOptions
	cmd := &cobra.Command{
		Use:   "rebuild [--check|--diff]",
		Short: "Fold the pipeline anew from the records, and mend what differs",
		Long: "Fold the pipeline anew from the records, and mend what differs.\n\n" +
			"All records are folded with this version's mapping and this configuration, and compared row by row with the pipeline.\n" +
			"Rows that differ are written in place: ids stay, no webhook is sent, and nothing rings. What landed and waits to be\n" +
			"folded is left to the daemon.",
		Example: "  trunkline rebuild --check\n  trunkline rebuild --diff | less\n  trunkline rebuild",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.check && o.diff {
				return withCode(exitUsage, errors.New("--check and --diff exclude each other"))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				return p.rebuild(ctx, c, d, o)
			})
		},
	}
	cmd.Flags().BoolVar(&o.check, "check", false, "only compare; exits 1 where something differs")
	cmd.Flags().BoolVar(&o.diff, "diff", false, "only list what would change, row by row")
	cmd.Flags().StringVar(&o.org, "org", "", "organisation; empty = the default one")
	jsonFlag(cmd, &o.asJSON)
	return cmd
}

// rebuildResult is what a rebuild came to.
type rebuildResult struct {
	OrgID      uuid.UUID `json:"org_id"`
	Agrees     bool      `json:"agrees"`
	Records    int       `json:"records"`
	Leads      int       `json:"leads"`
	Calls      int       `json:"calls"`
	DoNotCall  int       `json:"do_not_call"`
	Differing  int       `json:"differing"`
	Repaired   int       `json:"repaired"`
	Waiting    int       `json:"waiting"`
	SetAside   int       `json:"set_aside"`
	StoredHash string    `json:"stored_hash"`
	ToldHash   string    `json:"told_hash"`
	// Differences is filled by --diff.
	Differences []differenceRow `json:"differences,omitempty"`
}

// differenceRow is one row that differs.
type differenceRow struct {
	Table   string      `json:"table"`
	Key     string      `json:"key"`
	LeadID  string      `json:"lead_id,omitempty"`
	Change  string      `json:"change"`
	Columns []columnRow `json:"columns,omitempty"`
}

type columnRow struct {
	Column string `json:"column"`
	Stored string `json:"stored"`
	Told   string `json:"told"`
}

func (p *program) rebuild(ctx context.Context, c *config, d *database, o rebuildOptions) error {
	org, err := orgID(ctx, d, o.org)
	if err != nil {
		return err
	}
	dm, err := p.newTool(ctx, c, d, withFold)
	if err != nil {
		return err
	}
	result := rebuildResult{OrgID: org}
	options := store.CompareOptions{Progress: p.progress("compared")}
	if o.diff {
		options.Diff = func(diff store.Difference) error { return p.tellDifference(&result, diff, o.asJSON) }
	}
	found, err := dm.fold.Compare(ctx, org, options)
	p.endLine()
	if err != nil {
		return err
	}
	result.take(found)
	if !o.check && !o.diff && found.Differing > 0 {
		if _, err := dm.fold.Repair(ctx, org, found, p.progress("mended")); err != nil {
			return err
		}
		after, err := dm.fold.Compare(ctx, org, store.CompareOptions{Progress: p.progress("compared again")})
		p.endLine()
		if err != nil {
			return err
		}
		result.take(after)
		result.Repaired = max(0, found.Differing-after.Differing)
	}
	if err := p.printRebuild(&result, o); err != nil {
		return err
	}
	switch {
	case o.check && !result.Agrees:
		return withCode(exitFailed, fmt.Errorf("differing from what the records tell: %s of the pipeline; trunkline rebuild --diff lists them", status.Many(result.Differing, "row", "rows")))
	case !o.check && !o.diff && !result.Agrees:
		return withCode(exitPartly, fmt.Errorf("still differing: %s; the log says which records cannot be folded", status.Many(result.Differing, "row", "rows")))
	}
	return nil
}

func (r *rebuildResult) take(c store.Comparison) {
	r.Agrees = c.Differing == 0
	r.Records, r.Leads, r.Calls, r.DoNotCall = c.Records, c.Leads, c.Calls, c.DNC
	r.Differing, r.Waiting, r.SetAside = c.Differing, c.Unsettled, c.SetAside
	r.StoredHash, r.ToldHash = c.StoredHash, c.ToldHash
}

// tellDifference prints a difference as it is found, or keeps it for the JSON.
func (p *program) tellDifference(r *rebuildResult, d store.Difference, asJSON bool) error {
	row := differenceRow{Table: d.Table, Key: d.Key, Change: d.Change}
	if d.LeadID != uuid.Nil {
		row.LeadID = d.LeadID.String()
	}
	for _, c := range d.Columns {
		row.Columns = append(row.Columns, columnRow(c))
	}
	if asJSON {
		r.Differences = append(r.Differences, row)
		return nil
	}
	p.endLine()
	name := row.Key
	if row.LeadID != "" && row.LeadID != row.Key {
		name += " of lead " + row.LeadID
	}
	if _, err := fmt.Fprintf(p.stdout, "%s %s: %s\n", row.Table, row.Change, name); err != nil {
		return err
	}
	for _, c := range row.Columns {
		if _, err := fmt.Fprintf(p.stdout, "  %s: %s -> %s\n", c.Column, orDash(c.Stored), orDash(c.Told)); err != nil {
			return err
		}
	}
	return nil
}

func (p *program) printRebuild(r *rebuildResult, o rebuildOptions) error {
	if o.asJSON {
		return printJSON(p.stdout, r)
	}
	if o.diff && r.Differing > 0 {
		return nil
	}
	state := "agrees"
	if !r.Agrees {
		state = "differs"
	}
	return table(p.stdout, []string{"PIPELINE", "RECORDS", "LEADS", "CALLS", "DO_NOT_CALL", "DIFFERING", "REPAIRED", "WAITING", "SET_ASIDE", "HASH"}, [][]string{{
		state, fmt.Sprint(r.Records), fmt.Sprint(r.Leads), fmt.Sprint(r.Calls), fmt.Sprint(r.DoNotCall), fmt.Sprint(r.Differing),
		fmt.Sprint(r.Repaired), fmt.Sprint(r.Waiting), fmt.Sprint(r.SetAside), r.ToldHash[:16],
	}})
}

// progress shows on a terminal how far something is, a few times a second.
func (p *program) progress(what string) func(done, total int) {
	var last time.Time
	return func(done, total int) {
		if !p.terminal || total == 0 || time.Since(last) < 200*time.Millisecond {
			return
		}
		last = time.Now()
		fmt.Fprintf(p.stderr, "\r\x1b[K%d of %d %s (%d%%)", done, total, what, 100*done/total)
	}
}
