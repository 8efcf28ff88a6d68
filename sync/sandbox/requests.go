package sandbox

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// maxKept bounds the request log and the violations, so that a soak run does not grow without end; the oldest go first.
const maxKept = 200_000

// Request is what the sandbox remembers of one request.
type Request struct {
	Vendor string    `json:"vendor"`
	Op     string    `json:"op"`
	Method string    `json:"method"`
	Time   time.Time `json:"time"`
	// Cursor is the paging cursor that was sent, empty on a first page.
	Cursor string `json:"cursor,omitempty"`
	// ID is the object asked for by a read of one object.
	ID string `json:"id,omitempty"`
	// Filters are the query parameters beside the cursor; a phone is replaced by "(phone)", an address by "(address)".
	Filters map[string]string `json:"filters,omitempty"`
	// Status is the HTTP status answered, 0 when the connection was cut or nobody waited for the answer.
	Status int `json:"status"`
	// Rows is the number of rows in a list's answer.
	Rows int `json:"rows,omitempty"`
	// Fault is the kind of the fault that was applied.
	Fault FaultKind `json:"fault,omitempty"`
}

type requestLog struct {
	mu    sync.Mutex
	reqs  []Request
	wrong []string
}

func newRequestLog() *requestLog { return &requestLog{} }

func (l *requestLog) add(r Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.reqs) >= maxKept {
		l.reqs = slices.Delete(l.reqs, 0, maxKept/10)
	}
	l.reqs = append(l.reqs, r)
}

func (l *requestLog) violation(vendor, op, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wrong) >= maxKept {
		return
	}
	l.wrong = append(l.wrong, vendor+" "+op+": "+text)
}

func (l *requestLog) all() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := append([]Request{}, l.reqs...)
	for i := range out {
		out[i].Filters = maps.Clone(out[i].Filters)
	}
	return out
}

func (l *requestLog) violations() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.wrong...)
}
