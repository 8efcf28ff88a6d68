package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// agentCall is a call of an agent's at a dialler.
func agentCall(dialler pipeline.Source, id, name, email string, n int) foldRecord {
	at := foldStart.Add(time.Duration(n) * time.Minute)
	return foldRecord{dialler, "call " + id, n, pipeline.Facts{Calls: []pipeline.CallFact{{
		Key: pipeline.CallKey{Dialler: dialler, Account: "default", ExternalID: id}, Direction: pipeline.Outbound, StartedAt: at,
		Agent: pipeline.AgentRef{ID: id, Name: name, Email: email},
	}}}}
}

// user has ipSCAPE's list of users tell of one.
func (w *foldWorld) user(id int, first, last, email string) {
	w.t.Helper()
	mustExec(w.t, w.db, `insert into ipscape.users (org_id, account_id, user_id, first_name, last_name, email, observed_at, changed_at)
		values ($1, 'default', $2, $3, $4, $5, $6, $6)`, foldOrg, id, first, last, email, foldStart)
	err := w.db.InTx(w.t.Context(), func(tx pgx.Tx) error {
		_, err := w.db.Land(w.t.Context(), tx, store.Target{Org: foldOrg, Account: "default", Source: pipeline.SourceIPSCAPE, Stream: "users"},
			[]store.LandRecord{{ObjectID: fmt.Sprint(id), Payload: []byte(`{}`), ObservedAt: foldStart}}, store.LandOptions{})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// people lists the agents of each person, and how many names analysts see.
func (w *foldWorld) people() []string {
	w.t.Helper()
	rows, err := w.db.Pool.Query(w.t.Context(), `
		select string_agg(distinct source || ' ' || external_call_id, ', ' order by source || ' ' || external_call_id), count(distinct agent_name)
		from analytics.calls
		group by agent_id`)
	if err != nil {
		w.t.Fatal(err)
	}
	list := []string{}
	var agents string
	var names int
	if _, err := pgx.ForEachRow(rows, []any{&agents, &names}, func() error {
		list = append(list, fmt.Sprintf("%s: %d name", agents, names))
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

// Agents are matched across vendors, by e-mail and then by name, and nobody is guessed, in whatever order they are told.
func TestAgentsAreMatchedAcrossVendors(t *testing.T) {
	t.Parallel()
	want := []string{
		// By e-mail, under several names; by full name with whom it is the only one's; the third dialler likewise.
		"convolo fox, convoso 66, ipscape 301: 1 name",
		// By the e-mail that ipSCAPE's list of users tells.
		"convoso 67, ipscape 302: 1 name",
		// By name alone.
		"convolo lee, ipscape 303: 1 name",
		// Two of one name at one dialler: nobody knows which of them the third is.
		"convoso 70: 1 name", "convoso 71: 1 name", "ipscape 310: 1 name",
		// Two people with one name.
		"convolo roy: 1 name", "convoso 80: 1 name", "convoso 81: 1 name",
		// One whose namesake has an agent at the same dialler already.
		"convoso 90: 1 name", "convoso 91: 1 name",
		// A first name is no name.
		"convoso 95: 1 name", "ipscape 395: 1 name",
		// A mailbox that two names share at a dialler tells nobody apart, elsewhere neither; their full names still do.
		"convoso 96, ipscape 396: 1 name", "convoso 97: 1 name", "convolo sales: 1 name",
		// One person who got a second agent.
		"convoso 98, convoso 99: 1 name",
		// The same where the second agent has no name yet.
		"convoso 100, convoso 101: 1 name",
	}
	slices.Sort(want)
	for seed := range uint64(3) {
		w := newFoldWorld(t)
		tell := []func(){
			func() { w.user(302, "Sam", "Oak", "SAM@birch.example ") },
		}
		for _, r := range []foldRecord{
			agentCall(pipeline.SourceConvoso, "66", "Dana Fox", "dana@birch.example", 1), agentCall(pipeline.SourceIPSCAPE, "301", "Dana  fox", "", 2),
			agentCall(pipeline.SourceConvolo, "fox", "D. Fox", "Dana@Birch.example", 3),
			agentCall(pipeline.SourceConvoso, "67", "Samuel Oak", "sam@birch.example", 4), agentCall(pipeline.SourceIPSCAPE, "302", "Sam Oak", "", 5),
			agentCall(pipeline.SourceIPSCAPE, "303", "Kim Lee", "", 6), agentCall(pipeline.SourceConvolo, "lee", "kim lee", "", 7),
			agentCall(pipeline.SourceConvoso, "70", "Ana Ruiz", "", 8), agentCall(pipeline.SourceConvoso, "71", "Ana Ruiz", "", 9), agentCall(pipeline.SourceIPSCAPE, "310", "Ana Ruiz", "", 10),
			agentCall(pipeline.SourceConvoso, "80", "Ines Roy", "ines@birch.example", 11), agentCall(pipeline.SourceConvoso, "81", "Ines Roy", "roy@birch.example", 12),
			agentCall(pipeline.SourceConvolo, "roy", "Ines Roy", "", 13),
			agentCall(pipeline.SourceConvoso, "90", "Max Elm", "max@birch.example", 14), agentCall(pipeline.SourceConvoso, "91", "Max Elm", "", 15),
			agentCall(pipeline.SourceConvoso, "95", "Bo", "", 16), agentCall(pipeline.SourceIPSCAPE, "395", "Bo", "", 17),
			agentCall(pipeline.SourceConvoso, "96", "Lea Ash", "sales@birch.example", 18), agentCall(pipeline.SourceConvoso, "97", "Tom Yew", "Sales@birch.example", 19),
			agentCall(pipeline.SourceIPSCAPE, "396", "Lea Ash", "", 20), agentCall(pipeline.SourceConvolo, "sales", "Team Sales", "sales@birch.example", 21),
			agentCall(pipeline.SourceConvoso, "98", "Una Fir", "una@birch.example", 22), agentCall(pipeline.SourceConvoso, "99", "Una  Fir", "una@birch.example", 23),
			agentCall(pipeline.SourceConvoso, "100", "Ivy Elk", "ivy@birch.example", 24), agentCall(pipeline.SourceConvoso, "101", "", "ivy@birch.example", 25),
		} {
			tell = append(tell, func() { w.land(r) })
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		rng.Shuffle(len(tell), func(i, j int) { tell[i], tell[j] = tell[j], tell[i] })
		for _, f := range tell {
			f()
			w.drain()
		}
		if diff := cmp.Diff(want, w.people()); diff != "" {
			t.Errorf("seed %d: people (-want +got):\n%s", seed, diff)
		}
		if n := w.number(`select count(*) from analytics.agent_days where calls = 3`); n != 1 {
			t.Errorf("%d people have their calls at three diallers as one day's, want 1", n)
		}
		w.agrees()
		// What somebody spoils a rebuild finds and mends, and the daily upkeep mends too.
		mustExec(t, w.db, `update pipeline.agents set person_id = agent_id, person_name = null where source = 'ipscape'`)
		if _, lines := w.compare(); !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "agents differs person_id") }) {
			t.Errorf("found %q", lines)
		}
		if seed == 0 {
			u := &store.Upkeeper{DB: w.db, Retention: store.Retention{History: time.Hour * 1e5, Inbox: time.Hour * 1e5}}
			if err := u.Upkeep(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.agrees()
		} else if left := w.repair(); len(left) > 0 {
			t.Errorf("left is %q", left)
		}
		if diff := cmp.Diff(want, w.people()); diff != "" {
			t.Errorf("seed %d: people after mending (-want +got):\n%s", seed, diff)
		}
	}
}
