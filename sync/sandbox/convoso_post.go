package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// postPause is the first wait before an unanswered post is sent again; it doubles up to postPauseMax.
	postPause    = 50 * time.Millisecond
	postPauseMax = 2 * time.Second
	// postTries bounds the repeats of one post; with the pauses it comes to some two minutes.
	postTries = 64
	// OpPost is the operation under which Convoso's own posts take faults.
	OpPost = "post"
)

// field is one mapped field of an adaptor, in the customer's order.
type field struct{ name, value string }

func valueOf(fields []field, name string) string {
	for _, f := range fields {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

func encodeForm(fields []field) []byte {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = url.QueryEscape(f.name) + "=" + url.QueryEscape(f.value)
	}
	return []byte(strings.Join(parts, "&"))
}

func encodeJSON(fields []field) []byte {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, f := range fields {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(marshal(f.name))
		out.WriteByte(':')
		out.Write(marshal(f.value))
	}
	out.WriteByte('}')
	return out.Bytes()
}

// Post sends the next n planned posts to the receiver at base ("http://host:port"), in order, or all that are left when
// no n is given. A post that gets no answer, 429 or a 5xx is sent again until the context ends; another answer outside
// 2xx is an error, and the remaining posts still go out.
func (c *Convoso) Post(ctx context.Context, client *http.Client, base string, n ...int) error {
	return c.PostParallel(ctx, client, base, 1, n...)
}

// PostParallel is Post with several posts under way at once; they still begin in the plan's order.
func (c *Convoso) PostParallel(ctx context.Context, client *http.Client, base string, workers int, n ...int) error {
	batch := c.take(n...)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
		jobs = make(chan Post)
	)
	for range max(workers, 1) {
		wg.Go(func() {
			for p := range jobs {
				if err := c.PostOne(ctx, client, base, p); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, p := range batch {
		jobs <- p
	}
	close(jobs)
	wg.Wait()
	return errors.Join(errs...)
}

func (c *Convoso) take(n ...int) []Post {
	c.mu.Lock()
	defer c.mu.Unlock()
	count := len(c.posts) - c.next
	if len(n) > 0 {
		count = min(max(n[0], 0), count)
	}
	batch := c.posts[c.next : c.next+count]
	c.next += count
	return batch
}

// PostOne sends one post, planned or made up, until it is acknowledged, as Post does.
func (c *Convoso) PostOne(ctx context.Context, client *http.Client, base string, p Post) error {
	pause := postPause
	for try := 1; ; try++ {
		err := c.once(ctx, client, base, p)
		var refused *statusError
		switch {
		case err == nil:
			c.mu.Lock()
			c.acked = append(c.acked, p)
			c.mu.Unlock()
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("convoso post %d (%s): %w", p.Seq, p.Event, ctx.Err())
		case try == postTries, errors.As(err, &refused) && refused.status < 500 && refused.status != http.StatusTooManyRequests:
			return fmt.Errorf("convoso post %d (%s): %w", p.Seq, p.Event, err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, postPauseMax)
	}
}

// once sends a post one time. Two faults concern it: cut_before, where it is not sent at all, and cut_after, where the
// answer is not looked at, so that it comes a second time.
func (c *Convoso) once(ctx context.Context, client *http.Client, base string, p Post) error {
	c.mu.Lock()
	c.tries++
	c.mu.Unlock()
	fault := c.box.faults.take(VendorConvoso, OpPost, false)
	if fault != nil && fault.Kind == FaultCutBefore {
		return errors.New("cut before it was sent")
	}
	address := strings.TrimRight(base, "/") + "/v1/dialer/convoso/" + c.box.secrets.orgToken
	if p.InPath {
		address += "/" + url.PathEscape(p.Event)
	} else if p.Event != "" {
		address += "?event=" + url.QueryEscape(p.Event)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(p.Body))
	if err != nil {
		return errors.New("receiver address is not valid")
	}
	req.Header.Set("Content-Type", p.ContentType)
	if err := send(client, req); err != nil {
		return err
	}
	if fault != nil && fault.Kind == FaultCutAfter {
		return errors.New("cut before the answer was read")
	}
	return nil
}

// NewPost makes a post that is not in the plan: one event with a JSON body of the given fields.
func NewPost(event string, fields map[string]any) Post {
	text, err := json.Marshal(fields)
	if err != nil {
		text = []byte("{}") // only values that no JSON can hold
	}
	name := func(key string) string {
		if v, ok := fields[key]; ok {
			return fmt.Sprint(v)
		}
		return ""
	}
	p := Post{Seq: -1, Event: event, ContentType: "application/json", Body: text, DuplicateOf: -1}
	p.LeadID, p.CallID, p.OptOut = name("lead_id"), name("call_log_id"), event == EventDNC
	if number := name("phone_number"); len(number) == 10 {
		p.Phone = "+1" + number
	}
	return p
}
