// Package otlp sends spans to a collector, by OTLP over HTTP. It works beside the daemon: a collector that is slow or away costs spans
// and nothing else.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/trunkline/trunkline/sync/tracing"
)

// Config is where spans go and whose they are. Whatever else OpenTelemetry's environment says of batches, limits, compression,
// certificates and sampling, its library reads by itself.
type Config struct {
	// Endpoint is the whole address, its path included.
	Endpoint string
	// Headers go with every request. They are secrets.
	Headers map[string]string
	// Service and Version say what the program is, Instance which one of several; what the environment says goes before it.
	Service, Version, Instance string
	Now                        func() time.Time
	Log                        *slog.Logger
}

// Exporter is a running way to a collector. Stop it.
type Exporter struct {
	provider *sdk.TracerProvider
	client   sdk.SpanExporter
	log      *slog.Logger
}

// Start begins to export. It asks nothing of the collector, which may come later.
func Start(ctx context.Context, cfg Config) (*Exporter, error) {
	quieten(cfg.Log)
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(cfg.Endpoint)}
	if len(cfg.Headers) > 0 {
		options = append(options, otlptracehttp.WithHeaders(cfg.Headers))
	}
	client, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		// Not repeated: it may name the endpoint, and with it a token.
		return nil, fmt.Errorf("making the exporter of traces: %s", reason(err))
	}
	provider := sdk.NewTracerProvider(
		sdk.WithResource(whose(ctx, &cfg)),
		sdk.WithBatcher(&bounded{SpanExporter: client, log: cfg.Log, now: cfg.Now}),
	)
	return &Exporter{provider: provider, client: client, log: cfg.Log}, nil
}

// Tracer begins the spans that are exported.
func (e *Exporter) Tracer() *tracing.Tracer { return tracing.New(e.provider) }

// Stop sends what there is, and returns when that is done or ctx ends.
func (e *Exporter) Stop(ctx context.Context) {
	if err := e.provider.Shutdown(ctx); err != nil {
		e.log.Warn("the last traces did not all reach the collector", "error", reason(err))
		// What is still trying gives up.
		_ = e.client.Shutdown(context.WithoutCancel(ctx))
	}
}

// whose is what every span is told of its program: nothing of the host but what the environment says.
func whose(ctx context.Context, cfg *Config) *resource.Resource {
	// Both are usable when there is an error, which may quote the environment.
	said, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		cfg.Log.Warn("OTEL_RESOURCE_ATTRIBUTES cannot be read whole")
	}
	ours := resource.NewSchemaless(
		attribute.String("service.name", cfg.Service), attribute.String("service.version", cfg.Version), attribute.String("service.instance.id", cfg.Instance),
	)
	both, err := resource.Merge(ours, said)
	if err != nil || both == nil {
		return ours
	}
	return both
}

// quieten has the library's own words go to the log without what they are about: it quotes the environment, headers included.
func quieten(log *slog.Logger) {
	otel.SetLogger(logr.FromSlogHandler(wordsOnly{log.Handler()}))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("OpenTelemetry's library has a complaint", "type", fmt.Sprintf("%T", err))
	}))
}

// wordsOnly drops what is attached to a message, and what is no warning.
type wordsOnly struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h wordsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h wordsOnly) Handle(ctx context.Context, r slog.Record) error {
	return h.Handler.Handle(ctx, slog.NewRecord(r.Time, r.Level, "OpenTelemetry's library: "+r.Message, r.PC))
}

// WithAttrs implements slog.Handler.
func (h wordsOnly) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements slog.Handler.
func (h wordsOnly) WithGroup(string) slog.Handler { return h }

// reason is an error without address and answer: either may hold what is nobody's business.
func reason(err error) string {
	if err == nil {
		return ""
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err.Error()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	case errors.Is(err, context.Canceled):
		return "it was stopped"
	}
	return "the collector did not take them"
}
