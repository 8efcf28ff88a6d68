package ipscape

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestPathOverrides(t *testing.T) {
	t.Parallel()
	r := newRig(t, answerJSON(`{"items":[],"leadId":5}`), func(c *Config) {
		c.BaseURL += "///"
		c.Paths = map[string]string{OpListLeads: "/v4/lead", OpGetLead: "/v4/lead/{id}/full"}
		c.AuthHeader, c.AuthPrefix = "X-Authorization", ""
	})
	if _, err := r.ListLeads(t.Context(), ListRequest{}, nil, discard); err != nil {
		t.Error(err)
	}
	if _, _, err := r.GetLead(t.Context(), "5", ""); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"/platform-api/v4/lead", "/platform-api/v4/lead/5/full"}, r.requests()); diff != "" {
		t.Error(diff)
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	good := func() Config {
		return Config{BaseURL: "https://tenant.example/platform-api", Token: testToken, AuthPrefix: "Bearer "}
	}
	template := vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if _, err := NewClient(good(), template); err != nil {
		t.Fatal(err)
	}
	tests := map[string]func(*Config){
		"base url":                func(c *Config) { c.BaseURL = "" },
		"base url cannot":         func(c *Config) { c.BaseURL = "https://%zz" + testToken },
		"absolute":                func(c *Config) { c.BaseURL = "tenant.example/" + testToken },
		"http or https":           func(c *Config) { c.BaseURL = "ftp://tenant.example" },
		"no user":                 func(c *Config) { c.BaseURL = "https://me:pass@tenant.example" },
		"query":                   func(c *Config) { c.BaseURL = "https://tenant.example?token=" + testToken },
		"token is missing":        func(c *Config) { c.Token = " \n" },
		"token has":               func(c *Config) { c.Token = testToken + "\r\nX: y" },
		"auth header":             func(c *Config) { c.AuthHeader = "X Y" },
		"or prefix":               func(c *Config) { c.AuthPrefix = "Bearer\n" },
		"extra header":            func(c *Config) { c.ExtraHeaders = map[string]string{"X-Y": testToken + "\n"} },
		"no such operation":       func(c *Config) { c.Paths = map[string]string{"list_all": "/x"} },
		"begin with a slash":      func(c *Config) { c.Paths = map[string]string{OpListLeads: "x"} },
		"have no query":           func(c *Config) { c.Paths = map[string]string{OpListLeads: "/x?y"} },
		"name the id's place":     func(c *Config) { c.Paths = map[string]string{OpGetLead: "/x"} },
		"once if the operation":   func(c *Config) { c.Paths = map[string]string{OpListLeads: "/x/{id}"} },
		"HTTP client, clock and":  nil,
		"path of get_lead must n": func(c *Config) { c.Paths = map[string]string{OpGetLead: "/{a}/{b}"} },
	}
	for want, change := range tests {
		cfg, tmpl := good(), template
		if change == nil {
			tmpl = vendorapi.Client{}
		} else {
			change(&cfg)
		}
		client, err := NewClient(cfg, tmpl)
		if err == nil || client != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if err != nil && strings.Contains(err.Error(), testToken) {
			t.Errorf("the token is in %v", err)
		}
	}
	_, err := NewClient(Config{}, vendorapi.Client{})
	for _, want := range []string{"base url", "token", "clock"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported at once: %v", want, err)
		}
	}
}
