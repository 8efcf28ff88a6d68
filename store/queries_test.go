package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/docs/queries"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// monday is when the sample queries are asked: ten in the morning in New York, on the day after its clocks went forward. Last
// week therefore began at 05:00 UTC and ended at 04:00.
const monday = "2026-03-09T14:00:00Z"

// answers are what the queries come to in the world of newMonday, each row as JSON.
func answers() map[string][]string {
	return map[string][]string{
		"contact_rate_by_hour": {
			`{"campaign":"(none)","local_hour":23,"calls":1,"contacts":1,"contact_rate_pct":100.0}`,
			`{"campaign":"MCA","local_hour":9,"calls":1,"contacts":0,"contact_rate_pct":0.0}`,
			`{"campaign":"MCA","local_hour":10,"calls":2,"contacts":2,"contact_rate_pct":100.0}`,
		},
		"speed_to_lead_by_source": {
			`{"source":"referral","leads":1,"within_5_min":0,"within_5_min_pct":0.0,"median_s":null,"open":1,"longest_open_s":338400}`,
			`{"source":"web_form","leads":3,"within_5_min":1,"within_5_min_pct":33.3,"median_s":600,"open":1,"longest_open_s":180000}`,
		},
		"attempts_before_contact": {
			`{"attempt":1,"leads":1,"reached_so_far_pct":33.3}`,
			`{"attempt":2,"leads":2,"reached_so_far_pct":100.0}`,
		},
		"agent_day": {
			`{"agent_name":"Dana","calls":1,"contacts":0,"contact_rate_pct":0.0,"talk_min":0.0,"dispositions":0,"first_call":"14:00","last_call":"14:00"}`,
			`{"agent_name":"Ines","calls":1,"contacts":1,"contact_rate_pct":100.0,"talk_min":1.5,"dispositions":1,"first_call":"23:30","last_call":"23:30"}`,
		},
		"opt_outs_by_source": {
			`{"source":"convoso","reason":"DNC","phones":2,"first_day":"2026-03-06","last_day":"2026-03-08"}`,
			`{"source":"operator","reason":"asked","phones":1,"first_day":"2026-03-03","last_day":"2026-03-03"}`,
		},
		"cost_of_late_pushes": {
			`{"pushed":"1 within a minute","leads":1,"answered":1,"answered_pct":100.0,"answers_lost":0.0}`,
			`{"pushed":"3 within an hour","leads":2,"answered":1,"answered_pct":50.0,"answers_lost":1.0}`,
			`{"pushed":"5 never","leads":1,"answered":0,"answered_pct":0.0,"answers_lost":1.0}`,
		},
		"freshness": {
			`{"source":"ipscape","stream":"users","complete_through":"2026-03-09T13:00:00+00:00","behind_s":3600,"holes":0,"fails":true}`,
			`{"source":"ipscape","stream":"activities","complete_through":"2026-03-09T13:50:00+00:00","behind_s":600,"holes":0,"fails":false}`,
		},
		"outcomes_week_over_week": {
			`{"disposition":"callback","week_before":1,"last_week":1,"change_pct":0.0}`,
			`{"disposition":"interested","week_before":0,"last_week":1,"change_pct":null}`,
			`{"disposition":"no_answer","week_before":2,"last_week":1,"change_pct":-50.0}`,
			`{"disposition":"not_interested","week_before":0,"last_week":1,"change_pct":null}`,
		},
		"untouched_leads": {
			`{"source":"referral","priority":"normal","leads":1,"never_pushed":1,"oldest_day":"2026-03-05"}`,
			`{"source":"web_form","priority":"normal","leads":1,"never_pushed":0,"oldest_day":"2026-03-07"}`,
		},
		"broken_callbacks": {
			`{"agent":"Dana","leads":1,"oldest_day":"2026-03-03"}`,
		},
	}
}

// TestSampleQueries runs each file of docs/queries, as an analyst, on a pipeline whose answers are known.
func TestSampleQueries(t *testing.T) {
	t.Parallel()
	all, err := queries.All()
	if err != nil {
		t.Fatal(err)
	}
	want := answers()
	if len(all) != len(want) {
		t.Errorf("%d queries, %d answers", len(all), len(want))
	}
	w := newMonday(t)
	conn, err := w.db.Pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), `set role trunkline_analyst; set timezone = 'UTC'`); err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		// The comments may speak of now() as well.
		sql := strings.ReplaceAll(strings.TrimSuffix(strings.TrimSpace(q.SQL), ";"), "now()", "timestamptz '"+monday+"'")
		rows, err := conn.Query(t.Context(), `select row_to_json(q)::text from (`+sql+`) q`)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Errorf("%s: %v", q.Name, err)
			continue
		}
		if diff := cmp.Diff(want[q.Name], got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", q.Name, diff)
		}
	}
}

// utc reads a time of 2026, such as 03-02 14:00.
func utc(text string) time.Time {
	at, err := time.Parse("2006-01-02 15:04", "2026-"+text)
	if err != nil {
		panic(err)
	}
	return at
}

// newMonday is two weeks of a small sales floor, folded from records.
func newMonday(t *testing.T) *foldWorld {
	t.Helper()
	w := newFoldWorld(t)
	mustExec(t, w.db, fmt.Sprintf(`insert into ops.organisations (org_id, name, is_default, created_at) values ('%s', 'Birch', true, now())`, foldOrg))
	if err := w.db.SetTimezone(t.Context(), "America/New_York"); err != nil {
		t.Fatal(err)
	}
	record := func(source pipeline.Source, object, at string, f pipeline.Facts) {
		w.land(foldRecord{source, object, int(utc(at).Sub(foldStart).Minutes()), f})
	}
	phone := func(lead int) pipeline.Key { return foldPhone(fmt.Sprintf("+1503222110%d", lead)) }
	key := func(lead int) pipeline.Key {
		return pipeline.Key{Kind: pipeline.KeyConvosoLead, Account: "default", Value: fmt.Sprint(lead)}
	}
	for _, l := range []struct {
		id            int
		source, since string
	}{
		{1, "web_form", "03-02 14:00"},
		{2, "web_form", "03-04 15:00"},
		{3, "referral", "03-05 16:00"},
		{4, "referral", "03-06 16:00"},
		{5, "web_form", "03-07 12:00"},
		{6, "web_form", "02-25 12:00"},
		{7, "web_form", "02-25 13:00"},
		{8, "web_form", "02-20 12:00"},
	} {
		record(pipeline.SourceConvoso, fmt.Sprint("lead ", l.id), l.since, pipeline.Facts{Leads: []pipeline.LeadFact{{
			Keys: []pipeline.Key{key(l.id), phone(l.id)}, Fields: map[pipeline.Field]string{pipeline.FieldSource: l.source}, CreatedAt: utc(l.since),
		}}})
	}
	for i, c := range []struct {
		lead                      int
		at, campaign, agent, code string
	}{
		{1, "03-02 14:02", "MCA", "Dana", "NA"},
		{1, "03-03 15:00", "MCA", "Dana", "CB"},
		{2, "03-04 15:10", "MCA", "Ines", "SALE"},
		{6, "02-26 15:00", "MCA", "Ines", "NA"},
		{6, "03-09 03:30", "", "Ines", "NI"}, // Sunday night in New York
		{7, "03-09 04:30", "MCA", "Ines", "NI"},
		{8, "02-24 15:00", "MCA", "Ines", "CB"},
		{8, "02-25 15:00", "MCA", "Ines", "NA"},
	} {
		f := pipeline.CallFact{
			Key:  pipeline.CallKey{Dialler: pipeline.SourceConvoso, Account: "default", ExternalID: fmt.Sprint(i)},
			Lead: []pipeline.Key{key(c.lead)}, Direction: pipeline.Outbound, Campaign: c.campaign, Agent: pipeline.AgentRef{ID: c.agent, Name: c.agent},
			StartedAt: utc(c.at), Disposition: c.code,
		}
		if c.code != "NA" {
			talk := 90
			f.AnsweredAt, f.TalkSeconds = f.StartedAt.Add(10*time.Second), &talk
		}
		record(pipeline.SourceConvoso, fmt.Sprint("call ", i), c.at, pipeline.Facts{Calls: []pipeline.CallFact{f}})
	}
	// One that rang in vain, of nobody known.
	record(pipeline.SourceConvoso, "call in", "03-08 18:00", pipeline.Facts{Calls: []pipeline.CallFact{{
		Key:       pipeline.CallKey{Dialler: pipeline.SourceConvoso, Account: "default", ExternalID: "in"},
		Direction: pipeline.Inbound, StartedAt: utc("03-08 18:00"), Agent: pipeline.AgentRef{ID: "Dana", Name: "Dana"},
	}}})
	for i, o := range []struct {
		source            pipeline.Source
		phone, at, reason string
	}{
		{pipeline.SourceConvoso, phone(4).Value, "03-06 17:00", "DNC"},
		{pipeline.SourceConvoso, "+15032221120", "03-09 03:59", "DNC"},
		{pipeline.SourceConvoso, "+15032221121", "03-09 04:01", "DNC"},
		{pipeline.SourceConvoso, "+15032221122", "03-04 12:00", "DNC"},
		{pipeline.SourceOperator, "+15032221122", "03-05 12:00", ""}, // lifts it
		{pipeline.SourceOperator, "+15032221123", "03-03 12:00", "asked"},
	} {
		record(o.source, fmt.Sprint("opt-out ", i), o.at, pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: o.phone, Reason: o.reason, Since: utc(o.at), Lift: o.reason == ""}}})
	}
	w.drain()
	for _, d := range []struct {
		lead int
		sent time.Duration
	}{{1, 30 * time.Second}, {2, 20 * time.Minute}, {3, 0}, {5, 10 * time.Minute}} {
		mustExec(t, w.db, fmt.Sprintf(`
			insert into ops.deliveries (id, org_id, account_id, destination, operation, class, lead_id, state, source_time, not_before, created_at, sending_at, dedupe)
			select gen_random_uuid(), l.org_id, 'default', 'dialedin', 'insert_lead', 'rings', l.lead_id, case when %[2]d > 0 then 'confirmed' else 'expired' end,
			  l.created_at, l.created_at, l.created_at, case when %[2]d > 0 then l.created_at + make_interval(secs => %[2]d) end, 'test'||l.lead_id
			from pipeline.lead_keys k join pipeline.leads l using (org_id, lead_id)
			where k.kind = 'convoso_lead' and k.value = '%[1]d'`, d.lead, int(d.sent.Seconds())))
	}
	mustExec(t, w.db, fmt.Sprintf(`
		insert into ops.streams (org_id, account_id, source, stream, capability, covered, origin, last_success_at, last_error)
		values ('%[1]s', 'default', 'ipscape', 'activities', 'created', '{[2026-03-02 00:00Z,2026-03-09 13:50Z)}', '2026-03-02 00:00Z', '2026-03-09 13:51Z', null),
		  ('%[1]s', 'default', 'ipscape', 'users', 'snapshot', '{}', '2026-03-02 00:00Z', '2026-03-09 13:00Z', 'timeout')`, foldOrg))
	return w
}

// A zone that Postgres does not know is refused, and the one there was stays.
func TestSetTimezoneRefusesWhatPostgresDoesNotKnow(t *testing.T) {
	t.Parallel()
	w := newFoldWorld(t)
	if _, err := w.db.EnsureDefault(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := w.db.SetTimezone(t.Context(), "Australia/Sydney"); err != nil {
		t.Fatal(err)
	}
	if err := w.db.SetTimezone(t.Context(), "Mars/Olympus"); err == nil {
		t.Error("Mars/Olympus was taken")
	}
	other, err := w.db.CreateOrganisation(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	if n := w.number(`select count(*) from analytics.organisations where timezone = 'Australia/Sydney'`); n != 2 {
		t.Errorf("%d organisations have the zone, want the default and %s", n, other.ID)
	}
}
