package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// deliveryAttributes hold no phone: the lead has it, for whoever may read leads.
type deliveryAttributes struct {
	Destination string  `json:"destination"`
	Operation   string  `json:"operation"`
	Class       string  `json:"class"`
	LeadID      *string `json:"leadId"`
	State       string  `json:"state"`
	Reason      *string `json:"reason"`
	Hold        *string `json:"hold"`
	Attempts    int     `json:"attempts"`
	CreatedAt   string  `json:"createdAt"`
	NotBefore   string  `json:"notBefore"`
	SendingAt   *string `json:"sendingAt"`
	SettledAt   *string `json:"settledAt"`
	ExpiresAt   *string `json:"expiresAt"`
	ExternalID  *string `json:"externalId"`
	Error       *string `json:"error"`
}

func deliveryResource(d *store.DeliveryRow) resource {
	a := deliveryAttributes{
		Destination: d.Destination, Operation: d.Operation, Class: d.Class, State: d.State, Reason: d.Reason, Hold: d.Hold,
		Attempts: d.Attempts, CreatedAt: formatTime(d.CreatedAt), NotBefore: formatTime(d.NotBefore), SendingAt: formatTimePtr(d.SendingAt),
		SettledAt: formatTimePtr(d.SettledAt), ExpiresAt: formatTimePtr(d.ExpiresAt), ExternalID: d.ExternalID, Error: d.Error,
	}
	if d.LeadID != nil {
		text := d.LeadID.String()
		a.LeadID = &text
	}
	return resource{ID: d.ID.String(), Type: "delivery", Attributes: a}
}

// listDeliveries is GET /v1/deliveries, newest first, with page and limit, and state, destination and leadId to choose by.
func (s *Server) listDeliveries(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(r)
	if err != nil {
		return err
	}
	p, items := pagingOf(values)
	destination, more := word(values, "destination")
	items = append(items, more...)
	q := store.DeliveryQuery{
		Org: organisation(r), State: values.Get("state"), Destination: destination, Offset: p.offset(), Limit: p.limit,
	}
	switch pipeline.DeliveryState(q.State) {
	case "", pipeline.DeliveryReady, pipeline.DeliverySending, pipeline.DeliveryConfirmed, pipeline.DeliveryRejected,
		pipeline.DeliveryUnknown, pipeline.DeliveryExpired, pipeline.DeliveryCancelled:
	default:
		items = append(items, invalidField("state", "must be ready, sending, confirmed, rejected, unknown, expired or cancelled"))
	}
	if text := values.Get("leadId"); text != "" {
		if q.LeadID, err = uuid.Parse(text); err != nil {
			items = append(items, invalidField("leadId", "must be a lead's id"))
		}
	}
	if err := invalid(items); err != nil {
		return err
	}
	var (
		list  []store.DeliveryRow
		total int64
	)
	err = s.read(r, func(ctx context.Context, from store.Reader) (err error) {
		list, total, err = from.Deliveries(ctx, q)
		return err
	})
	if err != nil {
		return err
	}
	data := make([]resource, len(list))
	for i := range list {
		data[i] = deliveryResource(&list[i])
	}
	return writePage(w, r, p, total, data, nil)
}
