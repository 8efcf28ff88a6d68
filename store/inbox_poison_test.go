package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/trunkline/trunkline/store"
)

// spoil makes the reader fail on posts with certain words.
func (w *inboxWorld) spoil() {
	read := w.drain.Read
	w.drain.Read = func(p store.Post) ([]store.InboxFact, error) {
		facts, err := read(store.Post{ID: p.ID, Org: p.Org, ReceivedAt: p.ReceivedAt, Body: []byte(fmt.Sprintf(`{"call_log_id": %q, "status": "NA"}`, p.ID))})
		switch {
		case bytes.Contains(p.Body, []byte("panic")):
			panic("of " + string(p.Body))
		case bytes.Contains(p.Body, []byte("error")):
			return nil, errors.New("no rule")
		case bytes.Contains(p.Body, []byte("json")):
			facts[0].Record.Payload = []byte(`{"phone": "+15035550142`)
		case bytes.Contains(p.Body, []byte("row")):
			facts[0].Record.Values[1] = nil // a type that must not be null
		}
		return facts, err
	}
}

func TestInboxPoisonGoesToQuarantine(t *testing.T) {
	t.Parallel()
	w := newInboxWorld(t)
	w.spoil()
	good := w.json("good")
	bad := map[uuid.UUID]string{}
	for _, body := range []string{"error \x00\xff\xfe +15035550142", "panic \x00\xed\xa0\x80 +15035550142"} {
		bad[w.json(body)] = body
	}
	late := w.json("good too")
	if n := w.run(); n != 4 {
		t.Errorf("settled %d posts, want all 4", n)
	}
	w.want("before", good, done(1))
	w.want("after", late, done(1))
	for id, body := range bad {
		m := w.mark(id)
		if m.State != "quarantined" || m.Attempts != 1 || !m.Settled || m.Error == "" || strings.Contains(m.Error, "5035550142") {
			t.Errorf("%q became %+v", body, m)
		}
		w.count("rows in quarantine", 1, `select count(*) from ops.quarantine where object_id = $1 and body = $2 and source = 'convoso'
			and stream = 'inbox' and reason = 'post' and org_id = $3 and state = 'open' and error not like '%5035550142%'`, id.String(), []byte(body), foldOrg)
	}
	w.count("in quarantine", 2, `select count(*) from ops.quarantine`)
}

// What Postgres refuses is tried three times, each in a drain of its own, while everything else goes on.
func TestInboxRefusedPostIsQuarantinedAtLast(t *testing.T) {
	t.Parallel()
	w := newInboxWorld(t)
	w.spoil()
	good := []uuid.UUID{w.json("a")}
	bodies := map[uuid.UUID]string{}
	for _, body := range []string{"json \x00\xff", "row \x00\xff"} {
		bodies[w.json(body)] = body
		good = append(good, w.json("b"))
	}
	for try := 1; try <= 3; try++ {
		w.run()
		for _, id := range good {
			w.want("a good post", id, done(1))
		}
		for id, body := range bodies {
			m := w.mark(id)
			state := map[bool]string{true: "quarantined", false: "new"}[try == 3]
			if m.State != state || m.Attempts != try || m.Settled != (try == 3) || m.Error == "" || strings.Contains(m.Error, "5035550142") {
				t.Errorf("try %d of %q: %+v, want %s", try, body, m, state)
			}
			w.count("rows in quarantine", map[bool]int{true: 1, false: 0}[try == 3],
				`select count(*) from ops.quarantine where object_id = $1 and body = $2`, id.String(), []byte(body))
		}
	}
	if n := w.run(); n != 0 {
		t.Errorf("settled %d more", n)
	}
	w.count("records", len(good), `select count(*) from ops.records`)
}

// Whatever ends the transaction leaves every post as it was, to be read again, and counts no try against it.
func TestInboxBrokenTransactionLeavesAllNew(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]error{
		"queue broken":      errors.New("no jobs today"),
		"database restarts": &pgconn.PgError{Code: "57P01"},
		"killed":            context.Canceled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newInboxWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			wake := w.drain.Wake
			w.drain.Wake = func(context.Context, pgx.Tx) error {
				if errors.Is(broken, context.Canceled) {
					cancel()
				}
				return broken
			}
			ids := []uuid.UUID{w.json(`{"call_log_id": "11", "status": "CB"}`), w.json(`{"call_log_id": "12", "status": "CB"}`)}
			for range 3 {
				if _, err := w.drain.Drain(ctx); !errors.Is(err, broken) {
					t.Errorf("error %v, want %v", err, broken)
				}
			}
			for _, id := range ids {
				w.want("a post", id, mark{State: "new"})
			}
			w.count("records", 0, `select count(*) from ops.records`)
			w.count("facts", 0, `select count(*) from ops.inbox_facts`)
			w.drain.Wake = wake
			w.run()
			for _, id := range ids {
				w.want("a post afterwards", id, done(1))
			}
		})
	}
}
