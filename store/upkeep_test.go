package store_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/storetest"
)

// upkeepWorld is a database of a given month.
type upkeepWorld struct {
	*store.Upkeeper
	t   *testing.T
	now time.Time
}

// newUpkeepWorld starts in a month in which the migrations made no partitions, whenever the test runs.
func newUpkeepWorld(t *testing.T) *upkeepWorld {
	t.Helper()
	w := &upkeepWorld{t: t, now: time.Date(2031, 5, 17, 3, 17, 0, 0, time.UTC)}
	w.Upkeeper = &store.Upkeeper{
		DB:        &store.DB{Pool: storetest.DB(t), Log: discard(), Clock: func() time.Time { return w.now }},
		Retention: store.Retention{History: 60 * 24 * time.Hour, Inbox: 30 * 24 * time.Hour},
	}
	return w
}

func (w *upkeepWorld) run() {
	w.t.Helper()
	if err := w.Upkeep(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// partitions lists a table's partitions from 2030 on, without the table's name.
func (w *upkeepWorld) partitions(table string) []string {
	w.t.Helper()
	rows, err := w.DB.Pool.Query(w.t.Context(), `select inhrelid::regclass::text from pg_inherits where inhparent = $1::regclass order by 1`, "ops."+table)
	if err != nil {
		w.t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	var months []string
	for _, name := range names {
		if month := strings.TrimPrefix(name, "ops."+table+"_"); month >= "2030" && month != "default" {
			months = append(months, month)
		}
	}
	return months
}

func (w *upkeepWorld) want(what, table string, months ...string) {
	w.t.Helper()
	if got := w.partitions(table); !slices.Equal(got, months) {
		w.t.Errorf("%s: %s has %v, want %v", what, table, got, months)
	}
}

func (w *upkeepWorld) post(state string, at time.Time) {
	w.t.Helper()
	mustExec(w.t, w.DB, `insert into ops.inbox (id, org_id, source, state, received_at, method, content_type, body)
		values ($1, $2, 'convoso', $3, $4, 'POST', '', 'x')`, uuid.New(), foldOrg, state, at)
}

func (w *upkeepWorld) replaced(at time.Time) {
	w.t.Helper()
	mustExec(w.t, w.DB, `insert into ops.record_history (record_id, org_id, account_id, source, stream, object_id, payload, content_hash, observed_at, zone_assumed, replaced_at)
		values (1, $1, 'default', 'ipscape', 'leads', '1', '{}', '', $2, false, $2)`, foldOrg, at)
}

func TestUpkeepMakesMonthsAhead(t *testing.T) {
	t.Parallel()
	w := newUpkeepWorld(t)
	ahead := []string{"2031_04", "2031_05", "2031_06", "2031_07", "2031_08"}
	for range 2 {
		w.run()
		w.want("the months around", "inbox", ahead...)
		w.want("the months around", "record_history", ahead...)
	}
	// The bounds fit without gap or overlap: rows of the first and the last instant go where they belong.
	last := time.Date(2031, 5, 31, 23, 59, 59, 999999000, time.UTC)
	w.post("done", last)
	w.post("done", last.Add(time.Microsecond))
	for _, month := range []string{"2031_05", "2031_06"} {
		if n := countRows(t, w.DB, fmt.Sprintf(`select count(*) from ops.inbox_%s`, month)); n != 1 {
			t.Errorf("%d posts of the border in %s, want 1", n, month)
		}
	}
	w.now = time.Date(2031, 12, 31, 23, 59, 59, 0, time.UTC)
	w.Retention = store.Retention{History: 365 * 24 * time.Hour, Inbox: 365 * 24 * time.Hour}
	w.run()
	w.want("over the turn of the year", "inbox", append(ahead, "2031_11", "2031_12", "2032_01", "2032_02", "2032_03")...)
}

func TestUpkeepDropsOldMonths(t *testing.T) {
	t.Parallel()
	w := newUpkeepWorld(t)
	w.run()
	april := time.Date(2031, 4, 10, 0, 0, 0, 0, time.UTC)
	w.post("done", april)
	w.replaced(april)
	// The last of April's posts is 30 days old at the end of May 30.
	w.now = time.Date(2031, 5, 30, 23, 59, 59, 0, time.UTC)
	w.run()
	w.want("a second early", "inbox", "2031_04", "2031_05", "2031_06", "2031_07", "2031_08")
	w.now = w.now.Add(time.Second)
	w.run()
	w.want("past its retention", "inbox", "2031_05", "2031_06", "2031_07", "2031_08")
	w.want("kept for longer", "record_history", "2031_04", "2031_05", "2031_06", "2031_07", "2031_08")
	w.now = time.Date(2031, 7, 1, 0, 0, 0, 0, time.UTC)
	w.run()
	w.want("two months later", "record_history", "2031_05", "2031_06", "2031_07", "2031_08", "2031_09", "2031_10")
	if n := countRows(t, w.DB, `select count(*) from pg_inherits where inhrelid in ('ops.inbox_default'::regclass, 'ops.record_history_default'::regclass)`); n != 2 {
		t.Errorf("%d default partitions are left, want both", n)
	}
}

// What tells a duplicate goes with the inbox.
func TestUpkeepForgetsWhatOldPostsTold(t *testing.T) {
	t.Parallel()
	w := newUpkeepWorld(t)
	fact := func(object string, age time.Duration) {
		id, err := uuid.NewV7()
		if err != nil {
			t.Fatal(err)
		}
		binary.BigEndian.PutUint16(id[:2], uint16(w.now.Add(-age).UnixMilli()>>32))
		binary.BigEndian.PutUint32(id[2:6], uint32(w.now.Add(-age).UnixMilli()))
		mustExec(t, w.DB, `insert into ops.inbox_facts values ($1, 'default', 'convoso', 'dispositions', $2, '', $3)`, foldOrg, object, id)
	}
	fact("old", w.Retention.Inbox+time.Second)
	fact("kept", w.Retention.Inbox-time.Second)
	w.run()
	if n := countRows(t, w.DB, `select count(*) from ops.inbox_facts where object_id = 'kept'`); n != 1 {
		t.Error("a fact of a post that is kept was forgotten")
	}
	if n := countRows(t, w.DB, `select count(*) from ops.inbox_facts`); n != 1 {
		t.Errorf("%d facts are left, want 1", n)
	}
}

// Nothing that was acknowledged is lost for its age: a month with a post that nobody has settled stays.
func TestUpkeepKeepsWhatIsNotSettled(t *testing.T) {
	t.Parallel()
	w := newUpkeepWorld(t)
	w.run()
	april := time.Date(2031, 4, 10, 0, 0, 0, 0, time.UTC)
	w.now = time.Date(2031, 6, 15, 0, 0, 0, 0, time.UTC)
	for _, state := range []string{"new", "quarantined", "unclassified"} {
		mustExec(t, w.DB, `delete from ops.inbox`)
		w.post("done", april)
		w.post(state, april)
		w.run()
		if got := w.partitions("inbox"); got[0] != "2031_04" {
			t.Errorf("with a post that is %s: %v, want April kept", state, got)
		}
	}
	mustExec(t, w.DB, `update ops.inbox set state = 'duplicate'`)
	w.run()
	if got := w.partitions("inbox"); got[0] == "2031_04" {
		t.Errorf("with all posts settled: %v, want April gone", got)
	}
}

// A daemon that was away for months takes posts before its upkeep has made their month; they lie in the default partition.
func TestUpkeepAfterMonthsAway(t *testing.T) {
	t.Parallel()
	w := newUpkeepWorld(t)
	w.post("new", w.now)
	w.post("done", w.now.AddDate(0, 2, 0))
	w.post("done", w.now.AddDate(1, 0, 0))
	w.replaced(w.now)
	w.run()
	w.want("the months around", "inbox", "2031_04", "2031_05", "2031_06", "2031_07", "2031_08")
	for table, want := range map[string]int{
		"inbox": 3, "inbox_2031_05": 1, "inbox_2031_07": 1, "inbox_default": 1,
		"record_history": 1, "record_history_2031_05": 1, "record_history_default": 0,
	} {
		if n := countRows(t, w.DB, `select count(*) from ops.`+table); n != want {
			t.Errorf("%d rows in %s, want %d", n, table, want)
		}
	}
	w.run()
}

func TestDropPartitionsKnowsItsTables(t *testing.T) {
	t.Parallel()
	w := newUpkeepWorld(t)
	if _, err := w.DB.Pool.Exec(t.Context(), `select ops.drop_partitions('deliveries', now())`); err == nil {
		t.Error("partitions of another table are dropped on demand")
	}
}

func TestUpkeepForgetsOldWalks(t *testing.T) {
	t.Parallel()
	w := newUpkeepWorld(t)
	walk := func(id int, kind, state string, age time.Duration, backfill bool) {
		ended := w.now.Add(-age)
		var of *uuid.UUID
		if backfill {
			of = new(uuid.UUID)
			*of = uuid.MustParse("00000000-0000-7000-8000-000000000b00")
		}
		mustExec(t, w.DB, `insert into ops.walks (id, org_id, account_id, source, stream, kind, lane, state, created_at, finished_at, backfill_id)
			values ($1, $2, 'default', 'ipscape', 'leads', $3, 'live', $4, $5, case when $4 in ('done', 'failed') then $5::timestamptz end, $6)`,
			fmt.Sprintf("00000000-0000-7000-8000-%012d", id), foldOrg, kind, state, ended, of)
	}
	mustExec(t, w.DB, `insert into ops.backfills (id, org_id, account_id, source, streams, range, window_s, state, actor, windows, created_at)
		values ('00000000-0000-7000-8000-000000000b00', $1, 'default', 'ipscape', '{leads}', '[2020-01-01,2020-01-02)', 60, 'done', 'cli', 1, now())`, foldOrg)
	day := 24 * time.Hour
	walk(1, "live", "done", 40*day, false)
	walk(2, "live", "done", 31*day, false)
	walk(3, "live", "done", 29*day, false)
	walk(4, "sweep", "done", 90*day, false) // the latest of its kind
	walk(5, "backfill", "done", 90*day, true)
	walk(6, "rescan", "failed", 90*day, false)
	walk(7, "rescan", "failed", 80*day, false)
	walk(8, "live", "running", 90*day, false)
	w.run()
	rows, err := w.DB.Pool.Query(t.Context(), `select right(id::text, 1)::int from ops.walks order by 1`)
	if err != nil {
		t.Fatal(err)
	}
	left, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil || !slices.Equal(left, []int{3, 4, 5, 7, 8}) {
		t.Errorf("walks %v are left, %v", left, err)
	}
}
