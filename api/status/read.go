package status

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/walk"
)

const (
	// lagAlarm is the lag of a stream from which on something must be wrong: ten times the usual schedule.
	lagAlarm = 10 * time.Minute
	// webhooksLate is for how long a webhook may be due before something must be wrong.
	webhooksLate = 5 * time.Minute
	// postMinutes is how far back the pace of posts is told.
	postMinutes = 60
	// openBackfills is how many of those that have not ended are told of.
	openBackfills = 20
	// unmappedShown is how many codes without a rule are shown, the commonest first.
	unmappedShown = 10
)

// Read reads it all. lookback is how far the hourly second look of ipSCAPE's streams reaches, rules are those that hold for every
// organisation.
func Read(ctx context.Context, db *store.DB, lookback time.Duration, rules *pipeline.Rules) (*Status, error) {
	s := &Status{
		At: db.Now(), Lookback: lookback, Problems: []Problem{}, Streams: []Stream{}, Deliveries: []Delivery{}, Queues: []Queue{}, Gaps: []Gap{},
		Shapes: []Shape{}, Posts: []PostMinute{}, Unmapped: []Unmapped{}, Drift: []Drift{},
	}
	for _, part := range []func(context.Context, *store.DB) error{
		s.readStreams, s.readDeliveries, s.readGauges, s.readPosts, s.readSpeed, s.readBackfills, s.readDrift,
		func(ctx context.Context, db *store.DB) error { return s.readUnmapped(ctx, db, rules) }, s.readAttention,
	} {
		if err := part(ctx, db); err != nil {
			return nil, err
		}
	}
	s.Well = len(s.Problems) == 0
	return s, nil
}

// wrong adds a problem.
func (s *Status) wrong(text, page, command string) {
	s.Problems = append(s.Problems, Problem{Text: text, Page: page, Command: command})
}

// wrongAsIn adds a problem for which there is no command, with the heading of docs/operations.md that tells of it.
func (s *Status) wrongAsIn(heading, text, page string) {
	s.Problems = append(s.Problems, Problem{Text: text, Page: page, Runbook: heading})
}

func (s *Status) readStreams(ctx context.Context, db *store.DB) error {
	streams, err := db.StreamStates(ctx, db.Pool, uuid.Nil)
	if err != nil {
		return err
	}
	late, err := db.LatenessOfAll(ctx, db.Pool)
	if err != nil {
		return err
	}
	for i := range streams {
		s.addStream(&streams[i], late)
	}
	return nil
}

func (s *Status) addStream(st *store.StreamStatus, late []store.Lateness) {
	line := Stream{
		Source: string(st.Key.Source), Stream: st.Key.Stream, CoveredThrough: when(st.CoveredThrough), LagSeconds: int(st.Lag.Seconds()),
		Holes: st.Holes, LastSuccess: when(st.LastSuccessAt), LastError: st.LastError,
		LastWalk: strings.TrimSpace(st.LastWalkKind + " " + st.LastWalkState), Warning: st.Warning, Sweep: sweepLine(st), State: st,
	}
	for i := range late {
		if l := &late[i]; l.Org == st.Key.Org && l.Account == st.Key.Account && l.Source == st.Key.Source && l.Stream == st.Key.Stream {
			line.Changes, line.Covered = l.Changes(), l.Within(s.Lookback)
		}
	}
	name, page := line.Source+"."+line.Stream, StreamPage(st.Key)
	if st.Key.Account != store.DefaultAccount {
		name += " of account " + st.Key.Account
	}
	again := "trunkline sync " + line.Source + " " + line.Stream + " --wait"
	switch {
	case st.LastError != "":
		s.wrong(name+" fails", page, again)
	case st.CoveredThrough.IsZero() && st.LastSuccessAt.IsZero():
		s.wrong(name+" has not been read yet", page, again)
	case s.lags(st):
		line.Late = true
		s.wrong(fmt.Sprintf("%s lags %s", name, st.Lag.Round(time.Second)), page, again)
	}
	if st.Warning != "" {
		s.wrongAsIn("What vanished at ipSCAPE", name+": "+st.Warning, page)
	}
	if st.Holes > 0 {
		s.wrongAsIn("TrunklineStreamHole", fmt.Sprintf("%s has %s", name, Many(st.Holes, "hole", "holes")), page)
	}
	s.Streams = append(s.Streams, line)
}

// StreamPage is where the status page shows a stream's walks.
func StreamPage(key store.StreamKey) string {
	return "/ui/streams/" + key.Org.String() + "/" + key.Account + "/" + string(key.Source) + "/" + key.Stream
}

// lags tells whether a stream is later than it should be. A list that is read whole is as old as its schedule makes it, so it is
// late when a slot of that has passed without a good end.
func (s *Status) lags(st *store.StreamStatus) bool {
	if st.Capability != string(walk.Snapshot) {
		return st.Lag > lagAlarm
	}
	return !st.DueAt.IsZero() && s.At.Sub(st.DueAt) > lagAlarm
}

// sweepLine says how far the pass over a whole list is, and when the last one ended.
func sweepLine(st *store.StreamStatus) string {
	var parts []string
	if st.Sweep != nil {
		line := "waits"
		if !st.Sweep.StartedAt.IsZero() {
			line = fmt.Sprintf("%s since %s", Many(st.Sweep.Rows, "row", "rows"), when(st.Sweep.StartedAt))
		}
		parts = append(parts, line)
	}
	if !st.SweptAt.IsZero() {
		parts = append(parts, fmt.Sprintf("last ended %s, %s", when(st.SweptAt), Many(st.SweptRows, "row", "rows")))
	}
	return strings.Join(parts, "; ")
}

func (s *Status) readDeliveries(ctx context.Context, db *store.DB) error {
	tally, err := db.DeliveryTally(ctx, db.Pool)
	if err != nil {
		return err
	}
	unknown := map[string]int{}
	for _, n := range tally {
		n.Oldest = n.Oldest.UTC()
		s.Deliveries = append(s.Deliveries, Delivery(n))
		switch pipeline.DeliveryState(n.State) {
		case pipeline.DeliveryReady, pipeline.DeliverySending, pipeline.DeliveryUnknown:
			if n.Operation == pipeline.OperationAddDNC {
				s.Obligations += n.Count
			}
		case pipeline.DeliveryConfirmed, pipeline.DeliveryRejected, pipeline.DeliveryExpired, pipeline.DeliveryCancelled:
		}
		if n.State == string(pipeline.DeliveryUnknown) {
			unknown[n.Destination] += n.Count
		}
	}
	for _, n := range tally { // in their order
		if count := unknown[n.Destination]; count > 0 {
			s.wrong(Many(count, "delivery", "deliveries")+" to "+n.Destination+" with an unknown outcome",
				"/ui/deliveries?state=unknown&destination="+n.Destination, "trunkline deliveries list --state unknown --to "+n.Destination)
			delete(unknown, n.Destination)
		}
	}
	return nil
}

func (s *Status) readGauges(ctx context.Context, db *store.DB) error {
	gauges, err := db.WorkGauges(ctx)
	if err != nil {
		return err
	}
	s.Inbox, s.Unfolded = int(gauges.Inbox), int(gauges.Unfolded)
	if n := int(gauges.CutOff); n > 0 {
		s.wrong(Many(n, "erasure was", "erasures were")+" cut off", "", "trunkline erase")
	}
	for _, j := range gauges.Jobs {
		s.Queues = append(s.Queues, Queue{j.A, j.B, int(j.Count)})
	}
	for _, n := range gauges.Quarantine {
		s.Quarantine += int(n.Count)
	}
	if s.Quarantine > 0 {
		shapes, err := db.QuarantineShapes(ctx, db.Pool)
		if err != nil {
			return err
		}
		for i := range shapes {
			g := &shapes[i]
			s.Shapes = append(s.Shapes, Shape{g.Source, g.Stream, g.Reason, g.Shape, g.Items, g.LastSeenAt, g.Example.String()})
		}
		s.wrong(Many(s.Quarantine, "item", "items")+" in quarantine", "/ui/quarantine", "trunkline quarantine list")
	}
	s.addWebhooks(&gauges.Webhooks)
	return nil
}

// addWebhooks counts endpoints that their owners did not switch off.
func (s *Status) addWebhooks(g *store.WebhookGauges) {
	const page, command = "/ui/webhooks", "trunkline webhooks list"
	s.Webhooks = Webhooks{int(g.Active + g.Failing + g.Disabled), int(g.Failing), int(g.Disabled), int(g.Pending), int(g.Failed)}
	if n := s.Webhooks.Failing; n > 0 {
		s.wrong(Many(n, "webhook endpoint fails", "webhook endpoints fail"), page, command)
	}
	if n := s.Webhooks.Disabled; n > 0 {
		s.wrong(Many(n, "webhook endpoint is", "webhook endpoints are")+" switched off for failing", page, command)
	}
	if late := time.Duration(g.Oldest) * time.Second; late > webhooksLate {
		s.wrong("webhooks are due since "+late.String()+" and nobody sends them", page, command)
	}
}

// readPosts tells of posts that came, and of those that seem to be lost.
func (s *Status) readPosts(ctx context.Context, db *store.DB) error {
	pace, err := db.PostPace(ctx, db.Pool, postMinutes)
	if err != nil {
		return err
	}
	for _, m := range pace {
		s.Posts = append(s.Posts, PostMinute{m.Source, m.Minute.UTC(), m.Posts, m.Bad})
	}
	gaps, err := db.Gaps(ctx, db.Pool)
	if err != nil {
		return err
	}
	calls, hours := 0, 0
	for _, g := range gaps {
		s.Gaps = append(s.Gaps, Gap{g.Source, g.Campaign, g.Kind, when(g.Since), g.Missing})
		if g.Kind == store.GapNoDisposition {
			calls += g.Missing
		} else {
			hours++
		}
	}
	if calls > 0 {
		s.wrongAsIn("Posts that were lost", Many(calls, "call", "calls")+" of convoso without a disposition", "/#posts")
	}
	if hours > 0 {
		s.wrongAsIn("Posts that were lost", fmt.Sprintf("no post of convoso in %s that usually have ten or more", Many(hours, "hour", "hours")), "/#posts")
	}
	return nil
}

func (s *Status) readSpeed(ctx context.Context, db *store.DB) error {
	speed, err := db.Speed(ctx)
	s.Speed = Speed(speed)
	return err
}

func (s *Status) readBackfills(ctx context.Context, db *store.DB) (err error) {
	s.Backfills, err = db.OpenBackfills(ctx, openBackfills)
	return err
}

// readAttention puts what stops everything first.
func (s *Status) readAttention(ctx context.Context, db *store.DB) error {
	a, err := db.Attention(ctx)
	if err != nil {
		return err
	}
	found := s.Problems
	s.Problems = []Problem{}
	if a.Daemons == 0 {
		s.wrong("no daemon is running", "", "trunkline serve")
	}
	for _, t := range a.Accounts {
		if t.Denied {
			s.wrongAsIn("A vendor says no", t.Source+" refuses our credentials", "")
			noneTillAccepted(found, t.Source)
		} else {
			s.wrongAsIn("TrunklineVendorPaused", t.Source+" asked us to wait until "+whenPtr(t.Until), "")
		}
	}
	for _, notice := range a.Notices {
		s.wrongAsIn("The database lost commits", notice, "")
	}
	if a.OpenOptOuts > 0 {
		s.wrong(fmt.Sprintf("%s not confirmed by their diallers, the oldest since %s", Many(a.OpenOptOuts, "opt-out", "opt-outs"), whenPtr(a.OldestOptOut)),
			"/ui/deliveries?state=open&operation="+pipeline.OperationAddDNC, "trunkline deliveries list --state ready")
	}
	s.Daemons, s.BadPosts = a.Daemons, a.BadPosts
	s.Problems = append(s.Problems, found...)
	if a.BadPosts > 0 {
		s.wrong(Many(a.BadPosts, "post", "posts")+" that nobody understood", "/ui/inbox?state=bad", "trunkline inbox list")
	}
	return nil
}

// noneTillAccepted takes away the commands that can do nothing while a source refuses our credentials.
func noneTillAccepted(problems []Problem, source string) {
	for i := range problems {
		if strings.HasPrefix(problems[i].Command, "trunkline sync "+source+" ") {
			problems[i].Command = ""
		}
	}
}

// readUnmapped tells of codes that nobody has said anything of. They are no problem of the daemon's: calls with them are kept, and
// only count under their raw code until an operator maps them.
func (s *Status) readUnmapped(ctx context.Context, db *store.DB, rules *pipeline.Rules) error {
	codes, err := (&store.Reconciler{DB: db, Rules: *rules}).UnmappedCodes(ctx)
	if err != nil {
		return err
	}
	for i := range codes[:min(len(codes), unmappedShown)] {
		c := &codes[i]
		s.Unmapped = append(s.Unmapped, Unmapped{c.Source, c.Code, c.Name, c.Calls})
	}
	return nil
}
