package jobs

import (
	"net/url"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// ReadConvoso returns what the drain of the inbox makes of a Convoso post: one record a fact.
func ReadConvoso(settings convoso.Settings) func(store.Post) ([]store.InboxFact, error) {
	table := &store.TypedTable{
		Schema: "convoso", Name: "events", Key: "event_id",
		Columns: append(convoso.EventColumns(), "inbox_id"),
	}
	return func(p store.Post) ([]store.InboxFact, error) {
		query, _ := url.ParseQuery(p.Query) // what could be read is there in spite of an error
		facts, err := settings.Parse(convoso.Post{
			Body: p.Body, ContentType: p.ContentType, Method: p.Method, Query: query, EventPath: p.EventPath, ReceivedAt: p.ReceivedAt,
		})
		if err != nil {
			return nil, err
		}
		out := make([]store.InboxFact, 0, len(facts))
		for i := range facts {
			out = append(out, convosoFact(settings.Account, table, p.Org, p.ID, &facts[i], &p))
		}
		return out, nil
	}
}

func convosoFact(account string, table *store.TypedTable, org, post uuid.UUID, f *convoso.Fact, p *store.Post) store.InboxFact {
	return store.InboxFact{
		Target: store.Target{Org: org, Account: account, Source: pipeline.SourceConvoso, Stream: f.Stream, Table: table},
		Record: store.LandRecord{
			ObjectID: f.ObjectID, Payload: f.Payload, SourceTime: f.SourceTime, ZoneAssumed: f.ZoneAssumed,
			ObservedAt: p.ReceivedAt, Values: append(f.Row.Values(), post),
		},
	}
}
