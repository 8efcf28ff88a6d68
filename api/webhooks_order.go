package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/webhook"
)

// subscriptionOrder is what a body asks for.
type subscriptionOrder struct {
	// fields are the body's.
	fields map[string]json.RawMessage
	patch  store.WebhookPatch
	secret vendorapi.Secret
	// renew asks for a secret of our making: the body says null.
	renew bool
}

// readSubscription reads and checks a body. On creation url and events must be there, and fields that there are not are passed
// over; a change takes no such field.
func (s *Server) readSubscription(w http.ResponseWriter, r *http.Request, create bool) (subscriptionOrder, error) {
	var order subscriptionOrder
	body, err := s.readBody(w, r, maxAPIBody)
	if err != nil {
		return order, err
	}
	fields, err := members(body)
	if err != nil {
		return order, err
	}
	order.fields = fields
	var items []errorItem
	fault := func(name, message string) { items = append(items, invalidField(name, message)) }
	for _, name := range sortedKeys(fields) {
		if why := order.read(name, fields[name], create); why != "" {
			fault(fieldName(name), why)
		}
	}
	if order.patch.URL != nil {
		var refusal *webhook.Refusal
		if err := s.cfg.Webhooks.Guard.CheckURL(r.Context(), *order.patch.URL); errors.As(err, &refusal) {
			fault("url", refusal.Why)
		}
	}
	if create {
		for _, name := range []string{"events", "url"} {
			if _, given := fields[name]; !given {
				fault(name, "is required")
			}
		}
	}
	return order, invalid(items)
}

// read takes one field, and says what is wrong with it.
func (o *subscriptionOrder) read(name string, text json.RawMessage, create bool) string {
	null := string(text) == "null"
	switch {
	case name == "url":
		var given string
		if null || json.Unmarshal(text, &given) != nil {
			return "must be text"
		}
		o.patch.URL = &given
	case name == "events":
		if null || json.Unmarshal(text, &o.patch.Events) != nil {
			return "must be a list of texts"
		}
		return checkEvents(&o.patch.Events)
	case name == "secret" && null:
		o.renew = true
	case name == "secret":
		var given string
		if json.Unmarshal(text, &given) != nil {
			return "must be text"
		}
		o.secret = vendorapi.Secret(given)
		return checkSecret(given)
	case create:
	case name == "isActive":
		if null || json.Unmarshal(text, &o.patch.IsActive) != nil {
			return "must be true or false"
		}
	default:
		return "is no field that can be changed"
	}
	return ""
}

// checkEvents takes events that there are here or at LendWorks, each once.
func checkEvents(events *[]string) string {
	known := slices.Concat(pipeline.WebhookEvents(), pipeline.WebhookElsewhere())
	if len(*events) == 0 {
		return "must name an event"
	}
	for _, name := range *events {
		if !slices.Contains(known, pipeline.WebhookEvent(name)) {
			return "names an event that there is not; GET /v1/webhooks/catalog lists them"
		}
	}
	slices.Sort(*events)
	*events = slices.Compact(*events)
	return ""
}

// checkSecret takes any text that can be a key; its strength is its owner's affair.
func checkSecret(text string) string {
	const most = 255
	if text == "" || utf8.RuneCountInString(text) > most || strings.ContainsFunc(text, unicode.IsControl) {
		return "must be 1 to 255 characters, none of them a control character"
	}
	return ""
}
