package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// Backfiller orders and steers backfills of one organisation.
type Backfiller interface {
	Streams(ctx context.Context, org uuid.UUID) ([]store.StreamStatus, error)
	// StartOnce fails with a *store.InvalidOrder that names every fault, and with store.ErrKeyInFlight and store.ErrKeyReused.
	StartOnce(ctx context.Context, org uuid.UUID, order store.BackfillOrder, key *store.IdempotencyKey, answer func(*store.Backfill) (store.Answer, error)) (store.Answer, error)
	List(ctx context.Context, org uuid.UUID, offset int64, limit int) (store.BackfillPage, error)
	// Show, Pause, Resume and Cancel fail with store.ErrNotFound; Pause, Resume and Cancel also with store.ErrBackfillEnded.
	Show(ctx context.Context, org, id uuid.UUID) (store.Backfill, error)
	Pause(ctx context.Context, org, id uuid.UUID) (store.Backfill, error)
	Resume(ctx context.Context, org, id uuid.UUID) (store.Backfill, error)
	Cancel(ctx context.Context, org, id uuid.UUID) (store.Backfill, error)
}

// syncRoutes are how scripts read what operators read with trunkline status and backfill.
func (s *Server) syncRoutes() {
	s.handle("GET /v1/sync/streams", operating, s.listStreams)
	s.handle("GET /v1/sync/backfills", operating, s.listBackfills)
	s.handle("POST /v1/sync/backfills", operating, s.startBackfill)
	s.handle("GET /v1/sync/backfills/{id}", operating, s.steer(s.cfg.Backfills.Show))
	s.handle("POST /v1/sync/backfills/{id}/pause", operating, s.steer(s.cfg.Backfills.Pause))
	s.handle("POST /v1/sync/backfills/{id}/resume", operating, s.steer(s.cfg.Backfills.Resume))
	s.handle("POST /v1/sync/backfills/{id}/cancel", operating, s.steer(s.cfg.Backfills.Cancel))
}

// admitOperator lets in the holder of the admin token, for the default organisation, and keys of the level full, whatever
// the method.
func (s *Server) admitOperator(r *http.Request) (*principal, error) {
	if s.adminToken(r) {
		return &principal{org: s.cfg.DefaultOrg, level: store.LevelFull, tier: store.TierNone, key: "admin"}, nil
	}
	caller, err := s.keys.authenticate(r)
	if err == nil && caller.level != store.LevelFull {
		return caller, forbidden(fmt.Sprintf("this needs an API key of level full, not %s", caller.level))
	}
	return caller, err
}

type backfillAttributes struct {
	Source        string            `json:"source"`
	Account       string            `json:"account"`
	Streams       []string          `json:"streams"`
	From          string            `json:"from"`
	To            string            `json:"to"`
	Window        string            `json:"window"`
	Filters       map[string]string `json:"filters"`
	State         string            `json:"state"`
	Actor         string            `json:"actor"`
	Windows       windowsAttributes `json:"windows"`
	Pages         int64             `json:"pages"`
	Rows          int64             `json:"rows"`
	Changed       int64             `json:"changed"`
	Quarantined   int64             `json:"quarantined"`
	RowsPerSecond float64           `json:"rowsPerSecond"`
	TimeLeftSec   *int64            `json:"timeLeftSec"`
	Error         *string           `json:"error"`
	CreatedAt     string            `json:"createdAt"`
	StartedAt     *string           `json:"startedAt"`
	FinishedAt    *string           `json:"finishedAt"`
}

type windowsAttributes struct {
	Total     int `json:"total"`
	Done      int `json:"done"`
	Failed    int `json:"failed"`
	Running   int `json:"running"`
	Waiting   int `json:"waiting"`
	Cancelled int `json:"cancelled"`
}

func backfillResource(b *store.Backfill) resource {
	p := &b.Progress
	attributes := backfillAttributes{
		Source: string(b.Source), Account: b.Account, Streams: b.Streams, From: formatTime(b.Range.From), To: formatTime(b.Range.To),
		Window: b.Window.String(), Filters: b.Filters, State: string(b.State), Actor: b.Actor,
		Windows: windowsAttributes{p.Windows, p.Done, p.Failed, p.Running, p.Waiting, p.Cancelled},
		Pages:   p.Pages, Rows: p.Rows, Changed: p.Changed, Quarantined: p.Quarantined, RowsPerSecond: p.RowsPerSecond,
		Error: textPtr(b.Error), CreatedAt: formatTime(b.CreatedAt), StartedAt: formatSet(b.StartedAt), FinishedAt: formatSet(b.FinishedAt),
	}
	if p.TimeLeftKnown {
		left := int64(p.TimeLeft.Seconds())
		attributes.TimeLeftSec = &left
	}
	return resource{ID: b.ID.String(), Type: "backfill", Attributes: attributes}
}

// formatSet renders a time that is zero for none.
func formatSet(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return formatTimePtr(&t)
}

func textPtr(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// listBackfills is GET /v1/sync/backfills.
func (s *Server) listBackfills(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	p, items := pagingOf(values)
	if err := invalid(items); err != nil {
		return err
	}
	ctx, cancel := query(r)
	defer cancel()
	page, err := s.cfg.Backfills.List(ctx, organisation(r), p.offset(), p.limit)
	if err != nil {
		return err
	}
	data := make([]resource, len(page.Backfills))
	for i := range page.Backfills {
		data[i] = backfillResource(&page.Backfills[i])
	}
	return writePage(w, r, p, page.Total, data, nil)
}

// startBackfill is POST /v1/sync/backfills.
func (s *Server) startBackfill(w http.ResponseWriter, r *http.Request) error {
	body, err := s.readBody(w, r, maxAPIBody)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r, body)
	if err != nil {
		return err
	}
	order, items, err := readOrder(body)
	if err != nil {
		return err
	}
	if err := invalid(items); err != nil {
		return err
	}
	order.Actor = exchangeOf(r).caller.key
	ctx, cancel := query(r)
	defer cancel()
	answer, err := s.cfg.Backfills.StartOnce(ctx, organisation(r), order, key, func(b *store.Backfill) (store.Answer, error) {
		return kept(http.StatusCreated, single{Data: backfillResource(b), Meta: meta{RequestID: exchangeOf(r).id}})
	})
	if err != nil {
		return ofBackfill(ofKey(err))
	}
	var made struct{ Data struct{ ID string } }
	if json.Unmarshal(answer.Body, &made) == nil {
		w.Header().Set("Location", "/v1/sync/backfills/"+made.Data.ID)
	}
	return writeKept(w, answer)
}

// steer answers with what became of a backfill.
func (s *Server) steer(do func(ctx context.Context, org, id uuid.UUID) (store.Backfill, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, ok := parseID(r.PathValue("id"))
		if !ok {
			return notFound()
		}
		ctx, cancel := query(r)
		defer cancel()
		b, err := do(ctx, organisation(r), id)
		if err != nil {
			return ofBackfill(err)
		}
		return writeSingle(w, r, http.StatusOK, backfillResource(&b))
	}
}

// ofBackfill gives errors of backfills their answers.
func ofBackfill(err error) error {
	var order *store.InvalidOrder
	if errors.As(err, &order) {
		items := make([]errorItem, len(order.Faults))
		for i, f := range order.Faults {
			items[i] = invalidField(f.Field, f.Problem)
		}
		return invalid(items)
	}
	if errors.Is(err, store.ErrBackfillEnded) {
		return newProblem(http.StatusConflict, codeConflict, "the backfill has ended; this can no longer be done")
	}
	return err
}

// readOrder reads the body of an order. A field of another type, and one that there is not, is a fault of that field.
func readOrder(body []byte) (order store.BackfillOrder, items []errorItem, err error) {
	fields, err := members(body)
	if err != nil {
		return order, nil, err
	}
	var from, to, window string
	known := map[string]any{
		"source": &order.Source, "streams": &order.Streams, "from": &from, "to": &to, "window": &window, "filters": (*filterValues)(&order.Filters),
	}
	for _, name := range sortedKeys(fields) {
		into, ok := known[name]
		switch {
		case !ok:
			// The name is the client's own text, and shows cut to what a name can be.
			items = append(items, invalidField(fieldName(name), "is no field of a backfill"))
		case json.Unmarshal(fields[name], into) != nil:
			items = append(items, invalidField(name, "is of the wrong type"))
		}
	}
	read := func(name, text string, into *time.Time) {
		at, ok := instant(text)
		if text != "" && !ok {
			items = append(items, invalidField(name, "must be a date, or a time with its zone (RFC 3339)"))
		}
		*into = at
	}
	read("from", from, &order.From)
	read("to", to, &order.To)
	if window != "" {
		var ok bool
		if order.Window, ok = store.ParseWindow(window); !ok {
			items = append(items, invalidField("window", "must be a length of time such as 24h or 7d"))
		}
	}
	return order, items, nil
}

// filterValues are filters whose values may be written as numbers and booleans too.
type filterValues map[string]string

// UnmarshalJSON implements json.Unmarshaler.
func (f *filterValues) UnmarshalJSON(text []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	*f = filterValues{}
	for name, value := range raw {
		var s string
		if json.Unmarshal(value, &s) != nil {
			if len(value) == 0 || value[0] == '{' || value[0] == '[' {
				return errors.New("a filter is neither text nor number nor boolean")
			}
			s = string(value)
		}
		(*f)[name] = s
	}
	return nil
}

// instant reads a date, meaning 00:00 UTC, or a time with its zone.
func instant(text string) (time.Time, bool) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

// fieldName is a name out of a request, fit for an answer.
func fieldName(name string) string {
	const longest = 40
	name = strings.ToValidUTF8(name, "")
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "")
	}
	return name
}
