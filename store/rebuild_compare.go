package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// comparison is a comparison under way.
type comparison struct {
	r   *Reconciler
	tx  pgx.Tx
	org uuid.UUID
	o   CompareOptions
	out Comparison

	total   int
	visited recordSet
	// unsettled are the records that are not to be looked at.
	unsettled recordSet
	// phones, gone and keyless are do-not-call, rows and leads that were seen already, or are to be.
	phones  map[string]bool
	gone    map[string]bool
	keyless map[uuid.UUID]bool

	stored, told keyHash
	seeds        map[int64]bool
}

func (c *comparison) run(ctx context.Context) error {
	if err := c.count(ctx); err != nil {
		return err
	}
	// Keys first: what belongs together is found by them.
	if err := c.pages(ctx, 0, c.rekey); err != nil {
		return err
	}
	if err := c.findKeyless(ctx); err != nil {
		return err
	}
	if err := c.pages(ctx, c.total, c.regions); err != nil {
		return err
	}
	if err := c.agents(ctx); err != nil {
		return err
	}
	if err := c.people(ctx); err != nil {
		return err
	}
	return c.surplus(ctx)
}

const recordsCountSQL = `select count(*) from ops.records where org_id = @org`

const recordsQueuedSQL = `select distinct record_id from ops.reconcile_queue where org_id = @org`

const recordsSetAsideSQL = `
select distinct r.record_id
from ops.quarantine q
join ops.records r
  on r.org_id = q.org_id and r.account_id = q.account_id and r.source = q.source and r.stream = q.stream and r.object_id = q.object_id
where q.org_id = @org and q.reason = @facts and q.state = 'open'`

func (c *comparison) count(ctx context.Context) error {
	if err := c.tx.QueryRow(ctx, recordsCountSQL, pgx.StrictNamedArgs{"org": c.org}).Scan(&c.total); err != nil {
		return fmt.Errorf("counting records: %w", err)
	}
	return c.findUnsettled(ctx)
}

// findUnsettled finds the records that are not to be looked at.
func (c *comparison) findUnsettled(ctx context.Context) error {
	for _, kind := range []struct {
		sql   string
		args  pgx.StrictNamedArgs
		count *int
	}{
		{recordsQueuedSQL, pgx.StrictNamedArgs{"org": c.org}, &c.out.Unsettled},
		{recordsSetAsideSQL, pgx.StrictNamedArgs{"org": c.org, "facts": ReasonFacts}, &c.out.SetAside},
	} {
		rows, err := c.tx.Query(ctx, kind.sql, kind.args)
		if err != nil {
			return fmt.Errorf("finding records that are not folded: %w", err)
		}
		var id int64
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
			if !c.unsettled.has(id) {
				c.unsettled.add(id)
				*kind.count++
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("finding records that are not folded: %w", err)
		}
	}
	return nil
}

const recordsPageSQL = `
select record_id
from ops.records
where org_id = @org and record_id > @after
order by record_id
limit @most`

// pages goes through all records. Each of the two rounds counts half.
func (c *comparison) pages(ctx context.Context, done int, work func(context.Context, []int64) error) error {
	for after := int64(-1); ; {
		rows, err := c.tx.Query(ctx, recordsPageSQL, pgx.StrictNamedArgs{"org": c.org, "after": after, "most": comparePage})
		if err != nil {
			return fmt.Errorf("listing records: %w", err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return fmt.Errorf("listing records: %w", err)
		}
		if len(ids) == 0 {
			return nil
		}
		after = ids[len(ids)-1]
		done += len(ids)
		ids = slices.DeleteFunc(ids, func(id int64) bool { return c.unsettled.has(id) || c.visited.has(id) })
		if len(ids) > 0 {
			if err := work(ctx, ids); err != nil {
				return err
			}
		}
		if c.o.Progress != nil {
			c.o.Progress(done/2, c.total)
		}
	}
}

// rekey brings the keys of records in step, for the length of the comparison.
func (c *comparison) rekey(ctx context.Context, ids []int64) error {
	f := newFolded(c.org, c.r.DB.Now(), ids)
	f.shadow = true
	if err := c.r.tell(ctx, c.tx, f, ids); err != nil {
		return err
	}
	had, err := keysByRecord(ctx, c.tx, ids)
	if err != nil {
		return err
	}
	var drifted []int64
	for _, id := range ids {
		if maps.Equal(had[id], f.keysNow(id, had[id])) {
			continue
		}
		drifted = append(drifted, id)
		c.seeds[id] = true
		if err := c.differs(Difference{Table: "record_keys", Key: f.told[id].Ref, Change: RowDiffers}); err != nil {
			return err
		}
	}
	c.out.Records += len(ids)
	if len(drifted) == 0 {
		return nil
	}
	_, err = rekey(ctx, c.tx, f, drifted)
	return err
}

func (c *comparison) differs(d Difference) error {
	c.out.Differing++
	return c.o.Diff(d)
}

// regions folds what belongs to some records and compares it.
func (c *comparison) regions(ctx context.Context, ids []int64) error {
	ids = slices.DeleteFunc(slices.Clone(ids), c.visited.has)
	if len(ids) == 0 {
		return nil
	}
	f := newFolded(c.org, c.r.DB.Now(), ids)
	f.shadow, f.unsettled = true, c.unsettled
	if err := c.r.compute(ctx, c.tx, f); err != nil {
		return err
	}
	if c.waits(f) {
		if len(ids) > 1 {
			half := len(ids) / 2
			if err := c.regions(ctx, ids[:half]); err != nil {
				return err
			}
			return c.regions(ctx, ids[half:])
		}
		// It is folded soon, or cannot be: what the table should hold is not known here.
		c.visit(f)
		return nil
	}
	if err := f.choose(ctx, c.tx); err != nil {
		return err
	}
	g := newRegion(c, f)
	if err := g.compare(ctx); err != nil {
		return err
	}
	c.visit(f)
	return nil
}

// waits tells whether something of a region is not folded yet.
func (c *comparison) waits(f *folded) bool {
	for id := range f.region.records {
		if c.unsettled.has(id) {
			return true
		}
	}
	return false
}

func (c *comparison) visit(f *folded) {
	for id := range f.region.records {
		c.visited.add(id)
	}
}

// nameOfKeys names a lead without our own id: by its first strong key, else by a phone.
func nameOfKeys(keys []pipeline.LinkedKey) string {
	l := pipeline.Lead{Keys: keys}
	for _, k := range l.LedgerKeys(true) {
		return nameOf(k).text()
	}
	return ""
}

// callName names a call.
func callName(k pipeline.CallKey) string {
	return strings.Join([]string{string(k.Dialler), k.Account, k.ExternalID}, "/")
}
