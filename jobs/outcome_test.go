package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

var jobMade = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// outcomeOf runs a job of the given age whose worker returns err.
func outcomeOf(ctx context.Context, age time.Duration, err error, log *slog.Logger) error {
	o := &outcome{now: func() time.Time { return jobMade.Add(age) }, log: log}
	job := &rivertype.JobRow{ID: 7, Kind: "walk", Attempt: 1, CreatedAt: jobMade, EncodedArgs: []byte(`{"walk_id":"+15035550142"}`)}
	return o.Work(ctx, job, func(context.Context) error { return err })
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// said is what River will do with a job: "retry", "cancel", "snooze <duration>", or "done".
func said(err error) string {
	var snooze *river.JobSnoozeError
	var cancel *river.JobCancelError
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &snooze) && errors.As(err, &cancel):
		return "both"
	case errors.As(err, &snooze):
		return "snooze " + snooze.Duration.String()
	case errors.As(err, &cancel):
		return "cancel"
	default:
		return "retry"
	}
}

func TestOutcomeOfEveryKind(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	seen := map[vendorapi.Kind]bool{}
	for _, c := range []struct {
		kind  vendorapi.Kind
		after time.Duration
		age   time.Duration
		want  string
	}{
		{vendorapi.Transient, 0, 0, "retry"},
		{vendorapi.Transient, 0, day, "retry"},
		{vendorapi.Malformed, 0, 0, "retry"},
		{vendorapi.Limited, 90 * time.Second, 0, "snooze 1m30s"},
		{vendorapi.Limited, 0, 0, "snooze 1s"},
		{vendorapi.Limited, time.Hour, day - time.Nanosecond, "snooze 1h0m0s"},
		{vendorapi.Limited, time.Hour, day, "retry"},
		{vendorapi.Denied, 0, 0, "snooze 10m0s"},
		{vendorapi.Denied, 0, day - time.Nanosecond, "snooze 10m0s"},
		{vendorapi.Denied, 0, day, "retry"},
		{vendorapi.Refused, 0, 0, "cancel"},
		{vendorapi.Unknown, 0, 0, "cancel"},
		{vendorapi.Unknown, 0, day, "cancel"},
		{vendorapi.Kind(0), 0, 0, "retry"},
	} {
		seen[c.kind] = true
		cause := &vendorapi.Error{Vendor: "ipscape", Op: "list", Kind: c.kind, After: c.after}
		got := outcomeOf(t.Context(), c.age, fmt.Errorf("walk 1: %w", cause), quiet())
		if said(got) != c.want {
			t.Errorf("%s, wait %s, job of %s: %s, want %s", c.kind, c.after, c.age, said(got), c.want)
		}
		if !errors.Is(got, cause) {
			t.Errorf("%s: %v no longer tells its cause", c.kind, got)
		}
	}
	for k := vendorapi.Transient; k.String() != "none"; k++ {
		if !seen[k] {
			t.Errorf("no row for kind %s", k)
		}
	}
}

func TestOutcomeLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	if err := outcomeOf(t.Context(), 0, nil, quiet()); err != nil {
		t.Errorf("a job that went well ends with %v", err)
	}
	limited := &vendorapi.Error{Vendor: "ipscape", Op: "list", Kind: vendorapi.Limited, After: time.Minute}
	for name, err := range map[string]error{
		"plain error":                    errors.New("no"),
		"snooze of the worker":           river.JobSnooze(3 * time.Second),
		"wrapped snooze":                 fmt.Errorf("turn over: %w", river.JobSnooze(0)),
		"snooze over a vendor's verdict": fmt.Errorf("%w: %w", limited, river.JobSnooze(5*time.Second)),
		"cancel of the worker":           river.JobCancel(errors.New("guard")),
	} {
		for _, age := range []time.Duration{0, 48 * time.Hour} {
			if got := outcomeOf(t.Context(), age, err, quiet()); got != err { //nolint:errorlint // the very same error is wanted
				t.Errorf("%s, job of %s: became %v", name, age, got)
			}
		}
	}
	// While a daemon stops, whatever the error says, the job goes back as it is.
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range []error{
		context.Canceled, fmt.Errorf("asking: %w", context.Canceled), limited,
		&vendorapi.Error{Kind: vendorapi.Refused, Err: context.Canceled},
	} {
		if got := outcomeOf(stopped, 0, err, quiet()); got != err { //nolint:errorlint // the very same error is wanted
			t.Errorf("during a stop %v became %v", err, got)
		}
	}
}

// A vendor that echoes what it was sent must not bring the token into the log or into the error that River keeps.
func TestOutcomeShowsNoSecret(t *testing.T) {
	t.Parallel()
	const token = "tok-5f3a9c77"
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte("bad token " + r.Header.Get("Authorization") + " of +15035550142")) //nolint:gosec // the echo is the point
	}))
	defer echo.Close()
	base, err := url.Parse(echo.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := &vendorapi.Client{
		Vendor: "ipscape", Base: base, HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: quiet(), Timeout: 5 * time.Second,
		Secrets: []vendorapi.Secret{token},
	}
	_, err = client.Do(t.Context(), vendorapi.Request{
		Op: "list", Method: http.MethodGet, Path: "/x", Header: http.Header{"Authorization": {"Bearer " + token}},
	})
	if err == nil {
		t.Fatal("the vendor's 500 is no error")
	}
	var log bytes.Buffer
	got := outcomeOf(t.Context(), 0, fmt.Errorf("walk 1: %w", err), slog.New(slog.NewJSONHandler(&log, nil)))
	if !strings.Contains(log.String(), `"job_id":7`) || !strings.Contains(log.String(), `"kind":"walk"`) {
		t.Errorf("the log does not name the job: %s", log.String())
	}
	for _, secret := range []string{token, "5035550142"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log shows %s: %s", secret, log.String())
		}
		if strings.Contains(got.Error(), secret) {
			t.Errorf("the job's error shows %s: %v", secret, got)
		}
	}
}

// What Postgres quotes of a row stays out of the log and of the error that River keeps, and the error is still what it is.
func TestOutcomeQuotesNoRow(t *testing.T) {
	t.Parallel()
	pg := &pgconn.PgError{Code: "22P02", Message: `invalid input syntax: "+15035550142"`, Detail: "Key (phone)=(+15035550142)"}
	cause := fmt.Errorf("folding: %w: %w", context.DeadlineExceeded, pg)
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		err  error
		want string
	}{
		"a failure":         {t.Context(), cause, "retry"},
		"during a stop":     {stopped, cause, "retry"},
		"with a snooze":     {t.Context(), fmt.Errorf("%w: %w", cause, river.JobSnooze(time.Second)), "snooze 1s"},
		"beside a vendor's": {t.Context(), errors.Join(&vendorapi.Error{Vendor: "ipscape", Kind: vendorapi.Refused}, cause), "cancel"},
	} {
		var log bytes.Buffer
		got := outcomeOf(c.ctx, 0, c.err, slog.New(slog.NewJSONHandler(&log, nil)))
		if text := got.Error() + log.String(); strings.Contains(text, "5035550142") || !strings.Contains(got.Error(), "22P02") {
			t.Errorf("%s: %s", name, text)
		}
		if said(got) != c.want || !errors.Is(got, context.DeadlineExceeded) || !errors.Is(got, pg) {
			t.Errorf("%s: %s of %v, want %s and its causes", name, said(got), got, c.want)
		}
	}
}
