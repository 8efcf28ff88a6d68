package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A lead that holds no key which any record names, is found by no fold.
const leadsKeylessSQL = `
select l.lead_id
from pipeline.leads l
where l.org_id = @org
  and not exists (
    select
    from pipeline.lead_keys k
    join ops.record_keys r
      on r.org_id = k.org_id and r.kind = k.kind and r.account_id = k.account_id and r.value = k.value and r.role = 'lead'
    where k.org_id = l.org_id and k.lead_id = l.lead_id)`

// findKeyless lists such leads; those that a region turns out to have under the same id are well in the end.
func (c *comparison) findKeyless(ctx context.Context) error {
	rows, err := c.tx.Query(ctx, leadsKeylessSQL, pgx.StrictNamedArgs{"org": c.org})
	if err != nil {
		return fmt.Errorf("finding leads without a key: %w", err)
	}
	var id uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		c.keyless[id] = true
		return nil
	})
	if err != nil {
		return fmt.Errorf("finding leads without a key: %w", err)
	}
	return nil
}

// surplusRow finds, and removes, rows of a table that no record tells and no fold reaches.
type surplusRow struct{ table, find, remove string }

// surplusRows are in the order of their removal: what goes with a lead or call that goes comes after it.
func surplusRows() []surplusRow {
	return []surplusRow{
		{"calls", callsSurplusSQL, callsSurplusDeleteSQL},
		{"call_events", eventsSurplusSQL, eventsSurplusDeleteSQL},
		{"lead_keys", linksSurplusSQL, linksSurplusDeleteSQL},
		{"do_not_call", doNotCallSurplusSQL, doNotCallSurplusDeleteSQL},
		{"record_keys", recordKeysSurplusSQL, recordKeysSurplusDeleteSQL},
	}
}

const callsSurplusSQL = `
select concat_ws('/', c.source, c.account_id, c.external_call_id)
from pipeline.calls c
where c.org_id = @org
  and not exists (
    select
    from ops.record_keys r
    where r.org_id = c.org_id and r.kind = 'call:' || c.source and r.account_id = c.account_id and r.value = c.external_call_id)`

const callsSurplusDeleteSQL = `
delete from pipeline.calls c
where c.org_id = @org
  and not exists (
    select
    from ops.record_keys r
    where r.org_id = c.org_id and r.kind = 'call:' || c.source and r.account_id = c.account_id and r.value = c.external_call_id)`

const eventsSurplusSQL = `
select distinct concat_ws('/', e.source, e.account_id, e.external_call_id)
from pipeline.call_events e
where e.org_id = @org
  and not exists (
    select
    from pipeline.calls c
    where c.org_id = e.org_id and c.source = e.source and c.account_id = e.account_id and c.external_call_id = e.external_call_id)`

const eventsSurplusDeleteSQL = `
delete from pipeline.call_events e
where e.org_id = @org
  and not exists (
    select
    from pipeline.calls c
    where c.org_id = e.org_id and c.source = e.source and c.account_id = e.account_id and c.external_call_id = e.external_call_id)`

const linksSurplusSQL = `
select concat_ws('|', k.kind, k.account_id, k.value)
from pipeline.lead_keys k
where k.org_id = @org
  and not exists (select from pipeline.leads l where l.org_id = k.org_id and l.lead_id = k.lead_id)`

const linksSurplusDeleteSQL = `
delete from pipeline.lead_keys k
where k.org_id = @org
  and not exists (select from pipeline.leads l where l.org_id = k.org_id and l.lead_id = k.lead_id)`

// An opt-out told by a call alone may be for a number that no record has as a key: then its evidence has to be there.
const doNotCallSurplusSQL = `
select d.phone
from pipeline.do_not_call d
where d.org_id = @org
  and not exists (
    select
    from ops.record_keys r
    where r.org_id = d.org_id and r.kind = 'phone' and r.account_id = '' and r.value = d.phone)
  and not exists (
    select
    from ops.records r
    where r.org_id = d.org_id and r.source || '/' || r.stream || '/' || r.object_id = d.evidence)`

const doNotCallSurplusDeleteSQL = `
delete from pipeline.do_not_call d
where d.org_id = @org
  and not exists (
    select
    from ops.record_keys r
    where r.org_id = d.org_id and r.kind = 'phone' and r.account_id = '' and r.value = d.phone)
  and not exists (
    select
    from ops.records r
    where r.org_id = d.org_id and r.source || '/' || r.stream || '/' || r.object_id = d.evidence)`

const recordKeysSurplusSQL = `
select concat_ws('|', k.kind, k.account_id, k.value)
from ops.record_keys k
where k.org_id = @org
  and not exists (select from ops.records r where r.record_id = k.record_id)`

const recordKeysSurplusDeleteSQL = `
delete from ops.record_keys k
where k.org_id = @org
  and not exists (select from ops.records r where r.record_id = k.record_id)`

// surplus finds what no region could show.
func (c *comparison) surplus(ctx context.Context) error {
	for id := range c.keyless {
		if c.gone[id.String()] {
			continue
		}
		if err := c.excess(Difference{Table: "leads", Key: id.String(), LeadID: id, Change: RowExtra}); err != nil {
			return err
		}
	}
	for _, s := range surplusRows() {
		rows, err := c.tx.Query(ctx, s.find, pgx.StrictNamedArgs{"org": c.org})
		if err != nil {
			return fmt.Errorf("finding rows of %s that no record tells: %w", s.table, err)
		}
		var key string
		_, err = pgx.ForEachRow(rows, []any{&key}, func() error {
			return c.excess(Difference{Table: s.table, Key: key, Change: RowExtra})
		})
		if err != nil {
			return fmt.Errorf("finding rows of %s that no record tells: %w", s.table, err)
		}
	}
	return nil
}

func (c *comparison) excess(d Difference) error {
	c.out.surplus = true
	c.stored.add(d.Table, d.Key, d.Change)
	return c.differs(d)
}
