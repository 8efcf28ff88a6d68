package main

import (
	"context"
	"crypto/sha256"
	"io"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trunkline/trunkline/api"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convoso"
)

// The credentials of the bench's own server.
const (
	receiverToken = "bench-receiver-token"
	apiKey        = "bench-api-key" //nolint:gosec // of a server that lives for seconds on loopback
)

// startAPI starts the real HTTP server, logging as a daemon does, but to nowhere.
func startAPI(ctx context.Context, b *base, intake api.Intake) (addr string, stop func() error, err error) {
	org, err := b.EnsureDefault(ctx)
	if err != nil {
		return "", nil, err
	}
	settings, err := convoso.NewSettings(convoso.Config{Account: store.DefaultAccount})
	if err != nil {
		return "", nil, err
	}
	server, err := api.New(api.Config{
		Log: slog.New(slog.NewJSONHandler(io.Discard, nil)), //nolint:sloglint // lines are to be written as a daemon's are, which costs time
		Now: time.Now, Version: "bench",
		APIKey: apiKey, DefaultOrg: org.ID,
		FixedTokens: map[[sha256.Size]byte]uuid.UUID{store.HashReceiverToken(receiverToken): org.ID},
		Reads:       &store.Reads{Primary: b.DB}, Keys: b.DB, Tokens: b.DB, Intake: intake,
		Convoso: api.ConvosoSettings(func(uuid.UUID) convoso.Settings { return settings }),
		Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		return "", nil, err
	}
	if addr, err = server.Start("127.0.0.1:0"); err != nil {
		return "", nil, err
	}
	return addr, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return server.Stop(ctx)
	}, nil
}
