package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// IdempotencyKey is the key of a request, and what the request asked for.
type IdempotencyKey struct {
	Key string
	// Request is the SHA-256 of method, path and body.
	Request [sha256.Size]byte
}

var (
	// ErrKeyInFlight means that another request with the same idempotency key is at work.
	ErrKeyInFlight = errors.New("a request with this idempotency key is at work")
	// ErrKeyReused means that the idempotency key was used for another request.
	ErrKeyReused = errors.New("the idempotency key was used for another request")
)

// idempotencyKept is how long an answer is repeated (contracts/lendworks.md section 6).
const idempotencyKept = 24 * time.Hour

// The lock goes with the transaction, however that ends: a daemon that is killed leaves no key locked.
const idempotencyLockSQL = `select pg_try_advisory_xact_lock(hashtextextended('trunkline.idempotency.' || @org::text || '.' || @key::text, 0))`

const idempotencyReadSQL = `
select request_hash, status, body
from ops.idempotency
where org_id = @org
  and key = @key
  and expires_at > @now`

// claimIdempotency locks the key for this transaction. done tells that the request was answered before, with answer.
func claimIdempotency(ctx context.Context, tx pgx.Tx, org uuid.UUID, k *IdempotencyKey, now time.Time) (answer Answer, done bool, err error) {
	var got bool
	if err := tx.QueryRow(ctx, idempotencyLockSQL, pgx.StrictNamedArgs{"org": org, "key": k.Key}).Scan(&got); err != nil {
		return Answer{}, false, fmt.Errorf("locking an idempotency key: %w", err)
	}
	if !got {
		return Answer{}, false, ErrKeyInFlight
	}
	var hash []byte
	err = tx.QueryRow(ctx, idempotencyReadSQL, pgx.StrictNamedArgs{"org": org, "key": k.Key, "now": now}).Scan(&hash, &answer.Status, &answer.Body)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Answer{}, false, nil
	case err != nil:
		return Answer{}, false, fmt.Errorf("reading an idempotency key: %w", err)
	case !bytes.Equal(hash, k.Request[:]):
		return Answer{}, false, ErrKeyReused
	}
	answer.Replayed = true
	return answer, true, nil
}

const idempotencyKeepSQL = `
insert into ops.idempotency (org_id, key, request_hash, status, body, used_at, expires_at)
values (@org, @key, @request_hash, @status, @body, @now, @expires_at)
on conflict (org_id, key) do update
set request_hash = excluded.request_hash,
    status = excluded.status,
    body = excluded.body,
    used_at = excluded.used_at,
    expires_at = excluded.expires_at`

// keepIdempotency keeps an answer beside what it answers, if it is a success: after an error the key may be tried again.
func keepIdempotency(ctx context.Context, tx pgx.Tx, org uuid.UUID, k *IdempotencyKey, answer Answer, now time.Time) error {
	if answer.Status < 200 || answer.Status > 299 {
		return nil
	}
	_, err := tx.Exec(ctx, idempotencyKeepSQL, pgx.StrictNamedArgs{
		"org": org, "key": k.Key, "request_hash": k.Request[:], "status": answer.Status, "body": answer.Body,
		"now": now, "expires_at": now.Add(idempotencyKept),
	})
	if err != nil {
		return fmt.Errorf("keeping an idempotency key: %w", err)
	}
	return nil
}

// once runs work in a transaction that commits it together with its answer under the key, where there is one. What was answered before
// is answered so again, and work is not run.
func (db *DB) once(ctx context.Context, org uuid.UUID, key *IdempotencyKey, work func(tx pgx.Tx) (Answer, error)) (answer Answer, err error) {
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		now := db.Now()
		if key != nil {
			before, done, err := claimIdempotency(ctx, tx, org, key, now)
			if err != nil || done {
				answer = before
				return err
			}
		}
		var err error
		if answer, err = work(tx); err != nil || key == nil {
			return err
		}
		return keepIdempotency(ctx, tx, org, key, answer, now)
	})
	return answer, err
}

const idempotencyPruneSQL = `
delete from ops.idempotency
where expires_at <= @now`

// pruneIdempotency forgets answers that are no longer repeated.
func pruneIdempotency(ctx context.Context, tx pgx.Tx, now time.Time) error {
	if _, err := tx.Exec(ctx, idempotencyPruneSQL, pgx.StrictNamedArgs{"now": now}); err != nil {
		return fmt.Errorf("pruning idempotency keys: %w", err)
	}
	return nil
}
