package ipscape

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Periods of the inbound statistics.
const (
	PeriodHour = "hour"
	PeriodDay  = "day"
)

// ListLeadLists streams one page of the lead lists; it filters on no time. It behaves like ListActivities.
func (c *Client) ListLeadLists(ctx context.Context, r ListRequest, onNext func(cursor string), emit Emit) (Page, error) {
	return c.list(ctx, list{op: OpListLeadLists}, r, onNext, emit)
}

// ListUsers streams one page of the users; it filters on no time. It behaves like ListActivities.
func (c *Client) ListUsers(ctx context.Context, r ListRequest, onNext func(cursor string), emit Emit) (Page, error) {
	return c.list(ctx, list{op: OpListUsers}, r, onNext, emit)
}

// ListDiallerAttempts streams one page of the attempts dialled within the request's bounds. It behaves like ListActivities.
func (c *Client) ListDiallerAttempts(ctx context.Context, r ListRequest, onNext func(cursor string), emit Emit) (Page, error) {
	return c.list(ctx, list{OpListDiallerAttempts, "dialledTimestampFrom", "dialledTimestampTo"}, r, onNext, emit)
}

// GetLeadList reads one lead list by its id, in the form that Settings.LeadList takes. ErrNotFound tells that it is gone.
func (c *Client) GetLeadList(ctx context.Context, id string, lane vendorapi.Lane) (raw json.RawMessage, askedAt time.Time, err error) {
	return c.get(ctx, OpGetLeadList, id, lane, func(raw []byte) (string, error) {
		l, _, err := Settings{}.parseLeadList(raw)
		if err != nil {
			return "", err
		}
		return l.id.id(), nil
	})
}

// GetDiallerAttempt reads one attempt by its id, in the form that Settings.DialAttempt takes. ErrNotFound tells that it is gone.
func (c *Client) GetDiallerAttempt(ctx context.Context, id string, lane vendorapi.Lane) (raw json.RawMessage, askedAt time.Time, err error) {
	return c.get(ctx, OpGetDiallerAttempt, id, lane, func(raw []byte) (string, error) {
		d, _, err := Settings{}.parseAttempt(raw)
		if err != nil {
			return "", err
		}
		return d.id.id(), nil
	})
}

// OutboundInfo reads an outbound campaign as it is now, in the form that Settings.OutboundStats takes. ErrNotFound tells that
// there is no outbound campaign of that id.
func (c *Client) OutboundInfo(ctx context.Context, campaignID string, lane vendorapi.Lane) (raw json.RawMessage, askedAt time.Time, err error) {
	return c.get(ctx, OpOutboundInfo, campaignID, lane, statsID)
}

// InboundStatistics reads what an inbound campaign's queue did in the last hour or day, in the form that
// Settings.InboundStats takes. An empty period leaves the choice to the vendor, which takes the hour. The answer does not
// repeat the period.
func (c *Client) InboundStatistics(ctx context.Context, campaignID, period string, lane vendorapi.Lane) (raw json.RawMessage, askedAt time.Time, err error) {
	switch period {
	case "", PeriodHour, PeriodDay:
	default:
		return nil, time.Time{}, fmt.Errorf("ipscape %s: the period is neither %s nor %s", OpInboundStatistics, PeriodHour, PeriodDay)
	}
	req, err := c.objectRequest(OpInboundStatistics, campaignID, lane)
	if err != nil {
		return nil, time.Time{}, err
	}
	if period != "" {
		req.Query = url.Values{"period": {period}}
	}
	return c.getObject(ctx, req, func(raw []byte) error { return sameID(raw, campaignID, statsID) })
}

func statsID(raw []byte) (string, error) {
	s, _, err := Settings{}.parseStats(raw)
	if err != nil {
		return "", err
	}
	return s.campaign.id(), nil
}
