package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
)

// listSpec is what sets one cursor list apart from the others.
type listSpec[T interface{ clone() T }] struct {
	path    string
	rows    *table[T]
	allowed []string
	match   func(*filters, *T) bool
	render  func(*T) json.RawMessage
	// previous: the list sends metadata.previousUri.
	previous bool
	end      endStyle
}

// endStyle is how a list says that there is no next page; the contract knows of several and so each list has another.
type endStyle int

const (
	endNull endStyle = iota
	endAbsent
	endEmpty
	endNoMetadata
)

// listPage answers one page of a cursor list, with the faults that concern pages.
func listPage[T interface{ clone() T }](v *IPSCAPE, in *inbound, spec listSpec[T]) reply {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name := range in.query {
		if name != "cursor" && !slices.Contains(spec.allowed, name) {
			in.violate("unknown parameter " + name)
		}
	}
	at, bound, refused := v.resolve(in)
	if refused != nil {
		return *refused
	}
	in.note(bound)
	if in.faulty(FaultIgnoreFilters) {
		bound = url.Values{}
	}
	where, err := parseFilters(bound)
	if err != nil {
		in.violate(err.Error())
		return badRequest(err.Error())
	}
	where.now = v.box.now()
	limit := v.pageSize
	if in.faulty(FaultHugePage) {
		limit = len(spec.rows.rows)
	}
	if in.faulty(FaultEmptyPage) {
		limit = 0
	}
	items := []json.RawMessage{}
	next, more := position{ID: at.ID, Bound: at.Bound}, false
	spec.rows.after(at.ID, func(row *T) bool {
		if !spec.match(where, row) {
			return true
		}
		if len(items) >= limit {
			more = true
			return false
		}
		items = append(items, spec.render(row))
		next.ID = spec.rows.id(row)
		return true
	})
	if in.faulty(FaultReverse) {
		slices.Reverse(items)
	}
	uri, more := v.next(in, spec.path, at, next, more)
	metadata := map[string]any{}
	if spec.previous {
		metadata["previousUri"] = nil
		if in.rec.Cursor != "" {
			metadata["previousUri"] = v.nextURI(spec.path, at)
		}
	}
	switch {
	case more:
		metadata["nextUri"] = uri
	case spec.end == endNull:
		metadata["nextUri"] = nil
	case spec.end == endEmpty:
		metadata["nextUri"] = ""
	}
	rows := len(items)
	if !more && spec.end == endNoMetadata {
		metadata = nil
	}
	return pageReply(spoilItems(in, items), metadata, rows)
}

// pageReply writes a page as text: items are sent as they are, also those that no encoder would let through.
func pageReply(items []json.RawMessage, metadata map[string]any, rows int) reply {
	body := []byte(`{"items":[`)
	for i, item := range items {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, item...)
	}
	body = append(body, ']')
	if metadata != nil {
		body = append(append(body, `,"metadata":`...), marshal(metadata)...)
	}
	return reply{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: append(body, '}'), rows: rows}
}

// next decides the address of the following page, with the faults that spoil it.
func (v *IPSCAPE) next(in *inbound, path string, at, next position, more bool) (string, bool) {
	if in.fault == nil {
		return v.nextURI(path, next), more
	}
	switch in.fault.Kind { //nolint:exhaustive // the other kinds leave the address alone
	case FaultRepeatCursor:
		return path + "?cursor=" + url.QueryEscape(in.rec.Cursor), true
	case FaultCursorCycle:
		if at.ID != 0 {
			return v.nextURI(path, position{Bound: at.Bound}), true
		}
	case FaultEmptyPage:
		v.nonce++
		return v.nextURI(path, position{ID: at.ID, Bound: at.Bound, Nonce: v.nonce}), true
	case FaultForeignHost:
		return "https://pages.elsewhere.invalid" + v.nextURI(path, next), true
	}
	return v.nextURI(path, next), more
}

// single answers a read of one object.
func single[T interface{ clone() T }](v *IPSCAPE, in *inbound, rows *table[T], visible func(*T) bool, render func(*T) json.RawMessage) reply {
	id := pathID(in)
	v.mu.Lock()
	defer v.mu.Unlock()
	row, found := rows.get(id)
	if !found || !visible(&row) {
		return notFound()
	}
	items := spoilItems(in, []json.RawMessage{render(&row)})
	return reply{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: items[0], rows: 1}
}
