package ipscape

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// CompleteLead ends the dialling of a lead and reads it back: the vendor's answer to a change says nothing. It may be repeated: of
// a lead that is complete already nothing is changed. A lead that is gone is complete, but only reading it tells: that a change is
// not found may be its address (contracts/ipscape.md 6.7 assumes it). It cannot be undone.
func (c *Client) CompleteLead(ctx context.Context, id string) error {
	if done, err := c.leadDone(ctx, id); done || err != nil {
		return err
	}
	err := c.UpdateLead(ctx, id, LeadUpdate{Complete: true})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	done, err := c.leadDone(ctx, id)
	if err != nil {
		return fmt.Errorf("reading the completed lead back: %w", err)
	}
	if !done {
		return &vendorapi.Error{
			Vendor: c.api.Vendor, Op: OpUpdateLead, Kind: vendorapi.Unknown, Status: http.StatusOK, Sent: true,
			Err: errors.New("the lead is not complete when it is read back"),
		}
	}
	return nil
}

// leadDone tells whether a lead is complete, or gone.
func (c *Client) leadDone(ctx context.Context, id string) (bool, error) {
	raw, _, err := c.GetLead(ctx, id, vendorapi.Live)
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	// What cannot be read shows nothing.
	l, _, err := Settings{}.parseLead(raw)
	return err == nil && l.completed.ok && l.completed.v, nil
}

// LeadAddress is the address of a lead, for people.
func (c *Client) LeadAddress(id string) string {
	req, err := c.objectRequest(OpUpdateLead, id, vendorapi.Live)
	if err != nil {
		return ""
	}
	return c.api.Base.String() + req.Path
}
