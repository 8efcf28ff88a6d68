package api

import (
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// convoloReceiver is POST /v1/dialer/convolo/{orgToken}. The vendor signs nothing, so the token is all that proves a sender.
func (s *Server) convoloReceiver() handler {
	return s.receive(&receiver{
		source: pipeline.SourceConvolo, parser: convoloParser{},
		unparsable: convolo.ErrUnparsable, unrecognised: convolo.ErrUnrecognised,
		unknown: "the post has no type of webhook: switch on the widget's option for the new JSON format",
	})
}

// convoloParser reads Convolo's webhooks, which need no settings. They opt nobody out.
type convoloParser struct{}

// Parse implements Parser.
func (convoloParser) Parse(post *store.Post) (Reading, error) {
	hooks, err := convolo.ParseWebhooks(post.Body)
	return Reading{Facts: len(hooks)}, err
}
