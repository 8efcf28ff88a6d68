package ipscape

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// ErrUnsettled means that the outcome of a create is not known, and that the lead was not to be found just after it. The
// vendor may still be at work on it: ask CreateLeadOnce again later, which looks before it creates.
var ErrUnsettled = errors.New("ipscape: it is not known whether the lead was created")

// Bounds of the walks by which leads are looked for: one lead by its own filters, and many in a list, which may be a large one.
const (
	maxPlainPages = 50
	maxListPages  = 20_000
)

// NewLead is a lead to create (contracts/ipscape.md 6.9). Zero values are not sent.
type NewLead struct {
	// ListID is required; it implies the campaign.
	ListID int64 `json:"listId"`
	// CustomerKey is the caller's own id of the lead, the only one it can be found again by.
	CustomerKey string         `json:"customerKey,omitempty"`
	Timezone    string         `json:"timezone,omitempty"`
	Phone1      string         `json:"phone1,omitempty"`
	Phone2      string         `json:"phone2,omitempty"`
	Phone3      string         `json:"phone3,omitempty"`
	NextAttempt time.Time      `json:"nextAttemptTimestamp,omitzero"`
	Data        map[string]any `json:"leadData,omitempty"`
	StatusCode  *int64         `json:"statusCode,omitempty"`
	AgentID     *int64         `json:"agentId,omitempty"`
}

// sent is the lead as it travels: times in the spelling of the vendor's samples.
func (l NewLead) sent() NewLead {
	if !l.NextAttempt.IsZero() {
		l.NextAttempt = l.NextAttempt.UTC().Truncate(time.Second)
	}
	return l
}

// CreatedLead is a lead that exists now.
type CreatedLead struct {
	LeadID int64 `json:"leadId"`
	// InDialler tells that it may be dialled; nil when the lead was found and not answered.
	InDialler *bool `json:"inDialler,omitempty"`
	// Found tells that no answer created it: a lead of that key was in the list already.
	Found bool `json:"found,omitempty"`
}

// CreateLead creates a lead, which may be dialled at once. It must not be repeated after an unknown outcome: a second lead can
// mean a second call to the same person. CreateLeadOnce may be.
func (c *Client) CreateLead(ctx context.Context, l NewLead) (CreatedLead, error) {
	if l.ListID <= 0 {
		return CreatedLead{}, fmt.Errorf("ipscape %s: a list is required", OpCreateLead)
	}
	var made CreatedLead
	_, err := c.push(ctx, OpCreateLead, "", nil, l.sent(), func(raw []byte) error {
		members(raw, func(f *fields) {
			switch string(f.key) {
			case "leadId":
				made.LeadID = f.number("").v
			case "inDialler":
				if in := f.flag(""); in.ok {
					made.InDialler = &in.v
				}
			default:
				f.value()
			}
		})
		if made.LeadID <= 0 {
			return errors.New("the answer names no lead")
		}
		return nil
	})
	if err != nil {
		return CreatedLead{}, err
	}
	return made, nil
}

// CreateLeadOnce creates a lead unless the list holds one of the same customer key, which is required, and may be repeated at
// will. It looks before it creates: an earlier attempt may be unknown to this process, too. After an unknown outcome it looks
// again; when the lead is still not there the error is ErrUnsettled, and no second create is sent. Of one key only one may run
// at a time: two that look at once both find nothing.
func (c *Client) CreateLeadOnce(ctx context.Context, l NewLead) (CreatedLead, error) {
	l.CustomerKey = strings.TrimSpace(l.CustomerKey)
	switch {
	case !c.cfg.Writes:
		return CreatedLead{}, fmt.Errorf("ipscape %s: %w", OpCreateLead, ErrWritesOff)
	case l.ListID <= 0 || !namesCustomer(l.CustomerKey):
		return CreatedLead{}, fmt.Errorf("ipscape %s: a list and a customer key are required, and a word for none is no key", OpCreateLead)
	}
	id, err := c.FindLead(ctx, l.ListID, l.CustomerKey, vendorapi.Live)
	switch {
	case err != nil:
		return CreatedLead{}, fmt.Errorf("looking for the lead before it is created: %w", err)
	case id != 0:
		return CreatedLead{LeadID: id, Found: true}, nil
	}
	made, err := c.CreateLead(ctx, l)
	if vendorapi.KindOf(err) != vendorapi.Unknown {
		return made, err
	}
	id, findErr := c.FindLead(ctx, l.ListID, l.CustomerKey, vendorapi.Live)
	switch {
	case findErr != nil:
		// Not wrapped: only the create's own kind may decide what becomes of it.
		return CreatedLead{}, fmt.Errorf("%w: %w; looking for it: %v", ErrUnsettled, err, findErr) //nolint:errorlint // see above
	case id == 0:
		return CreatedLead{}, fmt.Errorf("%w: %w", ErrUnsettled, err)
	}
	return CreatedLead{LeadID: id, Found: true}, nil
}

// FindLead looks for the lead of a customer key in a list, and returns its id, the lowest if there are several, or 0.
func (c *Client) FindLead(ctx context.Context, listID int64, customerKey string, lane vendorapi.Lane) (int64, error) {
	found := int64(0)
	ask := ListRequest{Lane: lane, Filters: map[string]string{"listId": strconv.FormatInt(listID, 10), "customerKey": customerKey}}
	err := c.eachLead(ctx, ask, maxPlainPages, func(l *lead) {
		if l.holds(listID, customerKey) && (found == 0 || l.id.v < found) {
			found = l.id.v
		}
	})
	return found, err
}

// holds checks a row itself: a filter that the vendor does not know may be ignored (contracts/ipscape.md 7, trap 17). A row
// that does not tell its list counts, since one lead too few is better than one too many.
func (l *lead) holds(listID int64, customerKey string) bool {
	return strings.TrimSpace(l.customerKey.v) == strings.TrimSpace(customerKey) && (!l.list.ok || l.list.v == listID)
}

// eachLead walks a list of leads to its end, which comes within so many pages. A lead that cannot be read is an error: it might be the one looked for.
func (c *Client) eachLead(ctx context.Context, ask ListRequest, pages int, see func(l *lead)) error {
	seen := map[string]bool{}
	for range pages {
		page, err := c.ListLeads(ctx, ask, nil, func(raw json.RawMessage, bad *ItemError) error {
			if bad != nil {
				return bad
			}
			l, _, err := Settings{}.parseLead(raw)
			if err != nil {
				return err
			}
			see(l)
			return nil
		})
		switch {
		case err != nil:
			return err
		case page.Next == "":
			return nil
		case seen[page.Next]:
			return fmt.Errorf("ipscape %s: the same cursor twice", OpListLeads)
		}
		seen[page.Next] = true
		ask.Cursor = page.Next
	}
	return fmt.Errorf("ipscape %s: no end after %d pages; the vendor may ignore the filters", OpListLeads, pages)
}
