package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestEraseCutOff stops an erasure after each of its commits: what is told in between is kept out, and a second order ends it.
func TestEraseCutOff(t *testing.T) {
	t.Parallel()
	for _, after := range []int{1, 2, 3, 5, 8, 13} {
		w := newEraseWorld(t)
		w.lead("1", 0, "Perth", phone(phoneA), email("jo@a.example"))
		w.lead("1", 1, "Cairns", phone(phoneA), email("jo@a.example")) // leaves history
		w.lead("2", 2, "Darwin", phone(phoneB))
		w.land(foldRecord{pipeline.SourceIPSCAPE, "c1", 3, callOf("c1", phoneA)}, foldRecord{pipeline.SourceIPSCAPE, "c2", 3, callOf("c2", phoneB)})
		w.drain()
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		read := w.db.Clock
		// The clock is read all along, so that it can cut at many places.
		w.db.Clock = func() time.Time {
			if n++; n == after {
				cancel()
			}
			return read()
		}
		_, err := w.eraser.Erase(ctx, foldOrg, store.Identity{Phone: phoneA})
		cancel()
		w.db.Clock = read
		if err == nil && after < 3 {
			t.Errorf("cut after %d: no error", after)
		}
		w.erase(store.Identity{Phone: phoneA})
		w.lead("1", 9, "Hobart", phone(phoneA))
		for _, text := range []string{phoneA, "jo@a.example", "Cairns", "Hobart"} {
			if n := w.holding(text); n > 0 {
				t.Errorf("cut after %d: %d rows hold %q", after, n, text)
			}
		}
		if calls := w.count(`select count(*) from pipeline.calls`); calls != 1 || w.count(`select count(*) from pipeline.leads`) != 1 {
			t.Errorf("cut after %d: %d calls are left, want the other lead's", after, calls)
		}
		if open := w.count(`select count(*) from ops.erasures where finished_at is null`); open != 0 || w.count(`select count(*) from ops.erasures`) != 1 {
			t.Errorf("cut after %d: %d erasures are open, or there are several", after, open)
		}
		w.agrees(fmt.Sprintf("cut after %d", after))
	}
}

// TestErasePost erases one of two people whom a post tells of, and has the post come again; and one that nobody can read.
func TestErasePost(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	body := func(minute int) []byte {
		text, _ := json.Marshal([]pipeline.Facts{callOf(fmt.Sprintf("a%d", minute), phoneA), callOf(fmt.Sprintf("b%d", minute), phoneB)})
		return text
	}
	post := func(state string, minute int, body []byte, optOuts ...store.Suppression) {
		w.t.Helper()
		in := startIntake(t, w.db, store.IntakeConfig{})
		p := newPost(foldOrg, "")
		p.State, p.Body, p.ReceivedAt, p.Suppressions = state, body, foldStart.Add(time.Duration(minute)*time.Minute), optOuts
		if err := in.Accept(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	post(store.PostNew, 1, body(1))
	post(store.PostUnparsable, 2, []byte(`{"phone": "(503) 222-1111"`))
	// An item of ipSCAPE that could not be read is known by its lead's id alone.
	unread := func() {
		w.t.Helper()
		err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
			return w.db.Quarantine(t.Context(), tx, store.QuarantineItem{
				Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "leads", ObjectID: "1", Reason: "bad phones", Body: []byte(`{"name":"Jane"}`),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	unread()
	w.at(3)
	w.erase(store.Identity{Phone: phoneA})
	unread()
	post(store.PostNew, 4, body(4))
	post(store.PostNew, 5, []byte(`{"phone": "503 222 1111"}`)) // no list: it goes to quarantine
	post(store.PostUnclassified, 6, []byte(`a=1&phone=%28503%29+222-1111`))
	post(store.PostUnparsable, 7, []byte(`{"phone": "(503) 222-1119"`))
	w.at(8)
	if _, err := w.eraser.Inbox.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.drain()
	for _, text := range []string{phoneA, "222-1111", "222 1111", "Jane"} {
		if n := w.holding(text); n > 0 {
			t.Errorf("%d rows hold %q", n, text)
		}
	}
	if n := w.count(`select count(*) from pipeline.calls where to_number = $1`, phoneB); n != 2 {
		t.Errorf("%d of the two calls of somebody else are known", n)
	}
	if n := w.count(`select count(*) from ops.inbox where body <> ''`); n != 1 {
		t.Errorf("%d posts have a body, want the one that is somebody else's", n)
	}
	if n := w.count(`select count(*) from ops.quarantine where state = 'open' and body = ''`); n != 2 {
		t.Errorf("%d items of quarantine are emptied", n)
	}
	w.agrees("in the end")
}

// TestEraseBulkLeads: nothing shows any more that somebody was in a bulk create, nor can it be found out by their number.
func TestEraseBulkLeads(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA), customerKey("k-1"))
	w.lead("2", 0, "Perth", phone(phoneB), customerKey("k-2"))
	leads := []store.BulkLead{{List: 7, Key: "k-1"}, {List: 8, Key: "k-1"}, {List: 7, Key: phoneA}, {List: 7, Key: "k-2"}}
	b := store.BulkCreate{ID: uuid.New(), Org: foldOrg, Account: "default", Lists: []int64{7, 8}, Leads: len(leads), AskedAt: foldStart}
	if err := w.db.BeginBulk(t.Context(), &b, leads); err != nil {
		t.Fatal(err)
	}
	if r := w.erase(store.Identity{Phone: phoneA}); r.Counts["ipscape.bulk_leads"] != 3 {
		t.Errorf("the receipt counts %v", r.Counts)
	}
	known, err := w.db.KnownBulkLeads(t.Context(), foldOrg, "default", leads)
	if err != nil || len(known) != 1 || known[0].At != 3 {
		t.Errorf("still known are %v, %v; want the other lead", known, err)
	}
}

// TestEraseDeliveries ends what is open for a person; not while a request is under way, whose outcome would be lost.
func TestEraseDeliveries(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.routes("convolo", "", "dialedin", "")
	w.lead("1", 1, "Perth", phone(phoneA))
	w.lead("2", 1, "Cairns", phone(phoneB))
	set := func(sql string) {
		if _, err := w.db.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	set(`update ops.deliveries set state = 'sending', lease_until = clock_timestamp() + interval '1 minute', params = '{"name": "Jane"}'
		where phone = '` + phoneA + `' and destination = 'convolo'`)
	w.eraser.Patience = 0
	if _, err := w.eraser.Erase(t.Context(), foldOrg, store.Identity{Phone: phoneA}); err == nil || !strings.Contains(err.Error(), "order it again") {
		t.Errorf("while sending: %v", err)
	}
	if w.count(`select count(*) from pipeline.leads`) != 2 {
		t.Error("the lead went while it was being sent")
	}
	set(`update ops.deliveries set state = 'unknown', lease_until = null where state = 'sending'`)
	got := w.erase(store.Identity{Phone: phoneA})
	if n := w.count(`select count(*) from ops.deliveries where state = 'cancelled' and reason = 'erased' and settled_at is not null and phone is null and params = '{}'`); n != 2 || got.Counts["ops.deliveries"] != 2 {
		t.Errorf("%d deliveries ended, receipt %v", n, got.Counts)
	}
	if n := w.count(`select count(*) from ops.deliveries where state = 'ready' and phone = $1`, phoneB); n != 2 {
		t.Errorf("%d deliveries of somebody else are ready", n)
	}
}

// TestErasureKey: without the key that people were erased with nothing lands, for it might be theirs.
func TestErasureKey(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	w.erase(store.Identity{Phone: phoneA})
	w.db.Erased.Key = func(string, bool) (store.ErasureKey, error) { return testKey("another"), nil }
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := w.db.Land(t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "s"},
			[]store.LandRecord{{ObjectID: "2", Payload: []byte(`{}`), ObservedAt: foldStart}}, store.LandOptions{})
		return err
	})
	if !errors.Is(err, store.ErrErasureKey) || !store.Unavailable(err) {
		t.Errorf("with another key: %v", err)
	}
	// A keyring is told which key is wanted, and may have found it since.
	var wanted string
	w.db.Erased.Key = func(id string, _ bool) (store.ErasureKey, error) { wanted = id; return testKey("one"), nil }
	w.lead("2", 0, "Cairns", phone(phoneB))
	if wanted != "one" || w.holding(phoneB) == 0 {
		t.Errorf("with the key put right, %q was asked for", wanted)
	}
	w.db.Erased.Key = func(string, bool) (store.ErasureKey, error) { return testKey("another"), nil }
	// Only the post that has to wait for the key is refused, not what is committed beside it.
	in := startIntake(t, w.db, store.IntakeConfig{})
	accepted := make([]error, 8)
	var wg sync.WaitGroup
	for i := range accepted {
		wg.Go(func() {
			p := newPost(foldOrg, "[]")
			if i == 0 {
				p.State, p.Body = store.PostUnparsable, []byte("(503) 222-1111")
			}
			accepted[i] = in.Accept(t.Context(), p)
		})
	}
	wg.Wait()
	for i, err := range accepted {
		if (err != nil) != (i == 0) {
			t.Errorf("post %d: %v", i, err)
		}
	}
	if _, err := w.db.Pool.Exec(t.Context(), `delete from ops.inbox`); err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal([]pipeline.Facts{callOf("c", phoneB)})
	p := newPost(foldOrg, string(text))
	if err := startIntake(t, w.db, store.IntakeConfig{}).Accept(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := w.eraser.Inbox.Drain(t.Context()); !errors.Is(err, store.ErrErasureKey) || w.count(`select count(*) from ops.inbox where state = 'new' and attempts = 0`) != 1 {
		t.Errorf("a post does not wait for the key: %v", err)
	}
	if _, err := w.eraser.Erase(t.Context(), foldOrg, store.Identity{Phone: phoneB}); !errors.Is(err, store.ErrErasureKey) {
		t.Errorf("erasing with another key: %v", err)
	}
}
