package ipscape

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Errors that callers tell apart with errors.Is; the vendor's *vendorapi.Error is in the chain as well.
var (
	// ErrCursorRefused means that the vendor did not take the cursor: start the window again without one.
	ErrCursorRefused = errors.New("ipscape: cursor refused")
	// ErrNotFound means that a single object is gone, or was never there.
	ErrNotFound = errors.New("ipscape: no such object")
)

// Client speaks to one ipSCAPE account. It is safe for concurrent use.
type Client struct {
	api    vendorapi.Client
	header http.Header
	// paths and methods are by operation.
	paths, methods map[string]string
	idle           time.Duration
	// cfg has its defaults filled in, and no token.
	cfg    Config
	limits limits
}

// NewClient makes a client from the account's settings and a template that brings HTTP, Now, Log and, if wanted, Gate and
// Observe. All faults of the settings are reported at once, without their values.
func NewClient(cfg Config, template vendorapi.Client) (*Client, error) {
	base, errBase := cfg.base()
	header, secrets, errHeader := cfg.headers()
	paths, errPaths := cfg.paths()
	methods, errMethods := cfg.methods()
	settled, errDials := cfg.dials()
	var errTemplate error
	if template.HTTP == nil || template.Now == nil || template.Log == nil {
		errTemplate = errors.New("HTTP client, clock and logger are required")
	}
	if err := errors.Join(errBase, errHeader, errPaths, errMethods, errDials, errTemplate); err != nil {
		return nil, fmt.Errorf("ipscape client: %w", err)
	}
	settled.Token, settled.ExtraHeaders = "", nil
	c := &Client{
		api:     template,
		header:  header,
		paths:   paths,
		methods: methods,
		idle:    cfg.IdleTimeout,
		cfg:     settled,
		limits:  limits{page: maxPageBytes, item: maxItemBytes},
	}
	c.api.Vendor, c.api.Base = "ipscape", base
	c.api.Secrets = append(append([]vendorapi.Secret(nil), template.Secrets...), secrets...)
	if c.api.Timeout = cfg.Timeout; cfg.Timeout <= 0 {
		c.api.Timeout = defaultTimeout
	}
	if c.idle <= 0 {
		c.idle = defaultIdle
	}
	return c, nil
}

// ListRequest asks for one page of a list.
type ListRequest struct {
	// From and To bound the time that the list filters on, both inclusive at the vendor; zero is no bound. The vendor knows
	// whole seconds: From is rounded down and To up.
	From, To time.Time
	// Cursor goes on where a page's Next points; empty asks for the first page.
	Cursor string
	// Lane is the priority in the account's budget; empty is live.
	Lane vendorapi.Lane
	// Filters are further query parameters by the vendor's names. Empty ones are left out.
	Filters map[string]string
}

// Page is what a list answered, apart from its items.
type Page struct {
	// Next is the cursor of the next page, empty at the end of the walk.
	Next string
	// AskedAt is when the request was sent (UTC): observed_at of all items (law 4).
	AskedAt time.Time
	// VendorTime is the answer's Date header (UTC), zero when there was none.
	VendorTime time.Time
	// Items counts the items handed out, bad ones included.
	Items int
	// Truncated tells that the list may go on and that the vendor gives no way to read on (campaigns only): what was not
	// listed need not be gone.
	Truncated bool
}

// Emit is handed one item after the other; raw is its own. bad is nil, or says why this item cannot be used: then raw is only
// its beginning, and the page goes on. An error from Emit ends the page, and comes back in the chain of the list's error.
type Emit func(raw json.RawMessage, bad *ItemError) error

// list is what one list operation is made of; from and to are empty where the list filters on no time.
type list struct {
	op, from, to string
}

// ListActivities streams one page of the activities created within the request's bounds.
//
// onNext, which may be nil, is told the next page's cursor as soon as it is read, usually before the first item, and not at
// all on the last page. When an error is returned the page counts as not read, whatever has been emitted: it was cut
// (Transient), it is no list (Malformed), it points to another host (Refused) or its cursor was refused (ErrCursorRefused).
func (c *Client) ListActivities(ctx context.Context, r ListRequest, onNext func(cursor string), emit Emit) (Page, error) {
	return c.list(ctx, list{OpListActivities, "createdTimestampFrom", "createdTimestampTo"}, r, onNext, emit)
}

// ListLeads streams one page of the leads uploaded within the request's bounds. It behaves like ListActivities.
func (c *Client) ListLeads(ctx context.Context, r ListRequest, onNext func(cursor string), emit Emit) (Page, error) {
	return c.list(ctx, list{OpListLeads, "uploadedTimestampFrom", "uploadedTimestampTo"}, r, onNext, emit)
}

// GetActivity reads one activity by its id, in the form that Settings.Activity takes. ErrNotFound tells that it is gone.
func (c *Client) GetActivity(ctx context.Context, id string, lane vendorapi.Lane) (raw json.RawMessage, askedAt time.Time, err error) {
	return c.get(ctx, OpGetActivity, id, lane, func(raw []byte) (string, error) {
		a, _, err := Settings{}.parseActivity(raw)
		if err != nil {
			return "", err
		}
		return a.id.id(), nil
	})
}

// GetLead reads one lead by its id, in the form that Settings.Lead takes. ErrNotFound tells that it is gone.
func (c *Client) GetLead(ctx context.Context, id string, lane vendorapi.Lane) (raw json.RawMessage, askedAt time.Time, err error) {
	return c.get(ctx, OpGetLead, id, lane, func(raw []byte) (string, error) {
		l, _, err := Settings{}.parseLead(raw)
		if err != nil {
			return "", err
		}
		return l.id.id(), nil
	})
}

func (c *Client) list(ctx context.Context, l list, r ListRequest, onNext func(string), emit Emit) (Page, error) {
	req := c.request(l.op, r.Lane)
	req.Query = c.query(l, r)
	return c.readPage(ctx, req, r.Cursor, &page{onNext: onNext, emit: emit})
}

// readPage sends the request and reads its answer as a page of a list.
func (c *Client) readPage(ctx context.Context, req vendorapi.Request, cursor string, p *page) (Page, error) {
	ans, err := c.open(ctx, req)
	if err != nil {
		return Page{}, listError(err, cursor)
	}
	defer ans.close()
	p.scan, p.limit = newScanner(ans.body, c.limits.page), c.limits
	p.cursor = func(next string) (string, error) { return cursorOf(c.api.Base, next) }
	if err = ans.check(p.scan); err == nil {
		err = p.read()
	}
	result := Page{Next: p.next, AskedAt: ans.askedAt, VendorTime: ans.date, Items: p.items}
	if err == nil {
		return result, nil
	}
	if own, ok := errors.AsType[*handlerError](err); ok {
		return result, fmt.Errorf("ipscape %s: item %d: %w", req.Op, p.items, own.err)
	}
	broken := ans.broken(err)
	if broken.Kind == vendorapi.Malformed && broken.Detail == "" && !p.listed {
		// Names of members tell an error in JSON from a list without showing anybody's data.
		broken.Detail = vendorapi.Excerpt([]byte(strings.Join(p.keys, " ")), c.api.Secrets...)
	}
	return result, broken
}

// query builds a list's parameters. A cursor is never sent empty: it might be read as one.
func (c *Client) query(l list, r ListRequest) url.Values {
	q := url.Values{}
	if r.Cursor != "" {
		q.Set("cursor", r.Cursor)
		if c.cfg.CursorAlone {
			return q
		}
	}
	for name, value := range r.Filters {
		if value != "" && name != "cursor" {
			q.Set(name, value)
		}
	}
	if l.from == "" {
		return q
	}
	if !r.From.IsZero() {
		q.Set(l.from, c.filterTime(r.From.Truncate(time.Second)))
	}
	if !r.To.IsZero() {
		to := r.To.Truncate(time.Second)
		if to.Before(r.To) {
			to = to.Add(time.Second)
		}
		q.Set(l.to, c.filterTime(to))
	}
	return q
}

// filterTime writes a time the way filters are to have it; the vendor documents none.
func (c *Client) filterTime(t time.Time) string {
	return t.In(c.cfg.FilterZone).Format(c.cfg.FilterLayout)
}

// listError makes a refused cursor recognisable, and points at the likely cause of a list that is not found.
func listError(err error, cursor string) error {
	e, ok := errors.AsType[*vendorapi.Error](err)
	if !ok {
		return err
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusGone, http.StatusUnprocessableEntity:
		if cursor != "" {
			return fmt.Errorf("%w: %w", ErrCursorRefused, err)
		}
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return fmt.Errorf("%w (no such list: check the base URL and the operation's path)", err)
	}
	return err
}

// get reads one object and checks that it is the one asked for.
func (c *Client) get(ctx context.Context, op, id string, lane vendorapi.Lane, idOf func([]byte) (string, error)) (json.RawMessage, time.Time, error) {
	req, err := c.objectRequest(op, id, lane)
	if err != nil {
		return nil, time.Time{}, err
	}
	return c.getObject(ctx, req, func(raw []byte) error { return sameID(raw, id, idOf) })
}

// objectRequest is a request of one object, or about one.
func (c *Client) objectRequest(op, id string, lane vendorapi.Lane) (vendorapi.Request, error) {
	if id == "" || strings.Trim(id, "0123456789") != "" {
		return vendorapi.Request{}, fmt.Errorf("ipscape %s: the id is not a number", op)
	}
	req := c.request(op, lane)
	req.Path = idPlace.ReplaceAllLiteralString(req.Path, id)
	return req, nil
}

// getObject reads an answer that is one object, which check may refuse.
func (c *Client) getObject(ctx context.Context, req vendorapi.Request, check func(raw []byte) error) (json.RawMessage, time.Time, error) {
	ans, err := c.open(ctx, req)
	if err != nil {
		return nil, time.Time{}, missing(err)
	}
	defer ans.close()
	raw, err := c.readObject(ans)
	if err == nil {
		err = check(raw)
	}
	if err != nil {
		return nil, time.Time{}, ans.broken(err)
	}
	return raw, ans.askedAt, nil
}

// missing makes an object that is gone recognisable.
func missing(err error) error {
	if e, ok := errors.AsType[*vendorapi.Error](err); ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGone) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// readObject reads an answer that is one object.
func (c *Client) readObject(ans *answer) (json.RawMessage, error) {
	scan := newScanner(ans.body, c.limits.item)
	if err := ans.check(scan); err != nil {
		return nil, err
	}
	raw, _, err := scan.value(c.limits.item)
	if err != nil {
		return nil, err
	}
	return raw, scan.ended()
}

func sameID(raw []byte, id string, idOf func([]byte) (string, error)) error {
	got, err := idOf(raw)
	switch {
	case err != nil:
		return malformed("answer is no such object: %v", err)
	case got != strings.TrimLeft(id, "0"):
		return malformed("answer is another object than the one asked for")
	}
	return nil
}

func (c *Client) request(op string, lane vendorapi.Lane) vendorapi.Request {
	if lane == "" {
		lane = vendorapi.Live
	}
	return vendorapi.Request{Op: op, Method: c.methods[op], Path: c.paths[op], Header: c.header, Lane: lane}
}
