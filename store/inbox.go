package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// States of a post in ops.inbox at its arrival; the drain knows more of them.
const (
	PostNew          = "new"
	PostUnclassified = "unclassified"
	PostUnparsable   = "unparsable"
)

// Post is one request to a receiver, as it came.
type Post struct {
	// ID is a UUIDv7.
	ID  uuid.UUID
	Org uuid.UUID
	// Source is convoso, convolo or lendworks.
	Source string
	// State is PostNew, PostUnclassified or PostUnparsable.
	State string
	// ReceivedAt is when the request came (UTC).
	ReceivedAt time.Time
	Method     string
	// ContentType is the header as sent; EventPath the event named in the path; Query the raw query string. None of them
	// holds the receiver token.
	ContentType string
	EventPath   string
	Query       string
	// Body is the exact bytes.
	Body []byte
	// Suppressions are the opt-outs in it, committed with the bytes (law 6).
	Suppressions []Suppression
	// Error says why the post could not be read, without personal data; empty when it could.
	Error string
}

// Longest texts kept beside a body; the query is bounded by the server's limit on headers.
const (
	maxContentType = 255
	maxEventPath   = 255
	maxMethod      = 16
	maxPostError   = 500
	maxQuery       = 1 << 20
)

// emptyErased takes the bytes from posts that name an erased person and that no drain will read: those that it reads it empties
// itself, for they may tell of others too. The posts are the caller's copies.
func (db *DB) emptyErased(ctx context.Context, tx pgx.Tx, posts []Post) error {
	var unread []*Post
	for i := range posts {
		if posts[i].State != PostNew {
			unread = append(unread, &posts[i])
		}
	}
	// In order: erasures of several organisations may wait.
	slices.SortStableFunc(unread, func(a, b *Post) int { return bytes.Compare(a.Org[:], b.Org[:]) })
	for _, p := range unread {
		erased, err := db.scrubbed(ctx, tx, p.Org, slices.Concat(p.Body, []byte{'\n'}, []byte(p.Query)))
		if err != nil {
			return err
		}
		if erased {
			p.Body, p.Query = nil, ""
		}
	}
	return nil
}

const inboxInsertSQL = `
insert into ops.inbox (id, org_id, source, state, received_at, method, content_type, event_path, query, body, error)
select p.id, p.org_id, p.source, p.state, p.received_at, p.method, p.content_type, p.event_path, p.query, p.body,
  nullif(p.error, '')
from unnest(@ids::uuid[], @org_ids::uuid[], @sources::text[], @states::text[], @received::timestamptz[],
  @methods::text[], @content_types::text[], @event_paths::text[], @queries::text[], @bodies::bytea[], @errors::text[])
  as p (id, org_id, source, state, received_at, method, content_type, event_path, query, body, error)`

// The conflict clause makes a second try of the same group harmless, whose first commit may have been carried out. It doubles what
// a row costs, so that a first try does without.
const inboxInsertAgainSQL = inboxInsertSQL + `
on conflict (id, received_at) do nothing`

// insertPosts keeps posts; again tells that an earlier try may have kept them.
func insertPosts(ctx context.Context, tx pgx.Tx, posts []Post, again bool) error {
	sql := inboxInsertSQL
	if again {
		sql = inboxInsertAgainSQL
	}
	n := len(posts)
	var (
		ids, orgs                                                 = make([]pgtype.UUID, n), make([]pgtype.UUID, n)
		received                                                  = make([]time.Time, n)
		bodies                                                    = make([][]byte, n)
		sources, states, methods, types, paths, queries, failures = make([]string, n), make([]string, n), make([]string, n),
			make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	)
	for i := range posts {
		p := &posts[i]
		ids[i], orgs[i] = pgtype.UUID{Bytes: p.ID, Valid: true}, pgtype.UUID{Bytes: p.Org, Valid: true}
		sources[i], states[i] = p.Source, p.State
		received[i] = p.ReceivedAt.UTC().Truncate(time.Microsecond)
		methods[i] = cleanText(p.Method, maxMethod)
		types[i] = cleanText(p.ContentType, maxContentType)
		paths[i] = cleanText(p.EventPath, maxEventPath)
		queries[i] = cleanQuery(p.Query)
		bodies[i] = p.Body
		if bodies[i] == nil {
			bodies[i] = []byte{}
		}
		failures[i] = cleanText(p.Error, maxPostError)
	}
	_, err := tx.Exec(ctx, sql, pgx.StrictNamedArgs{
		"ids": ids, "org_ids": orgs, "sources": sources, "states": states, "received": received, "methods": methods,
		"content_types": types, "event_paths": paths, "queries": queries, "bodies": bodies, "errors": failures,
	})
	if err != nil {
		return fmt.Errorf("inserting %d posts: %w", n, err)
	}
	return nil
}

// cleanQuery makes a raw query string fit for a text column without changing what it says: bytes outside ASCII, which may
// be no UTF-8, are written as percent escapes.
func cleanQuery(query string) string {
	plain := true
	for i := range len(query) {
		plain = plain && query[i] > 0 && query[i] < 0x80
	}
	if plain {
		return cleanText(query, maxQuery)
	}
	var out strings.Builder
	for i := range len(query) {
		if c := query[i]; c > 0 && c < 0x80 {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return cleanText(out.String(), maxQuery)
}
