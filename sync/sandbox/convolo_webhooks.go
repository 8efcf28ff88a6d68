package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

const (
	convoloAccount = 40321
	convoloWidget  = "Funding leads"
	convoloZone    = "America/New_York"
	convoloLayout  = "2006-01-02T15:04:05.000Z"
	// convoloPause is the real time between two tries of the automatic delivery.
	convoloPause   = 250 * time.Millisecond
	convoloTimeout = 10 * time.Second
)

// ConvoloWebhook is one webhook, planned or delivered.
type ConvoloWebhook struct {
	Type   string
	CallID string
	Ref    string
	Body   []byte
}

// SetWebhook names the receiver's whole address. A started server then delivers by itself; without one, Deliver does. An
// empty address turns delivery off; what is pending stays.
func (c *Convolo) SetWebhook(url string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.webhook = url
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Pending are the webhooks not yet delivered.
func (c *Convolo) Pending() []ConvoloWebhook {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pending)
}

// Delivered are the webhooks answered 2xx.
func (c *Convolo) Delivered() []ConvoloWebhook {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

// Deliver posts the pending webhooks once each, in order. What is not answered 2xx stays pending and is part of the error;
// what is under way counts as pending too.
func (c *Convolo) Deliver(ctx context.Context, client *http.Client) error {
	c.delivering.Lock()
	defer c.delivering.Unlock()
	c.mu.Lock()
	batch, url := slices.Clone(c.pending), c.webhook
	c.mu.Unlock()
	if url == "" {
		return nil
	}
	var failed []ConvoloWebhook
	var errs []error
	for _, hook := range batch {
		if err := postJSON(ctx, client, url, hook.Body); err != nil {
			failed, errs = append(failed, hook), append(errs, fmt.Errorf("convolo webhook %s of call %s: %w", hook.Type, hook.CallID, err))
			continue
		}
		c.mu.Lock()
		c.sent = append(c.sent, hook)
		c.mu.Unlock()
	}
	c.mu.Lock()
	c.pending = append(failed, c.pending[len(batch):]...)
	c.mu.Unlock()
	return errors.Join(errs...)
}

func postJSON(ctx context.Context, client *http.Client, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return errors.New("receiver address is not valid")
	}
	req.Header.Set("Content-Type", "application/json")
	return send(client, req)
}

// send wants a 2xx answer. The address holds a token, so that the client's own error, which quotes it, is not passed on.
func send(client *http.Client, req *http.Request) error {
	res, err := client.Do(req)
	if err != nil {
		if ctxErr := req.Context().Err(); ctxErr != nil {
			return ctxErr
		}
		return errors.New("no answer")
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxBody))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return &statusError{res.StatusCode}
	}
	return nil
}

type statusError struct{ status int }

func (e *statusError) Error() string { return fmt.Sprintf("answered %d", e.status) }

// deliverAll delivers for as long as a server runs.
func (c *Convolo) deliverAll(ctx context.Context) {
	client := &http.Client{Timeout: convoloTimeout}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(convoloPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-tick.C:
		}
		if err := c.Deliver(ctx, client); err != nil && ctx.Err() == nil {
			c.box.opt.Log.Debug("convolo webhooks not delivered", "error", err)
		}
	}
}

// webhooks are what one call sends: mostly start and end, at times in the wrong order, twice, or the end alone.
func (c *Convolo) webhooks(n int, call ConvoloCall, r *rng) []ConvoloWebhook {
	base := map[string]any{
		"call_id": call.ID, "user_id": convoloAccount, "widget_key": c.box.secrets.widgetKey, "widget_name": convoloWidget,
		"timezone": convoloZone, "is_delayed_call": call.Delayed, "called_lead_phone": call.Phone, "debug": nil,
		"lead": map[string]any{
			"lead_phone": call.Phone, "lead_id": "01J" + newRNG(c.box.opt.Seed, "convolo lead "+call.Phone).text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 23),
			"time_created_iso_string": call.Time.Format(convoloLayout), "source": "api", "site_path": nil, "referer": nil, "ip": nil,
			"country": nil, "additional": nil, "custom_params": customParams(call.Params, n%2 == 0),
		},
	}
	hook := func(kind string, more map[string]any) ConvoloWebhook {
		body := map[string]any{"type": kind}
		for _, part := range []map[string]any{base, more} {
			for name, value := range part {
				body[name] = value
			}
		}
		text, err := json.Marshal(body)
		if err != nil {
			text = []byte("{}") // cannot happen: strings and numbers
		}
		return ConvoloWebhook{Type: kind, CallID: call.ID, Ref: call.Ref, Body: text}
	}
	begin, end := hook("start_call", nil), hook("end_call", ending(call, r))
	switch {
	case n%11 == 10:
		return []ConvoloWebhook{end}
	case n%7 == 6:
		return []ConvoloWebhook{begin, end, end}
	case n%5 == 4:
		return []ConvoloWebhook{end, begin}
	}
	return []ConvoloWebhook{begin, end}
}

func customParams(params map[string]string, prefixed bool) map[string]string {
	out := make(map[string]string, len(params))
	for name, value := range params {
		if prefixed {
			name = convoloPrefix + name
		}
		out[name] = value
	}
	return out
}

// ending is what end_call adds; what did not happen is null.
func ending(call ConvoloCall, r *rng) map[string]any {
	at := func(d time.Duration) string { return call.Time.Add(d).Format(convoloLayout) }
	agent, lead, talk := r.between(3, 15), r.between(5, 20), r.between(20, 400)
	out := map[string]any{
		"call_status": call.Status, "time_started_iso_string": at(time.Second), "time_agent_answered_iso_string": nil,
		"time_lead_answered_iso_string": nil, "answer_duration_sec": agent, "lead_answer_duration_sec": nil, "talk_duration_sec": nil,
		"disconnected_by": nil, "recording_link": nil, "agent": nil,
	}
	total := agent
	if call.Status != "missed" {
		out["time_agent_answered_iso_string"] = at(time.Duration(1+agent) * time.Second)
		out["agent"] = map[string]any{"id": 771, "phone": "+15034250190", "name": "Dana", "email": nil}
		out["disconnected_by"] = "agent"
		total += lead
	}
	if call.Status == "answered" {
		out["time_lead_answered_iso_string"] = at(time.Duration(1+agent+lead) * time.Second)
		out["lead_answer_duration_sec"], out["talk_duration_sec"], out["disconnected_by"] = lead, talk, "lead"
		out["recording_link"] = "https://recordings.convolo.example/" + call.ID + ".mp3"
		total += talk
	}
	out["total_duration_sec"] = total
	out["time_ended_iso_string"] = at(time.Duration(1+total) * time.Second)
	return out
}
