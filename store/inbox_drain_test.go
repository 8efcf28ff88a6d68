package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
	"github.com/trunkline/trunkline/sync/convoso"
)

// inboxWorld is a database with posts and the drain that the daemon runs on them.
type inboxWorld struct {
	*store.DB
	t     *testing.T
	drain *store.InboxDrain
	in    *store.Intake
	// source is whose posts are kept.
	source string
	posts  int
}

func newInboxWorld(t *testing.T) *inboxWorld {
	t.Helper()
	settings, err := convoso.NewSettings(convoso.Config{})
	if err != nil {
		t.Fatal(err)
	}
	db := &store.DB{Pool: storetest.DB(t), Log: discard(), Clock: func() time.Time { return foldStart.Add(time.Hour) }}
	w := &inboxWorld{DB: db, t: t, source: "convoso", in: startIntake(t, db, store.IntakeConfig{})}
	mustExec(t, db, `create table ops.woken (n int)`)
	w.drain = &store.InboxDrain{DB: db, Read: jobs.ReadConvoso(settings), Wake: func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `insert into ops.woken values (1)`)
		return err
	}}
	return w
}

// keep lands a post, a second after the one before.
func (w *inboxWorld) keep(contentType, body string) uuid.UUID {
	w.t.Helper()
	w.posts++
	p := store.Post{
		ID: uuid.Must(uuid.NewV7()), Org: foldOrg, Source: w.source, State: store.PostNew, Method: "POST", ContentType: contentType,
		Body: []byte(body), ReceivedAt: foldStart.Add(time.Duration(w.posts) * time.Second),
	}
	if err := w.in.Accept(w.t.Context(), p); err != nil {
		w.t.Fatal(err)
	}
	return p.ID
}

func (w *inboxWorld) json(body string) uuid.UUID {
	w.t.Helper()
	return w.keep("application/json", body)
}

func (w *inboxWorld) run() int {
	w.t.Helper()
	n, err := w.drain.Drain(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// mark is what the inbox says of a post.
type mark struct {
	State    string
	Of       *uuid.UUID
	Facts    *int
	Attempts int
	Error    string
	Settled  bool
}

func (w *inboxWorld) mark(id uuid.UUID) (m mark) {
	w.t.Helper()
	err := w.Pool.QueryRow(w.t.Context(), `select state, duplicate_of, facts, attempts, coalesce(error, ''), settled_at is not null
		from ops.inbox where id = $1`, id).Scan(&m.State, &m.Of, &m.Facts, &m.Attempts, &m.Error, &m.Settled)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *inboxWorld) want(what string, id uuid.UUID, want mark) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.mark(id)); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (w *inboxWorld) count(what string, want int, sql string, args ...any) {
	w.t.Helper()
	if got := countRows(w.t, w.DB, sql, args...); got != want {
		w.t.Errorf("%s: %d, want %d", what, got, want)
	}
}

func done(facts int) mark { return mark{State: "done", Facts: &facts, Attempts: 1, Settled: true} }

func duplicate(of uuid.UUID, facts int) mark {
	return mark{State: "duplicate", Of: &of, Facts: &facts, Attempts: 1, Settled: true}
}

func TestInboxDrainLands(t *testing.T) {
	t.Parallel()
	w := newInboxWorld(t)
	sale := w.json(`{"call_log_id": "11", "lead_id": "5", "phone_number": "5035550142", "status": "SALE", "call_date": "2025-06-03 10:17:42"}`)
	optOut := w.json(`{"call_log_id": "12", "lead_id": "6", "phone_number": "5035550143", "status": "DNC", "call_date": "1748971265"}`)
	mustExec(t, w.DB, `insert into ops.inbox (id, org_id, source, state, received_at, method, content_type, body)
		select gen_random_uuid(), $1, 'convoso', s, $2, 'POST', '', 'x' from unnest(array['unclassified', 'unparsable', 'done', 'quarantined']) s`, foldOrg, foldStart)
	if n := w.run(); n != 2 {
		t.Errorf("settled %d posts, want 2", n)
	}
	w.want("a disposition", sale, done(1))
	w.want("an opt-out", optOut, done(2))
	w.count("posts that were settled before", 4, `select count(*) from ops.inbox where attempts = 0`)
	w.count("records, observed when the post came", 3, `select count(*) from ops.records r
		join convoso.events e on e.org_id = r.org_id and e.account_id = r.account_id and e.event_id = e.type || ':' || r.object_id
		  and r.stream = case e.type when 'dnc' then 'dnc' else e.type || 's' end
		join ops.inbox i on i.id = e.inbox_id and i.received_at = r.observed_at
		where r.source = 'convoso' and r.account_id = 'default'`)
	w.count("facts of the sale", 1, `select count(*) from convoso.events where inbox_id = $1 and type = 'disposition' and status = 'SALE'
		and phone = '+15035550142' and occurred_at = '2025-06-03T17:17:42Z' and zone_assumed`, sale)
	w.count("records to fold", 3, `select count(*) from ops.reconcile_queue`)
	w.count("wake-ups of a batch", 1, `select count(*) from ops.woken`)
	if n := w.run(); n != 0 {
		t.Errorf("settled %d posts of an empty inbox", n)
	}
}

func TestInboxDrainTakesManyBatches(t *testing.T) {
	t.Parallel()
	w := newInboxWorld(t)
	mustExec(t, w.DB, `insert into ops.inbox (id, org_id, source, received_at, method, content_type, body)
		select gen_random_uuid(), $1, 'convoso', $2::timestamptz + make_interval(secs => n), 'POST', 'application/json',
		  convert_to('{"call_log_id": "' || n || '", "status": "NA"}', 'UTF8')
		from generate_series(1, 401) n`, foldOrg, foldStart)
	if n := w.run(); n != 401 {
		t.Errorf("settled %d posts, want 401", n)
	}
	w.count("done", 401, `select count(*) from ops.inbox where state = 'done' and attempts = 1`)
	w.count("records", 401, `select count(*) from ops.records`)
}

func TestInboxDuplicates(t *testing.T) {
	t.Parallel()
	w := newInboxWorld(t)
	const body, form = `{"call_log_id": "11", "lead_id": "5", "status": "CB", "agent_comment": "later"}`, `status=CB&lead_id=5&call_log_id=11&agent_comment=later`
	first, twin, again := w.json(body), w.keep("application/x-www-form-urlencoded", form), w.json(body)
	other := w.json(`{"call_log_id": "11", "lead_id": "5", "status": "CB", "agent_comment": "at six"}`)
	w.run()
	w.want("the first", first, done(1))
	w.want("its twin as a form, in the same batch", twin, duplicate(first, 1))
	w.want("its repeat, in the same batch", again, duplicate(first, 1))
	w.want("the same fact in other words", other, done(1))
	w.count("wake-ups", 1, `select count(*) from ops.woken`)
	repeat := w.json(`{"call_log_id": "11", "lead_id": "5", "status": "CB", "agent_comment": "at six"}`)
	back := w.json(body)
	both := w.json(`{"call_log_id": "12", "lead_id": "6", "phone_number": "5035550143", "status": "DNC"}`)
	w.run()
	w.want("a repeat in a later batch", repeat, duplicate(other, 1))
	w.want("the first words again, which tell nothing new", back, duplicate(first, 1))
	w.want("two facts", both, done(2))
	half := w.json(`{"call_log_id": "12", "lead_id": "6", "phone_number": "5035550143", "status": "DNC"}`)
	w.run()
	w.want("both facts again", half, duplicate(both, 2))
	// Duplicates land all the same: what was observed is observed later.
	w.count("facts observed with their last post", 2, `select count(*) from ops.records where observed_at = $1`, foldStart.Add(time.Duration(w.posts)*time.Second))
	w.count("another organisation's", 0, `select count(*) from ops.inbox_facts where org_id <> $1`, foldOrg)
}

func TestInboxReplayIsNotSwallowed(t *testing.T) {
	t.Parallel()
	w := newInboxWorld(t)
	const body = `{"call_log_id": "11", "lead_id": "5", "status": "CB"}`
	first, second := w.json(body), w.json(body)
	w.run()
	for _, id := range []uuid.UUID{first, second} {
		err := w.InTx(t.Context(), func(tx pgx.Tx) error {
			found, err := w.ReplayPost(t.Context(), tx, id)
			if err == nil && !found {
				err = errors.New("not found")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.want("to be replayed", id, mark{State: "new", Facts: w.mark(id).Facts})
	}
	// As after a rebuild of what the first reading got wrong.
	mustExec(t, w.DB, `delete from ops.records`)
	if n := w.run(); n != 2 {
		t.Errorf("replayed %d posts, want 2", n)
	}
	w.want("a replay of the first", first, done(1))
	w.want("a replay of the second", second, duplicate(first, 1))
	w.count("records", 1, `select count(*) from ops.records`)
	err := w.InTx(t.Context(), func(tx pgx.Tx) error {
		if found, err := w.ReplayPost(t.Context(), tx, uuid.New()); found || err != nil {
			t.Errorf("replay of no post: %t, %v", found, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTwoDrainsSettleEachPostOnce(t *testing.T) {
	t.Parallel()
	w := newInboxWorld(t)
	// Three posts tell each fact, and every post two facts, so that the drains meet in the same rows.
	mustExec(t, w.DB, `insert into ops.inbox (id, org_id, source, received_at, method, content_type, body)
		select gen_random_uuid(), $1, 'convoso', $2::timestamptz + make_interval(secs => n), 'POST', 'application/json',
		  convert_to('{"call_log_id": "' || n % 300 + 1 || '", "phone_number": "5035550142", "status": "DNC"}', 'UTF8')
		from generate_series(1, 900) n`, foldOrg, foldStart)
	var mu sync.Mutex
	total := 0
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			n, err := w.drain.Drain(t.Context())
			if err != nil {
				t.Errorf("drain: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += n
		})
	}
	wg.Wait()
	if total != 900 {
		t.Errorf("the drains settled %d posts together, want 900", total)
	}
	w.count("posts tried once", 900, `select count(*) from ops.inbox where attempts = 1 and state in ('done', 'duplicate')`)
	w.count("first tellings", 300, `select count(distinct inbox_id) from ops.inbox_facts`)
	w.count("records", 600, `select count(*) from ops.records`)
}
