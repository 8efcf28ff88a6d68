package ipscape

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// verifyMargin is how far before a bulk request its leads' upload times are looked for: clocks differ.
const verifyMargin = time.Hour

// leadRef is how a lead that we created is found again.
type leadRef struct {
	list int64
	key  string
}

// BulkPart is one request of a bulk create.
type BulkPart struct {
	// UUID and Status are what the vendor answered: an asynchronous job, by its look. No way to ask after it is documented.
	UUID   string `json:"uuid,omitempty"`
	Status string `json:"status,omitempty"`
	// From and To are the half-open range of the leads that were sent.
	From int `json:"from"`
	To   int `json:"to"`
	// AskedAt is when the request was sent, by our clock (UTC).
	AskedAt time.Time `json:"asked_at"`
	// Unknown tells that the part may or may not have been taken.
	Unknown bool `json:"unknown,omitempty"`

	refs []leadRef
}

// Fingerprint tells parts apart by which leads they create: their lists and customer keys, in any order.
func (p *BulkPart) Fingerprint() [sha256.Size]byte {
	lines := make([]string, len(p.refs))
	for i, ref := range p.refs {
		lines[i] = fmt.Sprintf("%d %s\n", ref.list, ref.key)
	}
	slices.Sort(lines)
	return sha256.Sum256([]byte(strings.Join(lines, "")))
}

// Lists are the lists that the part's leads are for.
func (p *BulkPart) Lists() []int64 {
	var lists []int64
	for _, ref := range p.refs {
		lists = append(lists, ref.list)
	}
	slices.Sort(lists)
	return slices.Compact(lists)
}

// BulkLog remembers the parts of a bulk create beyond this process.
type BulkLog interface {
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
}

// BulkCreateLeads creates leads in parts of Config.BulkSize, each sent once; a part whose outcome is unknown, or that fails,
// ends it, and the bulk tells which leads were sent. Each lead needs a list and a customer key of its own, by which VerifyBulk
// finds it: never send a part again whole.
func (c *Client) BulkCreateLeads(ctx context.Context, leads []NewLead) (Bulk, error) {
	bulk := Bulk{Unsent: len(leads)}
	if !c.cfg.Writes {
		return bulk, fmt.Errorf("ipscape %s: %w", OpBulkCreateLeads, ErrWritesOff)
	}
	refs, err := bulkRefs(leads)
	if err != nil {
		return bulk, err
	}
	for _, part := range c.parts(refs) {
		part.AskedAt = c.api.Now().UTC()
		if c.cfg.BulkLog != nil {
			if err := c.cfg.BulkLog.Sending(ctx, &part); err != nil {
				return bulk, fmt.Errorf("leads %d to %d of %d: %w", part.From, part.To-1, len(leads), err)
			}
		}
		err := c.sendPart(ctx, leads, &part)
		if part.Unknown = vendorapi.KindOf(err) == vendorapi.Unknown; err == nil || part.Unknown {
			bulk.Parts = append(bulk.Parts, part)
			bulk.Unsent = len(leads) - part.To
		}
		if c.cfg.BulkLog != nil {
			// What the vendor did is remembered even when the caller has no time left.
			if noted := c.cfg.BulkLog.Settled(context.WithoutCancel(ctx), &part, err); noted != nil && err == nil {
				err = noted
			}
		}
		if err != nil {
			return bulk, fmt.Errorf("leads %d to %d of %d: %w", part.From, part.To-1, len(leads), err)
		}
	}
	return bulk, nil
}

// parts splits a bulk as it is sent.
func (c *Client) parts(refs []leadRef) []BulkPart {
	var parts []BulkPart
	for from := 0; from < len(refs); from += c.cfg.BulkSize {
		to := min(from+c.cfg.BulkSize, len(refs))
		parts = append(parts, BulkPart{From: from, To: to, refs: refs[from:to]})
	}
	return parts
}

// Parts are what BulkCreateLeads would send of these leads; nothing is sent.
func (c *Client) Parts(leads []NewLead) ([]BulkPart, error) {
	refs, err := bulkRefs(leads)
	return c.parts(refs), err
}

func (c *Client) sendPart(ctx context.Context, leads []NewLead, part *BulkPart) error {
	sent := make([]NewLead, 0, part.To-part.From)
	for _, l := range leads[part.From:part.To] {
		sent = append(sent, l.sent())
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

func bulkRefs(leads []NewLead) ([]leadRef, error) {
	if len(leads) == 0 {
		return nil, fmt.Errorf("ipscape %s: no leads", OpBulkCreateLeads)
	}
	refs := make([]leadRef, len(leads))
	seen := make(map[leadRef]bool, len(leads))
	for i, l := range leads {
		refs[i] = leadRef{l.ListID, strings.TrimSpace(l.CustomerKey)}
		switch {
		case l.ListID <= 0 || !namesCustomer(refs[i].key):
			return nil, fmt.Errorf("ipscape %s: lead %d has no list or no customer key", OpBulkCreateLeads, i)
		case seen[refs[i]]:
			return nil, fmt.Errorf("ipscape %s: lead %d has the list and customer key of an earlier one", OpBulkCreateLeads, i)
		}
		seen[refs[i]] = true
	}
	return refs, nil
}

// BulkReport says which leads of a bulk create are at the vendor.
type BulkReport struct {
	// LeadIDs are the vendor's ids by customer key, by list.
	LeadIDs map[int64]map[string]int64
	// Missing are customer keys that are not there, by list: not yet, or never.
	Missing map[int64][]string
	// Twice are customer keys that several leads have, by list.
	Twice map[int64][]string
}

// Of counts the leads of a part that are there, and those of them that are there more than once.
func (r *BulkReport) Of(part *BulkPart) (found, twice int) {
	for _, ref := range part.refs {
		if r.LeadIDs[ref.list][ref.key] != 0 {
			found++
		}
		if slices.Contains(r.Twice[ref.list], ref.key) {
			twice++
		}
	}
	return found, twice
}

// VerifyBulk looks for all leads of a bulk's parts. What is missing may still be in the vendor's queue: verify again before
// anything is sent again, and then only that, with CreateLeadOnce.
func (c *Client) VerifyBulk(ctx context.Context, bulk Bulk) (BulkReport, error) {
	keys := map[int64][]string{}
	var since time.Time
	for i, part := range bulk.Parts {
		// Of a part that was sent nobody knows when, the whole list is read.
		if i == 0 || part.AskedAt.Before(since) {
			since = part.AskedAt
		}
		for _, ref := range part.refs {
			keys[ref.list] = append(keys[ref.list], ref.key)
		}
	}
	if !since.IsZero() {
		since = since.Add(-verifyMargin)
	}
	report := BulkReport{LeadIDs: map[int64]map[string]int64{}, Missing: map[int64][]string{}, Twice: map[int64][]string{}}
	for list, wanted := range keys {
		if err := c.verify(ctx, list, wanted, since, &report); err != nil {
			return BulkReport{}, err
		}
	}
	return report, nil
}

// VerifyKeys looks for leads of these customer keys that were uploaded to a list since a time; a zero time walks the whole list.
func (c *Client) VerifyKeys(ctx context.Context, listID int64, customerKeys []string, since time.Time) (BulkReport, error) {
	report := BulkReport{LeadIDs: map[int64]map[string]int64{}, Missing: map[int64][]string{}, Twice: map[int64][]string{}}
	return report, c.verify(ctx, listID, customerKeys, since, &report)
}

func (c *Client) verify(ctx context.Context, listID int64, keys []string, since time.Time, into *BulkReport) error {
	found, twice := map[string]int64{}, map[string]bool{}
	wanted := make(map[string]bool, len(keys))
	for _, key := range keys {
		wanted[strings.TrimSpace(key)] = true
	}
	ask := ListRequest{From: since, Lane: vendorapi.Live, Filters: map[string]string{"listId": fmt.Sprint(listID)}}
	err := c.eachLead(ctx, ask, func(l *lead) {
		key := strings.TrimSpace(l.customerKey.v)
		if !wanted[key] || !l.holds(listID, key) {
			return
		}
		if other, ok := found[key]; ok && other != l.id.v {
			twice[key] = true
		}
		if found[key] == 0 || l.id.v < found[key] {
			found[key] = l.id.v
		}
	})
	if err != nil {
		return err
	}
	into.LeadIDs[listID] = found
	for _, key := range keys {
		key = strings.TrimSpace(key)
		if found[key] == 0 {
			into.Missing[listID] = append(into.Missing[listID], key)
		}
		if twice[key] {
			into.Twice[listID] = append(into.Twice[listID], key)
		}
	}
	slices.Sort(into.Missing[listID])
	slices.Sort(into.Twice[listID])
	return nil
}
