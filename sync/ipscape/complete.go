package ipscape

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// CompleteLead ends the dialling of a lead and reads it back: the vendor's answer to a change says nothing. It may be repeated.
// A lead that is gone is complete. It cannot be undone (contracts/ipscape.md 6.7).
func (c *Client) CompleteLead(ctx context.Context, id string) error {
	err := c.UpdateLead(ctx, id, LeadUpdate{Complete: true})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	raw, _, err := c.GetLead(ctx, id, vendorapi.Live)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the completed lead back: %w", err)
	}
	l, _, err := Settings{}.parseLead(raw)
	if err != nil || !l.completed.ok || !l.completed.v {
		return &vendorapi.Error{
			Vendor: c.api.Vendor, Op: OpUpdateLead, Kind: vendorapi.Unknown, Status: http.StatusOK, Sent: true,
			Err: errors.New("the lead is not complete when it is read back"),
		}
	}
	return nil
}

// LeadAddress is the address of a lead, for people.
func (c *Client) LeadAddress(id string) string {
	req, err := c.objectRequest(OpUpdateLead, id, vendorapi.Live)
	if err != nil {
		return ""
	}
	return c.api.Base.String() + req.Path
}
