package store

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// What is of the records' objects, in a table that names objects as they do.
const ofRecords = ` t
using ops.records r
where r.record_id = any(@ids)
  and t.org_id = r.org_id and t.account_id = r.account_id and t.source = r.source and t.stream = r.stream and t.object_id = r.object_id`

// The posts that told the records, and those that told the same once more, are each found by an index of their own.
const inboxEmptied = `
update ops.inbox i
set body = '', query = ''
from ops.records r
join ops.inbox_facts f
  on f.org_id = r.org_id and f.account_id = r.account_id and f.source = r.source and f.stream = r.stream and f.object_id = r.object_id
where r.record_id = any(@ids) and (i.body <> '' or i.query <> '')`

const (
	inboxOfRecordsEraseSQL  = inboxEmptied + ` and i.id = f.inbox_id`
	inboxDuplicatesEraseSQL = inboxEmptied + ` and i.duplicate_of = f.inbox_id`
	inboxFactsEraseSQL      = `delete from ops.inbox_facts` + ofRecords
	quarantineEraseSQL      = `delete from ops.quarantine` + ofRecords
	// What never became a record is known by the id of its lead or call alone.
	quarantineOfNamesEraseSQL = `
delete from ops.quarantine q
using unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
where q.org_id = @org and q.account_id = n.account_id and q.source = 'ipscape' and q.object_id = n.value
  and q.stream = case n.kind when 'ipscape_lead' then 'leads' when 'call:ipscape' then 'activities' end`
	refetchEraseSQL = `delete from ops.refetch` + ofRecords
	// What they suppressed is kept by other records; see optOuts.
	suppressionsOfRecordsEraseSQL = `
delete from ops.suppressions s
using ops.records r
where r.record_id = any(@ids) and s.org_id = r.org_id and s.source = r.source and s.stream = r.stream and s.object_id = r.object_id`
	suppressionsEraseSQL = `
delete from ops.suppressions s
using unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
where s.org_id = @org and s.kind = n.kind and s.account_id = n.account_id and s.value = n.value
  and not (s.source = 'operator' and s.stream = 'do_not_call' and s.object_id like 'erased-%')`
)

// inbox empties the posts that told the records, and removes what is noted of those.
func (m *removal) inbox(ctx context.Context) error {
	of := pgx.StrictNamedArgs{"ids": m.seeds}
	kinds, accounts, values := columns(slices.Collect(maps.Keys(m.p.names)))
	return m.exec(
		ctx,
		statement{"ops.inbox", inboxOfRecordsEraseSQL, of},
		statement{"ops.inbox", inboxDuplicatesEraseSQL, of},
		statement{"ops.inbox_facts", inboxFactsEraseSQL, of},
		statement{"ops.quarantine", quarantineEraseSQL, of},
		statement{"ops.quarantine", quarantineOfNamesEraseSQL, pgx.StrictNamedArgs{
			"org": m.p.org, "kinds": kinds, "accounts": accounts, "values": values,
		}},
		statement{"ops.refetch", refetchEraseSQL, of},
		statement{"ops.suppressions", suppressionsOfRecordsEraseSQL, of},
	)
}

const (
	historyEraseSQL = `delete from ops.record_history` + ofRecords
	queueEraseSQL   = `
delete from ops.reconcile_queue
where org_id = @org and record_id = any(@ids)`
	presenceEraseSQL = `
delete from pipeline.presence p
using pipeline.agents a, ops.records r
where r.record_id = any(@ids) and r.source = 'api' and r.stream = 'presence'
  and a.org_id = r.org_id and a.source = 'api' and a.external_id = r.object_id
  and p.org_id = a.org_id and p.agent_id = a.agent_id`
	presenceOfLeadsEraseSQL = `
delete from pipeline.presence
where org_id = @org and current_lead_id = any(@leads)`
	blockedPhonesEraseSQL = `
delete from pipeline.blocked_phones
where org_id = @org and phone = any(@phones)`
	recordsEraseSQL = `
delete from ops.records
where record_id = any(@ids)`
)

// records removes the records, with their history. What an agent is doing is a record that belongs with no lead; it is told
// again with the next call.
func (m *removal) records(ctx context.Context) error {
	of := pgx.StrictNamedArgs{"ids": m.seeds}
	return m.exec(
		ctx,
		statement{"pipeline.presence", presenceEraseSQL, of},
		statement{"pipeline.presence", presenceOfLeadsEraseSQL, pgx.StrictNamedArgs{"org": m.p.org, "leads": m.p.leads}},
		statement{"pipeline.blocked_phones", blockedPhonesEraseSQL, pgx.StrictNamedArgs{"org": m.p.org, "phones": m.p.phones()}},
		statement{"ops.record_history", historyEraseSQL, of},
		statement{"ops.records", recordsEraseSQL, of},
	)
}
