package main

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// slowGate lets every request pass, after a look at the account during which somebody opts out.
type slowGate struct{ optedOut *atomic.Bool }

func (slowGate) Wait(context.Context, vendorapi.Lane) error { return nil }

func (g slowGate) Recheck(context.Context) error {
	g.optedOut.Store(true)
	return nil
}

func (slowGate) Limited(context.Context, time.Duration) {}
func (slowGate) Denied(context.Context)                 {}
func (slowGate) Accepted(context.Context, time.Time)    {}

// TestVendorOptOutDuringTheLastLook: what rings or writes to somebody is held by an opt-out that comes in as late as while the
// request waits for the last look at its account.
func TestVendorOptOutDuringTheLastLook(t *testing.T) {
	t.Parallel()
	opt := emptied(33)
	opt.Now = time.Now
	box := sandbox.New(opt)
	server, err := box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	var environ []string
	for name, value := range box.Env(server.URL()) {
		environ = append(environ, name+"="+value)
	}
	c, err := loadConfig(environ)
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{
		{"dialedin", "InsertLead", "PrimaryPhone=3053501234", "ClientId=late-1"},
		{"dialedin", "SendSms", "From=3053501200", "To=+13053501234", "Message=hi"},
		{"dialedin", "ConferenceCall", "Agent=dana", "Phone=(305) 350-1234"},
		{"dialedin", "UpdateLead", "SearchField=Phone", "Identifier=3053501234", "CallbackAgent=dana", "CallbackDate=03/05/2026 09:00:00"},
		{"convolo", "StartCall", "lc_number=+13053501234"},
		{"ipscape", "create_lead", "listId=120", "phone1=+61400111777"},
	} {
		all := callables()
		v := all[slices.IndexFunc(all, func(v *callable) bool { return v.name == words[0] })]
		call, err := v.read(words[1:])
		if err != nil {
			t.Fatalf("%q: %v", words, err)
		}
		if len(v.rings(c, call)) != 1 {
			t.Errorf("%q rings %q, want one number", words, v.rings(c, call))
		}
		var optedOut atomic.Bool
		_, err = v.run(t.Context(), c, vendorapi.Client{
			HTTP: newVendorHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Gate: operatorGate{slowGate{&optedOut}, func(context.Context) error {
				if optedOut.Load() {
					return errOptedOut
				}
				return nil
			}},
		}, call)
		if vendorapi.KindOf(err) != vendorapi.Transient {
			t.Errorf("%q: %v", words, err)
		}
	}
	if n := len(box.Requests()); n != 0 {
		t.Errorf("%d requests left", n)
	}
}
