package sandbox

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

const (
	// postsPerLead is roughly how many posts one Convoso lead brings forth.
	postsPerLead = 6
	firstCallLog = 2_073_617_401
	firstConvoso = 48_213_377
	// callsApart bounds the time between two planned calls; the plan ends shortly before Now.
	callsApart = 40 * time.Second
	// longestCall leaves room for the last call's own posts.
	longestCall = 8 * time.Minute
)

var (
	dispositions   = []string{"CB", "NI", "NA", "SALE", "A", "B", "WRONG", "NI", "CB"}
	convosoAgents  = []struct{ id, name, email string }{{"66318", "Dana O'Neil", "dana@brokerage.example"}, {"66319", "Ravi Menon", "ravi@brokerage.example"}, {"66322", "Chloé Tan", "chloe@brokerage.example"}}
	agentComments  = []string{"", "Call back 3 pm & send docs, wants 60k", "Left a message", "100% sure next month; asked for rate = 9%", "Asked for an e-mail"}
	convosoReasons = []string{"AGENT", "CALLER", "AGENT"}
)

// convosoLeadCount is how many Convoso leads a plan of so many posts may need.
func convosoLeadCount(posts int) int { return posts/postsPerLead + 2 }

// planner makes up the calls of a plan one after the other.
type planner struct {
	r     *rng
	zone  *time.Location
	posts []Post
	calls int
}

// planPosts makes exactly opt.Posts posts: calls with their events, dispositions, recordings, lead updates and
// do-not-call requests, slightly out of order, some repeated.
func planPosts(opt Options, start time.Time, people []person) []Post {
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		zone = time.UTC // cannot happen: the zone database is linked in
	}
	p := &planner{r: newRNG(opt.Seed, "convoso"), zone: zone}
	leads := convosoPeople(opt, people)
	at := start.Add(-time.Duration(opt.Posts/3+2) * callsApart).Add(-longestCall)
	for len(p.posts) < opt.Posts {
		who := p.calls % len(leads)
		p.call(leads[who], strconv.Itoa(firstConvoso+who*7), at)
		at = at.Add(time.Duration(p.r.between(5, int(callsApart/time.Second))) * time.Second)
	}
	plan := p.posts[:opt.Posts]
	p.shuffle(plan)
	for i := range plan {
		plan[i].Seq = i
	}
	// A repeat follows its original, also after the shuffle; DuplicateOf can only be named now.
	first := map[string]int{}
	for i := range plan {
		key := plan[i].Event + " " + string(plan[i].Body)
		if seq, seen := first[key]; seen {
			plan[i].DuplicateOf = seq
			continue
		}
		first[key] = i
		plan[i].DuplicateOf = -1
	}
	return plan
}

// convosoPeople are the borrowers Convoso knows: every other one is an ipSCAPE lead too, of the young ones and the old in
// turn, the rest are known to Convoso alone. Only American numbers are dialled.
func convosoPeople(opt Options, people []person) []person {
	count := convosoLeadCount(opt.Posts)
	own := people[opt.Leads:]
	shared := slices.DeleteFunc(slices.Clone(people[:opt.Leads]), func(p person) bool { return p.australian })
	out := make([]person, 0, count)
	for i := range count {
		switch {
		case i%2 == 0 && i/2 < len(shared)/2 && i%4 == 0:
			out = append(out, shared[len(shared)-1-i/4])
		case i%2 == 0 && i/2 < len(shared)/2:
			out = append(out, shared[i/4])
		default:
			out = append(out, own[i])
		}
	}
	return out
}

// shuffle moves posts a few places, never far.
func (p *planner) shuffle(plan []Post) {
	for i := range plan {
		if !p.r.chance(0.25) {
			continue
		}
		j := min(i+p.r.intN(4), len(plan)-1)
		plan[i], plan[j] = plan[j], plan[i]
	}
}

// call plans the posts of one call.
func (p *planner) call(who person, leadID string, at time.Time) {
	n := p.calls
	p.calls++
	c := &plannedCall{person: who, leadID: leadID, id: strconv.Itoa(firstCallLog + n*3), at: at, r: p.r, zone: p.zone, n: n}
	c.agent = pick(p.r, convosoAgents)
	c.talk = p.r.between(5, 400)
	c.code = pick(p.r, dispositions)
	if n%9 == 5 || n%20 == 4 {
		// The second kind falls on a borrower who is a young lead of ipSCAPE's as well.
		c.code = "DNC"
	}
	started := c.event(EventCall, "started", "INCALL", 0)
	p.posts = append(p.posts, started)
	if n%8 == 3 {
		p.posts = append(p.posts, started)
	}
	p.posts = append(p.posts, c.event(EventDisposition, "", c.code, 0), c.event(EventCall, "ended", "", c.talk))
	if n%9 == 1 {
		p.posts = append(p.posts, c.dnc(n%18 == 10))
	}
	if n%2 == 0 {
		p.posts = append(p.posts, c.event(EventRecording, "", "", 0))
	}
	if n%3 == 0 {
		p.posts = append(p.posts, c.leadUpdate())
	}
	if n%10 == 6 {
		// A redisposition: the same call, another code, a minute later.
		c.at = c.at.Add(time.Minute)
		p.posts = append(p.posts, c.event(EventDisposition, "", "SALE", 0))
	}
	if n%6 == 2 {
		p.posts = append(p.posts, p.posts[len(p.posts)-2])
	}
}

// plannedCall is one call about which posts are made.
type plannedCall struct {
	person
	leadID, id, code string
	agent            struct{ id, name, email string }
	at               time.Time
	talk, n          int
	zone             *time.Location
	r                *rng
}

func (c *plannedCall) post(event string, at time.Time, fields []field) Post {
	encoded := encodeJSON
	kind := "application/json"
	if (c.n+len(fields))%2 == 0 {
		encoded, kind = encodeForm, "application/x-www-form-urlencoded"
	}
	return Post{
		Event: event, InPath: c.n%12 == 7, ContentType: kind, Body: encoded(fields), CallID: c.id, LeadID: c.leadID, Phone: c.phone, At: at,
		Status: valueOf(fields, "status"),
	}
}

// date writes a time the way an adaptor may: local and without a zone, or in Unix seconds.
func (c *plannedCall) date(at time.Time) string {
	if c.n%5 == 2 {
		return strconv.FormatInt(at.Unix(), 10)
	}
	return at.In(c.zone).Format("2006-01-02 15:04:05")
}

func (c *plannedCall) event(event, state, status string, after int) Post {
	at := c.at.Add(time.Duration(after) * time.Second)
	fields := []field{
		{"call_log_id", c.id},
		{"lead_id", c.leadID},
		{"phone_number", c.national()},
		{"phone_code", "1"},
		{"user_id", c.agent.id},
		{"call_date", c.date(at)},
	}
	if event != EventRecording {
		fields = append(fields, field{"agent_full_name", c.agent.name}, field{"agent_email", c.agent.email}, field{"campaign_id", "3475"},
			field{"campaign_name", "Funding Q3"}, field{"call_type", "OUTBOUND"}, field{"status", status})
	}
	switch {
	case event == EventDisposition:
		fields = append(fields, field{"first_name", c.first}, field{"last_name", c.last}, field{"list_id", "10855"},
			field{"length_in_sec", strconv.Itoa(c.talk)}, field{"term_reason", "AGENT"}, field{"agent_comment", agentComments[c.n%len(agentComments)]})
	case event == EventRecording:
		fields = append(fields, field{"length_in_sec", strconv.Itoa(c.talk)},
			field{"recording", fmt.Sprintf("https://recordings.dialer.example/%s.mp3?x=1&y=%d", c.id, c.n)})
	case state == "ended":
		fields = append(fields, field{"term_reason", convosoReasons[c.n%len(convosoReasons)]}, field{"length_in_sec", strconv.Itoa(c.talk)})
	}
	p := c.post(event, at, fields)
	p.State = state
	p.OptOut = event == EventDisposition && status == "DNC"
	return p
}

// dnc asks for no more calls; without a phone only the lead id says whom.
func (c *plannedCall) dnc(withoutPhone bool) Post {
	at := c.at.Add(time.Duration(c.talk+5) * time.Second)
	fields := []field{
		{"lead_id", c.leadID},
		{"status", "DNC"},
		{"user_id", c.agent.id},
		{"call_log_id", c.id},
		{"campaign_id", "3475"},
		{"agent_comment", "Asked to be removed"},
		{"call_date", strconv.FormatInt(at.Unix(), 10)},
	}
	if !withoutPhone {
		fields = append(fields, field{"phone_number", c.national()}, field{"phone_code", "1"})
	}
	p := c.post(EventDNC, at, fields)
	p.OptOut = true
	return p
}

func (c *plannedCall) leadUpdate() Post {
	at := c.at.Add(time.Duration(c.talk+10) * time.Second)
	p := c.post(EventLeadUpdate, at, []field{
		{"id", c.leadID},
		{"phone_number", c.national()},
		{"phone_code", "1"},
		{"email", c.email},
		{"first_name", c.first},
		{"last_name", c.last},
		{"business_name", c.business},
		{"industry", c.industry},
		{"city", c.city},
		{"state", c.state},
		{"postal_code", c.zip},
		{"monthly_revenue", fmt.Sprintf("%d.00", 100*c.r.between(40, 900))},
		{"owner_id", ""},
		{"modified_at", at.In(c.zone).Format("01/02/2006 15:04:05")},
	})
	p.CallID = ""
	return p
}
