package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// KeyLevel is what a key may do: read = GET; read_write = also POST, PATCH, PUT; full = also DELETE.
type KeyLevel string

// Levels of contracts/lendworks.md section 2.
const (
	LevelRead      KeyLevel = "read"
	LevelReadWrite KeyLevel = "read_write"
	LevelFull      KeyLevel = "full"
)

// KeyTier is a key's rate limit.
type KeyTier string

// Tiers of contracts/lendworks.md section 5; TierNone has no limit.
const (
	TierBasic    KeyTier = "basic"
	TierStandard KeyTier = "standard"
	TierPremium  KeyTier = "premium"
	TierNone     KeyTier = "none"
)

// APIKey is a bearer key of the HTTP API. Its secret is not kept.
type APIKey struct {
	ID uuid.UUID
	// Family is the first of the keys that were rotated into one another; they share a monthly quota.
	Family uuid.UUID
	Org    uuid.UUID
	// Name is the operator's.
	Name string
	// Prefix is the middle part of lw_<prefix>_<secret>; it identifies the key and may be shown.
	Prefix string
	// Hash is the SHA-256 of the whole key.
	Hash  [sha256.Size]byte
	Level KeyLevel
	Tier  KeyTier
	// MonthlyQuota is how many requests the key has in a calendar month (UTC); 0 = as many as it likes.
	MonthlyQuota int64
	// Times are UTC; nil = never.
	CreatedAt  time.Time
	ExpiresAt  *time.Time
	RevokedAt  *time.Time
	LastUsedAt *time.Time
	// RotatedTo is the key that replaced this one.
	RotatedTo *uuid.UUID
}

// NewAPIKey is an order for a key. An empty level is full, an empty tier premium, a zero ExpiresAt never.
type NewAPIKey struct {
	Org       uuid.UUID
	Name      string
	Level     KeyLevel
	Tier      KeyTier
	ExpiresAt time.Time
	// MonthlyQuota is that of APIKey.
	MonthlyQuota int64
	// family is that of the key that this one replaces.
	family uuid.UUID
}

// Key text is lw_<prefix>_<secret>: the prefix finds the row, the secret has 200 bit.
const (
	keyScheme      = "lw_"
	keyPrefixBytes = 7
	keySecretBytes = 25
)

// HashAPIKey returns the form in which a key is kept and compared.
func HashAPIKey(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }

// KeyPrefix returns the prefix of a key's text, and false for text that is no key.
func KeyPrefix(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, keyScheme)
	if !ok {
		return "", false
	}
	prefix, secret, ok := strings.Cut(rest, "_")
	return prefix, ok && prefix != "" && secret != "" && len(prefix) <= 64
}

// CreateAPIKey makes a key and returns it with its text, which is not to be had again. An unknown organisation is
// ErrNotFound.
func (db *DB) CreateAPIKey(ctx context.Context, order NewAPIKey) (APIKey, string, error) {
	key, text := order.build(db.Now())
	err := db.InTx(ctx, func(tx pgx.Tx) error { return insertAPIKey(ctx, tx, key) })
	if err != nil {
		return APIKey{}, "", fmt.Errorf("creating an api key: %w", err)
	}
	return key, text, nil
}

func (order NewAPIKey) build(now time.Time) (APIKey, string) {
	prefix := randomText(keyPrefixBytes)
	text := keyScheme + prefix + "_" + randomText(keySecretBytes)
	key := APIKey{
		ID: uuid.New(), Family: order.family, Org: order.Org, Name: order.Name, Prefix: prefix, Hash: HashAPIKey(text),
		Level: order.Level, Tier: order.Tier, MonthlyQuota: order.MonthlyQuota, CreatedAt: now,
	}
	if key.Family == uuid.Nil {
		key.Family = key.ID
	}
	if key.Level == "" {
		key.Level = LevelFull
	}
	if key.Tier == "" {
		key.Tier = TierPremium
	}
	if !order.ExpiresAt.IsZero() {
		at := order.ExpiresAt.UTC().Truncate(time.Microsecond)
		key.ExpiresAt = &at
	}
	return key, text
}

const keyInsertSQL = `
insert into ops.api_keys (key_id, family_id, org_id, name, prefix, secret_hash, level, tier, monthly_quota, created_at, expires_at)
values (@key_id, nullif(@family_id::uuid, @key_id), @org_id, @name, @prefix, @secret_hash, @level, @tier, nullif(@monthly_quota::bigint, 0), @created_at, @expires_at)`

func insertAPIKey(ctx context.Context, tx pgx.Tx, k APIKey) error {
	_, err := tx.Exec(ctx, keyInsertSQL, pgx.StrictNamedArgs{
		"key_id": k.ID, "family_id": k.Family, "org_id": k.Org, "name": k.Name, "prefix": k.Prefix, "secret_hash": k.Hash[:],
		"level": string(k.Level), "tier": string(k.Tier), "monthly_quota": k.MonthlyQuota, "created_at": k.CreatedAt, "expires_at": k.ExpiresAt,
	})
	if isForeignKeyViolation(err) {
		return fmt.Errorf("organisation %s: %w", k.Org, ErrNotFound)
	}
	return err
}

// keySelectSQL is the beginning of what reads keys, with the columns in scanAPIKey's order.
const keySelectSQL = `
select key_id, coalesce(family_id, key_id), org_id, name, prefix, secret_hash, level, tier, coalesce(monthly_quota, 0), created_at, expires_at, revoked_at, rotated_to, last_used_at
from ops.api_keys`

const keyByPrefixSQL = keySelectSQL + `
where prefix = @prefix`

// APIKeyByPrefix returns the key with this prefix, revoked and expired ones too, or ErrNotFound. The caller compares the
// hash.
func (db *DB) APIKeyByPrefix(ctx context.Context, prefix string) (APIKey, error) {
	var key APIKey
	err := db.onConn(ctx, func(q Queryer) error {
		var err error
		key, err = collectAPIKey(q.Query(ctx, keyByPrefixSQL, pgx.StrictNamedArgs{"prefix": cleanText(prefix, 64)}))
		return err
	})
	if err != nil {
		return APIKey{}, fmt.Errorf("looking up an api key: %w", err)
	}
	return key, nil
}

const keysListSQL = keySelectSQL + `
order by created_at, key_id`

// APIKeys lists the keys of every organisation, oldest first.
func (db *DB) APIKeys(ctx context.Context) ([]APIKey, error) {
	var keys []APIKey
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, keysListSQL)
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, scanAPIKey)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing api keys: %w", err)
	}
	return keys, nil
}

const keyLockSQL = keySelectSQL + `
where key_id = @key_id
for update`

const keyRotateSQL = `
update ops.api_keys
set revoked_at = @revoked_at, rotated_to = @rotated_to
where key_id = @key_id`

// ErrKeyRetired means that a key was revoked or rotated before, so that it cannot be rotated.
var ErrKeyRetired = errors.New("key is revoked or already rotated")

// RotateAPIKey replaces a key by a new one with the same name, level, tier, quota and expiry, and returns the new one with its
// text. The old key works until grace has passed; both spend from one monthly quota.
func (db *DB) RotateAPIKey(ctx context.Context, id uuid.UUID, grace time.Duration) (APIKey, string, error) {
	now := db.Now()
	var (
		key  APIKey
		text string
	)
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		old, err := collectAPIKey(tx.Query(ctx, keyLockSQL, pgx.StrictNamedArgs{"key_id": id}))
		if err != nil {
			return err
		}
		if old.RevokedAt != nil || old.RotatedTo != nil {
			return ErrKeyRetired
		}
		order := NewAPIKey{Org: old.Org, Name: old.Name, Level: old.Level, Tier: old.Tier, MonthlyQuota: old.MonthlyQuota, family: old.Family}
		if old.ExpiresAt != nil {
			order.ExpiresAt = *old.ExpiresAt
		}
		key, text = order.build(now)
		if err := insertAPIKey(ctx, tx, key); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, keyRotateSQL, pgx.StrictNamedArgs{
			"key_id": id, "revoked_at": now.Add(max(grace, 0)), "rotated_to": key.ID,
		})
		return err
	})
	if err != nil {
		return APIKey{}, "", fmt.Errorf("rotating api key %s: %w", id, err)
	}
	return key, text, nil
}

const keyRevokeSQL = `
update ops.api_keys
set revoked_at = least(revoked_at, @revoked_at)
where key_id = @key_id`

// RevokeAPIKey ends a key now; a key that was to end later, after a rotation, ends now too. Revoking twice changes nothing.
func (db *DB) RevokeAPIKey(ctx context.Context, id uuid.UUID) error {
	err := db.onConn(ctx, func(q Queryer) error {
		tag, err := q.Exec(ctx, keyRevokeSQL, pgx.StrictNamedArgs{"key_id": id, "revoked_at": db.Now()})
		if err == nil && tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("revoking api key %s: %w", id, err)
	}
	return nil
}

const keyTouchSQL = `
update ops.api_keys
set last_used_at = @at::timestamptz
where key_id = @key_id
  and (last_used_at is null or last_used_at <= @at::timestamptz - interval '1 minute')`

// TouchAPIKey notes that a key was used at a time (UTC), at most once a minute.
func (db *DB) TouchAPIKey(ctx context.Context, id uuid.UUID, at time.Time) error {
	err := db.onConn(ctx, func(q Queryer) error {
		_, err := q.Exec(ctx, keyTouchSQL, pgx.StrictNamedArgs{"key_id": id, "at": at.UTC().Truncate(time.Microsecond)})
		return err
	})
	if err != nil {
		return fmt.Errorf("noting the use of api key %s: %w", id, err)
	}
	return nil
}

func collectAPIKey(rows pgx.Rows, err error) (APIKey, error) {
	if err != nil {
		return APIKey{}, err
	}
	key, err := pgx.CollectExactlyOneRow(rows, scanAPIKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return APIKey{}, ErrNotFound
	}
	return key, err
}

func scanAPIKey(row pgx.CollectableRow) (APIKey, error) {
	var (
		k    APIKey
		hash []byte
	)
	err := row.Scan(&k.ID, &k.Family, &k.Org, &k.Name, &k.Prefix, &hash, &k.Level, &k.Tier, &k.MonthlyQuota, &k.CreatedAt, &k.ExpiresAt, &k.RevokedAt,
		&k.RotatedTo, &k.LastUsedAt)
	// A hash of another length stays zero, which no key's text has.
	if len(hash) == sha256.Size {
		k.Hash = [sha256.Size]byte(hash)
	}
	return k, err
}
