package api

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
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
