package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
)

// recall finds the requests by which leads were sent, in whatever files and parts, and the leads that none has sent as a part without
// an id. A request that nobody lived to settle may have been taken.
func (b *bulkBooks) recall(ctx context.Context, leads []ipscape.NewLead) ([]ipscape.BulkPart, error) {
	refs, err := ipscape.LeadRefs(leads)
	if err != nil {
		return nil, err
	}
	known, err := b.db.KnownBulkLeads(ctx, b.org, store.DefaultAccount, bulkLeads(refs))
	if err != nil {
		return nil, err
	}
	var order []uuid.UUID
	rows, bulks := map[uuid.UUID][]int{}, map[uuid.UUID]store.BulkCreate{}
	var never []int
	for row := range refs {
		if len(known) == 0 || known[0].At != row {
			never = append(never, row)
			continue
		}
		bulk := known[0].Bulk
		known = known[1:]
		if bulk.ID == uuid.Nil {
			never = append(never, row)
			continue
		}
		if rows[bulk.ID] == nil {
			order = append(order, bulk.ID)
		}
		rows[bulk.ID], bulks[bulk.ID] = append(rows[bulk.ID], row), bulk
	}
	var parts []ipscape.BulkPart
	for _, id := range order {
		part, bulk := ipscape.PartOf(refs, rows[id]), bulks[id]
		part.ID, part.UUID, part.Status, part.AskedAt, part.Unknown = id.String(), bulk.UUID, bulk.Status, bulk.AskedAt, bulk.Uncertain()
		parts = append(parts, part)
	}
	if len(never) > 0 {
		parts = append(parts, ipscape.PartOf(refs, never))
	}
	return parts, nil
}

// verify looks for the leads of a bulk's parts, and notes what it finds. Leads that are still not there long after they were sent may be
// sent again; that is said of none whose whole list was not read.
func (b *bulkBooks) verify(ctx context.Context, client *ipscape.Client, bulk ipscape.Bulk) (*verifiedBulk, error) {
	sentBy := b.now().UTC().Add(-ipscape.BulkPatience)
	report, err := client.VerifyBulk(ctx, bulk)
	if err != nil {
		return nil, err
	}
	late := func(part *ipscape.BulkPart) bool { return part.ID != "" && !part.AskedAt.After(sentBy) }
	missing := func(part *ipscape.BulkPart) bool {
		return slices.ContainsFunc(part.Refs(), func(ref ipscape.LeadRef) bool { return report.Copies(ref) == 0 })
	}
	// What the vendor says of upload times is not believed where leads are given up.
	asked := !slices.ContainsFunc(bulk.Parts, func(part ipscape.BulkPart) bool { return part.AskedAt.IsZero() })
	if asked && slices.ContainsFunc(bulk.Parts, func(part ipscape.BulkPart) bool { return late(&part) && missing(&part) }) {
		whole := slices.Clone(bulk.Parts)
		for i := range whole {
			whole[i].AskedAt = time.Time{}
		}
		if report, err = client.VerifyBulk(ctx, ipscape.Bulk{Parts: whole}); err != nil {
			return nil, err
		}
	}
	out := &verifiedBulk{Missing: report.Missing, Twice: report.Twice}
	var looks []store.BulkLook
	var absent []store.BulkLead
	for i := range bulk.Parts {
		part := &bulk.Parts[i]
		out.Leads += part.Leads
		for _, ref := range part.Refs() {
			look := store.BulkLook{BulkLead: store.BulkLead(ref), Copies: report.Copies(ref)}
			looks = append(looks, look)
			if look.Copies > 0 {
				out.Found++
			} else {
				absent = append(absent, look.BulkLead)
			}
		}
	}
	states, err := b.db.NoteBulkLooks(ctx, b.org, store.DefaultAccount, looks, sentBy)
	if err != nil {
		return nil, err
	}
	held, err := b.db.KnownBulkLeads(ctx, b.org, store.DefaultAccount, absent)
	if err != nil {
		return nil, err
	}
	out.Free = len(absent) - len(held)
	for i := range bulk.Parts {
		part := &bulk.Parts[i]
		if id, err := uuid.Parse(part.ID); err == nil && states[id] != "" {
			part.Unknown = (&store.BulkCreate{State: states[id]}).Uncertain()
		}
	}
	return out, nil
}

// How much of what was sent before is named.
const (
	mostBulks  = 5
	mostRanges = 20
)

// sentBefore names leads that were sent before, or found there, by their rows, counted from 1, and the requests that sent them. rows are the places of
// the leads that were asked about, nil for theirs among themselves.
func sentBefore(known []store.KnownBulkLead, rows []int) string {
	var order []store.BulkCreate
	of := map[uuid.UUID][]int{}
	for _, k := range known {
		if of[k.Bulk.ID] == nil {
			order = append(order, k.Bulk)
		}
		row := k.At
		if rows != nil {
			row = rows[row]
		}
		of[k.Bulk.ID] = append(of[k.Bulk.ID], row+1)
	}
	var told []string
	for _, bulk := range order[:min(len(order), mostBulks)] {
		if bulk.ID == uuid.Nil {
			told = append(told, fmt.Sprintf("row %s, found there", ranges(of[bulk.ID])))
			continue
		}
		state := bulk.State
		if bulk.Uncertain() {
			state = store.BulkUnknown
		}
		told = append(told, fmt.Sprintf("row %s in bulk %s of %s (%s)", ranges(of[bulk.ID]), bulk.ID, bulk.AskedAt.Format(time.RFC3339), state))
	}
	if more := len(order) - mostBulks; more > 0 {
		told = append(told, fmt.Sprintf("others in %d more", more))
	}
	return fmt.Sprintf("there or sent before: %s", strings.Join(told, "; "))
}

// ranges writes rising numbers as 1-3,7.
func ranges(rows []int) string {
	var parts []string
	for i := 0; i < len(rows); {
		j := i
		for j+1 < len(rows) && rows[j+1] == rows[j]+1 {
			j++
		}
		switch {
		case len(parts) == mostRanges:
			return fmt.Sprintf("%s and %d more", strings.Join(parts, ","), len(rows)-i)
		case i == j:
			parts = append(parts, fmt.Sprint(rows[i]))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", rows[i], rows[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}
