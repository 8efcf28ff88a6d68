package sandbox_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nyaruka/phonenumbers"

	"github.com/trunkline/trunkline/sync/sandbox"
)

func TestSameSeedSameSandbox(t *testing.T) {
	t.Parallel()
	// As text, since a comparison by reflection takes its time over some ten thousand fields.
	build := func(seed uint64) string {
		s := sandbox.New(sandbox.Options{Seed: seed, Now: newClock().Now})
		text, err := json.MarshalIndent([]any{
			s.IPSCAPE().Activities(), s.IPSCAPE().Leads(), s.IPSCAPE().DialAttempts(), s.IPSCAPE().Users(), s.Convoso().Posts(),
			s.Env("http://127.0.0.1:1"), s.Truth(),
		}, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Convoso().Posts() {
			text = append(append(text, p.Body...), p.Phone...)
		}
		return string(text)
	}
	first, again, other := build(7), build(7), build(8)
	if first != again {
		t.Error("two sandboxes of one seed differ")
	}
	if first == other {
		t.Error("two seeds give one sandbox")
	}
}

func TestVolumesAreKept(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 1, 2, 7, 40, 1000} {
		s := sandbox.New(sandbox.Options{Seed: 3, Now: newClock().Now, Activities: n, Leads: n, Posts: n})
		want := max(n, 0)
		if got := len(s.IPSCAPE().Activities()); got != want {
			t.Errorf("%d activities, want %d", got, want)
		}
		if got := len(s.IPSCAPE().Leads()); got != want {
			t.Errorf("%d leads, want %d", got, want)
		}
		if got := len(s.Convoso().Posts()); got != want {
			t.Errorf("%d posts, want %d", got, want)
		}
		for _, p := range s.Convoso().Posts() {
			if p.At.After(newClock().Now()) {
				t.Errorf("post %d of %d lies in the future", p.Seq, n)
			}
		}
	}
}

func TestSecretsAreDistinctAndLong(t *testing.T) {
	t.Parallel()
	env := sandbox.New(sandbox.Options{Seed: 1, Now: newClock().Now}).Env("http://127.0.0.1:9/")
	seen := map[string]string{}
	for _, name := range []string{"IPSCAPE_TOKEN", "DIALEDIN_TOKEN", "DIALEDIN_ACCID", "CONVOLO_WIDGET_KEY", "CONVOLO_API_KEY", "CONVOSO_ORG_TOKEN"} {
		value := env[name]
		if len(value) < 20 {
			t.Errorf("%s has %d characters", name, len(value))
		}
		if other, twice := seen[value]; twice {
			t.Errorf("%s equals %s", name, other)
		}
		seen[value] = name
	}
	if got, want := env["DIALEDIN_BASE_URL"], "http://127.0.0.1:9/HttpImport/"; got != want {
		t.Errorf("DIALEDIN_BASE_URL %q, want %q", got, want)
	}
}

func TestSeedIsWhatTheDemoNeeds(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := sandbox.New(sandbox.Options{Seed: 5, Now: c.Now, Leads: 300, Activities: 600, Posts: 300})
	byPhone, youngPhones := map[string]int{}, map[string]bool{}
	young, keyed, australian := 0, 0, 0
	for _, l := range s.IPSCAPE().Leads() {
		number, err := phonenumbers.Parse(l.Phones[0], "")
		if err != nil || !phonenumbers.IsValidNumber(number) {
			t.Errorf("%s is not a valid number: %v", l.Phones[0], err)
		}
		byPhone[l.Phones[0]]++
		age := c.Now().Sub(l.Created)
		if age <= 0 || age > 72*time.Hour {
			t.Errorf("lead %d is %s old", l.ID, age)
		}
		if age < 24*time.Hour {
			young++
			youngPhones[l.Phones[0]] = true
		}
		if l.CustomerKey != "" {
			keyed++
		}
		if strings.HasPrefix(l.Phones[0], "+61") {
			australian++
		}
	}
	if young == 0 || young > 60 || keyed == 0 || australian == 0 {
		t.Errorf("%d young, %d keyed, %d australian leads", young, keyed, australian)
	}
	crowded := 0
	for _, n := range byPhone {
		if n > 3 {
			crowded++
		}
	}
	if crowded == 0 {
		t.Error("no phone is shared by more than three leads")
	}
	shared, events, withoutPhone := map[string]bool{}, map[string]int{}, 0
	kinds := map[string]bool{}
	for _, p := range s.Convoso().Posts() {
		if number, err := phonenumbers.Parse(p.Phone, ""); err != nil || !phonenumbers.IsValidNumber(number) {
			t.Errorf("%s is not a valid number: %v", p.Phone, err)
		}
		if byPhone[p.Phone] > 0 {
			shared[p.LeadID] = true
		}
		events[p.Event]++
		kinds[p.ContentType] = true
		if p.OptOut && !bytes.Contains(p.Body, []byte("phone_number")) {
			withoutPhone++
		}
		if p.At.After(c.Now()) {
			t.Errorf("post %d lies in the future", p.Seq)
		}
	}
	if len(shared) < 3 || withoutPhone == 0 || len(kinds) != 2 {
		t.Errorf("%d leads shared with ipSCAPE, %d opt-outs without a phone, kinds %v", len(shared), withoutPhone, kinds)
	}
	for _, event := range []string{sandbox.EventDisposition, sandbox.EventRecording, sandbox.EventCall, sandbox.EventLeadUpdate, sandbox.EventDNC} {
		if events[event] == 0 {
			t.Errorf("no %s in the plan", event)
		}
	}
	truth := s.Truth()
	if !slices.ContainsFunc(truth.ConvosoPlan.OptedOut, func(phone string) bool { return youngPhones[phone] }) {
		t.Error("nobody who opted out is a young lead")
	}
	if len(truth.ConvosoPlan.OptedOut) == 0 || truth.ConvosoPlan.Facts >= 300 || len(truth.Convoso.Calls) != 0 {
		t.Errorf("truth of the plan: %d opted out, %d facts; %d acknowledged calls", len(truth.ConvosoPlan.OptedOut), truth.ConvosoPlan.Facts, len(truth.Convoso.Calls))
	}
}

func TestAdminPages(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	ask := func(method, path, body string) (int, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), method, r.server.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		status, got, err := r.send(req)
		if err != nil {
			t.Fatal(err)
		}
		return status, got
	}
	if status, body := ask(http.MethodGet, "/_sandbox/truth", ""); status != http.StatusOK || decode(t, body)["ipscape"] == nil {
		t.Errorf("truth: %d %s", status, body)
	}
	if status, body := ask(http.MethodPost, "/_sandbox/faults", `[{"vendor":"ipscape","kind":"status","status":429,"header":{"Retry-After":["7"]},"delay":"1ms"}]`); status != http.StatusOK {
		t.Errorf("faults: %d %s", status, body)
	}
	if status, _ := ask(http.MethodPost, "/_sandbox/faults", `{"kind":"no such thing"}`); status != http.StatusBadRequest {
		t.Errorf("unknown fault: %d", status)
	}
	if status, _, err := r.try("/v3.0/users", nil); err != nil || status != http.StatusTooManyRequests {
		t.Errorf("ordered 429: %d %v", status, err)
	}
	status, body := ask(http.MethodGet, "/_sandbox/requests", "")
	if status != http.StatusOK || !bytes.Contains(body, []byte(`"op":"list_users"`)) {
		t.Errorf("requests: %d %s", status, body)
	}
	if status, body := ask(http.MethodGet, "/_sandbox/violations", ""); status != http.StatusOK || string(body) != "[]" {
		t.Errorf("violations: %d %s", status, body)
	}
}

func TestCloseEndsWaitingFaults(t *testing.T) {
	t.Parallel()
	r := start(t, sandbox.Options{})
	r.Faults().Add(sandbox.Fault{Kind: sandbox.FaultHang})
	done := make(chan error, 1)
	go func() {
		_, _, err := r.try("/v3.0/users", nil)
		done <- err
	}()
	for r.Faults().Fired(sandbox.FaultHang) == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := r.server.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-done:
		if err == nil {
			t.Error("a hanging request was answered")
		}
	case <-time.After(time.Minute):
		t.Error("close left a request hanging")
	}
}

func TestStartRefusesABadAddress(t *testing.T) {
	t.Parallel()
	if _, err := sandbox.New(sandbox.Options{Now: newClock().Now}).Start("nowhere"); err == nil || errors.Is(err, http.ErrServerClosed) {
		t.Errorf("error %v", err)
	}
}
