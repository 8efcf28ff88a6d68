package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"time"
)

// vendor serves a list from bytes rendered beforehand, so that it costs next to nothing.
type vendor struct {
	// joined are the items with commas between them; starts[i] is where item i begins.
	joined  []byte
	starts  []int
	created []time.Time
	// rows may be more than the items, which then repeat under other ids.
	rows, page int
	latency    time.Duration
}

// repeatedID is what a repetition adds to ids: more than the sandbox gives out.
const repeatedID = 5_000_000_000

func newVendor(items []item, rows, page int, latency time.Duration) *vendor {
	v := &vendor{rows: rows, page: page, latency: latency}
	for i := range items {
		v.starts = append(v.starts, len(v.joined))
		v.joined = append(append(v.joined, items[i].raw...), ',')
		v.created = append(v.created, items[i].FilterTime)
	}
	v.starts = append(v.starts, len(v.joined))
	return v
}

// window is the range of items that a request asks for: both bounds inclusive, as the vendor has them.
func (v *vendor) window(r *http.Request) (from, to int) {
	to = v.rows
	query := r.URL.Query()
	if at, err := time.Parse(time.RFC3339, query.Get("createdTimestampFrom")); err == nil && v.rows <= len(v.created) {
		from = sort.Search(v.rows, func(i int) bool { return !v.created[i].Before(at) })
	}
	if at, err := time.Parse(time.RFC3339, query.Get("createdTimestampTo")); err == nil && v.rows <= len(v.created) {
		to = sort.Search(v.rows, func(i int) bool { return v.created[i].After(at) })
	}
	if cursor, err := strconv.Atoi(query.Get("cursor")); err == nil {
		from = cursor
	}
	return from, to
}

// ServeHTTP answers one page.
func (v *vendor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, to := v.window(r)
	if v.latency > 0 {
		timer := time.NewTimer(v.latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	end := min(from+v.page, to)
	head := `{"metadata":{"nextUri":null},"items":[`
	if end < to {
		head = fmt.Sprintf(`{"metadata":{"nextUri":"/v3.0/activities?cursor=%d"},"items":[`, end)
	}
	body := append(v.slice([]byte(head), from, max(from, end)), "]}"...)
	_, _ = w.Write(body) //nolint:gosec // JSON of our own; and a client that has gone notices itself
}

// slice appends items to out; those beyond the rendered ones are repetitions under ids of their own.
func (v *vendor) slice(out []byte, from, to int) []byte {
	n := len(v.created)
	if from < to && to <= n {
		return append(out, v.joined[v.starts[from]:v.starts[to]-1]...)
	}
	for i := from; i < to; i++ {
		raw := v.joined[v.starts[i%n] : v.starts[i%n+1]-1]
		if i > from {
			out = append(out, ',')
		}
		if i < n {
			out = append(out, raw...)
			continue
		}
		out = renumber(out, raw, int64(i/n)*repeatedID)
	}
	return out
}

// serve answers with a handler on a free port of loopback.
func serve(ctx context.Context, h http.Handler) (addr string, stop func() error, err error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	return listener.Addr().String(), func() error {
		err := server.Close()
		if serveErr := <-ended; !errors.Is(serveErr, http.ErrServerClosed) {
			err = errors.Join(err, serveErr)
		}
		return err
	}, nil
}

// renumber appends an item with other ids of its own and of its lead, so that a repeated history has new calls, and its leads
// as many each as those of the first have.
func renumber(out, raw []byte, shift int64) []byte {
	for _, label := range []string{`"activityId":`, `"leadId":`} {
		before, rest, _ := bytes.Cut(raw, []byte(label))
		digits := max(bytes.IndexAny(rest, ",}"), 0)
		id, err := strconv.ParseInt(string(rest[:digits]), 10, 64)
		if err != nil {
			continue // a call without a lead
		}
		raw = slices.Concat(before, []byte(label), strconv.AppendInt(nil, id+shift, 10), rest[digits:])
	}
	return append(out, raw...)
}
