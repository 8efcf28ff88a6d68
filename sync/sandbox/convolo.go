package sandbox

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Convolo is one simulated Convolo widget: each accepted request is one phone call.
type Convolo struct {
	box *Sandbox

	// delivering lets one delivery of webhooks run at a time.
	delivering sync.Mutex

	mu      sync.Mutex
	calls   []ConvoloCall
	refs    map[string]int
	webhook string
	pending []ConvoloWebhook
	sent    []ConvoloWebhook
	wake    chan struct{}
}

// ConvoloCall is one call the widget started.
type ConvoloCall struct {
	// ID is the vendor's call id, 32 hexadecimal digits.
	ID string `json:"id"`
	// Ref is the custom parameter "ref", our own reference.
	Ref string `json:"ref"`
	// Phone is the lead's number as it was sent; Second the optional other one.
	Phone  string    `json:"phone"`
	Second string    `json:"second,omitempty"`
	Time   time.Time `json:"time"`
	// Status is how the call ended: answered, no_answer or missed.
	Status string `json:"status"`
	// Params are the custom parameters, names in lower case without their prefix.
	Params map[string]string `json:"params"`
	// Delayed: the call was postponed.
	Delayed bool `json:"delayed"`
}

func newConvolo(box *Sandbox) *Convolo {
	return &Convolo{box: box, refs: map[string]int{}, wake: make(chan struct{}, 1)}
}

// Calls are the calls started so far, in order.
func (c *Convolo) Calls() []ConvoloCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := slices.Clone(c.calls)
	for i := range out {
		out[i].Params = maps.Clone(out[i].Params)
	}
	return out
}

// RingsByRef counts the calls started by our reference. More than one is a person called twice.
func (c *Convolo) RingsByRef() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.refs)
}

// start records one accepted request and makes the webhooks that follow from it.
func (c *Convolo) start(phone, second string, params map[string]string) ConvoloCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.calls)
	// The outcome belongs to the reference, so that it does not depend on the order in which requests arrive.
	r := newRNG(c.box.opt.Seed, "convolo "+params["ref"]+" "+phone)
	call := ConvoloCall{
		ID:  newRNG(c.box.opt.Seed+uint64(n), "convolo call").text(hexDigits, 32),
		Ref: params["ref"], Phone: phone, Second: second, Time: c.box.now(), Params: params,
		Status: weighted(r, []code{{0, "answered", 11}, {0, "no_answer", 5}, {0, "missed", 4}}).name,
	}
	c.calls = append(c.calls, call)
	c.refs[call.Ref]++
	c.pending = append(c.pending, c.webhooks(n, call, r)...)
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return call
}

// custom takes the custom parameters out of a request, names in lower case and without prefix.
func custom(values map[string]string) map[string]string {
	out := map[string]string{}
	for name, value := range values {
		if rest, found := strings.CutPrefix(strings.ToLower(name), convoloPrefix); found {
			out[rest] = value
		}
	}
	return out
}
