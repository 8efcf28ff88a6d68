// Package webhook sends webhooks: it signs them, guards the addresses they go to, keeps the secrets they are signed with, and
// works the outbox. It knows neither store nor jobs.
package webhook
