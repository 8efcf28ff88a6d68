package ipscape

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Call runs any operation for an operator: op is one of Operations, params are its parameters by the vendor's names, as
// Describe lists them. It returns the vendor's answer; of a list that is one page, whose nextUri holds the cursor for the next
// one; of a write that answers nothing, {}. Writes are checked like those of the typed methods: create_lead with a customerKey
// creates once, bulk_create_leads is split, update_lead merges leadData, and the answer is then ours. In update_lead the value
// null clears. A bulk that ends early returns what was sent beside the error.
//
// A parameter that the operation does not have, or a value that is not of its type, is an error, and nothing is sent.
func (c *Client) Call(ctx context.Context, op string, params map[string]string) (json.RawMessage, error) {
	described, ok := Describe(op)
	if !ok {
		return nil, fmt.Errorf("ipscape: there is no operation %q; there are %s", op, strings.Join(Operations(), ", "))
	}
	in, err := c.read(&described, params)
	if err != nil {
		return nil, err
	}
	if described.Writes {
		return c.callWrite(ctx, op, in)
	}
	if op == OpGetMedia {
		media, err := c.GetMedia(ctx, in.id, nil, vendorapi.Live)
		return media.Metadata, err
	}
	req := c.request(op, vendorapi.Live)
	isList := !idPlace.MatchString(req.Path)
	if !isList {
		if req, err = c.objectRequest(op, in.id, vendorapi.Live); err != nil {
			return nil, err
		}
	}
	req.Query = in.query
	ans, err := c.open(ctx, req)
	switch {
	case err != nil && isList:
		return nil, listError(err, in.query.Get("cursor"))
	case err != nil:
		return nil, missing(err)
	}
	defer ans.close()
	raw, err := c.readAnswer(ans, isList)
	if err != nil {
		return nil, ans.broken(err)
	}
	return raw, nil
}

// readAnswer reads a whole answer; of a list it checks that it is one.
func (c *Client) readAnswer(ans *answer, isList bool) (json.RawMessage, error) {
	limit := c.limits.item
	if isList {
		limit = min(c.limits.page, 8*c.limits.item)
	}
	scan := newScanner(ans.body, limit)
	if err := ans.check(scan); err != nil {
		return nil, err
	}
	raw, _, err := scan.value(limit)
	if err == nil {
		err = scan.ended()
	}
	switch {
	case err != nil:
		return nil, err
	case !json.Valid(raw):
		return nil, malformed("answer is no JSON")
	case !isList:
		return raw, nil
	}
	p := page{
		scan: newScanner(bytes.NewReader(raw), limit), limit: c.limits,
		cursor: func(next string) (string, error) { return cursorOf(c.api.Base, next) },
		emit:   func(json.RawMessage, *ItemError) error { return nil },
	}
	return raw, p.read()
}

// arguments are an operation's parameters, read.
type arguments struct {
	id    string
	query url.Values
	body  map[string]any
}

// read checks parameters against the operation's description. All faults are reported at once, without values: those may be
// phone numbers.
func (c *Client) read(op *Operation, params map[string]string) (arguments, error) {
	in := arguments{query: url.Values{}, body: map[string]any{}}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(params)) {
		p, ok := op.Param(name)
		if !ok {
			errs = append(errs, fmt.Errorf("there is no parameter %q; there are %s", name, paramNames(op)))
			continue
		}
		if err := c.place(&in, op, p, params[name]); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	for _, p := range op.Params {
		if _, ok := params[p.Name]; p.Required && !ok {
			errs = append(errs, fmt.Errorf("%s is required", p.Name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return in, fmt.Errorf("ipscape %s: %w", op.Name, err)
	}
	return in, nil
}

func (c *Client) place(in *arguments, op *Operation, p Param, text string) error {
	if op.Name == OpUpdateLead && p.In == InBody && p.Name != "isCompleted" && text == "null" {
		in.body[p.Name] = nil
		return nil
	}
	value, err := readValue(p, text)
	if err != nil {
		return err
	}
	switch p.In {
	case InPath:
		in.id = text
	case InBody:
		if at, ok := value.(time.Time); ok {
			value = bodyTime(at)
		}
		in.body[p.Name] = value
	case InQuery:
		name := p.Name
		if op.Name == OpListCampaigns && name == pageParam {
			name = c.cfg.CampaignsPage
		}
		in.query.Set(name, c.queryText(value))
	}
	return nil
}

// queryText writes a value the way queries are to have it.
func (c *Client) queryText(value any) string {
	switch v := value.(type) {
	case time.Time:
		return c.filterTime(v)
	case bool:
		if c.cfg.NumericBooleans {
			return map[bool]string{true: "1", false: "0"}[v]
		}
	}
	return fmt.Sprint(value)
}

func paramNames(op *Operation) string {
	names := make([]string, len(op.Params))
	for i, p := range op.Params {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

func readValue(p Param, text string) (any, error) {
	if text == "" {
		return nil, errors.New("is empty")
	}
	if p.Values != nil && !slices.Contains(p.Values, text) {
		return nil, fmt.Errorf("must be %s", strings.Join(p.Values, " or "))
	}
	switch p.Type {
	case Integer:
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < 0 {
			return nil, errors.New("is no whole number")
		}
		return v, nil
	case Boolean:
		switch text {
		case "true", "false":
			return text == "true", nil
		}
		return nil, errors.New("must be true or false")
	case Instant:
		at, assumed, ok := parseTime([]byte(text), nil)
		if !ok || assumed {
			return nil, errors.New("must be a time with an offset, such as 2026-03-02T09:00:00Z")
		}
		return at, nil
	case Object:
		data := map[string]any{}
		if err := decodeStrict(text, &data); err != nil || data == nil {
			return nil, errors.New("must be a JSON object")
		}
		return data, nil
	case Leads:
		return ReadLeads(text)
	case Text:
	}
	return text, nil
}

// ReadLeads reads the leads of a bulk create as an operator writes them. The error quotes nothing of them.
func ReadLeads(text string) ([]NewLead, error) {
	var leads []NewLead
	if err := decodeStrict(text, &leads); err != nil {
		return nil, errors.New("must be a JSON array of leads, with no other names than those of create_lead")
	}
	return leads, nil
}

// decodeStrict reads one JSON value, exact in its numbers, and nothing after it.
func decodeStrict(text string, into any) error {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}
