// Package scenario makes small worlds of records, for the tests of the fold: all sources and streams speak of a handful of
// leads, phones and calls, so that whatever the fold has to get right comes about in a few dozen records.
package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/apiwrite"
	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/operator"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// Account is the vendor account of every record.
const Account = "default"

// Start is about when everything happens (UTC).
var Start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// Org is the organisation of every record.
var Org = uuid.MustParse("0191f3a0-0000-7000-8000-00000000f01d")

// Scenario is what the sources say, each observation as it would be landed: payload, source time, and when it was seen.
type Scenario struct {
	Observations []pipeline.Record
}

// New makes the scenario of a seed.
func New(seed uint64) *Scenario {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0x5ce7a210)), convoso: convosoSettings()}
	w.probes()
	probes := len(w.out)
	makers := []func(){
		w.ipscapeLead, w.ipscapeLead, w.ipscapeActivity, w.ipscapeActivity, w.ipscapeAttempt, w.ipscapeRest,
		w.convosoPost, w.convosoPost, w.convosoPost, w.convosoLog, w.convoloCall, w.lendworksLead, w.apiLead, w.apiEvent, w.apiEvent, w.order,
	}
	for range 25 + w.rng.IntN(30) {
		makers[w.rng.IntN(len(makers))]()
	}
	w.lookAgain(probes)
	return &Scenario{w.out}
}

// lookAgain has some of what was read or posted seen once more, earlier or later: an object that changes comes back to what it
// was. Writes come once.
func (w *world) lookAgain(from int) {
	for range (len(w.out) - from) / 3 {
		r := w.out[from+w.rng.IntN(len(w.out)-from)]
		if r.Source != pipeline.SourceAPI && r.Source != pipeline.SourceOperator {
			w.land(r.Source, r.Stream, r.ObjectID, r.Payload, w.seen(), r.SourceTime, r.ZoneAssumed)
		}
	}
}

// Deliver returns the same observations as they might arrive: in any order, some of them several times, in any batches. What is
// seen again is seen at the same time, as when a post or a page is landed twice, and may be spelt with other blanks.
func (s *Scenario) Deliver(rng *rand.Rand) [][]pipeline.Record {
	all := slices.Clone(s.Observations)
	for range rng.IntN(len(all)) {
		again := s.Observations[rng.IntN(len(s.Observations))]
		if rng.IntN(3) == 0 {
			again.Payload = spaced(again.Payload)
		}
		all = append(all, again)
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var batches [][]pipeline.Record
	for len(all) > 0 {
		n := min(len(all), 1+rng.IntN(9))
		batches, all = append(batches, all[:n]), all[n:]
	}
	return batches
}

// spaced is the same JSON in other bytes.
func spaced(payload []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, payload, "", " ") != nil {
		return payload
	}
	return out.Bytes()
}

func ipscapeSettings() ipscape.Settings {
	return ipscape.Settings{Account: Account, Zone: time.FixedZone("", 11*3600), Region: "US"}
}

func convosoSettings() convoso.Settings {
	s, err := convoso.NewSettings(convoso.Config{Account: Account, Region: "US", Zone: time.FixedZone("", -8*3600)})
	must(err)
	return s
}

// Reader returns what reads any record of a scenario, as the daemon does. DialedIn makes no records: its answers are outcomes of
// deliveries.
func Reader() func(*pipeline.Record) (pipeline.Facts, error) {
	dialler, posts := ipscapeSettings(), convosoSettings()
	return func(r *pipeline.Record) (pipeline.Facts, error) {
		switch r.Source {
		case pipeline.SourceIPSCAPE:
			return dialler.Facts(*r)
		case pipeline.SourceConvoso:
			return posts.Facts(*r)
		case pipeline.SourceConvolo:
			return convolo.Settings{Account: Account, Region: "US"}.Facts(*r)
		case pipeline.SourceLendWorks:
			return lendworks.Settings{Account: Account, Region: "US"}.Facts(*r)
		case pipeline.SourceAPI:
			return apiwrite.Settings{Region: "US"}.Facts(r)
		case pipeline.SourceOperator:
			return operator.Facts(r)
		case pipeline.SourceDialedIn:
		}
		return pipeline.Facts{}, fmt.Errorf("scenario has no records of source %s", r.Source)
	}
}

// must is for what the package itself renders: a fault in it is a fault of the package.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// world is a scenario in the making.
type world struct {
	rng     *rand.Rand
	convoso convoso.Settings
	out     []pipeline.Record
	count   int
}

// land adds an observation. Of one object no two versions are seen at once: one answer holds one of them.
func (w *world) land(source pipeline.Source, stream, object string, payload []byte, seen, told time.Time, assumed bool) {
	for slices.ContainsFunc(w.out, func(r pipeline.Record) bool {
		return r.Source == source && r.Stream == stream && r.ObjectID == object && r.ObservedAt.Equal(seen) && !bytes.Equal(r.Payload, payload)
	}) {
		seen = seen.Add(time.Second)
	}
	w.out = append(w.out, pipeline.Record{
		Org: Org, Account: Account, Source: source, Stream: stream, ObjectID: object, Payload: payload, ObservedAt: seen, SourceTime: told, ZoneAssumed: assumed,
	})
}

// seen draws when something is observed: within two hours, to the second, so that some are observed at once.
func (w *world) seen() time.Time { return Start.Add(time.Duration(w.rng.IntN(7200)) * time.Second) }

// about draws a time told by something seen then: mostly some minutes before, now and then ahead, by a clock that goes wrong.
func (w *world) about(seen time.Time) time.Time {
	if w.rng.IntN(8) == 0 {
		return seen.Add(time.Duration(1+w.rng.IntN(3000)) * time.Second)
	}
	return seen.Add(-time.Duration(w.rng.IntN(3600)) * time.Second)
}

// next numbers what has to be told apart.
func (w *world) next() int {
	w.count++
	return w.count
}

func pick[T any](w *world, of ...T) T { return of[w.rng.IntN(len(of))] }

// phone draws one of a few numbers, so that leads share them: the first is nearly everybody's.
func (w *world) phone() string {
	if w.rng.IntN(3) == 0 {
		return "+15035550140"
	}
	return fmt.Sprintf("+1503555014%d", 1+w.rng.IntN(6))
}

func (w *world) city() string {
	return pick(w, "Salem", "Bend", "Eugene", "Astoria")
}
