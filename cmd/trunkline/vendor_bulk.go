package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// bulkBooks remember the requests of bulk creates, and their leads, in the database.
type bulkBooks struct {
	db  *store.DB
	org uuid.UUID
	now func() time.Time
	// skip leaves out what was sent before, and talk is told of it; else that is an error.
	skip bool
	talk io.Writer
	// open is the request under way.
	open store.BulkCreate
}

func bulkLeads(refs []ipscape.LeadRef) []store.BulkLead {
	leads := make([]store.BulkLead, len(refs))
	for i, ref := range refs {
		leads[i] = store.BulkLead(ref)
	}
	return leads
}

// Known implements ipscape.BulkLog.
func (b *bulkBooks) Known(ctx context.Context, refs []ipscape.LeadRef) ([]int, error) {
	known, err := b.db.KnownBulkLeads(ctx, b.org, store.DefaultAccount, bulkLeads(refs))
	if err != nil || len(known) == 0 {
		return nil, err
	}
	told := sentBefore(known, nil)
	if !b.skip {
		return nil, fmt.Errorf("nothing was sent; %s; --verify tells which are there, --skip-known sends the others", told)
	}
	fmt.Fprintf(b.talk, "left out, %s\n", told)
	rows := make([]int, len(known))
	for i := range known {
		rows[i] = known[i].At
	}
	return rows, nil
}

// Sending implements ipscape.BulkLog.
func (b *bulkBooks) Sending(ctx context.Context, part *ipscape.BulkPart) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	b.open = store.BulkCreate{
		ID: id, Org: b.org, Account: store.DefaultAccount, Lists: part.Lists(), Leads: part.Leads, AskedAt: part.AskedAt,
	}
	err = b.db.BeginBulk(ctx, &b.open, bulkLeads(part.Refs()))
	if sent, ok := errors.AsType[*store.BulkSentError](err); ok {
		return fmt.Errorf("not sent; %s, by another command just now; --skip-known sends the others", sentBefore(sent.Known, part.Rows()))
	}
	part.ID = id.String()
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
	// Free is how many of the missing ones nothing keeps from being sent.
	Free int `json:"free"`
	// Missing and Twice are customer keys by list.
	Missing map[int64][]string `json:"missing"`
	Twice   map[int64][]string `json:"twice"`
}

// runBulk sends a bulk create, unless it is to look only, and then looks which of the leads are there.
func runBulk(ctx context.Context, settings ipscape.Config, base vendorapi.Client, call vendorCall) (json.RawMessage, error) {
	books := &bulkBooks{db: call.db, org: call.org, now: base.Now, skip: call.skipKnown, talk: call.talk}
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
		out.Parts, err = books.recall(ctx, leads)
	} else if out.Bulk, failed = client.BulkCreateLeads(ctx, leads); len(out.Parts) == 0 && failed != nil {
		return nil, failed
	}
	if err == nil && len(out.Parts) > 0 {
		out.Verified, err = books.verify(ctx, client, out.Bulk)
	}
	switch v := out.Verified; {
	case err != nil && call.verify:
		return nil, err
	case err != nil:
		fmt.Fprintf(call.talk, "the leads could not be looked for: %v; --verify looks again\n", err)
	case v == nil:
		fmt.Fprintln(call.talk, "no lead is left to be sent")
	case v.Found < v.Leads:
		fmt.Fprintf(call.talk, "%d of %d leads are there; %d of the others may be sent; what was sent within %s may still be in the vendor's queue: --verify looks again\n",
			v.Found, v.Leads, v.Free, ipscape.BulkPatience)
	}
	if failed != nil {
		failed = withCode(exitPartly, failed)
	} else if call.verify && out.Verified.Found < out.Verified.Leads {
		failed = withCode(exitPartly, errors.New("not all leads are there"))
	}
	raw, err := json.Marshal(out)
	return raw, errors.Join(failed, err)
}
