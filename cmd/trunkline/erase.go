package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// eraseTalk is how often an erasure says that it waits.
const eraseTalk = 5 * time.Second

// eraseOptions are the flags of erase.
type eraseOptions struct {
	phone, email, org    string
	all, vendors, asJSON bool
}

func (p *program) eraseCommand() *cobra.Command {
	var o eraseOptions
	cmd := &cobra.Command{
		Use:   "erase --phone P | --email E [--vendors]",
		Short: "Remove all that is kept of a person, for good",
		Long: "Remove all that is kept of a person, for good, and print a receipt.\n\n" +
			"Leads, calls, records with their history, posts, deliveries and webhooks that name them go or are emptied. A keyed hash\n" +
			"of their names stays, so that what tells of them later is not kept, and if they opted out, their number on the\n" +
			"do-not-call list. It may be ordered again at any time, also when it was cut off.",
		Example: "  trunkline erase --phone +13055550123\n  trunkline erase --email jo@example.com --vendors --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (o.phone == "") == (o.email == "") {
				return withCode(exitUsage, errors.New("give --phone or --email, one of them"))
			}
			if o.email != "" && !pipeline.Mailbox(o.email) {
				return withCode(exitUsage, errors.New("--email is no e-mail address"))
			}
			c, err := p.config()
			if err != nil {
				return err
			}
			who := store.Identity{Email: o.email, All: o.all}
			if o.phone != "" {
				phone := pipeline.ParsePhone(o.phone, string(c.General.Region))
				if !phone.Valid {
					return withCode(exitUsage, errors.New("--phone is no valid number; write it as +13055550123"))
				}
				who.Phone = phone.E164
			}
			if o.vendors {
				if err := vendorErasable(c); err != nil {
					return withCode(exitConfig, err)
				}
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				return p.erase(ctx, c, d, who, o)
			})
		},
	}
	cmd.Flags().StringVar(&o.phone, "phone", "", "the person's phone")
	cmd.Flags().StringVar(&o.email, "email", "", "the person's e-mail address")
	cmd.Flags().BoolVar(&o.all, "all", false, "every lead that has the phone or address, where several do")
	cmd.Flags().BoolVar(&o.vendors, "vendors", false, "have ipSCAPE remove the person's data first; needs IPSCAPE_WRITES")
	cmd.Flags().StringVar(&o.org, "org", "", "organisation; empty = the default one")
	jsonFlag(cmd, &o.asJSON)
	return cmd
}

// vendorErasable tells why ipSCAPE cannot be asked.
func vendorErasable(c *config) error {
	v := callableIPSCAPE()
	if _, off := v.account(c); off != "" {
		return fault{off, "is missing: " + v.title + " is off"}
	}
	return v.forbidden(c, ipscape.OpRemovePersonalData)
}

// eraseReceipt is what an erasure came to. Nothing in it tells whom it was about.
type eraseReceipt struct {
	ErasureID   uuid.UUID        `json:"erasure_id"`
	StartedAt   string           `json:"started_at"`
	FinishedAt  string           `json:"finished_at"`
	Tables      map[string]int64 `json:"tables"`
	OptOutsKept int              `json:"opt_outs_kept"`
	// Elsewhere are records of others that mention the person.
	Elsewhere []string `json:"mentioned_elsewhere"`
	// Vendors counts what vendors say they removed, by vendor and by their own names; null where none was asked.
	Vendors map[string]map[string]int64 `json:"vendors"`
}

func (p *program) erase(ctx context.Context, c *config, d *database, who store.Identity, o eraseOptions) error {
	org, err := orgID(ctx, d, o.org)
	if err != nil {
		return err
	}
	if o.vendors && o.org != "" {
		// ipSCAPE's account is the default organisation's, and so are the people there.
		own, err := orgID(ctx, d, "")
		if err != nil {
			return err
		}
		if org != own {
			return withCode(exitUsage, errors.New("--vendors is for the default organisation, whose ipSCAPE account it is"))
		}
	}
	tool, err := p.newTool(ctx, c, d, withFold, func(d *daemon) func(context.Context) error { return d.buildInbox })
	if err != nil {
		return err
	}
	eraser := &store.Eraser{DB: d.DB, Fold: tool.fold, Inbox: tool.inbox, Patience: replayPatience, Waiting: p.eraseWaiting()}
	known, err := eraser.Known(ctx, org, who)
	if err != nil {
		return severalLeads(err)
	}
	var asked map[string]map[string]int64
	if o.vendors {
		// First, while it is known here by what the vendor knows them.
		removed, err := p.eraseAtIPSCAPE(ctx, c, d, &known)
		if err != nil {
			return err
		}
		asked = map[string]map[string]int64{"ipscape": removed}
	}
	done, err := eraser.Erase(ctx, org, who)
	if err != nil {
		return severalLeads(err)
	}
	slices.Sort(done.Elsewhere)
	return p.printReceipt(eraseReceipt{
		ErasureID: done.ID, StartedAt: when(done.StartedAt), FinishedAt: when(done.FinishedAt), Tables: done.Counts,
		OptOutsKept: done.KeptOptOuts, Elsewhere: append([]string{}, done.Elsewhere...), Vendors: asked,
	}, o.asJSON)
}

// eraseWaiting says every few seconds what an erasure waits for.
func (p *program) eraseWaiting() func(left int64) {
	last := time.Now()
	return func(left int64) {
		if time.Since(last) >= eraseTalk {
			last = time.Now()
			fmt.Fprintf(p.stderr, "waiting: what came before is still to be read: %s\n", status.Many(left, "post or record", "posts and records"))
		}
	}
}

// severalLeads says what to do where several leads have what was named.
func severalLeads(err error) error {
	several, ok := errors.AsType[*store.SeveralError](err)
	if !ok {
		return err
	}
	var ids []string
	for _, id := range several.Leads {
		ids = append(ids, id.String())
	}
	return fmt.Errorf("%d leads have it, so it does not say who is meant: %s. Name the person by what only they have, or give --all to erase all of them",
		len(ids), strings.Join(ids, ", "))
}

// eraseAtIPSCAPE has the vendor remove the person by everything that it may know them by. It may be asked again.
func (p *program) eraseAtIPSCAPE(ctx context.Context, c *config, d *database, known *store.Known) (map[string]int64, error) {
	v := callableIPSCAPE()
	account, _ := v.account(c)
	op, _ := vendorapi.Find(ipscape.Described(), ipscape.OpRemovePersonalData)
	var calls []vendorCall
	ask := func(name, value string) {
		calls = append(calls, vendorCall{op: op, args: map[string]string{name: value}, talk: p.stderr})
	}
	spelt := slices.Clone(known.Phones)
	for _, text := range known.Spelt {
		if phone := pipeline.ParsePhone(text, string(c.IPSCAPE.Region)); phone.Valid && slices.Contains(known.Phones, phone.E164) && !slices.Contains(spelt, text) {
			spelt = append(spelt, text)
		}
	}
	for _, phone := range spelt {
		ask("phoneNumber", phone)
	}
	for _, email := range known.Emails {
		ask("emailAddress", email)
	}
	removed := map[string]int64{}
	for _, call := range calls {
		answer, err := p.askVendor(ctx, c, d, v, account, call)
		if err != nil {
			return nil, fmt.Errorf("nothing was erased here, for ipscape failed; order it again: %w", err)
		}
		var counts ipscape.Removal
		if err := json.Unmarshal(answer, &counts); err != nil {
			return nil, errors.New("the answer of ipscape cannot be read")
		}
		for _, group := range counts {
			for name, n := range group {
				removed[name] += n
			}
		}
	}
	return removed, nil
}

func (p *program) printReceipt(r eraseReceipt, asJSON bool) error {
	if asJSON {
		return printJSON(p.stdout, r)
	}
	err := properties(p.stdout, [][2]string{
		{"ERASURE", r.ErasureID.String()},
		{"STARTED", r.StartedAt},
		{"FINISHED", r.FinishedAt},
		{"OPT_OUTS_KEPT", fmt.Sprint(r.OptOutsKept)},
	})
	if err != nil {
		return err
	}
	var lines [][]string
	for _, table := range slices.Sorted(maps.Keys(r.Tables)) {
		lines = append(lines, []string{table, fmt.Sprint(r.Tables[table])})
	}
	if err := section(p.stdout, []string{"TABLE", "ROWS"}, lines); err != nil {
		return err
	}
	lines = nil
	for _, vendor := range slices.Sorted(maps.Keys(r.Vendors)) {
		for _, name := range slices.Sorted(maps.Keys(r.Vendors[vendor])) {
			lines = append(lines, []string{vendor, name, fmt.Sprint(r.Vendors[vendor][name])})
		}
	}
	if err := section(p.stdout, []string{"VENDOR", "REMOVED", "COUNT"}, lines); err != nil {
		return err
	}
	lines = nil
	for _, ref := range r.Elsewhere {
		lines = append(lines, []string{ref})
	}
	return section(p.stdout, []string{"MENTIONED_ELSEWHERE"}, lines)
}
