package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// operatorGate is an account's budget for an operator's requests. They wait their turn behind live work, and what the vendor
// thinks of credentials that stand in an operator's shell says nothing of the daemon's.
type operatorGate struct {
	vendorapi.Gate
	// before has the last word on each request: after its turn has come, and after the last look at the account.
	before func(context.Context) error
}

// Wait implements vendorapi.Gate.
func (g operatorGate) Wait(ctx context.Context, _ vendorapi.Lane) error {
	return g.Gate.Wait(ctx, vendorapi.Reread)
}

// Recheck implements vendorapi.Gate.
func (g operatorGate) Recheck(ctx context.Context) error {
	if err := g.Gate.Recheck(ctx); err != nil {
		return err
	}
	return g.before(ctx)
}

// Denied implements vendorapi.Gate.
func (operatorGate) Denied(context.Context) {}

// callVendor runs one operation and prints its answer.
func (p *program) callVendor(ctx context.Context, v *callable, call vendorCall) error {
	c, err := p.vendorConfig()
	if err != nil {
		return err
	}
	account, off := v.account(c)
	if off != "" {
		return withCode(exitConfig, fault{off, "is missing: " + v.title + " is off"})
	}
	if !call.verify {
		if err := v.forbidden(c, call.op.Name); err != nil {
			return withCode(exitConfig, err)
		}
	}
	d, err := p.toolDatabase(ctx, c)
	if err != nil {
		return interrupted(ctx, err)
	}
	answer, err := p.askVendor(ctx, c, d, v, account, call)
	if answer != nil {
		err = errors.Join(err, p.printAnswer(answer))
	}
	return errors.Join(interrupted(ctx, err), d.Close(context.WithoutCancel(ctx)))
}

func (p *program) askVendor(ctx context.Context, c *config, d *database, v *callable, account vendorAccount, call vendorCall) (json.RawMessage, error) {
	org, err := orgID(ctx, d, "")
	if err != nil {
		return nil, err
	}
	log := newLogger(p.stderr, &generalConfig{LogLevel: logLevel{slog.LevelWarn}, LogFormat: c.General.LogFormat}, p.terminal, c.secrets())
	g, err := accountGate(ctx, d.DB, org, account, log)
	if err != nil {
		return nil, err
	}
	before := func(context.Context) error { return nil }
	call.db, call.org = d.DB, org
	if phones := v.rings(c, call); len(phones) > 0 {
		before = mayRing(d, org, phones)
	}
	return v.run(ctx, c, vendorapi.Client{
		HTTP: newVendorHTTP(), Now: time.Now, Log: log, Gate: operatorGate{g, before}, Secrets: append(c.secrets(), call.personal()...),
	}, call)
}

// rings are the numbers, in E.164, that the call is about to make ring or to write to.
func (v *callable) rings(c *config, call vendorCall) []string {
	if v.phones == nil || call.verify || call.op.Effect != vendorapi.Rings && call.args["CallbackDate"] == "" {
		return nil
	}
	return v.phones(c, call)
}

// printAnswer prints JSON for people, every value as it came.
func (p *program) printAnswer(raw json.RawMessage) error {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return fmt.Errorf("printing the answer: %w", err)
	}
	b.WriteByte('\n')
	_, err := p.stdout.Write(b.Bytes())
	return err
}

// shortestMasked is the length below which an argument is too common to be masked wherever an error quotes the vendor, and
// shortestNumber that of a number within JSON: from there on it may be a telephone's.
const (
	shortestMasked = 4
	shortestNumber = 7
)

// personal returns what of the arguments must not show in errors and logs: an answer may quote it.
func (c vendorCall) personal() []vendorapi.Secret {
	var secrets []vendorapi.Secret
	var add func(value any)
	add = func(value any) {
		switch v := value.(type) {
		case string:
			if len(v) >= shortestMasked {
				secrets = append(secrets, vendorapi.Secret(v))
			}
		case json.Number:
			if len(v) >= shortestNumber {
				secrets = append(secrets, vendorapi.Secret(v))
			}
		case map[string]any:
			for _, inner := range v {
				add(inner)
			}
		case []any:
			for _, inner := range v {
				add(inner)
			}
		}
	}
	for name, text := range c.args {
		var value any = text
		if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") || strings.HasPrefix(trimmed, "[") {
			numbers := json.NewDecoder(strings.NewReader(trimmed))
			numbers.UseNumber()
			if numbers.Decode(&value) != nil {
				value = text
			}
		}
		if !c.plain(name) {
			add(value)
		}
	}
	return secrets
}

// plain tells whether an argument's values are those of any caller: numbers of things, times, one of a few words.
func (c vendorCall) plain(name string) bool {
	for _, p := range c.op.Params {
		if p.Name == name {
			return p.Values != nil || p.Name == "cursor" || slices.Contains([]string{"integer", "boolean", "time"}, p.Type)
		}
	}
	return false
}
