package sandbox

import (
	"fmt"
	"sort"
	"time"
)

const (
	// lateFor is how long after a call its wrap-up, recording and survey may be withheld.
	lateFor = 20 * time.Minute
	// lastCalls of the seed lie in the last minutes, so that some of what belongs to them is still to come.
	lastCalls = 3
)

// seedActivities makes the calls and the dialler's attempts, in the order of time.
func (v *IPSCAPE) seedActivities(start time.Time, opt Options) {
	r := newRNG(opt.Seed, "ipscape activities")
	callers := &callSeed{
		v: v, r: r, users: v.Users(), leads: v.Leads(), start: start,
		campaigns: map[int64]Campaign{}, attempt: firstAttempt, media: firstMedia,
	}
	for _, c := range v.Campaigns() {
		callers.campaigns[c.ID] = c
	}
	times := make([]time.Time, opt.Activities)
	for i := range times {
		back := headRoom + time.Duration(r.float()*float64(opt.Span-2*headRoom))
		if i >= opt.Activities-lastCalls {
			back = headRoom + time.Duration(i%lastCalls)*time.Minute
		}
		times[i] = start.Add(-back).Truncate(time.Second)
	}
	sort.Slice(times, func(i, j int) bool { return times[i].Before(times[j]) })
	for i, at := range times {
		callers.call(firstActivity+int64(i), i, at)
	}
	callers.finish()
}

// callSeed is what the calls share while they are made up.
type callSeed struct {
	v         *IPSCAPE
	r         *rng
	users     []User
	leads     []Lead // by creation time
	campaigns map[int64]Campaign
	start     time.Time
	attempt   int64
	media     int64
	previous  Activity
}

func (s *callSeed) call(id int64, i int, at time.Time) {
	known := sort.Search(len(s.leads), func(n int) bool { return s.leads[n].Created.After(at) })
	a := Activity{ID: id, Created: at, RootID: id, RecordingStatus: "enabled", Durations: map[string]int{}}
	if (i%19 == 18 || i%38 == 19) && s.previous.ID != 0 {
		// A transfer: three levels deep where the one before was a transfer as well.
		a.ParentID, a.RootID = s.previous.ID, s.previous.RootID
	}
	switch {
	case i%4 == 3 || known == 0:
		s.inbound(&a)
	default:
		s.outbound(&a, s.r.intN(known))
	}
	s.previous = a
	s.v.AddActivities(a)
	if i%4 == 1 && known > 0 {
		s.unanswered(s.r.intN(known), at)
	}
}

func (s *callSeed) inbound(a *Activity) {
	a.Type = TypeInbound
	c := s.campaigns[21+int64(s.r.intN(2))]
	a.CampaignID, a.CampaignName = c.ID, c.Title
	a.Destination = fmt.Sprintf("+6129000%04d", 1100+c.ID)
	a.Source = "anonymous"
	if len(s.leads) > 0 && s.r.chance(0.8) {
		a.Source = s.leads[s.r.intN(len(s.leads))].Phones[0]
	}
	status := weighted(s.r, activityStatuses)
	a.StatusID, a.StatusName = status.id, status.name
	a.JoinQueue = a.Created.Add(8 * time.Second)
	a.Durations["ivr"], a.Durations["queue"] = 8, s.r.between(1, 90)
	s.talk(a, a.JoinQueue.Add(time.Duration(a.Durations["queue"])*time.Second))
	if a.StatusID != 3 && s.r.chance(0.5) {
		a.Voicemails = []Recording{{MediaID: s.nextMedia(), Duration: s.r.between(5, 60)}}
	}
	if a.StatusID == 3 && s.r.chance(0.5) {
		a.QualityScore = s.r.between(40, 100)
	}
}

func (s *callSeed) outbound(a *Activity, lead int) {
	l := &s.leads[lead]
	a.Type, a.LeadID = TypeOutbound, l.ID
	a.CampaignID, a.CampaignName = l.CampaignID, l.CampaignName
	a.Source, a.Destination, a.Phone, a.PhoneIndex = "+61290001111", l.Phones[0], l.Phones[0], 1
	status := weighted(s.r, activityStatuses)
	dial := dialStatuses[status.id]
	a.StatusID, a.StatusName = status.id, status.name
	a.AttemptID, a.DialStatusID, a.DialStatusName = s.attempt, dial.id, dial.name
	a.Durations["dial"] = s.r.between(4, 30)
	s.talk(a, a.Created.Add(time.Duration(a.Durations["dial"])*time.Second))
	s.v.AddDialAttempts(DialAttempt{
		ID: a.AttemptID, ActivityID: a.ID, ParentID: a.ParentID, RootID: a.RootID, DialStatusID: dial.id, DialStatusName: dial.name, PhoneIndex: 1, Phone: a.Phone,
		LeadID: a.LeadID, CampaignID: a.CampaignID, CampaignName: a.CampaignName, Dialled: a.Created, Answered: a.Answered, HangUp: a.HangUp,
	})
	s.touch(lead, status.id, a.Created)
}

// talk fills what follows once somebody answered, or did not.
func (s *callSeed) talk(a *Activity, answered time.Time) {
	if a.StatusID != 3 {
		a.HangUp = answered.Add(time.Duration(s.r.between(1, 20)) * time.Second)
		return
	}
	agent := s.users[s.r.intN(12)]
	talk := s.r.between(12, 900)
	wrap := weighted(s.r, wrapCodes)
	a.AgentID, a.AgentName, a.InteractionID = agent.ID, agent.FirstName+" "+agent.LastName, a.ID-firstActivity+88_001
	a.Answered = answered
	a.HangUp = answered.Add(time.Duration(talk) * time.Second)
	a.WrapUp = a.HangUp.Add(time.Duration(s.r.between(5, 120)) * time.Second)
	a.WrapCode, a.WrapDescription = wrap.id, wrap.name
	a.Durations["interaction"] = talk
	if a.Type == TypeInbound {
		a.Durations["talk"], a.Durations["hold"], a.Durations["wrap"] = talk, 0, int(a.WrapUp.Sub(a.HangUp)/time.Second)
	}
	a.Recording = &Recording{MediaID: s.nextMedia(), Duration: talk}
	if a.ID%31 == 0 {
		a.Recording.Deleted, a.Recording.DeletedBy = true, agent.ID
		a.Recording.DeletedAt, a.Recording.DeletionReason = a.WrapUp, "Card number read out"
	}
	if s.r.chance(0.2) {
		a.Survey = &Survey{Started: true, Start: a.HangUp, WorkflowID: 5, WorkflowName: "After call"}
	}
	if s.start.Sub(a.Created) < lateFor {
		a.LateUntil = a.Created.Add(lateFor)
	}
}

// unanswered makes an attempt that led to no activity.
func (s *callSeed) unanswered(lead int, at time.Time) {
	l := &s.leads[lead]
	s.v.AddDialAttempts(DialAttempt{
		ID: s.attempt, DialStatusID: 2, DialStatusName: "No Answer", PhoneIndex: 1, Phone: l.Phones[0], LeadID: l.ID,
		CampaignID: l.CampaignID, CampaignName: l.CampaignName, Dialled: at, HangUp: at.Add(25 * time.Second),
	})
	s.touch(lead, 4, at)
}

// touch counts an attempt on its lead.
func (s *callSeed) touch(lead, status int, at time.Time) {
	s.attempt++
	l, last := &s.leads[lead], leadStatuses[status]
	l.TotalAttempts++
	l.LastStatusCode, l.LastStatusDescription = last.id, last.name
	if l.Outcome == nil || l.Outcome.StatusCode != last.id {
		l.Outcome = &Outcome{StatusCode: last.id, Description: last.name}
	}
	l.Outcome.Count++
	l.Modified = at
	l.Completed = l.TotalAttempts >= 8
}

func (s *callSeed) nextMedia() int64 {
	s.media++
	return s.media - 1
}

// finish writes what the calls changed on the leads.
func (s *callSeed) finish() { s.v.AddLeads(s.leads...) }
