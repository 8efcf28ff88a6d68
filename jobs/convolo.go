package jobs

import (
	"slices"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// ReadConvolo returns what the drain of the inbox makes of a Convolo post: one record a webhook, the row of its call, and
// the word that our delivery took effect where the webhook carries its reference.
func ReadConvolo(settings convolo.Settings) func(store.Post) ([]store.InboxFact, error) {
	table := &store.TypedTable{Schema: "convolo", Name: "calls", Key: "call_id", Columns: convolo.CallColumns()}
	return func(p store.Post) ([]store.InboxFact, error) {
		hooks, err := convolo.ParseWebhooks(p.Body)
		if err != nil {
			return nil, err
		}
		out := make([]store.InboxFact, 0, len(hooks))
		for i := range hooks {
			f, err := convoloFact(settings, table, &hooks[i], &p)
			if err != nil {
				return nil, err
			}
			out = append(out, f)
		}
		return out, nil
	}
}

func convoloFact(settings convolo.Settings, table *store.TypedTable, h *convolo.Webhook, p *store.Post) (store.InboxFact, error) {
	payload, err := h.Payload(nil)
	if err != nil {
		return store.InboxFact{}, err
	}
	f := store.InboxFact{
		Target: store.Target{Org: p.Org, Account: settings.Account, Source: pipeline.SourceConvolo, Stream: h.Stream},
		Record: store.LandRecord{ObjectID: h.ObjectID, Payload: payload, SourceTime: h.SourceTime, ObservedAt: p.ReceivedAt},
	}
	// Whoever else starts calls at the widget has references of a form of their own.
	if delivery, err := uuid.Parse(h.Ref); err == nil {
		f.Report = &store.DeliveryReport{
			Destination: DestinationConvolo, Delivery: delivery, ExternalID: h.CallID,
			Join: func(rec *store.LandRecord, lead []pipeline.Key) (err error) {
				rec.Payload, err = h.Payload(&convolo.Join{DeliveryID: delivery.String(), Lead: lead})
				return err
			},
		}
	}
	if h.CallID != "" {
		objects := convolo.CallObjects(h.CallID)
		if !slices.Contains(objects, h.ObjectID) {
			objects = append(objects, h.ObjectID)
		}
		f.Row = &store.SharedRow{Table: table, Key: h.CallID, Objects: objects, Values: settings.CallRow}
	}
	return f, nil
}
