package ipscape

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// verifyMargin is how far before a bulk request its leads' upload times are looked for: clocks differ.
const verifyMargin = time.Hour

// BulkReport says which leads of a bulk create are at the vendor.
type BulkReport struct {
	// LeadIDs are the vendor's ids by customer key, by list.
	LeadIDs map[int64]map[string]int64
	// Missing are customer keys that are not there, by list: not yet, or never.
	Missing map[int64][]string
	// Twice are customer keys that several leads have, by list.
	Twice map[int64][]string
}

// Copies tells how many leads of a list and key were found: 2 for more than one.
func (r *BulkReport) Copies(ref LeadRef) int {
	switch {
	case r.LeadIDs[ref.List][ref.Key] == 0:
		return 0
	case slices.Contains(r.Twice[ref.List], ref.Key):
		return 2
	}
	return 1
}

// VerifyBulk looks for all leads of a bulk's parts. What is missing may be in the vendor's queue for BulkPatience: verify again before
// anything is sent again, and then only that.
func (c *Client) VerifyBulk(ctx context.Context, bulk Bulk) (BulkReport, error) {
	keys := map[int64][]string{}
	var since time.Time
	for i, part := range bulk.Parts {
		// Of a part that was sent nobody knows when, the whole list is read.
		if i == 0 || part.AskedAt.Before(since) {
			since = part.AskedAt
		}
		for _, ref := range part.refs {
			keys[ref.List] = append(keys[ref.List], ref.Key)
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
	err := c.eachLead(ctx, ask, maxListPages, func(l *lead) {
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
