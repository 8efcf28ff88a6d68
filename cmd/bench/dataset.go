package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// item is one object as the vendor sends it and as it is stored.
type item struct {
	raw []byte
	ipscape.Item
}

// dataset is what the simulated vendors hold, rendered: rows activities in the order of their creation, leads, and posts.
type dataset struct {
	activities, leads []item
	posts             []sandbox.Post
}

// Sizes beside the walk's rows, and how far the history reaches back.
const (
	leadsPart = 4 // one lead for so many activities
	postsPart = 5
	span      = 30 * 24 * time.Hour
)

// dataset renders the data once.
func (l *lab) dataset(ctx context.Context) (*dataset, error) {
	l.once.Do(func() { l.data, l.err = render(ctx, l.rows) })
	return l.data, l.err
}

func settings() ipscape.Settings {
	return ipscape.Settings{Account: store.DefaultAccount, Zone: time.UTC, Region: "AU"}
}

// render has a sandbox seed the data and reads it through the vendor's own client.
func render(ctx context.Context, rows int) (_ *dataset, err error) {
	now := time.Now().UTC().Truncate(time.Second)
	box := sandbox.New(sandbox.Options{
		Seed: 1, Now: func() time.Time { return now }, Activities: rows, Leads: max(rows/leadsPart, 100), Posts: max(rows/postsPart, 500),
		Span: span, PageSize: 1000,
	})
	server, err := box.Start("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	env := box.Env(server.URL())
	client, err := ipscape.NewClient(ipscape.Config{BaseURL: env["IPSCAPE_BASE_URL"], Token: vendorapi.Secret(env["IPSCAPE_TOKEN"]), AuthPrefix: "Bearer "},
		vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	d := &dataset{posts: box.Convoso().Posts()}
	if d.activities, err = readAll(ctx, client.ListActivities, settings().Activity); err != nil {
		return nil, fmt.Errorf("rendering activities: %w", err)
	}
	if d.leads, err = readAll(ctx, client.ListLeads, settings().Lead); err != nil {
		return nil, fmt.Errorf("rendering leads: %w", err)
	}
	if len(d.activities) < rows*9/10 {
		return nil, fmt.Errorf("sandbox showed %d activities, %d were ordered", len(d.activities), rows)
	}
	return d, nil
}

type listing func(ctx context.Context, r ipscape.ListRequest, onNext func(string), emit ipscape.Emit) (ipscape.Page, error)

func readAll(ctx context.Context, list listing, convert func([]byte) (ipscape.Item, error)) ([]item, error) {
	var out []item
	request := ipscape.ListRequest{Lane: vendorapi.Live}
	for {
		page, err := list(ctx, request, nil, func(raw json.RawMessage, bad *ipscape.ItemError) error {
			if bad != nil {
				return bad
			}
			converted, err := convert(raw)
			out = append(out, item{raw, converted})
			return err
		})
		if err != nil {
			return nil, err
		}
		if page.Next == "" {
			break
		}
		request.Cursor = page.Next
	}
	slices.SortStableFunc(out, func(a, b item) int { return a.FilterTime.Compare(b.FilterTime) })
	return out, nil
}
