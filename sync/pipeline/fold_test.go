package pipeline

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"pgregory.net/rapid"
)

var morning = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return morning.Add(time.Duration(minutes) * time.Minute) }

// told makes a record told at minute m by source, with a payload of its own.
func told(source Source, stream, id string, m int, f Facts) Told {
	r := Record{
		Source: source, Stream: stream, ObjectID: id, Payload: fmt.Appendf(nil, "%s/%s/%s@%d", source, stream, id, m),
		ObservedAt: at(m), SourceTime: at(m), FirstSeenAt: at(m),
	}
	return TellOf(&r, f)
}

func ipscapeKey(id string) Key { return Key{Kind: KeyIPSCAPELead, Account: "default", Value: id} }
func convosoKey(id string) Key { return Key{Kind: KeyConvosoLead, Account: "default", Value: id} }
func phoneKey(p string) Key    { return Key{Kind: KeyPhone, Value: p} }

func leadFact(fields map[Field]string, keys ...Key) Facts {
	return Facts{Leads: []LeadFact{{Keys: keys, Fields: fields}}}
}

func TestFoldOneLeadOfTwoSourcesByPhone(t *testing.T) {
	t.Parallel()
	got := Fold([]Told{
		told(SourceIPSCAPE, "leads", "7001", 1, leadFact(map[Field]string{FieldContactFirstName: "Ana", FieldCity: "Salem"}, ipscapeKey("7001"), phoneKey("+15032221111"))),
		told(SourceConvoso, "dispositions", "d1", 2, leadFact(map[Field]string{FieldContactFirstName: "Anna"}, convosoKey("48"), phoneKey("+15032221111"))),
	}, Rules{})
	if len(got.Leads) != 1 {
		t.Fatalf("leads = %d, want 1", len(got.Leads))
	}
	l := got.Leads[0]
	if l.Fields[FieldContactFirstName].Value != "Anna" || l.Fields[FieldContactFirstName].Source != SourceConvoso {
		t.Errorf("first name = %+v, want the later word of convoso", l.Fields[FieldContactFirstName])
	}
	if l.Fields[FieldCity].Value != "Salem" {
		t.Errorf("city = %+v: what the later record does not say must stand", l.Fields[FieldCity])
	}
	if !l.CreatedAt.Equal(at(1)) {
		t.Errorf("created = %s, want the earliest source time", l.CreatedAt)
	}
}

func TestFoldPhoneLinksThreeLeadsAtMost(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{2: 1, 3: 1, 4: 4, 20: 20} {
		var in []Told
		for i := range n {
			id := fmt.Sprint(100 + i)
			in = append(in, told(SourceIPSCAPE, "leads", id, i, leadFact(nil, ipscapeKey(id), phoneKey("+15032221111"))))
		}
		if got := len(Fold(in, Rules{}).Leads); got != want {
			t.Errorf("%d leads on one phone fold into %d, want %d", n, got, want)
		}
		if got := len(Fold(in, Rules{Blocked: map[string]bool{"+15032221111": true}}).Leads); got != n {
			t.Errorf("%d leads on a blocked phone fold into %d, want %d", n, got, n)
		}
	}
}

func TestFoldBarePhonePosts(t *testing.T) {
	t.Parallel()
	bare := func(id string, m int) Told {
		return told(SourceConvoso, "lead_updates", id, m, leadFact(map[Field]string{FieldCity: id}, phoneKey("+15032221111")))
	}
	if got := Fold([]Told{bare("a", 1), bare("b", 2)}, Rules{}).Leads; len(got) != 1 || got[0].Fields[FieldCity].Value != "b" {
		t.Errorf("two posts that know only the phone: %+v, want one lead of the later word", got)
	}
	with := []Told{bare("a", 1), bare("b", 2)}
	for i := range 4 {
		id := fmt.Sprint(i)
		with = append(with, told(SourceIPSCAPE, "leads", id, i, leadFact(nil, ipscapeKey(id), phoneKey("+15032221111"))))
	}
	if got := len(Fold(with, Rules{}).Leads); got != 5 {
		t.Errorf("a phone shared by four leads: %d leads, want these four and one of the bare posts", got)
	}
}

func TestFoldEmailNeverMerges(t *testing.T) {
	t.Parallel()
	mail := Key{Kind: KeyEmail, Value: "ana@birchhill.example"}
	got := Fold([]Told{
		told(SourceIPSCAPE, "leads", "1", 1, leadFact(nil, ipscapeKey("1"), mail)),
		told(SourceIPSCAPE, "leads", "2", 2, leadFact(nil, ipscapeKey("2"), mail)),
	}, Rules{})
	if len(got.Leads) != 2 {
		t.Errorf("leads = %d, want 2", len(got.Leads))
	}
}

func TestFoldCall(t *testing.T) {
	t.Parallel()
	key := CallKey{SourceConvoso, "default", "2073"}
	talk := 187
	ref := []Key{convosoKey("48"), phoneKey("+15032221111")}
	in := []Told{
		told(SourceConvoso, "call_events", "s", 1, Facts{Calls: []CallFact{{Key: key, Lead: ref, Direction: Outbound, StartedAt: at(1), Events: []CallEvent{{Type: EventStarted, OccurredAt: at(1)}}}}}),
		told(SourceConvoso, "dispositions", "d", 5, Facts{
			Leads: []LeadFact{{Keys: ref}},
			Calls: []CallFact{{Key: key, Lead: ref, Disposition: "CB", TalkSeconds: &talk, Agent: AgentRef{ID: "66", Name: "Dana"}, Events: []CallEvent{{Type: EventDisposition, OccurredAt: at(5), Disposition: "CB"}}}},
		}),
		told(SourceConvoso, "dispositions", "d2", 9, Facts{Calls: []CallFact{{Key: key, Lead: ref, Disposition: "NI", Events: []CallEvent{{Type: EventDisposition, OccurredAt: at(9), Disposition: "NI"}}}}}),
		told(SourceConvoso, "recordings", "r", 6, Facts{Calls: []CallFact{{Key: key, RecordingURL: "https://r.example/1.mp3"}}}),
	}
	got := Fold(in, Rules{})
	if len(got.Calls) != 1 || len(got.Leads) != 1 {
		t.Fatalf("calls, leads = %d, %d, want 1, 1", len(got.Calls), len(got.Leads))
	}
	c, l := got.Calls[0], got.Leads[0]
	if c.Disposition != "not_interested" || c.DispositionRaw != "NI" || !c.Contacted || *c.TalkSeconds != 187 || c.RecordingURL == "" || c.Agent.Name != "Dana" || c.Lead != 0 || c.LeadRule != "convoso_lead" {
		t.Errorf("call = %+v", c)
	}
	if len(c.Events) != 3 || len(c.Provenance) != 4 {
		t.Errorf("events, provenance = %v, %v, want 3 and 4 entries", c.Events, c.Provenance)
	}
	if l.Stage != StageLost || !l.StageChangedAt.Equal(at(9)) || l.Attempts != 1 || !l.FirstDialledAt.Equal(at(1)) {
		t.Errorf("lead: stage %s since %s, attempts %d, first dialled %s", l.Stage, l.StageChangedAt, l.Attempts, l.FirstDialledAt)
	}
}

func TestFoldRedispositionOfTheSameMoment(t *testing.T) {
	t.Parallel()
	// Convoso tells a redisposition with the date of the call: only the order of arrival says which came last.
	disposition := func(code string, seen int) Told {
		r := Record{Source: SourceConvoso, Stream: "dispositions", ObjectID: code, Payload: []byte(code), SourceTime: at(0), ObservedAt: at(seen), FirstSeenAt: at(seen)}
		ref := []Key{convosoKey("48")}
		return TellOf(&r, Facts{Leads: []LeadFact{{Keys: ref}}, Calls: []CallFact{{
			Key: CallKey{SourceConvoso, "default", "2073"}, Lead: ref, Disposition: code, StartedAt: at(0),
			Events: []CallEvent{{Type: EventDisposition, OccurredAt: at(0), Disposition: code}},
		}}})
	}
	for _, c := range []struct{ first, second, stage, outcome string }{
		{"NI", "CB", StageContacted, "callback"},
		{"CB", "NI", StageLost, "not_interested"},
	} {
		got := Fold([]Told{disposition(c.second, 9), disposition(c.first, 5)}, Rules{})
		if got.Leads[0].Stage != c.stage || got.Calls[0].Disposition != c.outcome {
			t.Errorf("%s then %s: stage %s, disposition %s, want %s, %s", c.first, c.second, got.Leads[0].Stage, got.Calls[0].Disposition, c.stage, c.outcome)
		}
	}
}

func TestFoldDNC(t *testing.T) {
	t.Parallel()
	phone := "+15032221111"
	out := func(id string, m int) Told {
		return told(SourceConvoso, "dnc", id, m, Facts{DNC: []DNCFact{{Phone: phone, Reason: "DNC"}}})
	}
	lift := told(SourceOperator, "lifts", "l1", 10, Facts{DNC: []DNCFact{{Phone: phone, Lift: true}}})

	held := Fold([]Told{out("a", 1)}, Rules{}).DNC
	if len(held) != 1 || !held[0].Active() || held[0].Reason != "DNC" || !held[0].Since.Equal(at(1)) {
		t.Fatalf("an opt-out: %+v", held)
	}
	lifted := Fold([]Told{out("a", 1), lift}, Rules{}).DNC
	if len(lifted) != 1 || lifted[0].Active() || !lifted[0].LiftedAt.Equal(at(10)) {
		t.Fatalf("a lifted opt-out: %+v", lifted)
	}
	late := out("a", 1)
	late.Stamp.ObservedAt = at(30) // the same fact, read again after the lift; first seen at 1 all the same
	if again := Fold([]Told{late, lift}, Rules{}).DNC; again[0].Active() {
		t.Error("a late re-read of a lifted fact brought it back")
	}
	if anew := Fold([]Told{out("a", 1), lift, out("b", 20)}, Rules{}).DNC; !anew[0].Active() || !anew[0].Since.Equal(at(20)) {
		t.Errorf("a new opt-out after a lift: %+v", anew)
	}
}

func TestFoldDNCByLeadOnly(t *testing.T) {
	t.Parallel()
	got := Fold([]Told{
		told(SourceConvoso, "lead_updates", "u", 1, leadFact(nil, convosoKey("48"), phoneKey("+15032221111"))),
		told(SourceConvoso, "dnc", "d", 2, Facts{DNC: []DNCFact{{Lead: []Key{convosoKey("48")}, Reason: "DNCA"}}}),
	}, Rules{})
	if !got.Leads[0].DNC || len(got.DNC) != 1 || got.DNC[0].Phone != "+15032221111" {
		t.Errorf("an opt-out without phone: lead %+v, phones %+v", got.Leads[0].DNC, got.DNC)
	}
}

// TestFoldIgnoresOrder is law 3: shuffled and repeated input gives the same pipeline.
func TestFoldIgnoresOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := drawRecords(t)
		want := Fold(in, Rules{})
		seed := rapid.Uint64().Draw(t, "seed")
		rng := rand.New(rand.NewPCG(seed, 1))
		shuffled := slices.Clone(in)
		for range rapid.IntRange(0, 5).Draw(t, "duplicates") {
			if len(in) > 0 {
				shuffled = append(shuffled, in[rng.IntN(len(in))])
			}
		}
		rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if diff := cmp.Diff(want, Fold(shuffled, Rules{}), cmpopts.IgnoreUnexported(ToldEvent{})); diff != "" {
			t.Fatalf("order changed the pipeline (-want +got):\n%s", diff)
		}
	})
}

// drawRecords draws a world of few leads, phones and calls, so that they meet often.
func drawRecords(t *rapid.T) []Told {
	phones := []string{"+15032221111", "+15032221112", "+15032221113"}
	n := rapid.IntRange(0, 25).Draw(t, "records")
	var in []Told
	for i := range n {
		m := rapid.IntRange(0, 8).Draw(t, "minute")
		var keys []Key
		if rapid.Bool().Draw(t, "ipscape") {
			keys = append(keys, ipscapeKey(fmt.Sprint(rapid.IntRange(1, 6).Draw(t, "lead"))))
		}
		if rapid.Bool().Draw(t, "convoso") {
			keys = append(keys, convosoKey(fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "lead"))))
		}
		if rapid.Bool().Draw(t, "phone") {
			keys = append(keys, phoneKey(rapid.SampledFrom(phones).Draw(t, "number")))
		}
		f := Facts{}
		if rapid.Bool().Draw(t, "tells lead") {
			f.Leads = []LeadFact{{Keys: keys, Fields: map[Field]string{FieldCity: rapid.SampledFrom([]string{"A", "B"}).Draw(t, "city"), FieldCustom: fmt.Sprintf(`{"k%d":1}`, m%3)}}}
		}
		if rapid.Bool().Draw(t, "tells call") {
			f.Calls = []CallFact{{
				Key: CallKey{SourceConvoso, "default", fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "call"))}, Lead: keys,
				Direction: Outbound, Disposition: rapid.SampledFrom([]string{"", "CB", "NI", "NA"}).Draw(t, "code"), StartedAt: at(m),
				Events: []CallEvent{{Type: EventStarted, OccurredAt: at(m)}},
			}}
		}
		if rapid.IntRange(0, 4).Draw(t, "opts out") == 0 {
			f.DNC = []DNCFact{{Phone: rapid.SampledFrom(phones).Draw(t, "number"), Lead: keys, Lift: rapid.Bool().Draw(t, "lift")}}
			if rapid.Bool().Draw(t, "by call alone") {
				f.DNC = []DNCFact{{Call: CallKey{SourceConvoso, "default", fmt.Sprint(rapid.IntRange(1, 4).Draw(t, "call of the opt-out"))}}}
			}
		}
		in = append(in, told(rapid.SampledFrom([]Source{SourceConvoso, SourceIPSCAPE, SourceOperator}).Draw(t, "source"), "s", fmt.Sprint(i), m, f))
	}
	return in
}

func TestStampAssumedZoneLosesToStated(t *testing.T) {
	t.Parallel()
	stated := Stamp{At: at(0)}
	assumed := Stamp{At: at(0).Add(20 * time.Hour), ZoneAssumed: true}
	if assumed.Compare(stated) >= 0 {
		t.Error("an assumed zone 20 h later must lose to a stated one")
	}
	assumed.At = at(0).Add(27 * time.Hour)
	if assumed.Compare(stated) <= 0 {
		t.Error("an assumed zone 27 h later must win: no zone is that far")
	}
}

func TestAssignIDs(t *testing.T) {
	t.Parallel()
	n := byte(0)
	newID := func() uuid.UUID { n++; return uuid.UUID{n} }
	one := func(id string, m int) Told {
		return told(SourceIPSCAPE, "leads", id, m, leadFact(nil, ipscapeKey(id), phoneKey("+15032221111")))
	}
	ledger := map[Key]LedgerEntry{}
	run := func(in []Told, blocked bool) Assignment {
		leads := Fold(in, Rules{Blocked: map[string]bool{"+15032221111": blocked}}).Leads
		var entries []LedgerEntry
		for _, e := range ledger {
			entries = append(entries, e)
		}
		a := AssignIDs(leads, entries, newID)
		for _, e := range a.Ledger {
			ledger[e.Key] = e
		}
		return a
	}
	first := run([]Told{one("1", 1)}, true)
	second := run([]Told{one("2", 2)}, true)
	if first.IDs[0] == second.IDs[0] || !first.New[0] || !second.New[0] {
		t.Fatalf("two leads apart: %v, %v", first, second)
	}
	merged := run([]Told{one("1", 1), one("2", 2)}, false)
	if len(merged.IDs) != 1 || merged.IDs[0] != first.IDs[0] || merged.Merged[second.IDs[0]] != first.IDs[0] {
		t.Fatalf("merged: %+v, want the elder's id", merged)
	}
	grown := run([]Told{one("1", 1), one("2", 2), one("3", 3)}, false)
	if grown.IDs[0] != first.IDs[0] || grown.New[0] {
		t.Fatalf("a new key must take the id its lead has: %+v", grown)
	}
	split := run([]Told{one("1", 1), one("2", 2), one("3", 3)}, true)
	if split.IDs[0] != first.IDs[0] || split.IDs[1] != second.IDs[0] || split.SplitFrom[2] != first.IDs[0] || split.New[2] {
		t.Fatalf("split: %+v, want old ids back and a new one for the key that never had its own", split)
	}
	again := run([]Told{one("1", 1), one("2", 2), one("3", 3)}, true)
	if diff := cmp.Diff(split.IDs, again.IDs); diff != "" || len(again.Ledger) != 0 {
		t.Fatalf("ids moved on a second fold: %s, ledger %v", diff, again.Ledger)
	}
}
