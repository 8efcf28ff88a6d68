package store

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// searchTimeoutsSQL lets a statement go through a whole table of texts.
const searchTimeoutsSQL = `
select set_config('statement_timeout', '3600s', true), set_config('idle_in_transaction_session_timeout', '600s', true)`

// search empties and removes what names a person in its text. Nothing that comes meanwhile does: it is kept out.
func (e *Eraser) search(ctx context.Context, org uuid.UUID, who Identity, r *Receipt) error {
	r.searched = e.DB.Now()
	p, err := e.keepNames(ctx, org, who, r.ID, r.also)
	if err != nil {
		return err
	}
	_, pattern, err := textPattern(p)
	if err != nil {
		return err
	}
	var more []int64
	err = e.DB.InTx(ctx, func(tx pgx.Tx) (err error) {
		if _, err := tx.Exec(ctx, searchTimeoutsSQL); err != nil {
			return err
		}
		more, r.Elsewhere, err = e.searchRecords(ctx, tx, p, pattern)
		return err
	})
	if err != nil {
		return err
	}
	if len(more) > 0 {
		r.also = append(r.also, more...)
		if p, err = e.keepNames(ctx, org, who, r.ID, r.also); err != nil {
			return err
		}
	}
	re, pattern, err := textPattern(p)
	if err != nil {
		return err
	}
	if err := e.searchInbox(ctx, p, re, r); err != nil {
		return err
	}
	if err := e.searchQuarantine(ctx, p, re, r); err != nil {
		return err
	}
	return e.DB.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, searchTimeoutsSQL); err != nil {
			return err
		}
		for _, s := range []struct{ table, sql string }{
			{"ops.record_history", historySearchSQL}, {"ops.webhook_events", eventsSearchSQL}, {"ops.idempotency", idempotencySearchSQL},
		} {
			tag, err := tx.Exec(ctx, s.sql, pgx.StrictNamedArgs{
				"org": org, "pattern": pattern, "times": pipeline.TimePattern, "gap": pipeline.TimeGap,
			})
			if err != nil {
				return fmt.Errorf("searching %s: %w", s.table, err)
			}
			r.Counts[s.table] += tag.RowsAffected()
		}
		return nil
	})
}

const historySearchSQL = `
delete from ops.record_history
where org_id = @org
  and (payload::text ~ @pattern and regexp_replace(payload::text, @times, @gap, 'g') ~ @pattern
    or raw is not null and encode(raw, 'escape') ~ @pattern and regexp_replace(encode(raw, 'escape'), @times, @gap, 'g') ~ @pattern)`

// Their deliveries and attempts go with them.
const eventsSearchSQL = `
delete from ops.webhook_events
where org_id = @org
  and (data::text ~ @pattern and regexp_replace(data::text, @times, @gap, 'g') ~ @pattern or subject ~ @pattern)`

const idempotencySearchSQL = `
delete from ops.idempotency
where org_id = @org
  and encode(body, 'escape') ~ @pattern
  and regexp_replace(encode(body, 'escape'), @times, @gap, 'g') ~ @pattern`

const inboxSearchSQL = `
select id, received_at, source, state, method, content_type, event_path, query, body
from ops.inbox
where org_id = @org
  and id > @after
  and (body <> '' or query <> '')
order by id
limit 2000`

const inboxEmptySQL = `
update ops.inbox i
set body = '', query = ''
from unnest(@ids::uuid[], @received::timestamptz[]) as n (id, received_at)
where i.id = n.id and i.received_at = n.received_at`

// searchInbox empties the posts that named a person: in their text, or, of those that could be read, in what they tell.
func (e *Eraser) searchInbox(ctx context.Context, p *person, re *regexp.Regexp, r *Receipt) error {
	for after := uuid.Nil; ; {
		rows, err := e.DB.Pool.Query(ctx, inboxSearchSQL, pgx.StrictNamedArgs{"org": p.org, "after": after})
		if err != nil {
			return fmt.Errorf("searching posts: %w", err)
		}
		posts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Post, error) {
			post := Post{Org: p.org}
			err := row.Scan(&post.ID, &post.ReceivedAt, &post.Source, &post.State, &post.Method, &post.ContentType, &post.EventPath, &post.Query, &post.Body)
			post.ReceivedAt = post.ReceivedAt.UTC()
			return post, err
		})
		if err != nil {
			return fmt.Errorf("searching posts: %w", err)
		}
		if len(posts) == 0 {
			return nil
		}
		after = posts[len(posts)-1].ID
		var ids []uuid.UUID
		var received []time.Time
		for i := range posts {
			// One that waits is for the drain, which keeps them out of it and leaves what it tells of others.
			if post := &posts[i]; post.State != PostNew && e.tellsOf(p, post, re) {
				ids, received = append(ids, post.ID), append(received, post.ReceivedAt)
			}
		}
		if len(ids) == 0 {
			continue
		}
		tag, err := e.DB.Pool.Exec(ctx, inboxEmptySQL, pgx.StrictNamedArgs{"ids": ids, "received": received})
		if err != nil {
			return fmt.Errorf("emptying posts: %w", err)
		}
		r.Counts["ops.inbox"] += tag.RowsAffected()
	}
}

// mentions tells whether a text names a person otherwise than by the digits of a time.
func mentions(re *regexp.Regexp, text string) bool {
	return re.MatchString(text) && re.MatchString(pipeline.WithoutTimes(text))
}

func (e *Eraser) tellsOf(p *person, post *Post, re *regexp.Regexp) bool {
	if mentions(re, string(post.Body)) || mentions(re, post.Query) {
		return true
	}
	facts, err := e.Inbox.read(*post)
	if err != nil {
		return false
	}
	for i := range facts {
		f := &facts[i]
		names, _ := e.DB.Erased.names(&f.Target, &f.Record)
		if p.named(names, "", re) {
			return true
		}
	}
	return false
}

const quarantineSearchSQL = `
select id, object_id, body, coalesce(context::text, ''), error
from ops.quarantine
where org_id = @org and id > @after
order by id
limit 2000`

// The row stays, so that the next reading of the same object is no news; there is nothing to replay. An object whose id names the
// person is no more.
const quarantineEmptySQL = `
update ops.quarantine
set body = '', context = null, error = 'told of somebody who was erased',
  object_id = case when id = any(@named) then 'erased ' || id else object_id end,
  state = case when state = 'open' then 'discarded' else state end,
  body_hash = sha256(convert_to(id::text, 'UTF8'))
where id = any(@ids)`

func (e *Eraser) searchQuarantine(ctx context.Context, p *person, re *regexp.Regexp, r *Receipt) error {
	for after := uuid.Nil; ; {
		rows, err := e.DB.Pool.Query(ctx, quarantineSearchSQL, pgx.StrictNamedArgs{"org": p.org, "after": after})
		if err != nil {
			return fmt.Errorf("searching quarantine: %w", err)
		}
		last := after
		var object, extra, problem string
		var body []byte
		ids, named := []uuid.UUID{}, []uuid.UUID{}
		_, err = pgx.ForEachRow(rows, []any{&last, &object, &body, &extra, &problem}, func() error {
			if re.MatchString(object) {
				named = append(named, last)
			}
			if mentions(re, string(body)) || mentions(re, extra) || mentions(re, problem) || re.MatchString(object) {
				ids = append(ids, last)
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("searching quarantine: %w", err)
		}
		if last == after {
			return nil
		}
		after = last
		if len(ids) == 0 {
			continue
		}
		tag, err := e.DB.Pool.Exec(ctx, quarantineEmptySQL, pgx.StrictNamedArgs{"ids": ids, "named": named})
		if err != nil {
			return fmt.Errorf("emptying quarantine: %w", err)
		}
		r.Counts["ops.quarantine"] += tag.RowsAffected()
	}
}
