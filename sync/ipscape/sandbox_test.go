package ipscape

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/sandbox"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// newSandbox starts the simulated vendor and a client for it.
func newSandbox(t *testing.T) (*sandbox.Sandbox, *Client) {
	t.Helper()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	box := sandbox.New(sandbox.Options{Seed: 7, Now: func() time.Time { return now }, Activities: 330, Leads: 140, PageSize: 50})
	srv, err := box.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	env := box.Env(srv.URL())
	client := newTestClient(t, "http://unused.example", t.Output(), func(c *Config) {
		c.BaseURL, c.Token = env["IPSCAPE_BASE_URL"], vendorapi.Secret(env["IPSCAPE_TOKEN"])
	})
	return box, client
}

// walked reads a whole list and converts its items.
func walked(list func(r ListRequest, emit Emit) (Page, error), convert func([]byte) (Item, error)) (ids []string, bad []error, err error) {
	var ask ListRequest
	for range 1000 {
		page, err := list(ask, func(raw json.RawMessage, e *ItemError) error {
			if e != nil {
				bad = append(bad, e)
				return nil
			}
			item, err := convert(raw)
			if err != nil {
				bad = append(bad, err)
				return nil
			}
			ids = append(ids, item.ObjectID)
			if item.FilterTime.IsZero() || item.SourceTime.IsZero() || item.Unread != nil {
				bad = append(bad, fmt.Errorf("item %s: %+v", item.ObjectID, item))
			}
			return nil
		})
		if err != nil || page.Next == "" {
			return ids, bad, err
		}
		if page.Next == ask.Cursor {
			return ids, bad, errors.New("the same cursor twice")
		}
		ask.Cursor = page.Next
	}
	return ids, bad, errors.New("no end")
}

func TestSandboxWalks(t *testing.T) {
	t.Parallel()
	box, client := newSandbox(t)
	s := sydney(t)
	activities := func(r ListRequest, emit Emit) (Page, error) { return client.ListActivities(t.Context(), r, nil, emit) }
	leads := func(r ListRequest, emit Emit) (Page, error) { return client.ListLeads(t.Context(), r, nil, emit) }

	var wantActivities, wantLeads []string
	for _, a := range box.IPSCAPE().Activities() {
		wantActivities = append(wantActivities, fmt.Sprint(a.ID))
	}
	for _, l := range box.IPSCAPE().Leads() {
		wantLeads = append(wantLeads, fmt.Sprint(l.ID))
	}
	check := func(what string, got, want []string, bad []error, err error) {
		t.Helper()
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || len(bad) > 0 || len(want) == 0 || !slices.Equal(slices.Compact(got), want) {
			t.Errorf("%s: %d of %d, bad %v, %v", what, len(got), len(want), bad, err)
		}
	}
	got, bad, err := walked(activities, s.Activity)
	check("activities", got, wantActivities, bad, err)
	got, bad, err = walked(leads, s.Lead)
	check("leads", got, wantLeads, bad, err)

	// Faults that a patient client survives within one walk.
	box.Faults().Add(
		sandbox.Fault{Kind: sandbox.FaultBadGateway}, sandbox.Fault{Kind: sandbox.FaultStatus, Status: http.StatusServiceUnavailable, After: 3},
		sandbox.Fault{Kind: sandbox.FaultEmptyPage, After: 1}, sandbox.Fault{Kind: sandbox.FaultReverse, After: 2},
		sandbox.Fault{Kind: sandbox.FaultUnknownField}, sandbox.Fault{Kind: sandbox.FaultWrapCodeString}, sandbox.Fault{Kind: sandbox.FaultUnknownType},
	)
	got, bad, err = walked(activities, s.Activity)
	check("activities through faults", got, wantActivities, bad, err)
	box.Faults().Clear()
	box.Faults().Add(
		sandbox.Fault{Kind: sandbox.FaultOutcomesArray}, sandbox.Fault{Kind: sandbox.FaultOutcomesObject, After: 1},
		sandbox.Fault{Kind: sandbox.FaultDataFieldsEmptyList, After: 2}, sandbox.Fault{Kind: sandbox.FaultHugePage, After: 2},
	)
	got, bad, err = walked(leads, s.Lead)
	check("leads through faults", got, wantLeads, bad, err)
	if wrong := box.Violations(); len(wrong) > 0 {
		t.Errorf("the contract was broken: %v", wrong)
	}
}

func TestSandboxFaults(t *testing.T) {
	t.Parallel()
	box, client := newSandbox(t)
	client.limits.page = 4 << 20
	next := ""
	if _, err := client.ListActivities(t.Context(), ListRequest{}, func(c string) { next = c }, discard); err != nil || next == "" {
		t.Fatalf("first page: %q, %v", next, err)
	}
	tests := []struct {
		fault sandbox.Fault
		kind  vendorapi.Kind
		is    error
	}{
		{sandbox.Fault{Kind: sandbox.FaultLoginPage}, vendorapi.Malformed, nil},
		{sandbox.Fault{Kind: sandbox.FaultErrorJSON}, vendorapi.Malformed, nil},
		{sandbox.Fault{Kind: sandbox.FaultEmpty}, vendorapi.Malformed, nil},
		{sandbox.Fault{Kind: sandbox.FaultCutAfter, Times: -1}, vendorapi.Transient, nil},
		{sandbox.Fault{Kind: sandbox.FaultTruncated}, vendorapi.Transient, nil},
		{sandbox.Fault{Kind: sandbox.FaultWrongLength}, vendorapi.Transient, nil},
		{sandbox.Fault{Kind: sandbox.FaultGzipBomb}, vendorapi.Malformed, errPageTooLarge},
		{sandbox.Fault{Kind: sandbox.FaultForeignHost}, vendorapi.Refused, errForeignHost},
		{sandbox.Fault{Kind: sandbox.FaultExpiredCursor}, vendorapi.Refused, ErrCursorRefused},
		{sandbox.Fault{Kind: sandbox.FaultStatus, Status: http.StatusTooManyRequests}, vendorapi.Limited, nil},
	}
	for _, tt := range tests {
		box.Faults().Add(tt.fault)
		_, err := client.ListActivities(t.Context(), ListRequest{Cursor: next}, nil, discard)
		if vendorapi.KindOf(err) != tt.kind || (tt.is != nil && !errors.Is(err, tt.is)) || box.Faults().Fired(tt.fault.Kind) == 0 {
			t.Errorf("%s: got %v, want %v", tt.fault.Kind, err, tt.kind)
		}
		box.Faults().Clear()
	}
	s := sydney(t)
	for _, tt := range []struct {
		kind   sandbox.FaultKind
		reason string
	}{
		{sandbox.FaultMissingID, ReasonNoID},
		{sandbox.FaultWrongType, ReasonNoID},
		{sandbox.FaultBareItem, ReasonNotObject},
	} {
		box.Faults().Add(sandbox.Fault{Kind: tt.kind})
		var reasons []string
		page, err := client.ListLeads(t.Context(), ListRequest{}, nil, func(raw json.RawMessage, _ *ItemError) error {
			if _, err := s.Lead(raw); err != nil {
				e, _ := errors.AsType[*ItemError](err)
				reasons = append(reasons, e.Reason)
			}
			return nil
		})
		if err != nil || page.Items < 2 || !slices.Equal(reasons, []string{tt.reason}) {
			t.Errorf("%s: %d items, reasons %v, %v", tt.kind, page.Items, reasons, err)
		}
	}
	box.Faults().Add(sandbox.Fault{Kind: sandbox.FaultNUL})
	cleaned := 0
	if _, err := client.ListLeads(t.Context(), ListRequest{}, nil, func(raw json.RawMessage, _ *ItemError) error {
		item, err := s.Lead(raw)
		if item.Cleaned {
			cleaned++
		}
		return err
	}); err != nil || cleaned != 1 {
		t.Errorf("NUL: %d cleaned, %v", cleaned, err)
	}
}

// A get answers what the list answered, and its facts name the same object.
func TestSandboxGets(t *testing.T) {
	t.Parallel()
	box, client := newSandbox(t)
	s := sydney(t)
	activity := box.IPSCAPE().Activities()[0]
	raw, _, err := client.GetActivity(t.Context(), fmt.Sprint(activity.ID), vendorapi.Reread)
	if err != nil {
		t.Fatal(err)
	}
	item, err := s.Activity(raw)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := s.Facts(pipeline.Record{Stream: StreamActivities, Payload: item.Payload})
	if err != nil || len(facts.Calls) != 1 || facts.Calls[0].Key.ExternalID != fmt.Sprint(activity.ID) {
		t.Errorf("facts %+v, %v", facts, err)
	}
	lead := box.IPSCAPE().Leads()[0].ID
	if raw, _, err = client.GetLead(t.Context(), fmt.Sprint(lead), vendorapi.Reread); err != nil {
		t.Fatal(err)
	}
	facts, err = s.Facts(pipeline.Record{Stream: StreamLeads, Payload: raw})
	if err != nil || len(facts.Leads) != 1 || facts.Leads[0].Fields[pipeline.FieldPhone] == "" {
		t.Errorf("facts %+v, %v", facts, err)
	}
	box.IPSCAPE().DeleteLead(lead)
	if _, _, err := client.GetLead(t.Context(), fmt.Sprint(lead), vendorapi.Reread); !errors.Is(err, ErrNotFound) {
		t.Errorf("a deleted lead: %v", err)
	}
}
