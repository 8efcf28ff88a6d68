package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// settledPost is what became of a post.
type settledPost struct {
	post  *Post
	facts []InboxFact
	state string
	of    *uuid.UUID
	err   error
	// erased tells that it named somebody who was erased: its bytes go.
	erased bool
}

// settle reads the posts, lands what they tell, and marks them, all in the caller's transaction.
func (d *InboxDrain) settle(ctx context.Context, tx pgx.Tx, posts []Post) error {
	out := make([]settledPost, len(posts))
	for i := range posts {
		out[i] = settledPost{post: &posts[i], state: "done"}
		out[i].facts, out[i].err = d.read(posts[i])
		if out[i].err != nil {
			out[i].state = "quarantined"
		}
	}
	if err := d.leaveOut(ctx, tx, out); err != nil {
		return err
	}
	if err := d.markDuplicates(ctx, tx, out); err != nil {
		return err
	}
	reported, err := join(ctx, tx, out)
	if err != nil {
		return err
	}
	written, err := d.land(ctx, tx, out)
	if err != nil {
		return err
	}
	if err := d.writeShared(ctx, tx, out); err != nil {
		return err
	}
	for _, r := range reported {
		if _, err := d.DB.ConfirmReportedDelivery(ctx, tx, r); err != nil {
			return err
		}
	}
	var well []factID
	for i := range out {
		if out[i].err == nil {
			well = append(well, factID{out[i].post.Org, DefaultAccount, out[i].post.Source, inboxStream, out[i].post.ID.String()})
			continue
		}
		if err := d.quarantine(ctx, tx, out[i].post, out[i].err); err != nil {
			return err
		}
	}
	if err := markFixed(ctx, tx, ReasonPost, well); err != nil {
		return err
	}
	if err := d.mark(ctx, tx, out); err != nil {
		return err
	}
	if written > 0 && d.Wake != nil {
		if err := d.Wake(ctx, tx); err != nil {
			return fmt.Errorf("%w: %w", errWake, err)
		}
	}
	return nil
}

func (d *InboxDrain) read(p Post) (facts []InboxFact, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("reading post %s panicked: %T", p.ID, r)
		}
	}()
	return d.Read(p)
}

// inboxStream is the stream under which posts lie in quarantine.
const inboxStream = "inbox"

func quarantineOf(p *Post, err error) QuarantineItem {
	return QuarantineItem{
		Org: p.Org, Account: DefaultAccount, Source: pipeline.Source(p.Source), Stream: inboxStream, ObjectID: p.ID.String(),
		Reason: ReasonPost, Error: Loggable(err), Body: p.Body,
	}
}

// factGroup are the facts of one stream.
type factGroup struct {
	target Target
	facts  []*InboxFact
}

// byStream groups the facts by stream, in a fixed order, which keeps concurrent drains from waiting in a circle.
func byStream(out []settledPost) []*factGroup {
	groups := map[string]*factGroup{}
	for i := range out {
		for j := range out[i].facts {
			f := &out[i].facts[j]
			t := f.Target
			name := strings.Join([]string{t.Org.String(), t.Account, string(t.Source), t.Stream}, "|")
			if groups[name] == nil {
				groups[name] = &factGroup{target: t}
			}
			groups[name].facts = append(groups[name].facts, f)
		}
	}
	sorted := make([]*factGroup, 0, len(groups))
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		sorted = append(sorted, groups[name])
	}
	return sorted
}

// land stores the facts.
func (d *InboxDrain) land(ctx context.Context, tx pgx.Tx, out []settledPost) (written int, err error) {
	for _, g := range byStream(out) {
		recs := make([]LandRecord, len(g.facts))
		for i, f := range g.facts {
			recs[i] = f.Record
		}
		landed, err := d.DB.Land(ctx, tx, g.target, recs, LandOptions{Bump: true})
		if err != nil {
			return 0, err
		}
		written += landed.Written()
	}
	return written, nil
}

// leaveOut takes the facts that name somebody who was erased out of the posts, before anything of them is noted.
func (d *InboxDrain) leaveOut(ctx context.Context, tx pgx.Tx, out []settledPost) error {
	for _, g := range byStream(out) {
		recs := make([]*LandRecord, len(g.facts))
		for i, f := range g.facts {
			recs[i] = &f.Record
		}
		if _, _, err := d.DB.keepOut(ctx, tx, &g.target, recs); err != nil {
			return err
		}
	}
	for i := range out {
		p := &out[i]
		told := len(p.facts)
		p.facts = slices.DeleteFunc(p.facts, func(f InboxFact) bool { return f.Record.erased })
		p.erased = len(p.facts) < told
	}
	return nil
}

const inboxMarkSQL = `
update ops.inbox i
set state = m.state, duplicate_of = m.duplicate_of, facts = m.facts, error = m.error, attempts = i.attempts + 1, settled_at = @now,
  body = case when m.erased then '' else i.body end, query = case when m.erased then '' else i.query end
from unnest(@ids::uuid[], @received::timestamptz[], @states::text[], @duplicates::uuid[], @facts::integer[], @errors::text[], @erased::boolean[])
  as m (id, received_at, state, duplicate_of, facts, error, erased)
where i.id = m.id and i.received_at = m.received_at`

// mark writes down what became of the posts.
func (d *InboxDrain) mark(ctx context.Context, tx pgx.Tx, out []settledPost) error {
	n := len(out)
	ids, received, states := make([]uuid.UUID, n), make([]time.Time, n), make([]string, n)
	duplicates, facts, problems, erased := make([]*uuid.UUID, n), make([]int32, n), make([]*string, n), make([]bool, n)
	for i := range out {
		p := &out[i]
		ids[i], received[i], states[i] = p.post.ID, p.post.ReceivedAt, p.state
		duplicates[i], facts[i] = p.of, int32(len(p.facts))
		if p.err != nil {
			problems[i] = optional(cleanText(p.err.Error(), maxPostError))
		}
		erased[i] = p.erased
	}
	_, err := tx.Exec(ctx, inboxMarkSQL, pgx.StrictNamedArgs{
		"now": d.DB.Now(), "ids": ids, "received": received, "states": states, "duplicates": duplicates, "facts": facts, "errors": problems, "erased": erased,
	})
	if err != nil {
		return fmt.Errorf("marking posts: %w", err)
	}
	return nil
}
