package main

import (
	"cmp"
	"errors"
	"net/url"
	"strings"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// exporterName is a way for traces that we have.
type exporterName string

// EnvDecode implements envconfig.Decoder.
func (e *exporterName) EnvDecode(text string) error {
	switch text = strings.TrimSpace(text); text {
	case exporterOTLP, exporterNone:
		*e = exporterName(text)
		return nil
	}
	return errors.New("must be otlp or none")
}

const (
	exporterOTLP = "otlp"
	exporterNone = "none"
)

// httpURL is the address of a collector; unlike those of vendors it may be plain http anywhere, for nothing secret goes there but headers.
type httpURL string

// EnvDecode implements envconfig.Decoder.
func (u *httpURL) EnvDecode(text string) error {
	address, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil || address.Hostname() == "" || address.Scheme != "http" && address.Scheme != "https":
		return errors.New("must be an http:// or https:// URL")
	case address.User != nil || address.RawQuery != "" || address.Fragment != "":
		return errors.New("must have no user, query or fragment; credentials belong into OTEL_EXPORTER_OTLP_HEADERS")
	}
	*u = httpURL(address.String())
	return nil
}

// on tells whether traces are to be sent.
func (c *tracingConfig) on() bool {
	if c.Disabled || c.Exporter == exporterNone {
		return false
	}
	return c.Exporter == exporterOTLP || c.Endpoint != "" || c.TracesEndpoint != ""
}

// collector is the whole address that traces go to.
func (c *tracingConfig) collector() string {
	if c.TracesEndpoint != "" {
		return string(c.TracesEndpoint)
	}
	return strings.TrimSuffix(cmp.Or(string(c.Endpoint), "http://localhost:4318"), "/") + "/v1/traces"
}

// headers go with every request to the collector.
func (c *tracingConfig) headers() (map[string]string, error) {
	out := map[string]string{}
	for pair := range strings.SplitSeq(cmp.Or(c.TracesHeaders, c.Headers).Reveal(), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || err != nil || name == "" || strings.ContainsAny(name, " :\t") {
			return nil, errors.New("must be name=value, percent-encoded, comma list")
		}
		out[name] = value
	}
	return out, nil
}

// faults are of traces that are to be sent: variables that belong to others' programs on the same host do no harm.
func (c *tracingConfig) faults() []error {
	if !c.on() {
		return nil
	}
	var faults []error
	variable, protocol := "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", strings.TrimSpace(c.TracesProtocol)
	if protocol == "" {
		variable, protocol = "OTEL_EXPORTER_OTLP_PROTOCOL", strings.TrimSpace(c.Protocol)
	}
	if protocol != "http/protobuf" && protocol != "http/json" {
		faults = append(faults, fault{variable, "must be http/protobuf or http/json"})
	}
	if _, err := c.headers(); err != nil {
		variable = "OTEL_EXPORTER_OTLP_TRACES_HEADERS"
		if c.TracesHeaders == "" {
			variable = "OTEL_EXPORTER_OTLP_HEADERS"
		}
		faults = append(faults, fault{variable, err.Error()})
	}
	return faults
}

// secrets are the values of the headers, which may show without their names.
func (c *tracingConfig) secrets() []vendorapi.Secret {
	headers, err := c.headers()
	if err != nil {
		return nil
	}
	var out []vendorapi.Secret
	for _, value := range headers {
		if value != "" {
			out = append(out, vendorapi.Secret(value))
		}
	}
	return out
}
