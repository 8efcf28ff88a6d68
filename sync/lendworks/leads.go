package lendworks

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Operations, as logs and metrics name them.
const (
	opCreateLead  = "create_lead"
	opUpdateLead  = "update_lead"
	opGetLead     = "get_lead"
	opListLeads   = "list_leads"
	opEvent       = "post_event"
	opPresence    = "post_presence"
	opDisposition = "post_disposition"
	opListAgents  = "list_agents"
)

const leadsPath = "/v1/leads"

// maxPage is the vendor's largest page.
const maxPage = 100

// CreateLead creates a lead. The key must be the same whenever the same body is sent, and never be used for another; LendWorks
// then creates it once within 24 h. Confirmed carries its id. See LeadBody.
func (c *Client) CreateLead(ctx context.Context, key string, body map[string]any) (pipeline.Outcome, error) {
	return c.send(ctx, push{op: opCreateLead, method: http.MethodPost, path: leadsPath, key: key, body: body, personal: hideable(body)})
}

// UpdateLead changes the fields in body and no other. The key is as with CreateLead.
func (c *Client) UpdateLead(ctx context.Context, key, id string, body map[string]any) (pipeline.Outcome, error) {
	return c.send(ctx, push{
		op: opUpdateLead, method: http.MethodPatch, path: leadsPath + "/" + url.PathEscape(id), key: key, body: body, personal: hideable(body), about: true,
	})
}

// RenderCreate returns the request that CreateLead would send, as a person may see it.
func (c *Client) RenderCreate(key string, body map[string]any) pipeline.Rendered {
	return c.render(http.MethodPost, leadsPath, key, body)
}

// RenderUpdate returns the request that UpdateLead would send, as a person may see it.
func (c *Client) RenderUpdate(key, id string, body map[string]any) pipeline.Rendered {
	return c.render(http.MethodPatch, leadsPath+"/"+url.PathEscape(id), key, body)
}

func (c *Client) render(method, path, key string, body map[string]any) pipeline.Rendered {
	r := pipeline.Rendered{Method: method, URL: c.api.Base.String() + path, Params: map[string]string{"Idempotency-Key": key}}
	for name, value := range body {
		switch v := value.(type) {
		case string:
			r.Params[name] = v
			if name == "phone" {
				r.Params[name] = pipeline.MaskPhone(v)
			}
		case []string:
			r.Params[name] = strings.Join(v, ",")
		case map[string]any:
			// Values may be anything; the names tell what is sent.
			r.Params[name] = strings.Join(slices.Sorted(maps.Keys(v)), ",")
		}
	}
	return r
}

// GetLead reads one lead by LendWorks' id.
func (c *Client) GetLead(ctx context.Context, id string, lane vendorapi.Lane) (Object, error) {
	var answer struct {
		Data Object `json:"data"`
	}
	_, err := c.get(ctx, opGetLead, leadsPath+"/"+url.PathEscape(id), nil, lane, &answer)
	return answer.Data, err
}

// ListLeads reads a page of leads, newest created first, from 1 on, with up to 100 leads. Search looks in business name,
// contact name and e-mail; phones are not found (contract section 7.1).
func (c *Client) ListLeads(ctx context.Context, page int, search string, lane vendorapi.Lane) (List, error) {
	query := url.Values{"page": {strconv.Itoa(page)}, "limit": {strconv.Itoa(maxPage)}}
	if search != "" {
		query.Set("search", search)
	}
	return c.list(ctx, opListLeads, leadsPath, query, lane)
}

// ListAgents reads the agents with their presence; team may be empty. Its paging is not documented: what more there is, is asked
// for by page (contract section 0).
func (c *Client) ListAgents(ctx context.Context, team string, page int, lane vendorapi.Lane) (List, error) {
	query := url.Values{}
	if team != "" {
		query.Set("teamId", team)
	}
	if page > 1 {
		query.Set("page", strconv.Itoa(page))
	}
	return c.list(ctx, opListAgents, "/v1/dialer/agents", query, lane)
}

func (c *Client) list(ctx context.Context, op, path string, query url.Values, lane vendorapi.Lane) (List, error) {
	var answer struct {
		Data *[]json.RawMessage `json:"data"`
		Meta Paging             `json:"meta"`
	}
	resp, err := c.get(ctx, op, path, query, lane, &answer)
	if err != nil {
		return List{}, err
	}
	if answer.Data == nil {
		return List{}, &vendorapi.Error{
			Vendor: c.api.Vendor, Op: op, Kind: vendorapi.Malformed, Status: resp.Status, Sent: true, Err: errors.New("the answer holds no list"),
		}
	}
	list := List{Data: *answer.Data, Meta: answer.Meta, AskedAt: resp.AskedAt}
	if at, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		list.VendorTime = at.UTC()
	}
	return list, nil
}
