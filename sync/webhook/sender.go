package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Outcomes of a request, one word each.
const (
	OutcomeOK       = "ok"
	OutcomeRedirect = "redirect"
	Outcome4xx      = "status_4xx"
	Outcome5xx      = "status_5xx"
	OutcomeOdd      = "status_other"
	OutcomeAddress  = "address" // the address that was to be dialled is not public
	OutcomeName     = "name"    // the host name does not resolve
	OutcomeConnect  = "connect"
	OutcomeTLS      = "tls"
	OutcomeTimeout  = "timeout"
	OutcomeCut      = "cut" // the connection broke before the answer
	OutcomeSecret   = "secret"
)

// Message is one event on its way to one endpoint.
type Message struct {
	URL        string
	Secret     vendorapi.Secret
	EventID    uuid.UUID
	Event      string
	OccurredAt time.Time
	// Data is the JSON object of the envelope.
	Data json.RawMessage
}

// Result is what a request came to.
type Result struct {
	Outcome string
	// Status is 0 when there was no answer.
	Status int
	// After is how long the endpoint asked us to wait.
	After time.Duration
}

// Delivered tells whether the endpoint took it.
func (r Result) Delivered() bool { return r.Outcome == OutcomeOK }

// SenderConfig is what a sender is made of. Guard and Now must be set.
type SenderConfig struct {
	Guard *Guard
	Now   func() time.Time
	// Timeout bounds a whole request (15 s).
	Timeout time.Duration
	// Agent is the User-Agent.
	Agent string
	// Roots are the authorities that are trusted; nil = the system's.
	Roots *x509.CertPool
}

// Sender makes requests. Its methods are safe for concurrent use.
type Sender struct {
	cfg           SenderConfig
	secure, plain *http.Client
}

// NewSender returns a sender that goes through no proxy and follows no redirect: both would lead past the guard.
func NewSender(cfg SenderConfig) *Sender {
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	client := func(plain bool) *http.Client {
		dialer := &net.Dialer{Timeout: 5 * time.Second, Control: cfg.Guard.control(plain)}
		return &http.Client{
			Timeout:       cfg.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Transport: &http.Transport{
				DialContext:     dialer.DialContext,
				TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: cfg.Roots},
				// An answer is not read beyond a few bytes, so it need not be unpacked.
				DisableCompression: true, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 64 << 10,
				MaxIdleConnsPerHost: 4, MaxIdleConns: 64, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
			},
		}
	}
	return &Sender{cfg: cfg, secure: client(false), plain: client(true)}
}

// envelope is what is posted (contracts/lendworks.md section 9.2). It follows from the event alone: every request for it has
// the same bytes.
type envelope struct {
	ID        string          `json:"id"`
	Event     string          `json:"event"`
	Timestamp string          `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// EventID is an event's id as receivers see it.
func EventID(id uuid.UUID) string { return "evt_" + id.String() }

// body renders the envelope.
func (m *Message) body() ([]byte, error) {
	return json.Marshal(envelope{EventID(m.EventID), m.Event, m.OccurredAt.UTC().Format("2006-01-02T15:04:05.000Z"), m.Data})
}

// Send makes one request. What the endpoint answers beside its status is neither kept nor shown.
func (s *Sender) Send(ctx context.Context, m Message) Result {
	body, err := m.body()
	if err != nil {
		return Result{Outcome: OutcomeOdd}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(body))
	if err != nil {
		return Result{Outcome: OutcomeName}
	}
	// The time of this request, also for a retry: receivers refuse what is older than five minutes.
	timestamp := s.cfg.Now().Unix()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.cfg.Agent)
	req.Header.Set(HeaderID, EventID(m.EventID))
	req.Header.Set(HeaderTimestamp, strconv.FormatInt(timestamp, 10))
	req.Header.Set(HeaderSignature, Sign(m.Secret, timestamp, body))
	client := s.secure
	if req.URL.Scheme != "https" {
		client = s.plain
	}
	resp, err := client.Do(req)
	if err != nil {
		return Result{Outcome: failureOf(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	// So that the connection can be used again; what comes is looked at by nobody.
	_, _ = io.CopyN(io.Discard, resp.Body, 16<<10)
	result := Result{Outcome: outcomeOf(resp.StatusCode), Status: resp.StatusCode}
	if !result.Delivered() {
		result.After = vendorapi.RetryAfter(resp.Header, s.cfg.Now(), 0)
	}
	return result
}

func outcomeOf(status int) string {
	switch status / 100 {
	case 2:
		return OutcomeOK
	case 3:
		return OutcomeRedirect
	case 4:
		return Outcome4xx
	case 5:
		return Outcome5xx
	}
	return OutcomeOdd
}

// failureOf sorts an error of net/http; its text, which holds the address, goes no further.
func failureOf(err error) string {
	var (
		refusal *Refusal
		timeout net.Error
		name    *net.DNSError
		record  tls.RecordHeaderError
		cert    *tls.CertificateVerificationError
		op      *net.OpError
	)
	switch {
	case errors.As(err, &refusal):
		return OutcomeAddress
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return OutcomeTimeout
	case errors.As(err, &name):
		return OutcomeName
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record), errors.As(err, &cert), strings.Contains(err.Error(), "tls: "):
		return OutcomeTLS
	case errors.As(err, &op) && op.Op == "dial":
		return OutcomeConnect
	}
	return OutcomeCut
}
