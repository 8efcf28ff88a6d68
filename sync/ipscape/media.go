package ipscape

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// mediaTimeout bounds a download: a recording of an hour takes longer than any list. The wait for the next bytes stays
// bounded by Config.IdleTimeout.
const mediaTimeout = 10 * time.Minute

// ErrAudio means that the vendor answered a recording itself, and the caller wanted to know about it only.
var ErrAudio = errors.New("ipscape: the answer is audio, and no audio was asked for")

// errAudioTooLarge is a recording beyond Config.MaxAudio.
var errAudioTooLarge = errors.New("recording is larger than allowed")

// Media is what the vendor answered of a recording or voicemail.
type Media struct {
	// Metadata is the answer when it was JSON (contracts/ipscape.md 6.5); nil when it was the audio.
	Metadata json.RawMessage
	// ContentType is that of the audio, and Size how many bytes of it were written.
	ContentType string
	Size        int64
	// AskedAt is when the request was sent (UTC).
	AskedAt time.Time
}

// GetMedia reads what is known of a recording. No way to fetch its audio is documented: should the vendor answer the audio
// itself, it is written to audio, up to Config.MaxAudio bytes. With a nil audio that is ErrAudio. After an error what was
// written is not the whole recording. ErrNotFound tells that there is no such media.
func (c *Client) GetMedia(ctx context.Context, id string, audio io.Writer, lane vendorapi.Lane) (Media, error) {
	req, err := c.objectRequest(OpGetMedia, id, lane)
	if err != nil {
		return Media{}, err
	}
	if audio != nil {
		req.Header = req.Header.Clone()
		req.Header.Set("Accept", "application/json, audio/*, application/octet-stream")
	}
	ans, err := c.openFor(ctx, req, max(c.api.Timeout, mediaTimeout))
	if err != nil {
		return Media{}, missing(err)
	}
	defer ans.close()
	media := Media{AskedAt: ans.askedAt}
	body := bufio.NewReader(ans.body)
	ans.body = body
	if kind, ok := audioType(ans.header, body); ok {
		if audio == nil {
			return Media{}, fmt.Errorf("%w: %w", ErrAudio, c.api.Broken(req, vendorapi.Refused, errors.New("an answer of type "+kind)))
		}
		media.ContentType = kind
		media.Size, err = c.copyAudio(ans, audio)
		return media, err
	}
	raw, err := c.readObject(ans)
	if err == nil {
		err = sameID(raw, id, mediaID)
	}
	if err != nil {
		return Media{}, ans.broken(err)
	}
	media.Metadata = raw
	return media, nil
}

// audioType tells a recording by its content type. What careless servers call a stream of bytes is JSON if it begins so.
func audioType(h http.Header, body *bufio.Reader) (string, bool) {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return "", false
	}
	if strings.HasPrefix(kind, "audio/") {
		return kind, true
	}
	if kind != "application/octet-stream" {
		return "", false
	}
	first, err := body.Peek(1)
	return kind, err == nil && first[0] != '{'
}

func (c *Client) copyAudio(ans *answer, to io.Writer) (int64, error) {
	w := &audioWriter{to: to}
	size, err := io.Copy(w, io.LimitReader(ans.body, c.cfg.MaxAudio))
	switch {
	case w.err != nil:
		return size, fmt.Errorf("ipscape %s: writing the recording: %w", OpGetMedia, w.err)
	case err != nil:
		return size, ans.broken(err)
	case size == 0:
		return 0, ans.broken(malformed("the recording is empty"))
	}
	// Whether there is more, and whether the answer ended where it should, shows only now.
	switch n, err := io.ReadFull(ans.body, make([]byte, 1)); {
	case n > 0:
		return size, ans.broken(errAudioTooLarge)
	case !errors.Is(err, io.EOF):
		return size, ans.broken(err)
	}
	return size, nil
}

// audioWriter tells the caller's errors from the vendor's.
type audioWriter struct {
	to  io.Writer
	err error
}

// Write passes the bytes on.
func (w *audioWriter) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.err = err
	return n, err
}

func mediaID(raw []byte) (string, error) {
	f := fields{decoder: decoder{b: raw}}
	var media number
	if !f.enter() {
		return "", &ItemError{Reason: ReasonNotObject}
	}
	for f.next() {
		if string(f.key) == "mediaId" {
			media = f.number("media_id")
			continue
		}
		f.value()
	}
	if f.bad || media.id() == "" {
		return "", &ItemError{Reason: ReasonNoID}
	}
	return media.id(), nil
}
