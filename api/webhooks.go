package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
	"github.com/trunkline/trunkline/sync/webhook"
)

// WebhookStore keeps the endpoints of organisations.
type WebhookStore interface {
	WebhookEndpoints(ctx context.Context, org uuid.UUID) ([]store.WebhookEndpoint, error)
	// CreateWebhookEndpointOnce returns store.ErrTooMany when the organisation has as many as it may have, store.ErrKeyInFlight and
	// store.ErrKeyReused.
	CreateWebhookEndpointOnce(ctx context.Context, org uuid.UUID, order store.NewWebhookEndpoint, key *store.IdempotencyKey, answer func(*store.WebhookEndpoint) (store.Answer, error)) (store.Answer, error)
	// UpdateWebhookEndpoint and DeleteWebhookEndpoint return store.ErrNotFound for another organisation's endpoint too.
	UpdateWebhookEndpoint(ctx context.Context, org, id uuid.UUID, patch store.WebhookPatch) (store.WebhookEndpoint, error)
	DeleteWebhookEndpoint(ctx context.Context, org, id uuid.UUID) error
}

// Webhooks is what the subscriptions API works on.
type Webhooks struct {
	Store WebhookStore
	// Guard tells whether an address may be sent to; Keys seal the secrets.
	Guard *webhook.Guard
	Keys  *webhook.Keyring
}

// webhookRoutes are the subscriptions of contracts/lendworks.md section 9.5.
func (s *Server) webhookRoutes() {
	s.handle("GET /v1/app-webhooks", keyed, s.listWebhooks)
	s.handle("POST /v1/app-webhooks", keyed, s.createWebhook)
	s.handle("PATCH /v1/app-webhooks/{id}", keyed, s.changeWebhook)
	s.handle("DELETE /v1/app-webhooks/{id}", keyed, s.deleteWebhook)
}

// webhookPrefix begins the ids of endpoints.
const webhookPrefix = "whsub_"

// subscription is an endpoint as the contract has it: flat, without type and attributes. Secret shows when it was just set.
type subscription struct {
	ID             string   `json:"id"`
	URL            string   `json:"url"`
	Events         []string `json:"events"`
	Secret         string   `json:"secret,omitempty"`
	IsActive       bool     `json:"isActive"`
	CreatedAt      string   `json:"createdAt"`
	UpdatedAt      string   `json:"updatedAt"`
	DisabledAt     *string  `json:"disabledAt"`
	DisabledReason *string  `json:"disabledReason"`
	FailingSince   *string  `json:"failingSince"`
}

func subscriptionOf(e *store.WebhookEndpoint, secret vendorapi.Secret) subscription {
	return subscription{
		ID: webhookPrefix + e.ID.String(), URL: e.URL, Events: e.Events, Secret: secret.Reveal(), IsActive: e.IsActive,
		CreatedAt: formatTime(e.CreatedAt), UpdatedAt: formatTime(e.UpdatedAt), DisabledAt: formatTimePtr(e.DisabledAt),
		DisabledReason: e.DisabledReason, FailingSince: formatTimePtr(e.FailingSince),
	}
}

type subscriptionAnswer struct {
	Data subscription `json:"data"`
	Meta meta         `json:"meta"`
}

type subscriptionList struct {
	Data []subscription `json:"data"`
	Meta totalMeta      `json:"meta"`
}

// totalMeta goes with a list that has no pages.
type totalMeta struct {
	Total     int    `json:"total"`
	RequestID string `json:"requestId"`
}

func (s *Server) listWebhooks(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := query(r)
	defer cancel()
	endpoints, err := s.cfg.Webhooks.Store.WebhookEndpoints(ctx, organisation(r))
	if err != nil {
		return err
	}
	answer := subscriptionList{Data: []subscription{}, Meta: totalMeta{len(endpoints), exchangeOf(r).id}}
	for i := range endpoints {
		answer.Data = append(answer.Data, subscriptionOf(&endpoints[i], ""))
	}
	return writeJSON(w, http.StatusOK, answer)
}

func (s *Server) createWebhook(w http.ResponseWriter, r *http.Request) error {
	order, err := s.readSubscription(w, r, true)
	if err != nil {
		return err
	}
	key, err := s.subscriptionKey(r, &order)
	if err != nil {
		return err
	}
	id := uuid.Must(uuid.NewV7())
	secret := order.secret
	if secret == "" {
		secret = webhook.NewSecret()
	}
	sealed, err := s.seal(secret, id)
	if err != nil {
		return err
	}
	ctx, cancel := query(r)
	defer cancel()
	var made store.WebhookEndpoint
	asked := store.NewWebhookEndpoint{ID: id, URL: *order.patch.URL, Events: order.patch.Events, Secret: sealed}
	answer, err := s.cfg.Webhooks.Store.CreateWebhookEndpointOnce(ctx, organisation(r), asked, key, func(e *store.WebhookEndpoint) (store.Answer, error) {
		made = *e
		return kept(http.StatusCreated, subscriptionAnswer{subscriptionOf(e, ""), meta{exchangeOf(r).id}})
	})
	if errors.Is(err, store.ErrTooMany) {
		return newProblem(http.StatusConflict, codeConflict, "this organisation has as many webhook endpoints as it may have")
	}
	if err != nil {
		return ofKey(err)
	}
	if answer.Replayed {
		return writeKept(w, answer)
	}
	return writeJSON(w, http.StatusCreated, subscriptionAnswer{subscriptionOf(&made, secret), meta{exchangeOf(r).id}})
}

// subscriptionKey is the request's idempotency key. What is kept of the request must not let anybody try out secrets: in place of the
// secret stands a mark that only the holder of the key can make.
func (s *Server) subscriptionKey(r *http.Request, order *subscriptionOrder) (*store.IdempotencyKey, error) {
	if len(r.Header["Idempotency-Key"]) == 0 {
		return nil, nil
	}
	fields := maps.Clone(order.fields)
	if order.secret != "" {
		mark, err := s.cfg.Webhooks.Keys.Mark(order.secret)
		if err != nil {
			return nil, err
		}
		fields["secret"] = json.RawMessage(strconv.Quote(mark))
	}
	said, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	return idempotencyKey(r, said)
}

func (s *Server) changeWebhook(w http.ResponseWriter, r *http.Request) error {
	id, ok := webhookID(r)
	if !ok {
		return notFound()
	}
	order, err := s.readSubscription(w, r, false)
	if err != nil {
		return err
	}
	shown := vendorapi.Secret("")
	if order.renew {
		order.secret = webhook.NewSecret()
		shown = order.secret
	}
	if order.secret != "" {
		sealed, err := s.seal(order.secret, id)
		if err != nil {
			return err
		}
		order.patch.Secret = &sealed
	}
	ctx, cancel := query(r)
	defer cancel()
	e, err := s.cfg.Webhooks.Store.UpdateWebhookEndpoint(ctx, organisation(r), id, order.patch)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, subscriptionAnswer{subscriptionOf(&e, shown), meta{exchangeOf(r).id}})
}

func (s *Server) deleteWebhook(w http.ResponseWriter, r *http.Request) error {
	id, ok := webhookID(r)
	if !ok {
		return notFound()
	}
	ctx, cancel := query(r)
	defer cancel()
	if err := s.cfg.Webhooks.Store.DeleteWebhookEndpoint(ctx, organisation(r), id); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) seal(secret vendorapi.Secret, id uuid.UUID) (store.SealedSecret, error) {
	sealed, keyID, err := s.cfg.Webhooks.Keys.Seal(secret, id[:])
	return store.SealedSecret{Sealed: sealed, KeyID: keyID}, err
}

func webhookID(r *http.Request) (uuid.UUID, bool) {
	text, ok := strings.CutPrefix(r.PathValue("id"), webhookPrefix)
	if !ok {
		return uuid.Nil, false
	}
	return parseID(text)
}
