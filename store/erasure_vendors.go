package store

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

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
	// Customer keys may be numbers and addresses.
	bulkLeadsEraseSQL = `
delete from ipscape.bulk_leads
where org_id = @org and hash = any(@hashes)`
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
	var bulk [][]byte
	for n := range m.p.hashes() {
		bulk = append(bulk, bulkHash(m.p.org, n.Value))
	}
	of := pgx.StrictNamedArgs{"ids": m.seeds}
	return m.exec(
		ctx,
		statement{"ipscape.activities", activitiesEraseSQL, of},
		statement{"ipscape.leads", ipscapeLeadsEraseSQL, of},
		statement{"ipscape.dial_attempts", attemptsEraseSQL, of},
		statement{"ipscape.dial_attempts", attemptsOfLeadsEraseSQL, pgx.StrictNamedArgs{"org": m.p.org, "ipscape_leads": ipscape}},
		statement{"ipscape.bulk_leads", bulkLeadsEraseSQL, pgx.StrictNamedArgs{"org": m.p.org, "hashes": bulk}},
		statement{"convoso.events", convosoEventsEraseSQL, of},
		statement{"convolo.calls", convoloCallsEraseSQL, pgx.StrictNamedArgs{
			"org": m.p.org, "phones": m.p.phones(), "convolo_calls": convolo, "leads": m.p.leads,
		}},
		statement{"dialedin.leads", dialedinLeadsEraseSQL, pgx.StrictNamedArgs{"org": m.p.org, "lead_ids": leads}},
	)
}
