package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// An agent says what the latest call that names it says; the call that is returned is one that names it, itself or in a step. An agent whose calls
// are gone stays, under its id.
const agentsCompareSQL = `
with named as (
  select distinct on (n.agent_source, n.agent_account_id, n.agent_external_id)
    n.agent_source as source, n.agent_account_id as account_id, n.agent_external_id, n.call_source, n.call_account, n.external_call_id
  from (
    select c.agent_source, c.agent_account_id, c.agent_external_id, c.source as call_source, c.account_id as call_account, c.external_call_id
    from pipeline.calls c
    where c.org_id = @org and c.agent_external_id is not null
    union all
    select e.agent_source, e.agent_account_id, e.agent_external_id, e.source, e.account_id, e.external_call_id
    from pipeline.call_events e
    where e.org_id = @org and e.agent_external_id is not null
  ) n
  order by n.agent_source, n.agent_account_id, n.agent_external_id, n.external_call_id
)
select g.source, g.account_id, g.agent_external_id, g.call_source, g.call_account, g.external_call_id,
  coalesce(jsonb_build_object('name', a.name, 'email', a.email)::text, ''), a.agent_id is not null,
  jsonb_build_object('name', n.agent_name, 'email', m.agent_email)::text
from named g
left join pipeline.agents a
  on a.org_id = @org and a.source = g.source and a.account_id = g.account_id and a.external_id = g.agent_external_id
left join lateral (
  select c.agent_name
  from pipeline.calls c
  where c.org_id = @org and c.source = g.source and c.account_id = g.account_id and c.agent_external_id = g.agent_external_id
    and c.agent_name is not null
  order by c.occurred_at desc, c.external_call_id desc
  limit 1
) n on true
left join lateral (
  select c.agent_email
  from pipeline.calls c
  where c.org_id = @org and c.source = g.source and c.account_id = g.account_id and c.agent_external_id = g.agent_external_id
    and c.agent_email is not null
  order by c.occurred_at desc, c.external_call_id desc
  limit 1
) m on true`

const recordOfKeySQL = `
select coalesce(min(record_id), 0)
from ops.record_keys
where org_id = @org and kind = @kind and account_id = @account and value = @value and role = 'call'`

// agents compares the agents with the calls as they are stored, which by then are known to be right or wrong.
func (c *comparison) agents(ctx context.Context) error {
	rows, err := c.tx.Query(ctx, agentsCompareSQL, pgx.StrictNamedArgs{"org": c.org})
	if err != nil {
		return fmt.Errorf("comparing agents: %w", err)
	}
	type found struct {
		d    Difference
		call keyName
	}
	var wrong []found
	var source, account, id string
	var call pipeline.CallKey
	var l line
	var there bool
	_, err = pgx.ForEachRow(rows, []any{&source, &account, &id, &call.Dialler, &call.Account, &call.ExternalID, &l.stored, &there, &l.told}, func() error {
		name := source + "/" + account + "/" + id
		c.told.add("agents", name, l.told)
		if !there {
			l.stored = ""
		} else {
			c.stored.add("agents", name, l.stored)
		}
		change, columns, err := l.difference()
		if err == nil && change != "" {
			wrong = append(wrong, found{Difference{Table: "agents", Key: name, Change: change, Columns: columns}, keyName{callKind(call.Dialler), call.Account, call.ExternalID}})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("comparing agents: %w", err)
	}
	for _, w := range wrong {
		var record int64
		err := c.tx.QueryRow(ctx, recordOfKeySQL, pgx.StrictNamedArgs{
			"org": c.org, "kind": w.call.Kind, "account": w.call.Account, "value": w.call.Value,
		}).Scan(&record)
		if err != nil {
			return fmt.Errorf("finding the record of an agent's call: %w", err)
		}
		if record != 0 && !c.unsettled.has(record) {
			c.seeds[record] = true
		}
		if err := c.differs(w.d); err != nil {
			return err
		}
	}
	return nil
}
