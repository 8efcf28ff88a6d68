package deliver_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/deliver"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestTooOldExpires(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	lead, phone := r.lead()
	id := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone, ExpiresAt: noon})
	swept := r.order(store.NewDelivery{Operation: "update_lead", LeadID: lead, Phone: phone, ExpiresAt: noon.Add(time.Hour), NotBefore: noon.Add(2 * time.Hour)})
	r.drain(e)
	r.want(id, "expired", "too_old", "", 0)
	r.clock.Advance(time.Hour)
	s, err := e.Sweep(context.Background())
	if err != nil || s.Expired != 1 {
		t.Errorf("swept %+v, %v", s, err)
	}
	r.want(swept, "expired", "too_old", "", 0)
}

// TestRingingAgesWithItsLead: an older record or a merge shows that the lead is older than when it was ordered (law 7).
func TestRingingAgesWithItsLead(t *testing.T) {
	r := newRig(t)
	const age = 6 * time.Hour
	older := func(lead uuid.UUID, by time.Duration) {
		r.exec(`update pipeline.leads set first_source_time = $2 where lead_id = $1`, lead, noon.Add(-by))
	}
	order := func(operation string, expires time.Time) (id, lead uuid.UUID) {
		lead, phone := r.lead()
		return r.order(store.NewDelivery{Operation: operation, LeadID: lead, Phone: phone, SourceTime: noon, ExpiresAt: expires}), lead
	}
	e := r.engine(deliver.Settings{})
	tooOld, lead := order("insert_lead", noon.Add(age))
	older(lead, age)
	young, lead := order("insert_lead", noon.Add(age))
	older(lead, age-time.Second)
	merged, lead := order("insert_lead", noon.Add(age))
	into, _ := r.lead()
	older(into, 30*24*time.Hour)
	r.exec(`insert into pipeline.lead_merges values ($1, $2, $3, now())`, r.org, lead, into)
	r.exec(`delete from pipeline.leads where lead_id = $1`, lead)
	push, lead := order("insert_lead", time.Time{})
	older(lead, 30*24*time.Hour)
	update, lead := order("update_lead", noon.Add(age))
	older(lead, 30*24*time.Hour)
	r.drain(e)
	r.want(tooOld, "expired", "too_old", "", 0)
	r.want(young, "confirmed", "", "", 1)
	r.want(merged, "expired", "too_old", "", 0)
	r.want(push, "confirmed", "", "", 1)
	r.want(update, "confirmed", "", "", 1)
	// A person's order is free of it.
	if err := e.Retry(context.Background(), tooOld); err != nil {
		t.Fatal(err)
	}
	r.drain(e)
	r.want(tooOld, "confirmed", "", "", 1)
}

func TestDoNotCall(t *testing.T) {
	r := newRig(t)
	suppress := `insert into ops.suppressions (org_id, kind, account_id, value, source, stream, object_id, reason, received_at)
		values ($1, $2, $3, $4, 'convoso', 'dnc', 'o', 'DNC', now())`
	for _, tc := range []struct {
		name  string
		apply func(r *rig, lead uuid.UUID, phone string)
		open  bool
		// lifted tells that the diallers are not told any more.
		lifted bool
	}{
		{"phone", func(r *rig, _ uuid.UUID, phone string) {
			r.exec(`insert into pipeline.do_not_call values ($1, $2, 'DNC', 'convoso', now(), null, 'e', now())`, r.org, phone)
		}, false, false},
		{"phone, lifted", func(r *rig, _ uuid.UUID, phone string) {
			r.exec(`insert into pipeline.do_not_call values ($1, $2, 'DNC', 'convoso', now(), now(), 'e', now())`, r.org, phone)
		}, true, true},
		{"phone, lifted, but its lead opted out", func(r *rig, lead uuid.UUID, phone string) {
			r.exec(`insert into pipeline.do_not_call values ($1, $2, 'DNC', 'convoso', now(), now(), 'e', now())`, r.org, phone)
			r.exec(`update pipeline.leads set is_do_not_call = true where lead_id = $1`, lead)
		}, false, false},
		{"phone of another organisation", func(r *rig, _ uuid.UUID, phone string) {
			r.exec(`insert into pipeline.do_not_call values ($1, $2, 'DNC', 'convoso', now(), null, 'e', now())`, uuid.New(), phone)
		}, true, false},
		{"second phone", func(r *rig, lead uuid.UUID, _ string) {
			r.exec(`update pipeline.leads set phones = phones || '+13055550100'::text where lead_id = $1`, lead)
			r.exec(`insert into pipeline.do_not_call values ($1, '+13055550100', 'DNC', 'convoso', now(), null, 'e', now())`, r.org)
		}, false, false},
		{"lead", func(r *rig, lead uuid.UUID, _ string) {
			r.exec(`update pipeline.leads set is_do_not_call = true where lead_id = $1`, lead)
		}, false, false},
		{"suppressed phone", func(r *rig, _ uuid.UUID, phone string) { r.exec(suppress, r.org, "phone", "", phone) }, false, false},
		{"suppressed key", func(r *rig, lead uuid.UUID, _ string) {
			r.exec(`insert into pipeline.lead_keys values ($1, 'convoso_lead', 'default', '9', $2, 'identity', 'e', now())`, r.org, lead)
			r.exec(suppress, r.org, "convoso_lead", "default", "9")
		}, false, false},
		{"suppressed key of another account", func(r *rig, lead uuid.UUID, _ string) {
			r.exec(`insert into pipeline.lead_keys values ($1, 'convoso_lead', 'default', '9', $2, 'identity', 'e', now())`, r.org, lead)
			r.exec(suppress, r.org, "convoso_lead", "other", "9")
		}, true, false},
		{"suppressed by our own id", func(r *rig, lead uuid.UUID, _ string) { r.exec(suppress, r.org, "client_id", "", lead.String()) }, false, false},
		{"folded suppression", func(r *rig, _ uuid.UUID, phone string) {
			r.exec(suppress, r.org, "phone", "", phone)
			r.exec(`update ops.suppressions set folded_at = now()`)
		}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.reset(t)
			lead, phone := r.lead()
			ring := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone})
			update := r.order(store.NewDelivery{Operation: "update_lead", LeadID: lead, Phone: phone})
			tell := r.order(store.NewDelivery{Operation: "dnc_add", LeadID: lead, Phone: phone})
			tc.apply(r, lead, phone)
			r.drain(r.engine(deliver.Settings{}))
			if tc.open {
				r.want(ring, "confirmed", "", "", 1)
				r.want(update, "confirmed", "", "", 1)
			} else {
				r.want(ring, "cancelled", "do_not_call", "", 0)
				r.want(update, "cancelled", "do_not_call", "", 0)
			}
			if tc.lifted {
				r.want(tell, "cancelled", "lifted", "", 0)
			} else {
				r.want(tell, "confirmed", "", "", 1)
			}
		})
	}
}

func TestPhoneAtTheTimeOfSending(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	lead, phone := r.lead()
	id := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone})
	r.exec(`update pipeline.leads set phone_e164 = '+13055550101', phones = array['+13055550101'] where lead_id = $1`, lead)
	none, noPhone := r.lead()
	bad := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: none, Phone: noPhone})
	r.exec(`update pipeline.leads set phone_e164 = null, phones = '{}' where lead_id = $1`, none)
	nobody := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: uuid.New(), Phone: "+13055550102"})
	alone := r.order(store.NewDelivery{Operation: "dnc_add", Phone: "+13055550103"})
	nonsense := r.order(store.NewDelivery{Operation: "dnc_add", Phone: "12"})
	r.drain(e)
	if d := r.want(id, "confirmed", "", "", 1); d.Phone != "+13055550101" {
		t.Errorf("rang %s", d.Phone)
	}
	r.want(bad, "rejected", "no_valid_phone", "", 0)
	r.want(nobody, "cancelled", "lead_gone", "", 0)
	r.want(alone, "confirmed", "", "", 1)
	r.want(nonsense, "rejected", "no_valid_phone", "", 0)
}

// TestCallWindow holds what dials over night, across both changes of the clock in New York.
func TestCallWindow(t *testing.T) {
	r := newRig(t)
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, at, opens string }{
		{"evening", "2026-06-02T21:00:00", "2026-06-03T08:00:00"},
		{"early morning", "2026-06-02T07:59:59", "2026-06-02T08:00:00"},
		{"night of the skipped hour", "2026-03-07T22:00:00", "2026-03-08T08:00:00"},
		{"night of the repeated hour", "2026-10-31T22:00:00", "2026-11-01T08:00:00"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.reset(t)
			e := r.engine(deliver.Settings{})
			at, err1 := time.ParseInLocation("2006-01-02T15:04:05", tc.at, zone)
			opens, err2 := time.ParseInLocation("2006-01-02T15:04:05", tc.opens, zone)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			r.clock.Set(at)
			id, silent := r.push("dial_lead"), r.push("insert_lead")
			r.drain(e)
			d := r.want(id, "ready", "", "call_window", 0)
			if d.NotBefore.Before(opens) || !d.NotBefore.Before(opens.Add(time.Minute)) {
				t.Errorf("held until %s, want within a minute of %s", d.NotBefore, opens.UTC())
			}
			r.want(silent, "confirmed", "", "", 1)
			r.clock.Set(opens.Add(-time.Second))
			r.drain(e)
			r.want(id, "ready", "", "call_window", 0)
			r.clock.Set(opens.Add(time.Minute))
			r.drain(e)
			r.want(id, "confirmed", "", "", 1)
		})
	}
}

func TestUnknownZoneIsStrict(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	lead, _ := r.lead()
	// A toll-free number may ring anywhere from Guam to Newfoundland: at noon in New York somebody sleeps.
	r.exec(`update pipeline.leads set timezone = null, phone_e164 = '+18005550100', phones = array['+18005550100'] where lead_id = $1`, lead)
	id := r.order(store.NewDelivery{Operation: "start_call", LeadID: lead})
	r.drain(e)
	r.want(id, "ready", "", "call_window", 0)
}

func TestUnknownOperationWaits(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	lead, phone := r.lead()
	id := r.order(store.NewDelivery{Operation: "levitate", Class: pipeline.ClassRings, LeadID: lead, Phone: phone})
	r.drain(e)
	r.want(id, "ready", "", "no_operation", 0)
}

func TestRowsClassIsTheStricter(t *testing.T) {
	r := newRig(t)
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown, Reason: "cut"}, nil)
	lead, phone := r.lead()
	id := r.order(store.NewDelivery{Operation: "update_lead", Class: pipeline.ClassRings, LeadID: lead, Phone: phone})
	r.drain(r.engine(deliver.Settings{}))
	r.want(id, "unknown", "cut", "webhook", 1)
}

func TestOnePhoneAtATime(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	first, phone := r.lead()
	second, _ := r.lead()
	r.exec(`update pipeline.leads set phone_e164 = $2, phones = array[$2] where lead_id = $1`, second, phone)
	a := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: first, Phone: phone})
	r.clock.Advance(time.Millisecond)
	b := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: second, Phone: phone})
	r.drain(e)
	r.want(a, "confirmed", "", "", 1)
	r.want(b, "ready", "", "phone_busy", 0)
	r.clock.Advance(4 * time.Minute)
	r.drain(e)
	d := r.want(b, "ready", "", "phone_busy", 0)
	r.clock.Set(d.NotBefore)
	r.drain(e)
	r.want(b, "confirmed", "", "", 1)

	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown}, nil)
	r.clock.Advance(time.Hour)
	c := r.order(store.NewDelivery{Operation: "start_call", LeadID: first, Phone: phone})
	r.drain(e)
	d2 := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: second, Phone: phone})
	r.drain(e)
	r.want(c, "unknown", "unknown", "webhook", 1)
	r.want(d2, "ready", "", "phone_busy", 0)
	r.clock.Advance(time.Hour)
	r.drain(e)
	r.want(d2, "unknown", "unknown", "search", 1)
}

func TestLeadsDeliveriesKeepTheirOrder(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	lead, phone := r.lead()
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeNotSent}, nil)
	insert := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: lead, Phone: phone})
	r.clock.Advance(time.Millisecond)
	update := r.order(store.NewDelivery{Operation: "update_lead", LeadID: lead, Phone: phone})
	tell := r.order(store.NewDelivery{Operation: "dnc_add", LeadID: lead, Phone: phone})
	r.drain(e)
	r.want(insert, "ready", "", "retry", 1)
	r.want(update, "ready", "", "", 0)
	r.want(tell, "ready", "", "retry", 1) // an obligation waits for nobody
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil)
	r.clock.Advance(time.Minute)
	r.drain(e)
	r.want(insert, "confirmed", "", "", 2)
	r.want(update, "confirmed", "", "", 1)
	if a, b := r.get(insert).SettledAt, r.get(update).SendingAt; a.After(b) {
		t.Errorf("update was sent at %s, before the insert was settled at %s", b, a)
	}
}

func TestMergedLead(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	merged, phone := r.lead()
	into, _ := r.lead()
	twin := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: merged, Phone: phone})
	r.exec(`delete from pipeline.leads where lead_id = $1`, merged)
	r.exec(`insert into pipeline.lead_merges values ($1, $2, $3, now())`, r.org, merged, into)
	own := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: into, Phone: phone})
	r.drain(e)
	r.want(twin, "cancelled", "merged", "", 0)
	r.want(own, "confirmed", "", "", 1)
}

// TestLeadThatWasSentUnderAnotherId: a lead that waits is not sent once another one, which was sent, has become part of it, or once
// both have become part of a third; one that was only refused there is. A person's order stands.
func TestLeadThatWasSentUnderAnotherId(t *testing.T) {
	for name, tc := range map[string]struct {
		other, dedupe string
		third         bool
		state         pipeline.DeliveryState
		reason        string
		sent          int
	}{
		"confirmed":             {"confirmed", "", false, "cancelled", "merged", 0},
		"unknown":               {"unknown", "", false, "cancelled", "merged", 0},
		"refused":               {"rejected", "", false, "confirmed", "", 1},
		"into a third":          {"confirmed", "", true, "cancelled", "merged", 0},
		"by hand":               {"confirmed", "operator 1", false, "confirmed", "", 1},
		"by hand, into a third": {"confirmed", "operator 2", true, "confirmed", "", 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			sent, phone := r.lead()
			into, waits := r.lead()
			twin := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: sent, Phone: phone})
			r.exec(`update ops.deliveries set state = $2, hold = case when $2 = 'unknown' then 'person' end, sending_at = $3, settled_at = $3 where id = $1`,
				twin, tc.other, noon.Add(-3*time.Hour))
			id := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: into, Phone: waits, Dedupe: tc.dedupe})
			if tc.third {
				merged := into
				into, _ = r.lead()
				r.exec(`delete from pipeline.leads where lead_id = $1`, merged)
				r.exec(`insert into pipeline.lead_merges values ($1, $2, $3, now())`, r.org, merged, into)
			}
			r.exec(`delete from pipeline.leads where lead_id = $1`, sent)
			r.exec(`insert into pipeline.lead_merges values ($1, $2, $3, now())`, r.org, sent, into)
			r.drain(r.engine(deliver.Settings{}))
			d := r.get(id)
			if d.State != tc.state || d.Reason != tc.reason || r.vendor.Sent(id) != tc.sent {
				t.Errorf("is %s, %q, sent %d times; want %s, %q, %d", d.State, d.Reason, r.vendor.Sent(id), tc.state, tc.reason, tc.sent)
			}
		})
	}
}

// TestSearchGoesByTheIdThatWasSent: a lead that is merged between send and search is still known to the vendor by its old id.
func TestSearchGoesByTheIdThatWasSent(t *testing.T) {
	r := newRig(t)
	e := r.engine(deliver.Settings{})
	merged, phone := r.lead()
	into, _ := r.lead()
	r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown}, nil)
	id := r.order(store.NewDelivery{Operation: "insert_lead", LeadID: merged, Phone: phone})
	r.drain(e)
	r.exec(`delete from pipeline.leads where lead_id = $1`, merged)
	r.exec(`insert into pipeline.lead_merges values ($1, $2, $3, now())`, r.org, merged, into)
	r.vendor.search = func(_ context.Context, v deliver.View) (bool, string, error) {
		return v.Lead.ID == merged.String(), "1", nil
	}
	r.clock.Advance(time.Minute)
	r.drain(e)
	r.want(id, "confirmed", "", "", 1)
}

// TestMergedTwinsOfTheKeyedClass has the same lead ordered for a CRM under two ids, neither of them sent for certain when the ids
// merge: into one another, or both into a third. Only one goes, and it is the one that may be there already.
func TestMergedTwinsOfTheKeyedClass(t *testing.T) {
	for name, tc := range map[string]struct {
		arrived, third bool
	}{
		"into one another":                        {false, false},
		"into a third":                            {false, true},
		"into one another, one may have gone":     {true, false},
		"into a third, the younger may have gone": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			e := r.engine(deliver.Settings{})
			order := func() (lead, id uuid.UUID) {
				lead, phone := r.lead()
				id = r.order(store.NewDelivery{Operation: "crm_lead", LeadID: lead, Phone: phone, Dedupe: "twin " + lead.String()})
				r.clock.Advance(time.Second)
				return lead, id
			}
			var gone, into, sent, other uuid.UUID
			if tc.third {
				into, other = order()
				gone, sent = order()
			} else {
				gone, sent = order()
				into, other = order()
			}
			if tc.arrived {
				r.exec(`update ops.deliveries set not_before = $2 where id = $1`, other, r.clock.Now().Add(time.Hour))
				r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeUnknown}, nil)
				r.drain(e)
				r.want(sent, "ready", "", "retry", 1)
				r.vendor.answers(pipeline.Outcome{State: pipeline.OutcomeConfirmed}, nil)
			}
			if tc.third {
				merged := into
				into, _ = r.lead()
				r.exec(`delete from pipeline.leads where lead_id = $1`, merged)
				r.exec(`insert into pipeline.lead_merges values ($1, $2, $3, now())`, r.org, merged, into)
			}
			r.exec(`delete from pipeline.leads where lead_id = $1`, gone)
			r.exec(`insert into pipeline.lead_merges values ($1, $2, $3, now())`, r.org, gone, into)
			r.exec(`update ops.deliveries set not_before = $1 where state = 'ready'`, r.clock.Now())
			r.drain(e)
			if tc.arrived {
				r.want(sent, "confirmed", "", "", 2)
				r.want(other, "cancelled", "merged", "", 0)
				return
			}
			if a, b := r.get(sent).State, r.get(other).State; r.vendor.Sent(sent)+r.vendor.Sent(other) != 1 || a == b {
				t.Errorf("one is %s and sent %d times, the other is %s and sent %d times; want one of them sent once", a, r.vendor.Sent(sent), b, r.vendor.Sent(other))
			}
		})
	}
}
