package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// removal is one transaction that removes what is left of a person.
type removal struct {
	e   *Eraser
	tx  pgx.Tx
	p   *person
	r   *Receipt
	key ErasureKey
	// kept are the phones that stay on the do-not-call list, and seeds the records to fold from.
	kept  []string
	seeds []int64
	// since is since when they are on it, and told what told the opt-outs, the lifted ones too.
	since map[string]time.Time
	told  []toldOptOut
}

// errNames means that a person has names whose hashes are not kept yet.
var errNames = errors.New("a name turned up")

// remove does all that is left in one transaction. It fails with ErrInFlight while a request about the person is under way, and
// with errNames where they have a name by which something could have landed meanwhile. Nobody who lands waits for it: of whom
// it finds here, all names were committed before, so that nothing of theirs lands any more. The fold waits, and with it
// the writes of our API.
func (e *Eraser) remove(ctx context.Context, org uuid.UUID, who Identity, r *Receipt) error {
	key, err := e.DB.Erased.Key("", false)
	if err != nil {
		return err
	}
	return e.DB.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, compareTimeoutsSQL); err != nil {
			return err
		}
		if err := lockFold(ctx, tx, org); err != nil {
			return err
		}
		p, err := e.find(ctx, tx, org, who, r.also)
		if err != nil {
			return err
		}
		kept, err := p.kept(ctx, tx, &key)
		if err != nil {
			return err
		}
		if !kept {
			return errNames
		}
		m := &removal{e: e, tx: tx, p: p, r: r, key: key, seeds: sortedIDs(p.records)}
		for _, step := range []func(context.Context) error{
			m.lock, m.inFlight, m.held, m.vendors, m.inbox, m.records, m.optOuts, m.fold, m.ids, m.deliveries, m.events, m.receipt,
		} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

const phonesToLockSQL = `
select value
from ops.record_keys
where record_id = any(@ids) and kind = 'phone'
union
select value
from pipeline.lead_keys
where org_id = @org and lead_id = any(@leads) and kind = 'phone'`

// lock keeps requests about the person from beginning (law 6's locks), and opt-outs of their phones, shared ones too, from coming
// in unseen. Calls have none of their own there, and may be many.
func (m *removal) lock(ctx context.Context) error {
	rows, err := m.tx.Query(ctx, phonesToLockSQL, pgx.StrictNamedArgs{"ids": m.seeds, "org": m.p.org, "leads": m.p.leads})
	if err != nil {
		return fmt.Errorf("reading phones: %w", err)
	}
	phones, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("reading phones: %w", err)
	}
	var keys []string
	for _, phone := range phones {
		keys = append(keys, SuppressionLockKey(m.p.org, string(pipeline.KeyPhone), "", phone))
	}
	for n := range m.p.names {
		if !m.p.calls[n] {
			keys = append(keys, SuppressionLockKey(m.p.org, n.Kind, n.Account, n.Value))
		}
	}
	return LockSuppressions(ctx, m.tx, keys)
}

const deliveriesOfPersonSQL = `
select id, state = 'sending' and lease_until > clock_timestamp()
from ops.deliveries
where org_id = @org and (lead_id = any(@leads) or phone = any(@phones))
order by id
for update`

// inFlight refuses while a request is under way: its outcome is not to be lost.
func (m *removal) inFlight(ctx context.Context) error {
	rows, err := m.tx.Query(ctx, deliveriesOfPersonSQL, pgx.StrictNamedArgs{"org": m.p.org, "leads": m.p.leads, "phones": m.p.phones()})
	if err != nil {
		return fmt.Errorf("reading deliveries: %w", err)
	}
	var id uuid.UUID
	var sending bool
	_, err = pgx.ForEachRow(rows, []any{&id, &sending}, func() error {
		if sending {
			return ErrInFlight
		}
		return nil
	})
	return err
}

// statement is one that removes or empties rows of a table.
type statement struct {
	table, sql string
	args       pgx.StrictNamedArgs
}

func (m *removal) exec(ctx context.Context, statements ...statement) error {
	for _, s := range statements {
		tag, err := m.tx.Exec(ctx, s.sql, s.args)
		if err != nil {
			return fmt.Errorf("erasing from %s: %w", s.table, err)
		}
		m.r.Counts[s.table] += tag.RowsAffected()
	}
	return nil
}

// An id is a number at ipSCAPE, and text as a record's: only compared as a number it is found by the table's key.
const (
	activitiesEraseSQL = `
delete from ipscape.activities t
using ops.records r
where r.record_id = any(@ids) and r.source = 'ipscape' and r.stream = 'activities'
  and t.org_id = r.org_id and t.account_id = r.account_id and t.activity_id = case when r.object_id ~ '^[0-9]{1,18}$' then r.object_id::bigint end`
	ipscapeLeadsEraseSQL = `
delete from ipscape.leads t
using ops.records r
where r.record_id = any(@ids) and r.source = 'ipscape' and r.stream = 'leads'
  and t.org_id = r.org_id and t.account_id = r.account_id and t.lead_id = case when r.object_id ~ '^[0-9]{1,18}$' then r.object_id::bigint end`
	attemptsEraseSQL = `
delete from ipscape.dial_attempts t
using ops.records r
where r.record_id = any(@ids) and r.source = 'ipscape' and r.stream = 'dial_attempts'
  and t.org_id = r.org_id and t.account_id = r.account_id and t.attempt_id = case when r.object_id ~ '^[0-9]{1,18}$' then r.object_id::bigint end`
	attemptsOfLeadsEraseSQL = `
delete from ipscape.dial_attempts
where org_id = @org and lead_id = any(@ipscape_leads)`
	convosoEventsEraseSQL = `
delete from convoso.events t
using ops.records r
where r.record_id = any(@ids) and r.source = 'convoso'
  and t.org_id = r.org_id and t.account_id = r.account_id
  and t.event_id = any(array['disposition:' || r.object_id, 'call_event:' || r.object_id, 'dnc:' || r.object_id,
    'recording:' || r.object_id, 'lead_update:' || r.object_id])`
	convoloCallsEraseSQL = `
delete from convolo.calls
where org_id = @org and (phone = any(@phones) or call_id = any(@convolo_calls) or delivery_id = any(array(
  select id from ops.deliveries where org_id = @org and (lead_id = any(@leads) or phone = any(@phones)))))`
	dialedinLeadsEraseSQL = `
delete from dialedin.leads
where org_id = @org and client_id = any(@lead_ids)`
)

// vendors removes the typed rows. Their records are still there to name them.
func (m *removal) vendors(ctx context.Context) error {
	var ipscape []int64
	var convolo, leads []string
	for n := range m.p.names {
		if id, err := strconv.ParseInt(n.Value, 10, 64); err == nil && n.Kind == string(pipeline.KeyIPSCAPELead) {
			ipscape = append(ipscape, id)
		}
		if n.Kind == callKind(pipeline.SourceConvolo) {
			convolo = append(convolo, n.Value)
		}
	}
	for _, id := range m.p.leads {
		leads = append(leads, id.String())
	}
	of := pgx.StrictNamedArgs{"ids": m.seeds}
	return m.exec(
		ctx,
		statement{"ipscape.activities", activitiesEraseSQL, of},
		statement{"ipscape.leads", ipscapeLeadsEraseSQL, of},
		statement{"ipscape.dial_attempts", attemptsEraseSQL, of},
		statement{"ipscape.dial_attempts", attemptsOfLeadsEraseSQL, pgx.StrictNamedArgs{"org": m.p.org, "ipscape_leads": ipscape}},
		statement{"convoso.events", convosoEventsEraseSQL, of},
		statement{"convolo.calls", convoloCallsEraseSQL, pgx.StrictNamedArgs{
			"org": m.p.org, "phones": m.p.phones(), "convolo_calls": convolo, "leads": m.p.leads,
		}},
		statement{"dialedin.leads", dialedinLeadsEraseSQL, pgx.StrictNamedArgs{"org": m.p.org, "lead_ids": leads}},
	)
}

const (
	inboxOfRecordsEraseSQL = `
update ops.inbox i
set body = '', query = ''
from ops.records r
join ops.inbox_facts f
  on f.org_id = r.org_id and f.account_id = r.account_id and f.source = r.source and f.stream = r.stream and f.object_id = r.object_id
where r.record_id = any(@ids) and i.id = f.inbox_id and (i.body <> '' or i.query <> '')`
	inboxDuplicatesEraseSQL = `
update ops.inbox i
set body = '', query = ''
from ops.records r
join ops.inbox_facts f
  on f.org_id = r.org_id and f.account_id = r.account_id and f.source = r.source and f.stream = r.stream and f.object_id = r.object_id
where r.record_id = any(@ids) and i.duplicate_of = f.inbox_id and (i.body <> '' or i.query <> '')`
	inboxFactsEraseSQL = `
delete from ops.inbox_facts f
using ops.records r
where r.record_id = any(@ids)
  and f.org_id = r.org_id and f.account_id = r.account_id and f.source = r.source and f.stream = r.stream and f.object_id = r.object_id`
	quarantineEraseSQL = `
delete from ops.quarantine q
using ops.records r
where r.record_id = any(@ids)
  and q.org_id = r.org_id and q.account_id = r.account_id and q.source = r.source and q.stream = r.stream and q.object_id = r.object_id`
	// What never became a record is known by the id of its lead or call alone.
	quarantineOfNamesEraseSQL = `
delete from ops.quarantine q
using unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
where q.org_id = @org and q.account_id = n.account_id and q.source = 'ipscape' and q.object_id = n.value
  and q.stream = case n.kind when 'ipscape_lead' then 'leads' when 'call:ipscape' then 'activities' end`
	refetchEraseSQL = `
delete from ops.refetch f
using ops.records r
where r.record_id = any(@ids)
  and f.org_id = r.org_id and f.account_id = r.account_id and f.source = r.source and f.stream = r.stream and f.object_id = r.object_id`
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
	historyEraseSQL = `
delete from ops.record_history h
using ops.records r
where r.record_id = any(@ids)
  and h.org_id = r.org_id and h.account_id = r.account_id and h.source = r.source and h.stream = r.stream and h.object_id = r.object_id`
	queueEraseSQL = `
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

const pipelineCountSQL = `
select
  (select count(*) from pipeline.leads where org_id = @org and lead_id = any(@leads)),
  (select count(*) from pipeline.lead_keys where org_id = @org and lead_id = any(@leads)),
  (select count(*)
    from unnest(@sources::text[], @accounts::text[], @values::text[]) as n (source, account_id, value)
    join pipeline.calls c
      on c.org_id = @org and c.source = n.source and c.account_id = n.account_id and c.external_call_id = n.value),
  (select count(*)
    from unnest(@sources::text[], @accounts::text[], @values::text[]) as n (source, account_id, value)
    join pipeline.call_events c
      on c.org_id = @org and c.source = n.source and c.account_id = n.account_id and c.external_call_id = n.value)`

// fold brings the pipeline in step by the ordinary fold, from records that are gone: whatever nobody tells any more goes, and
// what others tell stays. Nobody is told, and nothing ordered.
func (m *removal) fold(ctx context.Context) error {
	before, err := m.count(ctx)
	if err != nil {
		return err
	}
	// Those that were landed just now are folded here, not by their turn.
	if err := m.exec(ctx, statement{"ops.reconcile_queue", queueEraseSQL, pgx.StrictNamedArgs{"org": m.p.org, "ids": m.seeds}}); err != nil {
		return err
	}
	quiet := *m.e.Fold
	quiet.repairing, quiet.WakeWebhooks = true, nil
	if len(m.seeds) > 0 {
		if _, err := quiet.fold(ctx, m.tx, m.p.org, m.seeds); err != nil {
			return err
		}
	}
	after, err := m.count(ctx)
	if err != nil {
		return err
	}
	for i, table := range []string{"pipeline.leads", "pipeline.lead_keys", "pipeline.calls", "pipeline.call_events"} {
		m.r.Counts[table] += before[i] - after[i]
	}
	return nil
}

func (m *removal) count(ctx context.Context) (counts [4]int64, err error) {
	kinds, accounts, values := columns(slices.Collect(maps.Keys(m.p.calls)))
	for i, kind := range kinds {
		kinds[i] = strings.TrimPrefix(kind, callKind(""))
	}
	err = m.tx.QueryRow(ctx, pipelineCountSQL, pgx.StrictNamedArgs{
		"org": m.p.org, "leads": m.p.leads, "sources": kinds, "accounts": accounts, "values": values,
	}).Scan(&counts[0], &counts[1], &counts[2], &counts[3])
	if err != nil {
		return counts, fmt.Errorf("counting rows of the pipeline: %w", err)
	}
	return counts, nil
}

const (
	ledgerEraseSQL = `delete from pipeline.lead_ledger where org_id = @org and lead_id = any(@leads)`
	mergesEraseSQL = `delete from pipeline.lead_merges where org_id = @org and (lead_id = any(@leads) or into_lead_id = any(@leads))`
	splitsEraseSQL = `delete from pipeline.lead_splits where org_id = @org and lead_id = any(@leads)`
)

// ids removes what remembers which ids the leads were given for which keys.
func (m *removal) ids(ctx context.Context) error {
	of := pgx.StrictNamedArgs{"org": m.p.org, "leads": m.p.leads}
	return m.exec(
		ctx,
		statement{"pipeline.lead_ledger", ledgerEraseSQL, of},
		statement{"pipeline.lead_merges", mergesEraseSQL, of},
		statement{"pipeline.lead_splits", splitsEraseSQL, of},
	)
}

const (
	attemptsOfDeliveriesEraseSQL = `
update ops.delivery_attempts a
set request = '', checks = '{}', detail = null
from ops.deliveries d
where a.delivery_id = d.id and d.org_id = @org and (d.lead_id = any(@leads) or d.phone = any(@phones) and not d.phone = any(@kept))`
	deliveriesEraseSQL = `
update ops.deliveries d
set state = case when d.state in ('ready', 'sending', 'unknown') then 'cancelled' else d.state end,
  reason = case when d.state in ('ready', 'sending', 'unknown') then @reason else d.reason end,
  settled_at = case when d.state in ('ready', 'sending', 'unknown') then @now else d.settled_at end,
  hold = null, lease_owner = null, lease_until = null,
  phone = null, params = '{}', told = null, error = null, external_id = null, dedupe = 'erased ' || d.id
where d.org_id = @org and (d.lead_id = any(@leads) or d.phone = any(@phones) and not d.phone = any(@kept))`
)

// deliveries ends what is open and empties all of it. What tells a dialler of an opt-out that holds is left: it says no more than
// the opt-out does.
func (m *removal) deliveries(ctx context.Context) error {
	kept := m.kept
	if kept == nil {
		kept = []string{}
	}
	of := pgx.StrictNamedArgs{"org": m.p.org, "leads": m.p.leads, "phones": m.p.phones(), "kept": kept}
	ends := maps.Clone(of)
	ends["reason"], ends["now"] = pipeline.ReasonErased, m.e.DB.Now()
	return m.exec(
		ctx,
		statement{"ops.delivery_attempts", attemptsOfDeliveriesEraseSQL, of},
		statement{"ops.deliveries", deliveriesEraseSQL, ends},
	)
}

// eventsSlack is how much further than the order's time the clocks of those who make events may be apart.
const eventsSlack = time.Hour

const eventsSinceSearchSQL = eventsSearchSQL + `
  and created_at >= @since`

// events removes the webhooks that were ordered since the search, while what had come was folded.
func (m *removal) events(ctx context.Context) error {
	_, pattern, err := textPattern(m.p)
	if err != nil {
		return err
	}
	return m.exec(ctx, statement{"ops.webhook_events", eventsSinceSearchSQL, pgx.StrictNamedArgs{
		"org": m.p.org, "pattern": pattern, "times": pipeline.TimePattern, "gap": pipeline.TimeGap, "since": m.r.searched.Add(-eventsSlack),
	}})
}

const erasureFinishSQL = `
update ops.erasures e
set finished_at = @now,
  counts = (
    select coalesce(jsonb_object_agg(n.name, n.count), '{}')
    from (
      select t.key as name, sum(t.value::bigint) as count
      from (
        select key, value from jsonb_each_text(e.counts)
        union all
        select key, value from jsonb_each_text(@counts::jsonb)
      ) t
      group by t.key
    ) n)
where e.erasure_id = @id
returning e.started_at, e.finished_at`

// receipt writes down what went, added to what an earlier order removed.
func (m *removal) receipt(ctx context.Context) error {
	maps.DeleteFunc(m.r.Counts, func(_ string, n int64) bool { return n == 0 })
	counts, err := json.Marshal(m.r.Counts)
	if err != nil {
		return fmt.Errorf("writing the receipt: %w", err)
	}
	err = m.tx.QueryRow(ctx, erasureFinishSQL, pgx.StrictNamedArgs{"id": m.r.ID, "now": m.e.DB.Now(), "counts": string(counts)}).Scan(&m.r.StartedAt, &m.r.FinishedAt)
	if err != nil {
		return fmt.Errorf("writing the receipt: %w", err)
	}
	m.r.StartedAt, m.r.FinishedAt = m.r.StartedAt.UTC(), m.r.FinishedAt.UTC()
	return nil
}
