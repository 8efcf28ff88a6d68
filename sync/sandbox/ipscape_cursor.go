package sandbox

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"net/url"
	"slices"
)

// position is what a cursor holds: the id after which a page begins, and which filters it belongs to. The filters
// themselves stay on the server, since they may hold a phone.
type position struct {
	ID    int64  `json:"id"`
	Bound string `json:"f"`
	Nonce int    `json:"n,omitempty"`
}

func (p position) encode() string {
	text, err := json.Marshal(p)
	if err != nil {
		return "" // cannot happen: numbers and a string
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func decodePosition(cursor string) (position, bool) {
	var p position
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return p, false
	}
	return p, json.Unmarshal(text, &p) == nil
}

// bind remembers a set of filters of one list and names it.
func (v *IPSCAPE) bind(op string, filters url.Values) string {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d %s %s", v.box.opt.Seed, op, filters.Encode())
	name := fmt.Sprintf("%016x", h.Sum64())
	v.bound[name] = filters
	return name
}

// resolve finds where a page begins and which filters hold for it. A non-nil reply refuses the request. v.mu is held.
func (v *IPSCAPE) resolve(in *inbound) (position, url.Values, *reply) {
	filters := maps.Clone(in.query)
	delete(filters, "cursor")
	cursors, sent := in.query["cursor"]
	if !sent {
		return position{Bound: v.bind(in.rec.Op, filters)}, filters, nil
	}
	refuse := func(text string) (position, url.Values, *reply) {
		out := badRequest(text)
		return position{}, nil, &out
	}
	cursor := cursors[0]
	if cursor == "" || cursor == "null" {
		in.violate("empty cursor sent in place of none")
		return refuse("cursor is not valid")
	}
	if in.faulty(FaultExpiredCursor) {
		status := in.fault.Status
		if status == 0 {
			status = http.StatusGone
		}
		out := jsonReply(status, wireError{"cursor_expired", "cursor has expired"})
		return position{}, nil, &out
	}
	at, valid := decodePosition(cursor)
	if !valid {
		in.violate("made-up cursor")
		return refuse("cursor is not valid")
	}
	bound, known := v.bound[at.Bound]
	if !known {
		return refuse("cursor has expired")
	}
	if len(filters) > 0 && filters.Encode() != bound.Encode() {
		in.violate("cursor sent together with changed filters")
		return refuse("cursor belongs to other filters")
	}
	return at, bound, nil
}

// note keeps the filters in the request's log line, without the phone.
func (in *inbound) note(filters url.Values) {
	if len(filters) == 0 {
		return
	}
	in.rec.Filters = make(map[string]string, len(filters))
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		value := filters.Get(name)
		switch name {
		case "phone1", "phoneNumber":
			value = "(phone)"
		case "emailAddress":
			value = "(address)"
		}
		in.rec.Filters[name] = value
	}
}

// nextURI writes the address of a page the way the chosen style wants it.
func (v *IPSCAPE) nextURI(path string, at position) string {
	prefixed := v.mounts == MountPrefixed || (v.mounts == MountMixed && at.ID%2 == 0)
	if prefixed {
		path = ipscapePrefix + path
	}
	return path + "?cursor=" + url.QueryEscape(at.encode())
}
