package ipscape

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Prefixes of this list's own cursors: nothing of the vendor's can be taken for a page number.
const (
	placeCursor = "cursor:"
	placePage   = "page:"
)

// place is where a page of campaigns begins. A page number alone would not do: first and last are the ids that pages began
// with before, by which a server that ignores the number gives itself away.
type place struct {
	cursor      string
	page        int64
	first, last string
}

func (p place) encode() string {
	if p.cursor != "" {
		return placeCursor + p.cursor
	}
	return placePage + strconv.FormatInt(p.page, 10) + ":" + p.first + ":" + p.last
}

func parsePlace(text string) (place, error) {
	if text == "" {
		return place{}, nil
	}
	if cursor, ok := strings.CutPrefix(text, placeCursor); ok && cursor != "" {
		return place{cursor: cursor}, nil
	}
	if rest, ok := strings.CutPrefix(text, placePage); ok {
		parts := strings.Split(rest, ":")
		if page, err := strconv.ParseInt(parts[0], 10, 64); err == nil && page > 0 && len(parts) == 3 {
			return place{page: page, first: parts[1], last: parts[2]}, nil
		}
	}
	return place{}, fmt.Errorf("%w: ipscape %s: not a cursor of this list", ErrCursorRefused, OpListCampaigns)
}

// ListCampaigns streams one page of the campaigns; it filters on no time. It behaves like ListActivities, except that
// onNext is told at the end of the page: unlike all other lists this one has page numbers, and the vendor does not say how
// they are asked for (contracts/ipscape.md 5.2). When the vendor turns out to ignore Config.CampaignsPage, the list ends with
// Page.Truncated. An answer with metadata, like the other lists', is read too.
func (c *Client) ListCampaigns(ctx context.Context, r ListRequest, onNext func(cursor string), emit Emit) (Page, error) {
	at, err := parsePlace(r.Cursor)
	if err != nil {
		return Page{}, err
	}
	first, again := "", false
	p := page{emit: func(raw json.RawMessage, bad *ItemError) error {
		if first == "" && bad == nil {
			first = campaignID(raw)
			again = first != "" && (first == at.first || first == at.last)
		}
		if again {
			return nil
		}
		return emit(raw, bad)
	}}
	req := c.request(OpListCampaigns, r.Lane)
	req.Query = c.campaignsQuery(at, r)
	result, err := c.readPage(ctx, req, r.Cursor, &p)
	if err != nil {
		return result, err
	}
	next, more, ignored := at.next(&p, first)
	if again || ignored {
		result.Items, result.Next, result.Truncated = 0, "", true
		if !again {
			result.Items = p.items
		}
		c.api.Log.Warn("the list may go on, and the vendor ignores the page number", "vendor", c.api.Vendor, "op", OpListCampaigns, "param", c.cfg.CampaignsPage)
		return result, nil
	}
	result.Next = ""
	if more {
		result.Next = next.encode()
		if onNext != nil {
			onNext(result.Next)
		}
	}
	return result, nil
}

func (c *Client) campaignsQuery(at place, r ListRequest) url.Values {
	q := c.query(list{op: OpListCampaigns}, ListRequest{Cursor: at.cursor, Filters: r.Filters})
	if at.page > 0 {
		q.Set(c.cfg.CampaignsPage, strconv.FormatInt(at.page, 10))
	}
	return q
}

// next says where the list goes on after a page that began with the campaign first, if it does. The vendor's first page may
// have the number 0 or 1: whichever it says, the next is one more.
func (p place) next(read *page, first string) (next place, more, ignored bool) {
	rows := max(int64(read.items), read.inPage.v)
	switch {
	case read.next != "":
		return place{cursor: read.next}, true, false
	case read.metadataFound, read.items == 0:
		return place{}, false, false
	case !read.pageNo.ok && !read.perPage.ok:
		// Neither shape: a plain list is whole.
		return place{}, false, false
	case read.perPage.ok && rows < read.perPage.v:
		return place{}, false, false
	case read.pageNo.ok && read.pageNo.v < p.page:
		return place{}, false, true
	}
	next = place{page: max(read.pageNo.v, p.page) + 1, first: p.first, last: first}
	if next.first == "" {
		next.first = first
	}
	return next, true, false
}

// campaignID returns the id of an item of the list, empty when it has none.
func campaignID(raw []byte) string {
	campaign, _, err := Settings{}.parseCampaign(raw)
	if err != nil {
		return ""
	}
	return campaign.id.id()
}
