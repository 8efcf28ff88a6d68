package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// resource is one object of an answer.
type resource struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Attributes any    `json:"attributes"`
}

// meta goes with every answer to a single request.
type meta struct {
	RequestID string `json:"requestId"`
}

// pageMeta goes with a collection.
type pageMeta struct {
	Total     int64  `json:"total"`
	Page      int64  `json:"page"`
	Limit     int    `json:"limit"`
	HasMore   bool   `json:"hasMore"`
	RequestID string `json:"requestId"`
	// NextCursor asks for what follows this page, whatever came in meanwhile; absent on the last one.
	NextCursor string `json:"nextCursor,omitempty"`
}

type single struct {
	Data resource `json:"data"`
	Meta meta     `json:"meta"`
}

type collection struct {
	Data []resource `json:"data"`
	Meta pageMeta   `json:"meta"`
}

// errorItem is one entry of an error answer.
type errorItem struct {
	Code    string         `json:"code"`
	Message string         `json:"message"`
	Detail  map[string]any `json:"detail,omitempty"`
}

type failure struct {
	// Success is set, to false, for receivers only: Convoso reads that key of an answer.
	Success *bool       `json:"success,omitempty"`
	Errors  []errorItem `json:"errors"`
	Meta    *meta       `json:"meta,omitempty"`
}

// writeSingle answers with one object. A read is answered 304 to a client that has the object as it is.
func writeSingle(w http.ResponseWriter, r *http.Request, status int, data resource) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || status != http.StatusOK {
		return writeJSON(w, status, single{Data: data, Meta: meta{RequestID: exchangeOf(r).id}})
	}
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	tag := entityTag(text)
	header := w.Header()
	header.Set("ETag", tag)
	header.Set("Cache-Control", "private, no-cache")
	if matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return writeJSON(w, status, tagged{Data: text, Meta: meta{RequestID: exchangeOf(r).id}})
}

// tagged is a single whose data is marshalled already.
type tagged struct {
	Data json.RawMessage `json:"data"`
	Meta meta            `json:"meta"`
}

// entityTag is made of the object alone: the request id beside it is another one each time.
func entityTag(data []byte) string {
	sum := sha256.Sum256(data)
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// matches compares tags weakly, as If-None-Match asks for.
func matches(given []string, tag string) bool {
	for _, line := range given {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// writeCursorPage answers with what follows a cursor: at most limit of the rows read, of which one more shows that there
// is more. next is the cursor of the last row that is sent.
func writeCursorPage(w http.ResponseWriter, r *http.Request, limit int, total int64, data []resource, next func(i int) string) error {
	out := pageMeta{Total: total, Page: 1, Limit: limit, HasMore: len(data) > limit, RequestID: exchangeOf(r).id}
	if out.HasMore {
		data = data[:limit]
		out.NextCursor = next(limit - 1)
	}
	if data == nil {
		data = []resource{}
	}
	return writeJSON(w, http.StatusOK, collection{Data: data, Meta: out})
}

// writePage answers with one page of a collection. next is the cursor of a row, nil for a list that has none.
func writePage(w http.ResponseWriter, r *http.Request, p paging, total int64, data []resource, next func(i int) string) error {
	if data == nil {
		data = []resource{}
	}
	out := pageMeta{
		Total: total, Page: p.page, Limit: p.limit, HasMore: p.offset()+int64(len(data)) < total && len(data) > 0,
		RequestID: exchangeOf(r).id,
	}
	if out.HasMore && next != nil {
		out.NextCursor = next(len(data) - 1)
	}
	return writeJSON(w, http.StatusOK, collection{Data: data, Meta: out})
}

// writeJSON writes a whole answer, or returns an error before the first byte of it. A client that has gone is no error.
func writeJSON(w http.ResponseWriter, status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return writeText(w, status, append(text, '\n'))
}

// writeText writes an answer that is JSON already, compressed where the client takes that and it is worth it.
func writeText(w http.ResponseWriter, status int, text []byte) error {
	header := w.Header()
	header.Set("Content-Type", "application/json")
	if rw, ok := w.(*responseWriter); ok && len(text) >= gzipAtLeast {
		header.Add("Vary", "Accept-Encoding")
		if rw.gzip {
			header.Set("Content-Encoding", "gzip")
			w.WriteHeader(status)
			return writeGzip(w, text)
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(text)
	return nil
}

// timeFormat is ISO 8601 in UTC with milliseconds, as in all samples of the contract.
const timeFormat = "2006-01-02T15:04:05.000Z"

func formatTime(t time.Time) string { return t.UTC().Format(timeFormat) }

func formatTimePtr(t *time.Time) *string {
	if t == nil {
		return nil
	}
	text := formatTime(*t)
	return &text
}
