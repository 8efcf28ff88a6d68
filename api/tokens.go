package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"github.com/trunkline/trunkline/store"
)

// TokenReader reads the organisations' receiver tokens, by hash.
type TokenReader interface {
	ReceiverTokens(ctx context.Context) (map[[sha256.Size]byte]uuid.UUID, error)
}

const (
	// tokenCacheTime is how long the tokens are believed: a replaced token works that much longer at most.
	tokenCacheTime = time.Second
	// tokenTimeout bounds one reading of them.
	tokenTimeout = 3 * time.Second
)

// tokenRing knows all receiver tokens, one per organisation, so that a right one costs no query and a wrong one never
// shuts a right one out: guessing only uses up the guesser's own right to have the tokens read anew.
type tokenRing struct {
	reader  TokenReader
	now     func() time.Time
	fixed   map[[sha256.Size]byte]uuid.UUID
	guesses *guessLimit
	flight  singleflight.Group
	known   atomic.Pointer[tokenSet]
}

type tokenSet struct {
	orgs map[[sha256.Size]byte]uuid.UUID
	at   time.Time
}

func newTokenRing(cfg *Config) *tokenRing {
	return &tokenRing{
		reader: cfg.Tokens, now: cfg.Now, fixed: maps.Clone(cfg.FixedTokens), guesses: newGuessLimit(cfg.Now),
	}
}

// organisation returns whose receiver a token opens, and false for a token that opens none. An error means that it cannot
// be told now.
func (t *tokenRing) organisation(r *http.Request, token string) (uuid.UUID, bool, error) {
	hash := store.HashReceiverToken(token)
	if org, ok := match(t.fixed, hash); ok {
		return org, true, nil
	}
	set := t.known.Load()
	fresh := set != nil && t.age(set) < tokenCacheTime
	if set != nil {
		org, ok := match(set.orgs, hash)
		if ok && fresh {
			return org, true, nil
		}
	}
	peer, _ := peerAddr(r)
	if fresh && !t.guesses.allow(peer) {
		return uuid.Nil, false, nil
	}
	// A reading that was under way may have begun before the token was made: then one more is this request's own.
	for range 2 {
		read, shared, err := t.read()
		if err != nil {
			return t.stale(set, hash, err)
		}
		if org, ok := match(read.orgs, hash); ok {
			return org, true, nil
		}
		if !shared {
			break
		}
	}
	return uuid.Nil, false, nil
}

// stale decides while the tokens cannot be read: one that was right a moment ago still is, for its post can at worst not be
// stored; of any other nothing is said.
func (t *tokenRing) stale(set *tokenSet, hash [sha256.Size]byte, err error) (uuid.UUID, bool, error) {
	if set != nil {
		if org, ok := match(set.orgs, hash); ok {
			return org, true, nil
		}
	}
	return uuid.Nil, false, err
}

func (t *tokenRing) age(set *tokenSet) time.Duration {
	if age := t.now().Sub(set.at); age >= 0 {
		return age
	}
	return tokenCacheTime // the clock was set back
}

func (t *tokenRing) read() (*tokenSet, bool, error) {
	result, err, shared := t.flight.Do("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), tokenTimeout)
		defer cancel()
		at := t.now()
		orgs, err := t.reader.ReceiverTokens(ctx)
		if err != nil {
			return nil, err
		}
		set := &tokenSet{orgs: orgs, at: at}
		t.known.Store(set)
		return set, nil
	})
	if err != nil {
		return nil, shared, fmt.Errorf("checking a receiver token: %w", err)
	}
	set, _ := result.(*tokenSet)
	return set, shared, nil
}

// match compares with every hash, in a time that does not depend on which one it is.
func match(orgs map[[sha256.Size]byte]uuid.UUID, hash [sha256.Size]byte) (uuid.UUID, bool) {
	var found uuid.UUID
	hit := 0
	for known, org := range orgs {
		same := subtle.ConstantTimeCompare(known[:], hash[:])
		subtle.ConstantTimeCopy(same, found[:], org[:])
		hit |= same
	}
	return found, hit == 1
}

// guessLimit bounds wrong tokens by the address they come from.
type guessLimit struct {
	now func() time.Time

	mu      sync.Mutex
	buckets map[netip.Addr]bucket
}

// bucket holds the guesses left at a time.
type bucket struct {
	left float64
	at   time.Time
}

const (
	guessBurst     = 20
	guessPerSecond = 20.0 / 60
	guessPeers     = 4096
)

func newGuessLimit(now func() time.Time) *guessLimit {
	return &guessLimit{now: now, buckets: map[netip.Addr]bucket{}}
}

// allow takes one guess from an address; of IPv6 the network counts.
func (g *guessLimit) allow(peer netip.Addr) bool {
	if peer.Is6() {
		if network, err := peer.WithZone("").Prefix(64); err == nil {
			peer = network.Addr()
		}
	}
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	b, ok := g.buckets[peer]
	if !ok {
		if len(g.buckets) >= guessPeers {
			g.forget(now)
		}
		b = bucket{left: guessBurst, at: now}
	}
	if spent := now.Sub(b.at); spent > 0 {
		b.left = min(guessBurst, b.left+spent.Seconds()*guessPerSecond)
	}
	b.at = now
	allowed := b.left >= 1
	if allowed {
		b.left--
	}
	g.buckets[peer] = b
	return allowed
}

// forget drops who has been quiet for a minute, and everybody when nobody has.
func (g *guessLimit) forget(now time.Time) {
	maps.DeleteFunc(g.buckets, func(_ netip.Addr, b bucket) bool { return now.Sub(b.at) >= time.Minute })
	if len(g.buckets) >= guessPeers {
		clear(g.buckets)
	}
}
