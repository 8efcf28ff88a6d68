package sandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// SetWebhook names the receiver's whole address. A started server then delivers by itself; without one, Deliver does. An empty
// address turns delivery off; what is pending stays.
func (l *LendWorks) SetWebhook(url string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.webhook = url
}

// Pending are the webhooks not yet answered 2xx.
func (l *LendWorks) Pending() []LendWorksWebhook {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.pending)
}

// Delivered are the webhooks answered 2xx.
func (l *LendWorks) Delivered() []LendWorksWebhook {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent)
}

// Deliver posts the pending webhooks once each, in order, signed as of now. What is not answered 2xx stays pending and is part
// of the error; what is under way counts as pending too.
func (l *LendWorks) Deliver(ctx context.Context, client *http.Client) error {
	l.delivering.Lock()
	defer l.delivering.Unlock()
	l.mu.Lock()
	batch, url := slices.Clone(l.pending), l.webhook
	l.mu.Unlock()
	if url == "" {
		return nil
	}
	var failed []LendWorksWebhook
	var errs []error
	for _, hook := range batch {
		if err := l.post(ctx, client, url, hook); err != nil {
			failed, errs = append(failed, hook), append(errs, fmt.Errorf("lendworks webhook %s: %w", hook.Event, err))
			continue
		}
		l.mu.Lock()
		l.sent = append(l.sent, hook)
		l.mu.Unlock()
	}
	l.mu.Lock()
	l.pending = append(failed, l.pending[len(batch):]...)
	l.mu.Unlock()
	return errors.Join(errs...)
}

func (l *LendWorks) post(ctx context.Context, client *http.Client, url string, hook LendWorksWebhook) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(hook.Body))
	if err != nil {
		return errors.New("receiver address is not valid")
	}
	at := strconv.FormatInt(time.Now().Unix(), 10) //nolint:forbidigo // receivers compare it with the machine's clock
	mac := hmac.New(sha256.New, []byte(l.box.secrets.webhookSecret))
	mac.Write([]byte(at + "."))
	mac.Write(hook.Body)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Webhook-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	req.Header.Set("X-Webhook-Id", hook.ID)
	req.Header.Set("X-Webhook-Timestamp", at)
	return send(client, req)
}

// deliverAll delivers for as long as a server runs.
func (l *LendWorks) deliverAll(ctx context.Context) {
	client := &http.Client{Timeout: convoloTimeout}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(convoloPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := l.Deliver(ctx, client); err != nil && ctx.Err() == nil {
			l.box.opt.Log.Debug("lendworks webhooks not delivered", "error", err)
		}
	}
}
