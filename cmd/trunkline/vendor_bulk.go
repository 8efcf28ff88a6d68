package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// bulkBooks remember the requests of bulk creates in the database.
type bulkBooks struct {
	db  *store.DB
	org uuid.UUID
	// open is the request under way.
	open store.BulkCreate
}

// Sending implements ipscape.BulkLog.
func (b *bulkBooks) Sending(ctx context.Context, part *ipscape.BulkPart) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	mark := part.Fingerprint()
	b.open = store.BulkCreate{
		ID: id, Org: b.org, Account: store.DefaultAccount, Fingerprint: mark[:], Lists: part.Lists(), Leads: part.To - part.From, AskedAt: part.AskedAt,
	}
	err = b.db.BeginBulk(ctx, &b.open)
	if errors.Is(err, store.ErrBulkSent) {
		return fmt.Errorf("%w; --verify tells which of them are there; send only the others, when the vendor has had its time", err)
	}
	return err
}

// Settled implements ipscape.BulkLog.
func (b *bulkBooks) Settled(ctx context.Context, part *ipscape.BulkPart, outcome error) error {
	b.open.UUID, b.open.Status = part.UUID, part.Status
	switch {
	case outcome == nil:
		b.open.State = store.BulkTaken
	case part.Unknown:
		b.open.State = store.BulkUnknown
	default:
		b.open.State = store.BulkRefused
	}
	return b.db.SettleBulk(ctx, &b.open)
}

// sentBulk is what is printed of a bulk create: what was sent, and which leads are there.
type sentBulk struct {
	ipscape.Bulk
	// Verified is absent where the leads could not be looked for.
	Verified *verifiedBulk `json:"verified,omitempty"`
}

type verifiedBulk struct {
	Leads int `json:"leads"`
	Found int `json:"found"`
	// Missing and Twice are customer keys by list.
	Missing map[int64][]string `json:"missing"`
	Twice   map[int64][]string `json:"twice"`
}

// runBulk sends a bulk create, unless it is to look only, and then looks which of the leads are there.
func runBulk(ctx context.Context, settings ipscape.Config, base vendorapi.Client, call vendorCall) (json.RawMessage, error) {
	books := &bulkBooks{db: call.db, org: call.org}
	settings.BulkLog = books
	client, err := ipscape.NewClient(settings, base)
	if err != nil {
		return nil, err
	}
	leads, err := ipscape.ReadLeads(call.args["leads"])
	if err != nil {
		return nil, err
	}
	var out sentBulk
	var failed error
	if call.verify {
		out.Parts, err = client.Parts(leads)
	} else if out.Bulk, failed = client.BulkCreateLeads(ctx, leads); len(out.Parts) == 0 {
		return nil, failed
	}
	var rows map[int]store.BulkCreate
	if err == nil {
		rows, err = books.recall(ctx, out.Parts)
	}
	if err == nil {
		out.Verified, err = books.verify(ctx, client, out.Bulk, rows)
	}
	switch {
	case err != nil && call.verify:
		return nil, err
	case err != nil:
		fmt.Fprintf(call.talk, "the leads could not be looked for: %v; --verify looks again\n", err)
	case out.Verified.Found < out.Verified.Leads:
		fmt.Fprintf(call.talk, "%d of %d leads are there; the others may still be in the vendor's queue: --verify looks again\n", out.Verified.Found, out.Verified.Leads)
	}
	if failed != nil {
		failed = withCode(exitPartly, failed)
	} else if call.verify && out.Verified.Found < out.Verified.Leads {
		failed = withCode(exitPartly, errors.New("not all leads are there"))
	}
	raw, err := json.Marshal(out)
	return raw, errors.Join(failed, err)
}

// recall finds the requests by which parts were sent, and completes the parts with what is known of them.
func (b *bulkBooks) recall(ctx context.Context, parts []ipscape.BulkPart) (map[int]store.BulkCreate, error) {
	rows := map[int]store.BulkCreate{}
	for i := range parts {
		mark := parts[i].Fingerprint()
		row, err := b.db.LatestBulk(ctx, b.org, store.DefaultAccount, mark[:])
		switch {
		case errors.Is(err, store.ErrNotFound):
			continue
		case err != nil:
			return nil, err
		}
		rows[i] = row
		parts[i].UUID, parts[i].Status, parts[i].AskedAt, parts[i].Unknown = row.UUID, row.Status, row.AskedAt, row.State == store.BulkUnknown
	}
	return rows, nil
}

func (b *bulkBooks) verify(ctx context.Context, client *ipscape.Client, bulk ipscape.Bulk, rows map[int]store.BulkCreate) (*verifiedBulk, error) {
	report, err := client.VerifyBulk(ctx, bulk)
	if err != nil {
		return nil, err
	}
	out := &verifiedBulk{Missing: report.Missing, Twice: report.Twice}
	for i := range bulk.Parts {
		found, twice := report.Of(&bulk.Parts[i])
		out.Leads, out.Found = out.Leads+bulk.Parts[i].To-bulk.Parts[i].From, out.Found+found
		if row, ok := rows[i]; ok {
			if err := b.db.NoteBulk(ctx, &row, found, twice); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
