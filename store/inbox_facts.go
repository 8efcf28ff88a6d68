package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// factID names a fact across posts.
type factID struct {
	org                             uuid.UUID
	account, source, stream, object string
}

func (id factID) compare(o factID) int {
	return cmp.Or(
		slices.Compare(id.org[:], o.org[:]), strings.Compare(id.account, o.account), strings.Compare(id.source, o.source),
		strings.Compare(id.stream, o.stream), strings.Compare(id.object, o.object),
	)
}

func idOf(f *InboxFact) factID {
	return factID{f.Target.Org, f.Target.Account, string(f.Target.Source), f.Target.Stream, f.Record.ObjectID}
}

// toldFact is what was told of a fact, and the post that told it first in these words.
type toldFact struct {
	hash []byte
	by   uuid.UUID
}

const inboxFactsReadSQL = `
select f.org_id, f.account_id, f.source, f.stream, f.object_id, f.content_hash, f.inbox_id
from unnest(@orgs::uuid[], @accounts::text[], @sources::text[], @streams::text[], @objects::text[])
  as n (org_id, account_id, source, stream, object_id)
join ops.inbox_facts f using (org_id, account_id, source, stream, object_id)`

const inboxFactsUpsertSQL = `
insert into ops.inbox_facts (org_id, account_id, source, stream, object_id, content_hash, inbox_id)
select *
from unnest(@orgs::uuid[], @accounts::text[], @sources::text[], @streams::text[], @objects::text[], @hashes::bytea[], @posts::uuid[])
on conflict (org_id, account_id, source, stream, object_id) do update
set content_hash = excluded.content_hash, inbox_id = excluded.inbox_id`

// markDuplicates finds the posts that tell nothing but what an earlier post told in the same words. They land all the
// same: their observation is later.
func (d *InboxDrain) markDuplicates(ctx context.Context, tx pgx.Tx, out []settledPost) error {
	ids := map[factID]bool{}
	for i := range out {
		for j := range out[i].facts {
			ids[idOf(&out[i].facts[j])] = true
		}
	}
	if len(ids) == 0 {
		return nil
	}
	told, err := toldFacts(ctx, tx, ids)
	if err != nil {
		return err
	}
	fresh := map[factID]toldFact{}
	for i := range out {
		p := &out[i]
		repeats := len(p.facts) > 0
		for j := range p.facts {
			id := idOf(&p.facts[j])
			hash := sha256.Sum256(p.facts[j].Record.Payload)
			before, known := told[id]
			if known && bytes.Equal(before.hash, hash[:]) && before.by != p.post.ID {
				p.of = &before.by
				continue
			}
			repeats = false
			told[id] = toldFact{hash[:], p.post.ID}
			fresh[id] = told[id]
		}
		if repeats {
			p.state = "duplicate"
		} else {
			p.of = nil
		}
	}
	return keepFacts(ctx, tx, fresh)
}

func toldFacts(ctx context.Context, tx pgx.Tx, ids map[factID]bool) (map[factID]toldFact, error) {
	var c factColumns
	for id := range ids {
		c.add(id)
	}
	rows, err := tx.Query(ctx, inboxFactsReadSQL, c.args())
	if err != nil {
		return nil, fmt.Errorf("looking for facts told before: %w", err)
	}
	told := map[factID]toldFact{}
	var id factID
	var hash []byte
	var by uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&id.org, &id.account, &id.source, &id.stream, &id.object, &hash, &by}, func() error {
		told[id] = toldFact{bytes.Clone(hash), by}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for facts told before: %w", err)
	}
	return told, nil
}

func keepFacts(ctx context.Context, tx pgx.Tx, fresh map[factID]toldFact) error {
	if len(fresh) == 0 {
		return nil
	}
	var c factColumns
	var hashes [][]byte
	var posts []uuid.UUID
	// In a fixed order: two drains that note the same facts must not wait for each other in a circle.
	for _, id := range slices.SortedFunc(maps.Keys(fresh), factID.compare) {
		c.add(id)
		hashes, posts = append(hashes, fresh[id].hash), append(posts, fresh[id].by)
	}
	args := c.args()
	args["hashes"], args["posts"] = hashes, posts
	if _, err := tx.Exec(ctx, inboxFactsUpsertSQL, args); err != nil {
		return fmt.Errorf("noting which post told a fact: %w", err)
	}
	return nil
}

// factColumns are fact ids as parallel arrays.
type factColumns struct {
	orgs                                []uuid.UUID
	accounts, sources, streams, objects []string
}

func (c *factColumns) add(id factID) {
	c.orgs, c.accounts, c.sources = append(c.orgs, id.org), append(c.accounts, id.account), append(c.sources, id.source)
	c.streams, c.objects = append(c.streams, id.stream), append(c.objects, id.object)
}

func (c *factColumns) args() pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{"orgs": c.orgs, "accounts": c.accounts, "sources": c.sources, "streams": c.streams, "objects": c.objects}
}
