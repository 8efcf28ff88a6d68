package api

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// Paging of contracts/lendworks.md section 5.
const (
	defaultLimit = 20
	maxLimit     = 100
	// maxPage keeps offsets within what a bigint holds, far behind the last page there can be.
	maxPage = 1 << 40
)

// paging is the page that a request asks for, counted from 1.
type paging struct {
	page  int64
	limit int
}

func (p paging) offset() int64 { return (p.page - 1) * int64(p.limit) }

// parameters reads the query string; net/url would drop what it cannot read in silence.
func parameters(r *http.Request) (url.Values, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the query string cannot be read")
	}
	return values, nil
}

// pagingOf reads page and limit. A limit above the most there is counts as that (interface.md section 4).
func pagingOf(values url.Values) (paging, []errorItem) {
	var items []errorItem
	page, ok := number(values, "page", 1, maxPage)
	if !ok {
		items = append(items, invalidField("page", "must be a whole number from 1"))
	}
	limit, ok := number(values, "limit", defaultLimit, maxLimit)
	if !ok {
		items = append(items, invalidField("limit", "must be a whole number from 1"))
	}
	return paging{page: page, limit: int(limit)}, items
}

// limitOf reads the limit of a list that goes on by cursor alone. A page other than the first would be the first one again.
func limitOf(values url.Values) (int, []errorItem) {
	p, items := pagingOf(values)
	if len(items) == 0 && p.page != 1 {
		items = []errorItem{invalidField("page", "is not known here: this list goes on by meta.nextCursor")}
	}
	return p.limit, items
}

// number reads a whole number from 1, cut to most; absent or empty it is fallback.
func number(values url.Values, name string, fallback, most int64) (int64, bool) {
	text := values.Get(name)
	if text == "" {
		return fallback, true
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) && n > 0 {
		err = nil // a whole number, however large
	}
	if err != nil || n < 1 {
		return 0, false
	}
	return min(n, most), true
}

// cursorOf writes a place in a list as text that clients hand back.
func cursorOf(p store.Position) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(p.At.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(append(raw, p.ID[:]...))
}

// cursor reads what cursorOf wrote; absent or empty it is the beginning.
func cursor(values url.Values) (store.Position, []errorItem) {
	text := values.Get("cursor")
	if text == "" {
		return store.Position{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != 24 {
		return store.Position{}, []errorItem{invalidField("cursor", "is none of ours")}
	}
	micros := int64(binary.BigEndian.Uint64(raw))
	at := time.UnixMicro(micros).UTC()
	if at.Year() < 1 || at.Year() > 9999 {
		return store.Position{}, []errorItem{invalidField("cursor", "is none of ours")}
	}
	return store.Position{At: at, ID: uuid.UUID(raw[8:])}, nil
}

// timeParameter reads a time with its zone, or a date, which begins at 00:00 UTC; absent or empty it is zero.
func timeParameter(values url.Values, name string) (time.Time, []errorItem) {
	text := values.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil && at.Year() >= 1 && at.Year() <= 9999 {
			return at.UTC(), nil
		}
	}
	return time.Time{}, []errorItem{invalidField(name, "must be a time such as 2026-03-02T09:00:00Z, or a date")}
}

// idParameter reads a UUID; absent or empty it is nil.
func idParameter(values url.Values, name string) (uuid.UUID, []errorItem) {
	text := values.Get(name)
	if text == "" {
		return uuid.Nil, nil
	}
	id, ok := parseID(text)
	if !ok || id == uuid.Nil {
		return uuid.Nil, []errorItem{invalidField(name, "must be a UUID")}
	}
	return id, nil
}

// word reads a short text.
func word(values url.Values, name string) (string, []errorItem) {
	text := values.Get(name)
	if utf8.RuneCountInString(text) > maxSearch || pipeline.CleanText(text) != text {
		return "", []errorItem{invalidField(name, "is no text of at most 255 characters")}
	}
	return text, nil
}

// oneOf reads a word that must be one of a few.
func oneOf(values url.Values, name string, allowed ...string) (string, []errorItem) {
	text := values.Get(name)
	if text != "" && !slices.Contains(allowed, text) {
		return "", []errorItem{invalidField(name, "must be one of "+strings.Join(allowed, ", "))}
	}
	return text, nil
}
