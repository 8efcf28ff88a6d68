package sandbox

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// The receiver's five event types (contract section 4).
const (
	EventDisposition = "disposition"
	EventRecording   = "recording"
	EventCall        = "call_event"
	EventLeadUpdate  = "lead_update"
	EventDNC         = "dnc"
)

// Convoso is one simulated Convoso account: it plans Connect posts and sends them.
type Convoso struct {
	box   *Sandbox
	posts []Post

	mu    sync.Mutex
	next  int
	tries int
	acked []Post
	// logPage bounds an answer of the call log; 0 leaves it to the request.
	logPage int
}

// Post is one planned Connect post.
type Post struct {
	// Seq is the place in the plan, from 0.
	Seq int `json:"seq"`
	// Event is the event type, sent as the query parameter "event", or as the last part of the path when InPath is set.
	Event  string `json:"event"`
	InPath bool   `json:"in_path,omitempty"`
	// State is "started" or "ended" for call events.
	State       string `json:"state,omitempty"`
	ContentType string `json:"content_type"`
	Body        []byte `json:"-"`
	CallID      string `json:"call_id,omitempty"`
	LeadID      string `json:"lead_id"`
	// Phone is the lead's number in E.164, also when the body does not hold it.
	Phone  string `json:"-"`
	Status string `json:"status,omitempty"`
	// OptOut: the post asks for no more calls.
	OptOut bool `json:"opt_out,omitempty"`
	// DuplicateOf is the Seq of the post this one repeats byte by byte, -1 for none.
	DuplicateOf int `json:"duplicate_of"`
	// At is when the fact happened, to the second.
	At time.Time `json:"at"`
}

// ConvosoTruth is what a set of posts says, whatever their order and repetition.
type ConvosoTruth struct {
	// Posts counts posts by event type, repeats included.
	Posts map[string]int `json:"posts"`
	// Facts counts the posts that repeat no other one of the set.
	Facts int `json:"facts"`
	// Calls are the distinct call ids, Leads the distinct Convoso lead ids, OptedOut the distinct phones (E.164) that asked
	// not to be called, those known only through their lead's other posts included. All sorted.
	Calls    []string `json:"calls"`
	Leads    []string `json:"leads"`
	OptedOut []string `json:"opted_out"`
}

func newConvoso(box *Sandbox, start time.Time, people []person) *Convoso {
	return &Convoso{box: box, posts: planPosts(box.opt, start, people)}
}

// Posts is the plan, in the order of sending.
func (c *Convoso) Posts() []Post { return slices.Clone(c.posts) }

// Acked are the posts that the receiver answered 2xx, in the order of their answers. A post sent by PostOne twice is in
// it twice.
func (c *Convoso) Acked() []Post {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.acked)
}

// Tries is how many posts were begun, those without an acknowledgement included.
func (c *Convoso) Tries() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tries
}

// Remaining is the number of planned posts that Post has not taken yet.
func (c *Convoso) Remaining() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.posts) - c.next
}

// TruthOf says what a set of this account's posts amounts to.
func (c *Convoso) TruthOf(posts []Post) ConvosoTruth {
	out := ConvosoTruth{Posts: map[string]int{}}
	calls, leads, phones, bodies := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, p := range posts {
		out.Posts[p.Event]++
		leads[p.LeadID] = true
		if p.CallID != "" {
			calls[p.CallID] = true
		}
		if p.OptOut {
			phones[p.Phone] = true
		}
		bodies[p.Event+" "+string(p.Body)] = true
	}
	out.Facts = len(bodies)
	out.Calls, out.Leads, out.OptedOut = slices.Sorted(maps.Keys(calls)), slices.Sorted(maps.Keys(leads)), slices.Sorted(maps.Keys(phones))
	return out
}
