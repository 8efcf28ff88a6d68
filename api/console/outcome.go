package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// outcomes are what a page says after a form: the address carries the word alone, so that nobody can make a page say anything else.
var outcomes = map[string]string{
	"retried": "It is ready again and will be sent, if its checks pass.", "cancelled": "It is cancelled.", "settled": "It is settled.",
	"paused": "It is paused.", "resumed": "It goes on.", "read": "The post was read again.", "handed": "It is handed over and will be read; load this page again in a moment.", "replayed": "It was tried again.",
	"unsure": "Nothing was done: tick the box beside the button first.", "moved": "Nothing was done: its state has changed meanwhile.",
	"sending": "Nothing was done: it is being sent right now.", "ended": "Nothing was done: the backfill has ended.",
}

// outcome is what came of the form that led to this page, and whether that is bad news.
func outcome(r *http.Request) (said string, failed bool) {
	v := r.URL.Query()
	done := v.Get("done")
	said = outcomes[done]
	failed = done == "unsure" || done == "moved" || done == "sending" || done == "ended"
	if done == "replayed" {
		fixed, _ := strconv.Atoi(v.Get("fixed"))
		left, _ := strconv.Atoi(v.Get("left"))
		said, failed = fmt.Sprintf("Tried again: %s fixed, %s left.", number(int64(fixed)), number(int64(left))), left > 0
		if waiting, _ := strconv.Atoi(v.Get("waiting")); waiting > 0 {
			said += fmt.Sprintf(" %s handed over and will be tried; load this page again in a moment.", number(int64(waiting)))
		}
	}
	return said, failed
}

// refusal turns an order that could not be carried out into the word for it; other errors stay.
func refusal(err error) (string, error) {
	switch {
	case errors.Is(err, store.ErrInFlight):
		return "sending", nil
	case errors.Is(err, store.ErrWrongState):
		return "moved", nil
	case errors.Is(err, store.ErrBackfillEnded):
		return "ended", nil
	}
	return "", err
}

// back leads from a form to the page that shows what came of it, so that loading it again does nothing twice.
func (s *Site) back(w http.ResponseWriter, r *http.Request, to, done string, more ...string) error {
	s.stale()
	s.cfg.Log.InfoContext(r.Context(), "a person acted on the status page", "page", to, "outcome", done)
	v := url.Values{"done": {done}}
	for i := 0; i+1 < len(more); i += 2 {
		v.Set(more[i], more[i+1])
	}
	http.Redirect(w, r, to+"?"+v.Encode(), http.StatusSeeOther)
	return nil
}

// pathID reads the id in the path; what is none belongs to nothing.
func pathID(r *http.Request) (uuid.UUID, error) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return id, store.ErrNotFound
	}
	return id, nil
}
