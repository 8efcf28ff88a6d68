package api

import (
	"net/url"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// convosoReceiver is POST|GET /v1/dialer/convoso/{orgToken}[/{event}]. A GET has its data in the query.
func (s *Server) convosoReceiver() handler {
	return s.receive(&receiver{
		source: pipeline.SourceConvoso, parser: s.cfg.Convoso, from: s.cfg.ConvosoFrom,
		unparsable: convoso.ErrUnparsable, unrecognised: convoso.ErrUnrecognised,
		unknown: "the post is none of disposition, recording, call_event, lead_update and dnc",
	})
}

// ConvosoSettings is a Parser over the settings of each organisation's Convoso account.
type ConvosoSettings func(org uuid.UUID) convoso.Settings

// Parse implements Parser.
func (f ConvosoSettings) Parse(post *store.Post) (Reading, error) {
	settings := f(post.Org)
	facts, optOuts, err := settings.Look(ConvosoPost(post))
	if err != nil {
		return Reading{}, err
	}
	reading := Reading{Facts: facts}
	for _, s := range optOuts {
		reading.Suppressions = append(reading.Suppressions, suppressionsOf(settings.Account, s)...)
	}
	return reading, nil
}

// ConvosoPost returns a kept post as the Convoso parser takes it. The receiver and the drain both read through it, so that
// both see the same facts. What is wrong in a query string is left out of it.
func ConvosoPost(post *store.Post) convoso.Post {
	query, _ := url.ParseQuery(post.Query) // what could be read is there in spite of an error
	return convoso.Post{
		Body: post.Body, ContentType: post.ContentType, Method: post.Method, Query: query, EventPath: post.EventPath,
		ReceivedAt: post.ReceivedAt,
	}
}

// callKind is the kind of a suppression by call. No lead has such a key, so it blocks nothing by itself: the fold, which
// comes within a second, puts the opt-out to the call's lead or number.
const callKind = pipeline.KeyKind("call:" + pipeline.SourceConvoso)

// suppressionsOf names the phone, or each of the lead's keys where there is no phone, or the call where nothing else is told.
func suppressionsOf(account string, s convoso.Suppression) []store.Suppression {
	base := store.Suppression{Stream: s.Stream, ObjectID: s.ObjectID, Reason: s.Reason}
	named := func(kind pipeline.KeyKind, account, value string) store.Suppression {
		one := base
		one.Kind, one.Account, one.Value = string(kind), account, value
		return one
	}
	if s.Phone != "" {
		return []store.Suppression{named(pipeline.KeyPhone, "", s.Phone)}
	}
	var found []store.Suppression
	if s.LeadID != "" {
		found = append(found, named(pipeline.KeyConvosoLead, account, s.LeadID))
	}
	if s.RemoteID != "" {
		found = append(found, named(pipeline.KeyRemote, "", s.RemoteID))
	}
	if s.CallID != "" {
		found = append(found, named(callKind, account, s.CallID))
	}
	return found
}
