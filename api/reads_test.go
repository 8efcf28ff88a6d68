package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/store"
)

// toldReads notes what it is asked for and told.
type toldReads struct {
	Reads
	mu   sync.Mutex
	told []string
	// fault is what comes of noting a write.
	fault error
}

func (r *toldReads) note(what string, who store.Caller) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told = append(r.told, what+" "+who.Key)
}

// take returns what came since the last time.
func (r *toldReads) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told
	r.told = nil
	return told
}

func (r *toldReads) Read(ctx context.Context, who store.Caller, work func(ctx context.Context, from store.Reader) error) error {
	r.note("read", who)
	return r.Reads.Read(ctx, who, work)
}

func (r *toldReads) Writing(_ context.Context, who store.Caller) (wrote func(), err error) {
	r.note("writing", who)
	if r.fault != nil {
		return nil, r.fault
	}
	return func() { r.note("wrote", who) }, nil
}

// Each request reads at most once, so that its total and its page are one database's, and each one that may write is noted before and
// after, whatever the route; a key that may not write notes nothing, and what is read to write comes from the primary.
func TestReadsAndWritesOfRoutes(t *testing.T) {
	t.Parallel()
	reads := &toldReads{}
	w := newWorld(t, func(c *Config) { reads.Reads = c.Reads; c.Reads = reads }).start()
	_, key, err := w.db.CreateAPIKey(t.Context(), store.NewAPIKey{Org: w.org, Name: "reader", Level: store.LevelRead, Tier: store.TierNone})
	if err != nil {
		t.Fatal(err)
	}
	id := w.lead(w.org, "Birch", w.db.Now()).String()
	prefix := func(key string) string { return strings.Split(key, "_")[1] }
	full, only := " "+prefix(w.key), " "+prefix(key)
	for _, c := range []struct {
		method, path, body, key string
		want                    []string
	}{
		{"GET", "/v1/leads?search=birch", "", w.key, []string{"read" + full}},
		{"GET", "/v1/leads/" + id, "", w.key, []string{"read" + full}},
		{"GET", "/v1/leads/" + id + "/timeline", "", w.key, []string{"read" + full}},
		{"GET", "/v1/dialer/agents", "", key, []string{"read" + only}},
		{"GET", "/v1/dialer/events", "", key, []string{"read" + only}},
		{"GET", "/v1/deliveries", "", w.key, []string{"read" + full}},
		{"GET", "/v1/deliveries?destination=%00", "", w.key, nil},
		{"GET", "/v1/deliveries?destination=%ff", "", w.key, nil},
		{"GET", "/v1/deliveries", "", adminToken, []string{"read admin"}},
		{"GET", "/v1/leads", "", envKey, []string{"read environment"}},
		{"GET", "/v1/leads", "", "nobody", nil},
		{"POST", "/v1/leads", `{"businessName":"Alder"}`, w.key, []string{"writing" + full, "wrote" + full}},
		{"PATCH", "/v1/leads/" + id, `{"industry":"wood"}`, w.key, []string{"writing" + full, "wrote" + full}},
		{"PATCH", "/v1/leads/" + id, `{"nothing":"known"}`, w.key, []string{"writing" + full, "wrote" + full}},
		{"POST", "/v1/leads", `{"businessName":"Alder"}`, key, nil},
	} {
		got := w.call(c.method, c.path, c.body, "Authorization", "Bearer "+c.key, "Content-Type", "application/json")
		if told := reads.take(); !slices.Equal(told, c.want) {
			t.Errorf("%s %s (%d %.200s): %v", c.method, c.path, got.status, got.body, cmp.Diff(c.want, told))
		}
	}
}

// A request whose write cannot be noted is not begun, and one that failed of our doing stays open: it may have written.
func TestWriteThatIsLeftOpen(t *testing.T) {
	t.Parallel()
	reads := &toldReads{}
	w := newWorld(t, func(c *Config) { reads.Reads = c.Reads; c.Reads = reads }).start()
	reads.fault = store.ErrBusy
	got := w.call("POST", "/v1/leads", `{"businessName":"Alder"}`, "Authorization", "Bearer "+w.key, "Content-Type", "application/json")
	page, err := w.db.Leads(t.Context(), w.org, store.LeadQuery{Limit: 1})
	if got.status != http.StatusServiceUnavailable || err != nil || page.Total != 0 {
		t.Errorf("a write that cannot be noted: %d, %d leads, %v", got.status, page.Total, err)
	}
	for status, told := range map[int]int{http.StatusCreated: 2, http.StatusNotFound: 2, http.StatusServiceUnavailable: 1, http.StatusInternalServerError: 1} {
		reads := &toldReads{}
		s := &Server{cfg: Config{Reads: reads}}
		rw := &responseWriter{ResponseWriter: httptest.NewRecorder()}
		err := s.noteWrite(rw, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), &exchange{caller: &principal{key: "lw"}})
		rw.WriteHeader(status)
		if all := reads.take(); err != nil || len(all) != told {
			t.Errorf("a request answered with %d: %v, %v", status, all, err)
		}
	}
}

// A write is noted before anything of its answer leaves.
func TestWriteIsNotedFirst(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(w http.ResponseWriter){
		"header": func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) },
		"body":   func(w http.ResponseWriter) { _, _ = w.Write([]byte("x")) },
	} {
		out := &orderedWriter{ResponseRecorder: httptest.NewRecorder()}
		noted := 0
		w := &responseWriter{ResponseWriter: out, before: func(status int) {
			if noted++; out.begun || status >= 300 {
				t.Errorf("%s: noted with status %d, when part of the answer was out", name, status)
			}
		}}
		answer(w)
		_, _ = w.Write([]byte("y"))
		if noted != 1 || !out.begun {
			t.Errorf("%s: noted %d times", name, noted)
		}
	}
}

// orderedWriter tells whether anything was written.
type orderedWriter struct {
	*httptest.ResponseRecorder
	begun bool
}

func (w *orderedWriter) WriteHeader(status int) {
	w.begun = true
	w.ResponseRecorder.WriteHeader(status)
}

func (w *orderedWriter) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseRecorder.Write(p)
}
