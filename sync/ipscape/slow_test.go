package ipscape

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// drip sends one byte every interval, for ever.
func drip(interval time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		answerJSON(`{"items":[`)(w, req)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			select {
			case <-ticker.C:
			case <-req.Context().Done():
				return
			}
		}
	}
}

func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	stall := drip(time.Hour)
	tests := []struct {
		name          string
		handler       http.HandlerFunc
		timeout, idle time.Duration
		cause         error
	}{
		{"stalls", stall, time.Minute, 50 * time.Millisecond, errIdle},
		{"drips past the deadline", drip(5 * time.Millisecond), 150 * time.Millisecond, time.Minute, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.handler, func(c *Config) { c.Timeout, c.IdleTimeout = tt.timeout, tt.idle })
			_, err := r.ListLeads(t.Context(), ListRequest{}, nil, discard)
			if vendorapi.KindOf(err) != vendorapi.Transient || !errors.Is(err, tt.cause) || errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Time spent on the items is not time the vendor was silent.
func TestSlowEmitIsNotIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, answerJSON(`{"items":[1`+strings.Repeat(" ", 3*scanBuffer)+`,2]}`), func(c *Config) { c.IdleTimeout = 3 * time.Second })
	page, err := r.ListLeads(t.Context(), ListRequest{}, nil, func(raw json.RawMessage, _ *ItemError) error {
		if string(raw) == "1" {
			<-time.After(4 * time.Second)
		}
		return nil
	})
	if err != nil || page.Items != 2 {
		t.Errorf("page %+v, %v", page, err)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	r := newRig(t, drip(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(50*time.Millisecond, cancel)
	defer timer.Stop()
	if _, err := r.ListLeads(ctx, ListRequest{}, nil, discard); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
