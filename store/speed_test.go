package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// TestSpeedToLead: two leads get as far as they get, a third is old and a fourth is pushed nowhere.
func TestSpeedToLead(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.at(120)
	mustExec(t, w.db, `insert into ops.organisations (org_id, name) values ($1, 'speedy') on conflict do nothing`, foldOrg)
	lead := func(created time.Duration, dialled, answered *time.Time) uuid.UUID {
		id, at := uuid.New(), w.db.Now().Add(-created)
		mustExec(t, w.db, `insert into pipeline.leads (org_id, lead_id, phones, source, priority, stage_key, content_hash, first_source_time, created_at, updated_at,
			first_dialled_at, first_answered_at) values ($1, $2, '{}', 'api', 'normal', 'new_lead', '\x00', $3, $3, $3, $4, $5)`, foldOrg, id, at, dialled, answered)
		return id
	}
	push := func(id uuid.UUID, state pipeline.DeliveryState, ready, sent, settled time.Duration) {
		at := func(d time.Duration) *time.Time {
			if d == 0 {
				return nil
			}
			x := w.db.Now().Add(-time.Hour).Add(d)
			return &x
		}
		mustExec(t, w.db, `insert into ops.deliveries (id, org_id, account_id, destination, operation, class, lead_id, state, source_time, not_before, created_at,
			sending_at, settled_at, dedupe) values ($1, $2, 'default', 'dialedin', 'insert_lead', 'rings', $3, $4, $5, $5, $5, $6, $7, gen_random_uuid()::text)`,
			uuid.New(), foldOrg, id, state, *at(ready), at(sent), at(settled))
	}
	rang := w.db.Now().Add(-time.Hour + 40*time.Second)
	push(lead(time.Hour, &rang, nil), pipeline.DeliveryConfirmed, 10*time.Second, 20*time.Second, 30*time.Second)
	push(lead(time.Hour, nil, nil), pipeline.DeliveryUnknown, 20*time.Second, 40*time.Second, 0)
	push(lead(49*time.Hour, nil, nil), pipeline.DeliveryConfirmed, time.Second, 2*time.Second, 3*time.Second)
	lead(time.Hour, nil, nil)
	got, err := w.db.Speed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := func(v float64) *float64 { return &v }
	want := store.Speed{
		Leads: 2, Ready: s(15), Sent: s(30), Accepted: s(30), Dialled: s(40),
		SentIn: []int{0, 0, 1, 1, 0, 0, 0, 0, 0, 0}, DialledIn: []int{0, 0, 0, 1, 0, 0, 0, 0, 0, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("speed (-want +got):\n%s", diff)
	}
	rows, err := w.db.SpeedRows(t.Context(), store.SpeedQuery{Step: "sent", From: 30, To: 60, Limit: 10})
	if err != nil || len(rows) != 1 || *rows[0].Sent != 40 || rows[0].Dialled != nil {
		t.Errorf("leads sent within 30 to 60 s: %v %v", rows, err)
	}
	if rows, err = w.db.SpeedRows(t.Context(), store.SpeedQuery{Limit: 10}); err != nil || len(rows) != 2 {
		t.Errorf("leads pushed: %v %v", rows, err)
	}
}

// TestSpeedOfOddLeads: a lead that was merged is as fast as it was under the id that it was pushed under, and one that was dialled
// before it came to be has no seconds, in either view.
func TestSpeedOfOddLeads(t *testing.T) {
	t.Parallel()
	w := newPushWorld(t)
	w.at(120)
	created := w.db.Now().Add(-time.Hour)
	speed := func(dialled time.Duration) (steps string) {
		t.Helper()
		id, old := uuid.New(), uuid.New()
		mustExec(t, w.db, `insert into pipeline.leads (org_id, lead_id, phones, source, priority, stage_key, content_hash, first_source_time, created_at, updated_at,
			first_dialled_at) values ($1, $2, '{}', 'api', 'normal', 'new_lead', '\x00', $3, $3, $3, $4)`, foldOrg, id, created, created.Add(dialled))
		mustExec(t, w.db, `insert into pipeline.lead_merges (org_id, lead_id, into_lead_id, merged_at) values ($1, $2, $3, $4)`, foldOrg, old, id, created)
		mustExec(t, w.db, `insert into ops.deliveries (id, org_id, account_id, destination, operation, class, lead_id, state, source_time, not_before, created_at,
			sending_at, settled_at, dedupe) values (gen_random_uuid(), $1, 'default', 'dialedin', 'insert_lead', 'rings', $2, 'confirmed', $3, $3, $3::timestamptz + interval '5 s',
			$3::timestamptz + interval '7 s', $3::timestamptz + interval '9 s', gen_random_uuid()::text)`, foldOrg, old, created)
		if err := w.db.Pool.QueryRow(t.Context(), `select concat_ws(' ', s.ready_s, s.sent_s, s.accepted_s, coalesce(s.dialled_s::text, '-'), s.waited_s,
			coalesce(l.speed_to_lead_s::text, '-'), extract(epoch from l.first_pushed_at - l.created_at)::integer)
			from analytics.speed_to_lead s join analytics.leads l using (org_id, lead_id) where s.lead_id = $1`, id).Scan(&steps); err != nil {
			t.Fatal(err)
		}
		return steps
	}
	for dialled, want := range map[time.Duration]string{
		40 * time.Second: "5 7 9 40 40 40 7", -30 * time.Second: "5 7 9 0 0 0 7", -time.Hour: "5 7 9 - 0 - 7",
	} {
		if got := speed(dialled); got != want {
			t.Errorf("dialled %s after it came to be: %q, want %q", dialled, got, want)
		}
	}
}
