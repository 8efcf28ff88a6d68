package ipscape

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Bounds of a part that is remembered. One that has not left within bulkLeaves of being noted as being sent does not leave, so that
// whoever looks for its leads BulkPatience after that looks for what left long ago, or never.
const (
	bulkLeaves = 5 * time.Minute
	// BulkPatience is how long the leads of a part that are not there may be in the vendor's queue. No such time is documented.
	BulkPatience = time.Hour
	// bulkSettles bounds the writing down of what came of a part, which outlives a stop.
	bulkSettles = 5 * time.Second
)

// LeadRef is how a lead that we created is found again.
type LeadRef struct {
	List int64
	// Key is its customer key.
	Key string
}

// BulkPart is one request of a bulk create.
type BulkPart struct {
	// ID is that of BulkLog, empty without one.
	ID string `json:"bulk,omitempty"`
	// UUID and Status are what the vendor answered: an asynchronous job, by its look. No way to ask after it is documented.
	UUID   string `json:"uuid,omitempty"`
	Status string `json:"status,omitempty"`
	// From and To are the half-open range of the leads that were sent, counted from 0, and Leads is how many of them were: others in
	// between may have been left out.
	From  int `json:"from"`
	To    int `json:"to"`
	Leads int `json:"leads"`
	// AskedAt is when the request was sent, by our clock (UTC); zero where nobody knows.
	AskedAt time.Time `json:"asked_at,omitzero"`
	// Unknown tells that the part may or may not have been taken.
	Unknown bool `json:"unknown,omitempty"`

	rows []int
	refs []LeadRef
}

// PartOf is the part with some of the leads, which are named by their rows, counted from 0.
func PartOf(leads []LeadRef, rows []int) BulkPart {
	p := BulkPart{From: rows[0], To: rows[len(rows)-1] + 1, Leads: len(rows), rows: rows}
	for _, row := range rows {
		p.refs = append(p.refs, leads[row])
	}
	return p
}

// Refs are the part's leads.
func (p *BulkPart) Refs() []LeadRef { return p.refs }

// Rows are the places of Refs among the leads of the whole bulk, counted from 0.
func (p *BulkPart) Rows() []int { return p.rows }

// Lists are the lists that the part's leads are for.
func (p *BulkPart) Lists() []int64 {
	var lists []int64
	for _, ref := range p.refs {
		lists = append(lists, ref.List)
	}
	slices.Sort(lists)
	return slices.Compact(lists)
}

// BulkLog remembers the parts of a bulk create beyond this process.
type BulkLog interface {
	// Known is asked first which of the leads are to be left out, because they were sent before: their rows, counted from 0. An
	// error keeps all of them from being sent.
	Known(ctx context.Context, leads []LeadRef) ([]int, error)
	// Sending is told of a part before it is sent. An error keeps it, and what follows it, from being sent.
	Sending(ctx context.Context, part *BulkPart) error
	// Settled is told what came of it.
	Settled(ctx context.Context, part *BulkPart, outcome error) error
}

// Bulk is what became of a bulk create. Keep it: VerifyBulk needs it.
type Bulk struct {
	Parts []BulkPart `json:"parts"`
	// Unsent counts the leads of parts that were not sent, or were refused.
	Unsent int `json:"unsent"`
	// Skipped counts the leads that were left out, because they were sent before.
	Skipped int `json:"skipped,omitempty"`
}

// BulkCreateLeads creates leads in parts of Config.BulkSize, each sent once; a part whose outcome is unknown, or that fails,
// ends it, and the bulk tells which leads were sent. Each lead needs a list and a customer key of its own, by which VerifyBulk
// finds it: never send a part again whole. Leads that Config.BulkLog knows are left out.
func (c *Client) BulkCreateLeads(ctx context.Context, leads []NewLead) (Bulk, error) {
	bulk := Bulk{Parts: []BulkPart{}, Unsent: len(leads)}
	if !c.cfg.Writes {
		return bulk, fmt.Errorf("ipscape %s: %w", OpBulkCreateLeads, ErrWritesOff)
	}
	refs, err := LeadRefs(leads)
	if err != nil {
		return bulk, err
	}
	var known []int
	if c.cfg.BulkLog != nil {
		if known, err = c.cfg.BulkLog.Known(ctx, refs); err != nil {
			return bulk, err
		}
	}
	bulk.Skipped, bulk.Unsent = len(known), len(leads)-len(known)
	for _, part := range c.parts(refs, known) {
		if err := c.bulkPart(ctx, leads, &part, &bulk); err != nil {
			return bulk, fmt.Errorf("rows %d to %d of %d: %w", part.From+1, part.To, len(leads), err)
		}
	}
	return bulk, nil
}

// bulkPart sends one part, and remembers what came of it.
func (c *Client) bulkPart(ctx context.Context, leads []NewLead, part *BulkPart, bulk *Bulk) error {
	part.AskedAt = c.api.Now().UTC()
	if c.cfg.BulkLog != nil {
		if err := c.cfg.BulkLog.Sending(ctx, part); err != nil {
			return err
		}
	}
	err := c.leave(ctx, leads, part)
	if part.Unknown = vendorapi.KindOf(err) == vendorapi.Unknown; err == nil || part.Unknown {
		bulk.Parts = append(bulk.Parts, *part)
		bulk.Unsent -= part.Leads
	}
	if c.cfg.BulkLog != nil {
		// What the vendor did is remembered even when the caller has no time left.
		noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), bulkSettles)
		err = errors.Join(err, c.cfg.BulkLog.Settled(noting, part, err))
		cancel()
	}
	return err
}

// leave sends a part within bulkLeaves. A timer stands still while the host is suspended, so the clock is asked too, after the wait
// for the account's budget.
func (c *Client) leave(ctx context.Context, leads []NewLead, part *BulkPart) error {
	ctx, cancel := context.WithTimeout(ctx, bulkLeaves)
	defer cancel()
	ctx, err := c.api.Turn(ctx, vendorapi.Live)
	if err != nil {
		return err
	}
	if stalled := c.api.Now().UTC().Sub(part.AskedAt); stalled > bulkLeaves {
		return &vendorapi.Error{
			Vendor: c.api.Vendor, Op: OpBulkCreateLeads, Kind: vendorapi.Transient,
			Err: fmt.Errorf("not sent, for its turn came %s after it was noted: the host stood still", stalled.Round(time.Second)),
		}
	}
	return c.sendPart(ctx, leads, part)
}

// parts splits a bulk as it is sent, without the rows that are left out.
func (c *Client) parts(refs []LeadRef, without []int) []BulkPart {
	out := make(map[int]bool, len(without))
	for _, row := range without {
		out[row] = true
	}
	rows := make([]int, 0, len(refs))
	for row := range refs {
		if !out[row] {
			rows = append(rows, row)
		}
	}
	var parts []BulkPart
	for of := range slices.Chunk(rows, c.cfg.BulkSize) {
		parts = append(parts, PartOf(refs, of))
	}
	return parts
}

func (c *Client) sendPart(ctx context.Context, leads []NewLead, part *BulkPart) error {
	sent := make([]NewLead, 0, part.Leads)
	for _, row := range part.rows {
		sent = append(sent, leads[row].sent())
	}
	_, err := c.push(ctx, OpBulkCreateLeads, "", nil, map[string]any{"leads": sent}, func(raw []byte) error {
		members(raw, func(f *fields) {
			switch string(f.key) {
			case "uuid":
				part.UUID = f.text("").v
			case "status":
				part.Status = f.text("").v
			default:
				f.value()
			}
		})
		if part.UUID == "" && part.Status == "" {
			return errors.New("the answer names no job")
		}
		return nil
	})
	return err
}

// LeadRefs tells how each of the leads is found again. It is an error where one has no list or key, or that of another.
func LeadRefs(leads []NewLead) ([]LeadRef, error) {
	if len(leads) == 0 {
		return nil, fmt.Errorf("ipscape %s: no leads", OpBulkCreateLeads)
	}
	refs := make([]LeadRef, len(leads))
	seen := make(map[LeadRef]bool, len(leads))
	for i, l := range leads {
		refs[i] = LeadRef{l.ListID, strings.TrimSpace(l.CustomerKey)}
		switch {
		case l.ListID <= 0 || !namesCustomer(refs[i].Key):
			return nil, fmt.Errorf("ipscape %s: row %d has no list or no customer key", OpBulkCreateLeads, i+1)
		case seen[refs[i]]:
			return nil, fmt.Errorf("ipscape %s: row %d has the list and customer key of an earlier one", OpBulkCreateLeads, i+1)
		}
		seen[refs[i]] = true
	}
	return refs, nil
}
