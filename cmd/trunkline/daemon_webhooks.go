package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/trunkline/trunkline/sync/webhook"
)

func (c *config) webhookGuard() *webhook.Guard { return &webhook.Guard{Allow: c.General.WebhookCIDRs} }

func (c *config) webhookKeys() *webhook.Keyring {
	path := c.General.WebhookKeyFile
	if path == "" {
		path = filepath.Join(c.General.DataDir, "webhook.key")
	}
	return webhook.NewKeyring(path)
}

// buildWebhooks makes the engine that sends webhooks. It reads the key when there is something to send: the first endpoint
// makes it.
func (d *daemon) buildWebhooks(context.Context) (err error) {
	d.webhooks, err = webhook.New(webhook.Config{
		Store: d.db.DB, Keys: d.cfg.webhookKeys(), Owner: d.id, Now: d.now, Log: d.log, Observe: d.metrics.webhook, Trace: d.trace,
		Sender: webhook.NewSender(webhook.SenderConfig{Guard: d.cfg.webhookGuard(), Now: d.now, Agent: "Trunkline/" + versionText()}),
	})
	return err
}

// webhook counts requests; the names of events and outcomes are the program's own.
func (m *metrics) webhook(event, outcome string, _ time.Duration) {
	m.webhooks.WithLabelValues(event, outcome).Inc()
}
