package store_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// eraseWorld is a pushWorld in which people can be erased.
type eraseWorld struct {
	*pushWorld
	eraser *store.Eraser
}

func newEraseWorld(t *testing.T) *eraseWorld {
	t.Helper()
	w := &eraseWorld{pushWorld: newPushWorld(t)}
	w.db.Erased = &store.ErasureGuard{
		Key:   func(string, bool) (store.ErasureKey, error) { return testKey("one"), nil },
		Facts: w.rec.Facts,
		OptOut: func(org uuid.UUID, account, phone string, since time.Time) (pipeline.Record, error) {
			payload, err := json.Marshal(pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phone, Reason: store.KeptReason, Since: since}}})
			return pipeline.Record{Org: org, Account: account, Payload: payload, SourceTime: since}, err
		},
	}
	w.eraser = &store.Eraser{
		DB: w.db, Fold: w.rec, Patience: time.Second,
		Inbox: &store.InboxDrain{DB: w.db, Read: func(p store.Post) ([]store.InboxFact, error) {
			var facts []pipeline.Facts
			if err := json.Unmarshal(p.Body, &facts); err != nil {
				return nil, err
			}
			var out []store.InboxFact
			for i, f := range facts {
				payload, _ := json.Marshal(f)
				out = append(out, store.InboxFact{
					Target: store.Target{Org: p.Org, Account: "default", Source: pipeline.Source(p.Source), Stream: "s"},
					Record: store.LandRecord{ObjectID: fmt.Sprintf("%s-%d", p.ID, i), Payload: payload, ObservedAt: p.ReceivedAt},
				})
			}
			return out, nil
		}},
	}
	return w
}

func testKey(secret string) store.ErasureKey {
	return store.ErasureKey{ID: secret, Sum: func(text string) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write([]byte(text))
		return mac.Sum(nil)
	}}
}

func (w *eraseWorld) erase(who store.Identity) store.Receipt {
	w.t.Helper()
	r, err := w.eraser.Erase(w.t.Context(), foldOrg, who)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *eraseWorld) count(sql string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.db.Pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (w *eraseWorld) agrees(when string) {
	w.t.Helper()
	c, err := w.rec.Compare(w.t.Context(), foldOrg, store.CompareOptions{Diff: func(d store.Difference) error {
		w.t.Errorf("%s: %+v", when, d)
		return nil
	}})
	if err != nil || c.Differing > 0 {
		w.t.Errorf("%s: %d differ, %v", when, c.Differing, err)
	}
}

// holding counts the records, and rows of the pipeline, in which a text stands.
func (w *eraseWorld) holding(text string) int {
	w.t.Helper()
	return w.count(`select (select count(*) from ops.records where payload::text like '%' || $1 || '%')
		+ (select count(*) from ops.record_history where payload::text like '%' || $1 || '%')
		+ (select count(*) from ops.inbox where encode(body, 'escape') like '%' || $1 || '%')
		+ (select count(*) from ops.quarantine where encode(body, 'escape') like '%' || $1 || '%')
		+ (select count(*) from pipeline.lead_keys where value like '%' || $1 || '%')
		+ (select count(*) from ops.record_keys where value like '%' || $1 || '%')
		+ (select count(*) from ops.deliveries d where to_jsonb(d)::text like '%' || $1 || '%')
		+ (select count(*) from ops.suppressions where value like '%' || $1 || '%')
		+ (select count(*) from pipeline.do_not_call where phone like '%' || $1 || '%')`, text)
}

// keptOut is how many records were kept out, of everybody.
func (w *eraseWorld) keptOut() int {
	w.t.Helper()
	return w.count(`select (select sum(kept_out) from ops.erasures) + (select coalesce(sum(records), 0) from ops.erasure_arrivals)`)
}

func callOf(id, phone string) pipeline.Facts {
	return pipeline.Facts{Calls: []pipeline.CallFact{{
		Key: pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: "default", ExternalID: id}, Direction: pipeline.Outbound, ToNumber: phone,
		StartedAt: foldStart, Lead: []pipeline.Key{{Kind: pipeline.KeyPhone, Value: phone}},
	}}}
}

func email(address string) pipeline.Key { return pipeline.Key{Kind: pipeline.KeyEmail, Value: address} }

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

// TestEraseWhileTold has everybody tell of a person at once, all the while they are erased.
func TestEraseWhileTold(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				payload, _ := json.Marshal(callOf(fmt.Sprintf("x%d-%d", i, n), phoneA))
				err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
					_, err := w.db.Land(t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "s"},
						[]store.LandRecord{{ObjectID: fmt.Sprintf("x%d-%d", i, n), Payload: payload, ObservedAt: foldStart}}, store.LandOptions{})
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for w.count(`select count(*) from ops.records`) < 50 {
		time.Sleep(time.Millisecond)
	}
	w.eraser.Patience = time.Minute
	w.erase(store.Identity{Phone: phoneA})
	for w.keptOut() < 20 {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wg.Wait()
	if n := w.holding(phoneA); n > 0 {
		t.Errorf("%d rows hold the phone", n)
	}
	w.agrees("in the end")
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

// TestEraseOptOut keeps the opt-outs of who is erased, old ones and new ones, as phones of nobody, until they are lifted.
func TestEraseOptOut(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.routes("convolo", "")
	optOut := func(object string, minute int, phone string) {
		w.land(foldRecord{pipeline.SourceConvoso, object, minute, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phone, Reason: "Jane asked", Since: foldStart}}}})
		w.drain()
	}
	blocked := func(phone string) bool {
		w.t.Helper()
		yes, err := w.db.Suppressed(t.Context(), foldOrg, []string{phone})
		if err != nil {
			t.Fatal(err)
		}
		return yes
	}
	w.lead("1", 0, "Perth", phone(phoneA))
	w.lead("2", 0, "Cairns", phone(phoneB))
	optOut("out", 1, phoneA)
	w.at(2)
	obliged := w.count(`select count(*) from ops.deliveries where operation = 'dnc_add' and state = 'ready'`)
	if got := w.erase(store.Identity{Phone: phoneA}); got.KeptOptOuts != 1 || !blocked(phoneA) {
		t.Errorf("the opt-out is gone: %+v", got)
	}
	w.erase(store.Identity{Phone: phoneB})
	if n := w.count(`select count(*) from ops.deliveries where operation = 'dnc_add' and state = 'ready' and phone = $1`, phoneA); obliged != 1 || n != 1 {
		t.Errorf("%d diallers are still to be told, %d were", n, obliged)
	}
	if n := w.count(`select count(*) from ops.records where payload::text like '%Jane%' or payload::text like '%Perth%'`); n > 0 {
		t.Errorf("%d records tell more than the phone", n)
	}
	if n := w.count(`select count(*) from pipeline.do_not_call where since = $1 and reason = 'opt_out' and source = 'operator'`, foldStart); n != 1 {
		t.Error("the opt-out is not as old as it was")
	}
	if blocked(phoneB) || w.holding(phoneB) > 0 {
		t.Error("who never opted out is on a list")
	}
	// Told anew, of somebody who had not opted out: that counts, and is all that is known. Told twice it is one.
	w.at(3)
	optOut("new", 3, phoneB)
	optOut("new", 4, phoneB)
	if !blocked(phoneB) || w.count(`select count(*) from ops.records`) != 2 {
		t.Errorf("a new opt-out: blocked %t, %d records", blocked(phoneB), w.count(`select count(*) from ops.records`))
	}
	// Lifted: hearing of the old one again does not bring it back.
	w.at(5)
	payload, _ := json.Marshal(pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phoneB, Lift: true, Since: foldStart.Add(5 * time.Minute)}}})
	lift := pipeline.Record{Org: foldOrg, Account: "default", Source: pipeline.SourceOperator, Stream: "do_not_call", ObjectID: "lift", Payload: payload, ObservedAt: w.db.Now()}
	if _, err := w.db.LandOrder(t.Context(), &lift, "", "", nil); err != nil {
		t.Fatal(err)
	}
	w.drain()
	w.at(6)
	optOut("new", 6, phoneB)
	if blocked(phoneB) {
		t.Error("an opt-out that was lifted is back")
	}
	w.agrees("in the end")
}

// TestEraseOneOfSeveral: a phone that several leads have does not say who is meant, and what others have too stays theirs.
func TestEraseOneOfSeveral(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	for i := range 5 { // more than a phone links
		w.lead(fmt.Sprint(i), 0, "City"+fmt.Sprint(i), phone(phoneA), email(fmt.Sprintf("p%d@a.example", i)))
	}
	w.lead("0", 1, "City0", phone(phoneA), phone(phoneB), email("p0@a.example"))
	_, err := w.eraser.Erase(t.Context(), foldOrg, store.Identity{Phone: phoneA})
	several, ok := errors.AsType[*store.SeveralError](err)
	if !ok || len(several.Leads) != 5 || w.count(`select count(*) from ops.erasures`) != 0 {
		t.Fatalf("a phone of five: %v", err)
	}
	w.erase(store.Identity{Email: "P0@a.example"})
	if n := w.count(`select count(*) from pipeline.leads`); n != 4 || w.holding(phoneB) > 0 || w.holding("p0@a.example") > 0 || w.holding("City0") > 0 {
		t.Errorf("%d leads are left, want the other four", n)
	}
	// The others are still told of, by the phone that one of them was erased with.
	w.lead("1", 2, "Elsewhere", phone(phoneA), email("p1@a.example"))
	if w.count(`select count(*) from pipeline.leads where city = 'Elsewhere'`) != 1 || w.keptOut() != 0 {
		t.Error("somebody else was kept out")
	}
	w.agrees("one of them")
	w.erase(store.Identity{Phone: phoneA, All: true})
	if n := w.count(`select count(*) from ops.records`); n != 0 {
		t.Errorf("all of them: %d records are left", n)
	}
	w.agrees("all of them")
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

// TestEraseWaitsForWhoLands orders an erasure while a transaction has landed what it told and not committed it: the erasure
// waits for it, and removes that too.
func TestEraseWaitsForWhoLands(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	payload, _ := json.Marshal(callOf("late", phoneA))
	erased := make(chan error, 1)
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := w.db.Land(t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "s"},
			[]store.LandRecord{{ObjectID: "late", Payload: payload, ObservedAt: foldStart}}, store.LandOptions{})
		go func() {
			_, err := w.eraser.Erase(t.Context(), foldOrg, store.Identity{Phone: phoneA})
			erased <- err
		}()
		for len(erased) == 0 && w.count(`select count(*) from pg_locks l join pg_database d on d.oid = l.database
			where d.datname = current_database() and l.locktype = 'advisory' and not l.granted`) == 0 {
			time.Sleep(time.Millisecond)
		}
		return err
	})
	if err := errors.Join(err, <-erased); err != nil {
		t.Fatal(err)
	}
	w.drain()
	if n := w.holding(phoneA); n > 0 {
		t.Errorf("%d rows hold the phone", n)
	}
}

// TestEraseOptOutOverAPI: an opt-out of somebody who was erased is refused over our API, and counts all the same (law 6).
func TestEraseOptOutOverAPI(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	w.erase(store.Identity{Phone: phoneA})
	_, err := store.NewWriter(w.db, w.rec).Write(t.Context(), foldOrg, nil, func(ctx context.Context, tx *store.OwnWrite) (store.Answer, error) {
		return store.Answer{}, tx.Land(ctx, []store.OwnRecord{
			{Stream: "events", ObjectID: "e1", Payload: callOf("other", phoneB)},
			{Stream: "events", ObjectID: "e2", Payload: callOf("one more", phoneA)}, // the opt-out is in what came with it
		}, []store.Suppression{{Kind: "phone", Value: phoneA, Stream: "events", ObjectID: "e2", Reason: "Jane asked"}})
	})
	if !errors.Is(err, store.ErrErased) {
		t.Fatalf("refused with %v", err)
	}
	if n := w.count(`select count(*) from pipeline.do_not_call where phone = $1 and lifted_at is null`, phoneA); n != 1 {
		t.Error("the opt-out is lost")
	}
	if n := w.count(`select count(*) from ops.records where object_id not like 'erased-%'`); n != 0 {
		t.Errorf("%d records of a write that was refused are kept", n)
	}
	w.agrees("in the end")
}

// TestEraseOptOutOfSharedPhone: what a person told of a phone that others have too holds for those.
func TestEraseOptOutOfSharedPhone(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	for i := range 5 { // more than a phone links
		w.lead(fmt.Sprint(i), 0, "City", phone(phoneA), email(fmt.Sprintf("p%d@a.example", i)))
	}
	w.land(foldRecord{pipeline.SourceIPSCAPE, "out", 1, pipeline.Facts{
		Leads: []pipeline.LeadFact{{Keys: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "0"}}}},
		DNC:   []pipeline.DNCFact{{Phone: phoneA, Reason: "asked"}},
	}})
	w.drain()
	holds := func() int {
		return w.count(`select count(*) from pipeline.do_not_call where phone = $1 and lifted_at is null`, phoneA)
	}
	if got := w.erase(store.Identity{Email: "p0@a.example"}); holds() != 1 || got.KeptOptOuts != 1 || w.count(`select count(*) from pipeline.leads`) != 4 {
		t.Errorf("the others with the phone may be called: %+v", got)
	}
	// A lead of whom nothing but its own id was told opts out with every phone.
	w.land(foldRecord{pipeline.SourceIPSCAPE, "out1", 2, pipeline.Facts{
		DNC: []pipeline.DNCFact{{Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: "1"}}}},
	}})
	w.drain()
	w.erase(store.Identity{Email: "p1@a.example"})
	if holds() != 1 {
		t.Error("the phone may be called")
	}
	w.agrees("in the end")
}

// TestEraseOptOutLifted: an opt-out that was lifted, before its person was erased or after, is not brought back by hearing of it again.
func TestEraseOptOutLifted(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	optOut := func(object string, minute int, phone string) {
		w.at(minute)
		w.land(foldRecord{pipeline.SourceConvoso, object, minute, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phone, Reason: "asked", Since: foldStart}}}})
		w.drain()
	}
	lift := func(minute int, phone string) {
		w.t.Helper()
		w.at(minute)
		payload, _ := json.Marshal(pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phone, Lift: true}}})
		rec := pipeline.Record{
			Org: foldOrg, Account: "default", Source: pipeline.SourceOperator, Stream: "do_not_call", ObjectID: "lift " + phone, Payload: payload, ObservedAt: w.db.Now(),
		}
		if _, err := w.db.LandOrder(t.Context(), &rec, "", "", nil); err != nil {
			t.Fatal(err)
		}
		w.drain()
	}
	w.lead("1", 0, "Perth", phone(phoneA))
	w.lead("2", 0, "Cairns", phone(phoneB))
	optOut("a", 1, phoneA)
	optOut("b", 1, phoneB)
	lift(2, phoneA)
	w.at(3)
	w.erase(store.Identity{Phone: phoneA})
	w.erase(store.Identity{Phone: phoneB})
	lift(4, phoneB)
	optOut("a", 5, phoneA)
	optOut("b", 5, phoneB)
	if n := w.count(`select count(*) from pipeline.do_not_call where lifted_at is null`); n != 0 {
		t.Errorf("%d opt-outs that were lifted are back", n)
	}
	optOut("a new one", 6, phoneA)
	if n := w.count(`select count(*) from pipeline.do_not_call where lifted_at is null`); n != 1 {
		t.Errorf("%d opt-outs hold, want the new one", n)
	}
	w.agrees("in the end")
}

// TestEraseNoAddress: what stands where an e-mail address is missing is nobody's name.
func TestEraseNoAddress(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	told := func(id, phone string) {
		w.land(foldRecord{pipeline.SourceIPSCAPE, id, 1, pipeline.Facts{Leads: []pipeline.LeadFact{{
			Keys:   []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: id}, {Kind: pipeline.KeyPhone, Value: phone}},
			Fields: map[pipeline.Field]string{pipeline.FieldEmail: "none"},
		}}}})
		w.drain()
	}
	w.lead("2", 0, "There is none", phone(phoneB))
	told("1", phoneA)
	if got := w.erase(store.Identity{Phone: phoneA}); len(got.Elsewhere) != 0 {
		t.Errorf("receipt: %+v", got)
	}
	told("3", "+15032221113")
	if n := w.count(`select count(*) from pipeline.leads`); n != 2 || w.keptOut() != 0 {
		t.Errorf("%d leads, want the two others", n)
	}
	if _, err := w.eraser.Erase(t.Context(), foldOrg, store.Identity{Email: "none"}); err == nil {
		t.Error("a word was erased")
	}
}

// TestEraseCallIDOfEverybody: a call id that others' records name too is nobody's.
func TestEraseCallIDOfEverybody(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	event := func(object, lead string) {
		w.land(foldRecord{pipeline.SourceAPI, object, 1, pipeline.Facts{Calls: []pipeline.CallFact{{
			Key: pipeline.CallKey{Dialler: pipeline.SourceAPI, Account: "default", ExternalID: "0"}, StartedAt: foldStart,
			Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: lead}},
		}}}})
		w.drain()
	}
	w.lead("1", 0, "Perth", phone(phoneA))
	w.lead("2", 0, "Cairns", phone(phoneB))
	event("e1", "1")
	event("e2", "2")
	w.erase(store.Identity{Phone: phoneA})
	event("e3", "2")
	if n := w.count(`select count(*) from ops.records where object_id in ('2', 'e2', 'e3')`); n != 3 {
		t.Errorf("%d of somebody else's 3 records are there", n)
	}
	if n := w.count(`select count(*) from ops.records where object_id in ('1', 'e1')`); n != 0 {
		t.Errorf("%d of the person's records are there", n)
	}
	w.agrees("in the end")
}

// TestEraseTimes: a time whose digits read as the phone, and a record of nobody with an id like it, are no mention of the person.
func TestEraseTimes(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	const washington = "+12026030512"
	w.lead("1", 0, "Perth", phone(washington))
	w.lead("2", 0, "2026-03-05 12:34:56", phone(phoneB))
	w.lead("2", 1, "Cairns", phone(phoneB)) // leaves history
	w.land(foldRecord{pipeline.SourceIPSCAPE, "12026030512", 1, pipeline.Facts{Leads: []pipeline.LeadFact{{
		Fields: map[pipeline.Field]string{pipeline.FieldCity: "2026030512"},
	}}}})
	w.drain()
	got := w.erase(store.Identity{Phone: washington})
	if n := w.count(`select count(*) from ops.record_history where payload::text like '%12:34:56%'`); n != 1 {
		t.Error("a version of somebody else's is gone")
	}
	if n := w.count(`select count(*) from ops.records where object_id = '12026030512'`); n != 1 || len(got.Elsewhere) != 1 {
		t.Errorf("a record of nobody: %d are there; %q", n, got.Elsewhere)
	}
}

// TestEraseCountsWithoutLocks has two transactions keep out what is told of two people, each in its own order: neither waits for
// the other.
func TestEraseCountsWithoutLocks(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	w.lead("2", 0, "Cairns", phone(phoneB))
	w.erase(store.Identity{Phone: phoneA})
	w.erase(store.Identity{Phone: phoneB})
	land := func(tx pgx.Tx, number string) error {
		payload, _ := json.Marshal(callOf("new", number))
		landed, err := w.db.Land(t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "s"},
			[]store.LandRecord{{ObjectID: "new " + number, Payload: payload, ObservedAt: foldStart}}, store.LandOptions{})
		if err == nil && landed.Erased != 1 {
			t.Errorf("%+v: not kept out", landed)
		}
		return err
	}
	err := w.db.InTx(t.Context(), func(one pgx.Tx) error {
		return w.db.InTx(t.Context(), func(other pgx.Tx) error {
			_, err := one.Exec(t.Context(), `set local lock_timeout = '5s'`)
			for _, step := range []func() error{
				func() error { return land(one, phoneA) }, func() error { return land(other, phoneB) }, func() error { return land(one, phoneB) },
			} {
				if err == nil {
					err = step()
				}
			}
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	u := &store.Upkeeper{DB: w.db, Retention: store.Retention{History: time.Hour * 1e5, Inbox: time.Hour * 1e5}}
	for range 2 {
		if err := u.Upkeep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := w.count(`select sum(kept_out) from ops.erasures`); n != 3 || w.keptOut() != 3 {
			t.Errorf("%d counted, want 3", n)
		}
	}
	if n := w.count(`select count(*) from ops.erasures where last_kept_out_at = $1`, w.db.Now()); n != 2 {
		t.Errorf("%d erasures say when", n)
	}
}

// TestEraseWaitsWhileItIsRead orders an erasure beside a long queue, as of a backfill: it waits for all of it, says how much is
// left, and gives up only when nothing of it gets less.
func TestEraseWaitsWhileItIsRead(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	w.lead("1", 0, "Perth", phone(phoneA))
	w.eraser.Fold = &store.Reconciler{DB: w.db, MaxAge: w.rec.MaxAge, Blockers: w.rec.Blockers, Facts: w.rec.Facts, Batch: 1}
	for i := range 12 {
		w.land(foldRecord{pipeline.SourceIPSCAPE, fmt.Sprint("q", i), 1, callOf(fmt.Sprint("q", i), fmt.Sprintf("+1305555%04d", i))})
	}
	// Each look at the clock is seconds later: a turn is a batch or two, and the whole takes longer than anybody's patience.
	read, seconds := w.db.Clock, 0
	w.db.Clock = func() time.Time { seconds += 3; return read().Add(time.Duration(seconds) * time.Second) }
	w.eraser.Patience = 20 * time.Second
	var left []int64
	w.eraser.Waiting = func(n int64) { left = append(left, n) }
	w.erase(store.Identity{Phone: phoneA})
	if len(left) < 2 || !slices.IsSortedFunc(left, func(a, b int64) int { return int(b - a) }) || seconds < 60 {
		t.Errorf("after %d s, waited for %v", seconds, left)
	}
	if n := w.holding(phoneA); n > 0 {
		t.Errorf("%d rows hold the phone", n)
	}
	// Nobody can fold: that is said.
	w.land(foldRecord{pipeline.SourceIPSCAPE, "stuck", 1, callOf("stuck", phoneB)})
	err := w.db.InTx(t.Context(), func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `select pg_advisory_xact_lock(hashtextextended('trunkline.reconcile.' || $1::text, 0))`, foldOrg); err != nil {
			return err
		}
		_, err := w.eraser.Erase(t.Context(), foldOrg, store.Identity{Phone: phoneA})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "1 posts and records still wait") {
		t.Errorf("while nobody can fold: %v", err)
	}
}

// TestEraseWhatIsFoldedMeanwhile has a record change, at each look at the key, that belongs together with what is removed and is of
// somebody else: the removal waits for its fold, and begins again.
func TestEraseWhatIsFoldedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newEraseWorld(t)
	event := func(object, lead string, minute int) {
		w.land(foldRecord{pipeline.SourceAPI, object, minute, pipeline.Facts{Calls: []pipeline.CallFact{{
			Key: pipeline.CallKey{Dialler: pipeline.SourceAPI, Account: "default", ExternalID: "0"}, StartedAt: foldStart.Add(time.Duration(minute) * time.Minute),
			Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: "default", Value: lead}},
		}}}})
	}
	w.lead("1", 0, "Perth", phone(phoneA))
	w.lead("2", 0, "Cairns", phone(phoneB))
	event("e1", "1", 1)
	event("e2", "2", 1)
	w.drain()
	w.eraser.Patience = time.Minute
	landed, landing := 0, false
	w.db.Erased.Key = func(string, bool) (store.ErasureKey, error) {
		if !landing && landed < 6 {
			landing = true // what lands asks for the key too
			landed++
			event("e2", "2", 1+landed)
			landing = false
		}
		return testKey("one"), nil
	}
	w.erase(store.Identity{Phone: phoneA})
	if landed < 6 {
		t.Fatalf("the key was looked at %d times", landed)
	}
	if n := w.count(`select count(*) from ops.reconcile_queue`); n != 0 {
		t.Errorf("%d records wait: nobody folded what landed while the person was removed", n)
	}
	if n := w.holding(phoneA) + w.count(`select count(*) from ops.records where object_id in ('1', 'e1')`); n != 0 {
		t.Errorf("%d rows of the person's are there", n)
	}
	w.agrees("in the end")
}
