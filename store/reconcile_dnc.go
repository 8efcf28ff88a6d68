package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// dncRow is a row of pipeline.do_not_call as JSON.
type dncRow struct {
	OrgID     uuid.UUID  `json:"org_id"`
	Phone     string     `json:"phone"`
	Reason    string     `json:"reason"`
	Source    string     `json:"source"`
	Since     time.Time  `json:"since"`
	LiftedAt  *time.Time `json:"lifted_at"`
	Evidence  string     `json:"evidence"`
	UpdatedAt time.Time  `json:"updated_at"`
}

func (f *folded) dncRow(d *pipeline.DoNotCall) dncRow {
	return dncRow{
		OrgID: f.org, Phone: d.Phone, Reason: orElse(d.Reason, "opt_out"), Source: string(d.Source), Since: d.Since,
		LiftedAt: optionalTime(d.LiftedAt), Evidence: d.Evidence, UpdatedAt: f.now,
	}
}

const dncActiveSQL = `
select phone
from pipeline.do_not_call
where org_id = @org and phone = any(@phones) and lifted_at is null`

const dncUpsertSQL = `
insert into pipeline.do_not_call as d (org_id, phone, reason, source, since, lifted_at, evidence, updated_at)
select org_id, phone, reason, source, since, lifted_at, evidence, updated_at
from jsonb_populate_recordset(null::pipeline.do_not_call, @rows::jsonb)
on conflict (org_id, phone) do update
set reason = excluded.reason, source = excluded.source, since = excluded.since, lifted_at = excluded.lifted_at,
  evidence = excluded.evidence, updated_at = excluded.updated_at
where (d.reason, d.source, d.since, d.lifted_at, d.evidence)
  is distinct from (excluded.reason, excluded.source, excluded.since, excluded.lifted_at, excluded.evidence)`

const dncDeleteSQL = `
delete from pipeline.do_not_call
where org_id = @org and phone = any(@phones) and not phone = any(@kept)`

const suppressionsFoldedSQL = `
update ops.suppressions s
set folded_at = @now
from ops.records r
join ops.record_keys k on k.record_id = r.record_id and k.role = 'dnc'
where r.record_id = any(@seeds) and s.org_id = r.org_id and s.source = r.source and s.stream = r.stream
  and s.object_id = r.object_id and s.kind = k.kind and s.account_id = k.account_id and s.value = k.value and s.folded_at is null`

const dncCancelSQL = `
with locked as (
  select d.id
  from ops.deliveries d
  where d.org_id = @org and d.state = 'ready' and d.class = 'rings' and d.phone = any(@phones)
  order by d.id
  for update
)
update ops.deliveries d
set state = 'cancelled', reason = 'do_not_call', settled_at = @now, hold = null, lease_owner = null, lease_until = null
from locked
where d.id = locked.id`

// writeDNC brings do-not-call in step, under the locks that a push takes before it sends (law 6), and orders one
// obligation per destination for each new opt-out. It returns the destinations that got any.
func (r *Reconciler) writeDNC(ctx context.Context, tx pgx.Tx, f *folded) ([]string, error) {
	var phones, kept, holding []string
	for phone := range f.region.phones {
		phones = append(phones, phone)
	}
	var rows []dncRow
	lifts := map[string]int{}
	for i := range f.result.DNC {
		d := &f.result.DNC[i]
		kept = append(kept, d.Phone)
		lifts[d.Phone] = d.Lifts
		if d.Active() {
			holding = append(holding, d.Phone)
		}
		rows = append(rows, f.dncRow(d))
	}
	was, err := r.activeNow(ctx, tx, f.org, holding)
	if err != nil {
		return nil, err
	}
	fresh := slices.DeleteFunc(holding, func(p string) bool { return was[p] })
	var locks []string
	for _, phone := range fresh {
		locks = append(locks, SuppressionLockKey(f.org, string(pipeline.KeyPhone), "", phone))
	}
	if err := LockSuppressions(ctx, tx, locks); err != nil {
		return nil, err
	}
	if err := upsertRows(ctx, tx, dncUpsertSQL, rows); err != nil {
		return nil, fmt.Errorf("writing do-not-call: %w", err)
	}
	if kept == nil {
		kept = []string{}
	}
	// What cannot be read at present may be what opted a phone out: then nothing is taken off the list.
	if len(f.unread) > 0 {
		phones = []string{}
	}
	if _, err := tx.Exec(ctx, dncDeleteSQL, pgx.StrictNamedArgs{"org": f.org, "phones": phones, "kept": kept}); err != nil {
		return nil, fmt.Errorf("removing do-not-call that nobody tells any more: %w", err)
	}
	seeds := make([]int64, 0, len(f.seeds))
	for id := range f.seeds {
		// A record that could not be read opts nobody out: what its post suppressed has to hold (law 6).
		if !f.unread[id] {
			seeds = append(seeds, id)
		}
	}
	if _, err := tx.Exec(ctx, suppressionsFoldedSQL, pgx.StrictNamedArgs{"now": f.now, "seeds": seeds}); err != nil {
		return nil, fmt.Errorf("closing suppressions: %w", err)
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, dncCancelSQL, pgx.StrictNamedArgs{"org": f.org, "now": f.now, "phones": fresh}); err != nil {
		return nil, fmt.Errorf("cancelling deliveries to who opted out: %w", err)
	}
	return r.oblige(ctx, tx, f, fresh, lifts)
}

func (r *Reconciler) activeNow(ctx context.Context, tx pgx.Tx, org uuid.UUID, phones []string) (map[string]bool, error) {
	active := map[string]bool{}
	if len(phones) == 0 {
		return active, nil
	}
	rows, err := tx.Query(ctx, dncActiveSQL, pgx.StrictNamedArgs{"org": org, "phones": phones})
	if err != nil {
		return nil, fmt.Errorf("reading do-not-call: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, p := range list {
		active[p] = true
	}
	return active, err
}

// oblige orders the do-not-call entry at every dialler. The number of lifts so far is part of the dedupe value: the same
// opt-out told again obliges nobody again, one after a lift does.
func (r *Reconciler) oblige(ctx context.Context, tx pgx.Tx, f *folded, phones []string, lifts map[string]int) ([]string, error) {
	var orders []NewDelivery
	for _, destination := range r.Blockers {
		for _, phone := range phones {
			orders = append(orders, NewDelivery{
				Org: f.org, Account: DefaultAccount, Destination: destination, Operation: pipeline.OperationAddDNC, Class: pipeline.ClassRepeatable,
				Phone: phone, SourceTime: f.now, NotBefore: f.now, Dedupe: fmt.Sprintf("%s#%d", phone, lifts[phone]),
			})
		}
	}
	for _, dialler := range r.LocalBlockers {
		for _, phone := range phones {
			orders = append(orders, NewDelivery{
				Org: f.org, Account: DefaultAccount, Destination: dialler, Operation: pipeline.OperationAddDNC, Class: pipeline.ClassRepeatable,
				Phone: phone, SourceTime: f.now, NotBefore: f.now, Settled: pipeline.ReasonLocalBlock, Dedupe: fmt.Sprintf("%s#%d", phone, lifts[phone]),
			})
		}
	}
	if len(orders) == 0 {
		return nil, nil
	}
	if _, err := r.DB.InsertDeliveries(ctx, tx, orders); err != nil {
		return nil, err
	}
	return r.Blockers, nil
}
