package ipscape

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

func TestMedia(t *testing.T) {
	t.Parallel()
	wave := "RIFF\x00 \r\n" + strings.Repeat("\x01\xff", 600)
	serve := func(kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			if accept := req.Header.Get("Accept"); !strings.Contains(accept, "application/json") {
				http.Error(w, accept, http.StatusNotAcceptable)
				return
			}
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, body)
		}
	}
	deleted := `{"mediaId":61,"mediaUri":"/platform-api/v3.0/media/61","duration":40,"deleted":true,"deletedTimestamp":"2024-03-02T09:00:00+11:00","deletedBy":33,"deletionReason":"x"}`
	tests := []struct {
		name     string
		handler  http.HandlerFunc
		audio    int // bytes that must arrive
		metadata bool
		kind     vendorapi.Kind
		text     string
	}{
		{"metadata", serve("application/json", deleted), 0, true, 0, ""},
		{"metadata as a stream of bytes", serve("application/octet-stream", deleted), 0, true, 0, ""},
		{"wave", serve("audio/x-wav; rate=8000", wave), len(wave), false, 0, ""},
		{"a stream of bytes that begins with a blank", serve("application/octet-stream", " \n"+wave), len(wave) + 2, false, 0, ""},
		{"just as large as allowed", serve("audio/mpeg", strings.Repeat("x", 2000)), 2000, false, 0, ""},
		{"too large", serve("audio/mpeg", strings.Repeat("x", 2001)), 2000, false, vendorapi.Malformed, "larger than allowed"},
		{"empty", serve("audio/mpeg", ""), 0, false, vendorapi.Malformed, "empty"},
		{"login page", serve("text/html", "<html>"), 0, false, vendorapi.Malformed, "no JSON"},
		{"another media", serve("application/json", `{"mediaId":62}`), 0, false, vendorapi.Malformed, "another object"},
		{"no media", serve("application/json", `{"error":"x"}`), 0, false, vendorapi.Malformed, "no usable id"},
		{"cut", func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Length", "1000")
			serve("audio/mpeg", "xxxx")(w, req)
		}, 4, false, vendorapi.Transient, "broke off"},
		{"gone", http.NotFound, 0, false, vendorapi.Refused, "no such object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, tt.handler, func(c *Config) { c.MaxAudio = 2000 })
			var got bytes.Buffer
			media, err := r.GetMedia(t.Context(), "61", &got, vendorapi.Reread)
			if vendorapi.KindOf(err) != tt.kind || (err == nil) != (tt.kind == 0) || (err != nil && !strings.Contains(err.Error(), tt.text)) {
				t.Fatalf("got %v, want %v with %q", err, tt.kind, tt.text)
			}
			if got.Len() != tt.audio || (media.Metadata != nil) != tt.metadata || (err == nil && media.Size != int64(tt.audio)) {
				t.Errorf("%d bytes, %+v", got.Len(), media)
			}
			if err == nil && media.AskedAt.IsZero() {
				t.Error("no time")
			}
			media, err = r.GetMedia(t.Context(), "61", nil, "")
			if audio := !tt.metadata && (tt.audio > 0 || tt.name == "empty"); errors.Is(err, ErrAudio) != audio || (media.Metadata != nil) != tt.metadata {
				t.Errorf("without a place for audio: %+v, %v", media, err)
			}
		})
	}
}

// full is a disk that is.
type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestMediaWriteError(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		_, _ = io.WriteString(w, "xxxx")
	})
	if _, err := r.GetMedia(t.Context(), "61", full{}, ""); !errors.Is(err, errFull) || vendorapi.KindOf(err) != 0 {
		t.Errorf("got %v", err)
	}
}

func TestSandboxMedia(t *testing.T) {
	t.Parallel()
	box, client := newSandbox(t)
	var id int64
	for _, a := range box.IPSCAPE().Activities() {
		if a.Recording != nil {
			id = a.Recording.MediaID
		}
	}
	media, err := client.GetMedia(t.Context(), fmt.Sprint(id), nil, "")
	if err != nil || media.Metadata == nil {
		t.Errorf("%+v, %v", media, err)
	}
	box.IPSCAPE().SetAudio("audio/wav", []byte("RIFFxxxx"))
	var got bytes.Buffer
	if media, err = client.GetMedia(t.Context(), fmt.Sprint(id), &got, ""); err != nil || got.String() != "RIFFxxxx" || media.ContentType != "audio/wav" {
		t.Errorf("%+v, %q, %v", media, got.String(), err)
	}
	if _, err := client.Call(t.Context(), OpGetMedia, map[string]string{"mediaId": fmt.Sprint(id)}); !errors.Is(err, ErrAudio) {
		t.Errorf("got %v", err)
	}
}
