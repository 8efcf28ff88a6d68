package api

import (
	"encoding/json"
	"net/http"
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

// writeSingle answers with one object.
func writeSingle(w http.ResponseWriter, r *http.Request, status int, data resource) error {
	return writeJSON(w, status, single{Data: data, Meta: meta{RequestID: exchangeOf(r).id}})
}

// writePage answers with one page of a collection.
func writePage(w http.ResponseWriter, r *http.Request, p paging, total int64, data []resource) error {
	if data == nil {
		data = []resource{}
	}
	return writeJSON(w, http.StatusOK, collection{Data: data, Meta: pageMeta{
		Total: total, Page: p.page, Limit: p.limit, HasMore: p.offset()+int64(len(data)) < total && len(data) > 0,
		RequestID: exchangeOf(r).id,
	}})
}

// writeJSON writes a whole answer, or returns an error before the first byte of it. A client that has gone is no error.
func writeJSON(w http.ResponseWriter, status int, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
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
