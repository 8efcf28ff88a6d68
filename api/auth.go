package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

// KeyChecker finds API keys.
type KeyChecker interface {
	// APIKeyByPrefix returns store.ErrNotFound when there is no such key.
	APIKeyByPrefix(ctx context.Context, prefix string) (store.APIKey, error)
	// TouchAPIKey notes that a key was used.
	TouchAPIKey(ctx context.Context, id uuid.UUID, at time.Time) error
}

const (
	// keyCacheTime is how long a key's row is believed: a revoked key works that much longer at most.
	keyCacheTime = time.Second
	// keyCacheSize bounds the cache; past it everything is looked up anew.
	keyCacheSize = 1024
	// touchEvery is how exact last_used_at is.
	touchEvery   = time.Minute
	touchTimeout = 5 * time.Second
)

// keyring checks bearer keys.
type keyring struct {
	checker KeyChecker
	now     func() time.Time
	log     *slog.Logger

	// fixed is the hash of the environment's key, nil without one.
	fixed    *[sha256.Size]byte
	fixedOrg uuid.UUID

	mu      sync.Mutex
	cached  map[string]cachedKey
	touched map[uuid.UUID]time.Time
	touches chan touch
}

type cachedKey struct {
	key store.APIKey
	at  time.Time
}

type touch struct {
	id uuid.UUID
	at time.Time
}

func newKeyring(cfg *Config) *keyring {
	k := &keyring{
		checker: cfg.Keys, now: cfg.Now, log: cfg.Log, fixedOrg: cfg.DefaultOrg,
		cached: map[string]cachedKey{}, touched: map[uuid.UUID]time.Time{}, touches: make(chan touch, 64),
	}
	if cfg.APIKey != "" {
		hash := store.HashAPIKey(cfg.APIKey.Reveal())
		k.fixed = &hash
	}
	return k
}

// authenticate returns who holds the request's key, or one of the four 401s of contracts/lendworks.md section 2.
func (k *keyring) authenticate(r *http.Request) (*principal, error) {
	given := r.Header.Get("Authorization")
	if strings.TrimSpace(given) == "" {
		return nil, unauthorized(codeKeyRequired, "an API key is required: Authorization: Bearer <key>")
	}
	token, ok := bearer(given)
	if !ok {
		return nil, invalidKey()
	}
	hash := store.HashAPIKey(token)
	if k.fixed != nil && subtle.ConstantTimeCompare(hash[:], k.fixed[:]) == 1 {
		return &principal{org: k.fixedOrg, level: store.LevelFull, tier: store.TierNone, key: "environment"}, nil
	}
	prefix, ok := store.KeyPrefix(token)
	if !ok {
		return nil, invalidKey()
	}
	key, err := k.find(r.Context(), prefix)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("checking an api key: %w", err)
	}
	// An unknown prefix leaves a zero hash, which is compared like any other.
	if subtle.ConstantTimeCompare(hash[:], key.Hash[:]) != 1 || err != nil {
		return nil, invalidKey()
	}
	now := k.now()
	switch {
	case key.RevokedAt != nil && !now.Before(*key.RevokedAt):
		return nil, unauthorized(codeKeyRevoked, "this API key was revoked")
	case key.ExpiresAt != nil && !now.Before(*key.ExpiresAt):
		return nil, unauthorized(codeKeyExpired, "this API key has expired")
	}
	k.touch(key, now)
	return &principal{org: key.Org, level: key.Level, tier: key.Tier, key: key.Prefix, id: key.ID, family: key.Family, quota: key.MonthlyQuota}, nil
}

func invalidKey() *problem { return unauthorized(codeKeyInvalid, "this API key is not valid") }

// bearer returns the credential of an Authorization header.
func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(strings.TrimSpace(header), " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// find returns a key's row, at most keyCacheTime old.
func (k *keyring) find(ctx context.Context, prefix string) (store.APIKey, error) {
	now := k.now()
	k.mu.Lock()
	hit, ok := k.cached[prefix]
	k.mu.Unlock()
	if age := now.Sub(hit.at); ok && age >= 0 && age < keyCacheTime {
		return hit.key, nil
	}
	// A client that goes away must not cost a connection for a lookup this small.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryTimeout)
	defer cancel()
	key, err := k.checker.APIKeyByPrefix(ctx, prefix)
	if err != nil {
		return store.APIKey{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.cached) >= keyCacheSize {
		clear(k.cached)
	}
	k.cached[prefix] = cachedKey{key: key, at: now}
	return key, nil
}

// touch orders that last_used_at be written, unless that was done within the minute or too many such orders wait.
func (k *keyring) touch(key store.APIKey, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if last, ok := k.touched[key.ID]; ok && now.Sub(last) < touchEvery {
		return
	}
	select {
	case k.touches <- touch{key.ID, now}:
		if len(k.touched) >= keyCacheSize {
			clear(k.touched)
		}
		k.touched[key.ID] = now
	default:
	}
}

// touchLoop writes what touch ordered until stop closes.
func (k *keyring) touchLoop(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case t := <-k.touches:
			k.write(t)
		}
	}
}

func (k *keyring) write(t touch) {
	ctx, cancel := context.WithTimeout(context.Background(), touchTimeout)
	defer cancel()
	if err := k.checker.TouchAPIKey(ctx, t.id, t.at); err != nil {
		k.log.WarnContext(ctx, "could not note the use of an api key", "key_id", t.id, "error", store.Loggable(err))
	}
}

// permit tells whether the key's level allows a method (contracts/lendworks.md section 2).
func (p *principal) permit(method string) error {
	allowed := false
	switch method {
	case http.MethodGet, http.MethodHead:
		allowed = true
	case http.MethodPost, http.MethodPatch, http.MethodPut:
		allowed = p.level == store.LevelReadWrite || p.level == store.LevelFull
	default:
		allowed = p.level == store.LevelFull
	}
	if allowed {
		return nil
	}
	return forbidden(fmt.Sprintf("an API key of level %s does not allow %s", p.level, boundedMethod(method)))
}
