package vendorapi

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const testSecret = Secret("s3cr3t-7f1e9a")

func testClient(t *testing.T, base string) *Client {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return &Client{
		Vendor: "acme", Base: u, HTTP: NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Timeout: 20 * time.Second, Secrets: []Secret{testSecret},
	}
}

func TestStatusVerdicts(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(int(status.Load()))
	}))
	t.Cleanup(server.Close)
	c := testClient(t, server.URL)
	want := func(code int, push, keyed bool) Kind {
		switch {
		case code/100 == 2:
			return 0
		case code == 429:
			return Limited
		case code == 401 || code == 403:
			return Denied
		case code == 408 || code >= 500:
			if push && !keyed {
				return Unknown
			}
			return Transient
		default:
			return Refused
		}
	}
	for code := 200; code < 600; code++ {
		status.Store(int64(code))
		for _, r := range []Request{{Push: true}, {Push: true, Keyed: true}} {
			r.Op, r.Method, r.Path = "probe", http.MethodPost, "/x"
			_, err := c.Do(t.Context(), r)
			if got := KindOf(err); got != want(code, r.Push, r.Keyed) {
				t.Errorf("status %d, keyed %t: kind %s, want %s", code, r.Keyed, got, want(code, r.Push, r.Keyed))
			}
		}
	}
}

func TestReadsAreTriedThreeTimesAndPushesOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(server.Close)
	c := testClient(t, server.URL)
	if _, err := c.Do(t.Context(), Request{Op: "read", Method: http.MethodGet, Path: "/"}); KindOf(err) != Transient || asked.Load() != 3 {
		t.Errorf("a read: %v after %d requests, want transient after 3", err, asked.Load())
	}
	asked.Store(0)
	if _, err := c.Do(t.Context(), Request{Op: "push", Method: http.MethodPost, Path: "/", Push: true}); KindOf(err) != Unknown || asked.Load() != 1 {
		t.Errorf("a push: %v after %d requests, want unknown after 1", err, asked.Load())
	}
}

func TestSentIsKnown(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(hang); server.Close() })
	c := testClient(t, server.URL)
	c.Timeout = 3 * time.Second
	push := Request{Op: "push", Method: http.MethodPost, Path: "/", Push: true, Body: []byte("x")}
	_, err := c.Do(t.Context(), push)
	if verr, ok := err.(*Error); !ok || verr.Kind != Unknown || !verr.Sent { //nolint:errorlint // the type itself is asserted
		t.Errorf("a push that hung: %v, want unknown and sent", err)
	}
	if strings.Contains(fmt.Sprint(err), "context.") || isContext(err) {
		t.Errorf("an unknown outcome carries a context error: %v", err)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	_ = listener.Close()
	_, err = testClient(t, "http://"+closed).Do(t.Context(), push)
	if verr, ok := err.(*Error); !ok || verr.Kind != Transient || verr.Sent { //nolint:errorlint // the type itself is asserted
		t.Errorf("a push to a closed port: %v, want transient and not sent", err)
	}
}

func isContext(err error) bool {
	for ; err != nil; err = unwrap(err) {
		if err == context.DeadlineExceeded || err == context.Canceled { //nolint:errorlint // each link is looked at
			return true
		}
	}
	return false
}

func unwrap(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return nil
}

// TestNoSecretInErrors has servers that throw everything they were sent back at us, in every place that an error quotes.
func TestNoSecretInErrors(t *testing.T) {
	t.Parallel()
	plain := testSecret.Reveal()
	forms := []string{plain, hex.EncodeToString([]byte(plain)), base64.StdEncoding.EncodeToString([]byte(plain)), url.QueryEscape(plain)}
	echo := strings.Join(forms, " ") + " +15032221111 ana@birchhill.example"
	answers := map[string]string{
		"body":          "HTTP/1.1 500 no\r\nContent-Length: 500\r\n\r\n" + echo,
		"refusal":       "HTTP/1.1 422 no\r\nContent-Length: " + fmt.Sprint(len(echo)) + "\r\n\r\n" + echo,
		"bad status":    "HTTP/1.1 " + plain + " x\r\n\r\n",
		"bad location":  "HTTP/1.1 302 x\r\nLocation: %zz" + plain + "\r\n\r\n",
		"not HTTP":      plain + " " + plain + "\r\n\r\n",
		"switching":     "HTTP/1.1 101 x\r\nUpgrade: " + plain + "\r\nConnection: upgrade\r\n\r\n",
		"wrong length":  "HTTP/1.1 200 OK\r\nContent-Length: " + plain + "\r\n\r\n",
		"broken header": "HTTP/1.1 200 OK\r\n" + plain + "\r\n\r\n",
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := testClient(t, "http://"+rawServer(t, answer))
			c.Timeout = 500 * time.Millisecond
			var log strings.Builder
			c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			_, err := c.Do(t.Context(), Request{Op: "push", Method: http.MethodGet, Path: "/", Query: url.Values{"token": {plain}}, Push: true})
			if err == nil {
				t.Fatal("no error")
			}
			for _, form := range append(forms, "15032221111", "ana@") {
				if strings.Contains(err.Error()+log.String(), form) {
					t.Errorf("%q shows in: %v\n%s", form, err, log.String())
				}
			}
		})
	}
}

// rawServer answers every connection with the same bytes.
func rawServer(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, answer)
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	return listener.Addr().String()
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0": time.Second, "0.2": time.Second, "86400": time.Hour, "": time.Minute, "soon": time.Minute,
		"-5": time.Minute, "NaN": time.Minute, "1e300": time.Hour, "Mon, 02 Mar 2026 09:00:30 GMT": 30 * time.Second,
		"Mon, 02 Mar 2026 08:00:00 GMT": time.Second, "Tue, 02 Mar 2027 09:00:00 GMT": time.Hour,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {text}}, now, time.Minute); got != want {
			t.Errorf("Retry-After %q = %s, want %s", text, got, want)
		}
	}
}

// A date is read by the vendor's own clock, however wrong it goes.
func TestRetryAfterByTheVendorsClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for date, want := range map[string]time.Duration{
		"Mon, 02 Mar 2026 08:00:00 GMT": 30 * time.Second, "Mon, 02 Mar 2026 07:59:55 GMT": 35 * time.Second, "yesterday": time.Second,
	} {
		h := http.Header{"Retry-After": {"Mon, 02 Mar 2026 08:00:30 GMT"}, "Date": {date}}
		if got := RetryAfter(h, now, time.Minute); got != want {
			t.Errorf("with the vendor's clock at %q: %s, want %s", date, got, want)
		}
	}
}

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	v := struct{ Token Secret }{testSecret}
	text := fmt.Sprintf("%v %+v %#v %s %q", v, v, v, v.Token, v.Token)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", testSecret, "all", v)
	if strings.Contains(text+log.String(), testSecret.Reveal()) {
		t.Errorf("a secret printed itself: %s %s", text, log.String())
	}
}

func TestParseBase(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://a.example/x": "https://a.example/x/", "https://a.example": "https://a.example/", "http://127.0.0.1:1/": "http://127.0.0.1:1/",
		"http://box:1/x/": "http://box:1/x/", "http://10.0.0.7": "http://10.0.0.7/",
	} {
		if u, err := ParseBase(text); err != nil || u.String() != want {
			t.Errorf("ParseBase(%q) = %v, %v, want %s", text, u, err, want)
		}
	}
	for _, text := range []string{"", "s3cr3t", "ftp://a.example", "https://u:s3cr3t@a.example", "https://a.example/?k=s3cr3t", "http://a.example", "http://8.8.8.8", "https://", "https://a.example/#s3cr3t", ":s3cr3t"} {
		if u, err := ParseBase(text); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("ParseBase(%q) = %v, %v, want an error that does not quote it", text, u, err)
		}
	}
}
