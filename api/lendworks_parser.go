package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// lendworksReceiver is POST /v1/webhooks/lendworks/{orgToken}. Without a secret to check signatures with it takes nothing.
func (s *Server) lendworksReceiver() handler {
	return s.receive(&receiver{
		source: pipeline.SourceLendWorks, parser: lendworksParser{},
		unparsable: lendworks.ErrUnparsable, unrecognised: lendworks.ErrUnrecognised,
		unknown: "the webhook names no event",
		signed:  signedWith(s.cfg.LendWorksSecret),
	})
}

func signedWith(secret vendorapi.Secret) func(*http.Request, []byte, time.Time) error {
	return func(r *http.Request, body []byte, at time.Time) error {
		err := lendworks.Verify(secret, r.Header.Get(lendworks.HeaderSignature), r.Header.Get(lendworks.HeaderTimestamp), body, at)
		if err == nil {
			return nil
		}
		if errors.Is(err, lendworks.ErrSignature) {
			return newProblem(http.StatusUnauthorized, codeSignature, "the signature or the time of the webhook is not valid")
		}
		return internal(err)
	}
}

// lendworksParser reads LendWorks' webhooks, which need no settings. None of those known opts anybody out.
type lendworksParser struct{}

// Parse implements Parser.
func (lendworksParser) Parse(post *store.Post) (Reading, error) {
	if _, err := lendworks.ParseEvent(post.Body); err != nil {
		return Reading{}, err
	}
	return Reading{Facts: 1}, nil
}
