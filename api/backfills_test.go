package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
)

// newSyncWorld is a world whose API orders real backfills.
func newSyncWorld(t *testing.T) *world {
	t.Helper()
	pool := storetest.DB(t)
	queue, err := jobs.NewQueue(pool, newWorldLog())
	if err != nil {
		t.Fatal(err)
	}
	db := &store.DB{Pool: pool, Log: newWorldLog(), Clock: time.Now}
	return newWorldOn(t, pool, func(c *Config) {
		c.Backfills = &jobs.Backfiller{DB: db, Queue: queue, Account: store.DefaultAccount}
	}).start()
}

// keyOf makes a key of another level.
func (w *world) keyOf(org uuid.UUID, level store.KeyLevel) string {
	w.t.Helper()
	_, key, err := w.db.CreateAPIKey(w.t.Context(), store.NewAPIKey{Org: org, Name: string(level), Level: level, Tier: store.TierNone})
	if err != nil {
		w.t.Fatal(err)
	}
	return "Bearer " + key
}

type backfillAnswer struct {
	Data struct {
		ID         string             `json:"id"`
		Type       string             `json:"type"`
		Attributes backfillAttributes `json:"attributes"`
	} `json:"data"`
	Meta meta `json:"meta"`
}

const goodOrder = `{"source":"ipscape","streams":["activities","users"],"from":"2026-01-01","to":"2026-01-11T00:00:00Z","window":"1d","filters":{}}`

func TestBackfillsOverHTTP(t *testing.T) {
	t.Parallel()
	w := newSyncWorld(t)
	full := "Bearer " + w.key
	made := w.call("POST", "/v1/sync/backfills", goodOrder, "Authorization", full)
	var b backfillAnswer
	made.decode(t, &b)
	want := backfillAttributes{
		Source: "ipscape", Account: "default", Streams: []string{"activities", "users"}, From: "2026-01-01T00:00:00.000Z",
		To: "2026-01-11T00:00:00.000Z", Window: "24h0m0s", Filters: map[string]string{}, State: "planned",
		Actor: b.Data.Attributes.Actor, Windows: windowsAttributes{Total: 11, Waiting: 11}, CreatedAt: b.Data.Attributes.CreatedAt,
	}
	if diff := cmp.Diff(want, b.Data.Attributes); made.status != http.StatusCreated || diff != "" || b.Data.Type != "backfill" || b.Meta.RequestID == "" {
		t.Errorf("ordered: %d %s (-want +got):\n%s", made.status, made.body, diff)
	}
	if b.Data.Attributes.Actor == "" || !strings.Contains(w.key, b.Data.Attributes.Actor+"_") || made.header.Get("Location") != "/v1/sync/backfills/"+b.Data.ID {
		t.Errorf("actor %q, location %q", b.Data.Attributes.Actor, made.header.Get("Location"))
	}
	if n := w.count(`select count(*) from ops.walks where backfill_id = $1`, b.Data.ID); n != 11 {
		t.Errorf("%d windows were made", n)
	}
	path := "/v1/sync/backfills/" + b.Data.ID
	for _, c := range []struct {
		do     string
		status int
		state  string
	}{
		{"pause", 200, "paused"},
		{"pause", 200, "paused"},
		{"resume", 200, "running"},
		{"cancel", 200, "cancelled"},
		{"resume", 409, ""},
		{"pause", 409, ""},
	} {
		got := w.call("POST", path+"/"+c.do, "", "Authorization", "Bearer "+adminToken)
		var b backfillAnswer
		got.decode(t, &b)
		if got.status != c.status || b.Data.Attributes.State != c.state || c.status == 409 && got.code() != codeConflict {
			t.Errorf("%s: %d %s, want %d %s", c.do, got.status, got.body, c.status, c.state)
		}
	}
	w.call("POST", "/v1/sync/backfills", goodOrder, "Authorization", "Bearer "+adminToken)
	var list page
	w.get("/v1/sync/backfills?limit=1").decode(t, &list)
	if len(list.Data) != 1 || list.Meta.Total != 2 || !list.Meta.HasMore || list.Data[0].Attributes["actor"] != "admin" {
		t.Errorf("listed %+v", list)
	}
	other, err := w.db.CreateOrganisation(t.Context(), "Elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	theirs := w.keyOf(other.ID, store.LevelFull)
	if got := w.call("GET", path, "", "Authorization", theirs); got.status != 404 {
		t.Errorf("another organisation sees the backfill: %d", got.status)
	}
	if got := w.call("POST", path+"/cancel", "", "Authorization", theirs); got.status != 404 {
		t.Errorf("another organisation cancels the backfill: %d", got.status)
	}
	w.call("GET", "/v1/sync/backfills", "", "Authorization", theirs).decode(t, &list)
	if list.Meta.Total != 0 {
		t.Errorf("another organisation lists %+v", list)
	}
}

// TestBackfillOrderedOnce repeats an order under its key, ten times at once: one backfill, one answer.
func TestBackfillOrderedOnce(t *testing.T) {
	t.Parallel()
	w := newSyncWorld(t)
	order := func() answer {
		return w.call("POST", "/v1/sync/backfills", goodOrder, "Authorization", "Bearer "+w.key, "Idempotency-Key", "january")
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if got := order(); got.status != http.StatusCreated && got.code() != codeIdempotencyConflict {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
	all.Wait()
	first, again := order(), order()
	if first.status != http.StatusCreated || again.header.Get("Idempotency-Key-Replay") != "true" || string(first.body) != string(again.body) ||
		again.header.Get("Location") == "" || first.header.Get("Location") != again.header.Get("Location") {
		t.Errorf("%d %s %v, then %s", first.status, first.body, again.header, again.body)
	}
	if n := w.count(`select count(*) from ops.backfills`); n != 1 {
		t.Errorf("%d backfills", n)
	}
	other := w.call("POST", "/v1/sync/backfills", strings.Replace(goodOrder, "2026-01-01", "2026-01-02", 1), "Authorization", "Bearer "+w.key, "Idempotency-Key", "january")
	if other.status != http.StatusUnprocessableEntity || other.code() != codeIdempotencyReused {
		t.Errorf("another order: %d %s", other.status, other.body)
	}
}

func TestBackfillsWantAFullKey(t *testing.T) {
	t.Parallel()
	w := newSyncWorld(t)
	id := uuid.NewString()
	for _, route := range []string{
		"GET /v1/sync/streams", "GET /v1/sync/backfills", "POST /v1/sync/backfills", "GET /v1/sync/backfills/" + id,
		"POST /v1/sync/backfills/" + id + "/pause", "POST /v1/sync/backfills/" + id + "/resume", "POST /v1/sync/backfills/" + id + "/cancel",
	} {
		method, path, _ := strings.Cut(route, " ")
		for auth, status := range map[string]int{
			"": 401, "Bearer nothing": 401, w.keyOf(w.org, store.LevelRead): 403, w.keyOf(w.org, store.LevelReadWrite): 403,
		} {
			if got := w.call(method, path, goodOrder, "Authorization", auth); got.status != status {
				t.Errorf("%s: %d %s, want %d", route, got.status, got.body, status)
			}
		}
		for _, auth := range []string{"Bearer " + w.key, "Bearer " + envKey, "Bearer " + adminToken} {
			if got := w.call(method, path, goodOrder, "Authorization", auth); got.status == 401 || got.status == 403 {
				t.Errorf("%s with a full key: %d", route, got.status)
			}
		}
	}
	if n := w.count(`select count(*) from ops.backfills`); n != 3 {
		t.Errorf("%d backfills, want one for each that may", n)
	}
}

func TestBadBackfillOrders(t *testing.T) {
	t.Parallel()
	w := newSyncWorld(t)
	for name, c := range map[string]struct {
		body   string
		status int
		fields []string
	}{
		"empty":         {`{}`, 422, []string{"source", "from"}},
		"not json":      {`{"source":`, 400, nil},
		"not an object": {`[]`, 422, []string{"body"}},
		"types": {
			`{"source":1,"streams":"leads","from":5,"to":{},"window":7,"filters":[]}`, 422,
			[]string{"filters", "from", "source", "streams", "to", "window"},
		},
		"unknown field":  {`{"source":"ipscape","from":"2026-01-01","speed":"fast"}`, 422, []string{"speed"}},
		"times":          {`{"source":"ipscape","from":"yesterday","to":"2026-01-01T00:00:00"}`, 422, []string{"from", "to"}},
		"window":         {`{"source":"ipscape","from":"2026-01-01","window":"-1h"}`, 422, []string{"window"}},
		"stream, filter": {`{"source":"ipscape","streams":["calls"],"from":"2026-01-01"}`, 422, []string{"streams"}},
		"filter":         {`{"source":"ipscape","streams":["leads"],"from":"2026-01-01","filters":{"leadId":"1"}}`, 422, []string{"filters"}},
		"filter's type":  {`{"source":"ipscape","streams":["leads"],"from":"2026-01-01","filters":{"listId":{}}}`, 422, []string{"filters"}},
		"backwards":      {`{"source":"ipscape","from":"2026-02-01","to":"2026-01-01"}`, 422, []string{"to"}},
	} {
		got := w.call("POST", "/v1/sync/backfills", c.body, "Authorization", "Bearer "+w.key)
		var f failure
		if err := json.Unmarshal(got.body, &f); err != nil {
			t.Fatalf("%s: %s", name, got.body)
		}
		var fields []string
		for _, item := range f.Errors {
			if field, ok := item.Detail["field"].(string); ok {
				fields = append(fields, field)
			}
		}
		if diff := cmp.Diff(c.fields, fields); got.status != c.status || diff != "" {
			t.Errorf("%s: %d %s (-want +got):\n%s", name, got.status, got.body, diff)
		}
	}
	if n := w.count(`select count(*) from ops.backfills`); n != 0 {
		t.Errorf("%d backfills were made of bad orders", n)
	}
	numbers := `{"source":"ipscape","streams":["leads"],"from":"2026-01-01","filters":{"listId":120,"customerKey":"k"}}`
	if got := w.call("POST", "/v1/sync/backfills", numbers, "Authorization", "Bearer "+w.key); got.status != 201 {
		t.Errorf("a number as a filter: %d %s", got.status, got.body)
	}
	if got := w.call("POST", "/v1/sync/backfills/7/pause", "", "Authorization", "Bearer "+w.key); got.status != 404 {
		t.Errorf("an id that is none: %d", got.status)
	}
}

func TestStreamsOverHTTP(t *testing.T) {
	t.Parallel()
	w := newSyncWorld(t)
	var none page
	w.get("/v1/sync/streams").decode(t, &none)
	if none.Data == nil || len(none.Data) != 0 {
		t.Errorf("streams before there are any: %+v", none)
	}
	w.exec(`insert into ops.streams (org_id, account_id, source, stream, capability, origin, covered, last_error, last_error_at)
		values ($1, 'default', 'ipscape', 'activities', 'created', '2026-03-01T00:00:00Z',
		'{[2026-03-01,2026-03-02),[2026-03-03,2026-03-04)}', 'status 502', '2026-03-04T00:00:00Z'),
		($2, 'default', 'ipscape', 'leads', 'created', null, '{}', null, null)`, w.org, uuid.New())
	var got page
	w.get("/v1/sync/streams").decode(t, &got)
	if len(got.Data) != 1 || got.Meta.Total != 1 || got.Meta.HasMore {
		t.Fatalf("streams %+v, want those of the key's organisation", got)
	}
	a := got.Data[0].Attributes
	if got.Data[0].ID != "ipscape.activities" || a["coveredThrough"] != "2026-03-02T00:00:00.000Z" || a["holes"] != 1.0 || a["lastError"] != "status 502" ||
		a["lastSuccessAt"] != nil || a["lastWalk"] != nil || a["lagSec"] == nil {
		t.Errorf("stream %+v", got.Data[0])
	}
}
