package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const dispositionRulesSQL = `
select source, code, outcome, stage_key, contacted, opt_out
from pipeline.disposition_rules
where org_id = @org
order by source, code`

// DispositionRules returns what an organisation set by itself.
func (db *DB) DispositionRules(ctx context.Context, q Queryer, org uuid.UUID) ([]pipeline.DispositionRule, error) {
	rows, err := q.Query(ctx, dispositionRulesSQL, pgx.StrictNamedArgs{"org": org})
	if err != nil {
		return nil, fmt.Errorf("reading disposition rules: %w", err)
	}
	rules, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (pipeline.DispositionRule, error) {
		var r pipeline.DispositionRule
		var contacted *bool
		err := row.Scan(&r.Source, &r.Code, &r.Outcome, &r.Stage, &contacted, &r.OptOut)
		r.AsAnswered = contacted == nil
		r.Contacted = contacted != nil && *contacted
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading disposition rules: %w", err)
	}
	return rules, nil
}

const dispositionRuleSetSQL = `
insert into pipeline.disposition_rules as d (org_id, source, code, outcome, stage_key, contacted, opt_out, updated_at)
values (@org, @source, @code, @outcome, @stage, @contacted, @opt_out, @now)
on conflict (org_id, source, code) do update
set outcome = excluded.outcome, stage_key = excluded.stage_key, contacted = excluded.contacted, opt_out = excluded.opt_out,
  updated_at = excluded.updated_at`

const dispositionRuleRemoveSQL = `
delete from pipeline.disposition_rules
where org_id = @org and source = @source and code = @code`

// Every call with the code is folded again, whoever told it: an event of our API may use the words of another vocabulary.
const dispositionTouchedSQL = `
insert into ops.reconcile_queue (org_id, record_id, queued_at)
select distinct k.org_id, k.record_id, @now::timestamptz
from (
  select c.source, c.account_id, c.external_call_id
  from pipeline.calls c
  where c.org_id = @org and upper(c.disposition_raw) = @code
  union
  select e.source, e.account_id, e.external_call_id
  from pipeline.call_events e
  where e.org_id = @org and upper(e.disposition) = @code
) c
join ops.record_keys k
  on k.org_id = @org and k.kind = 'call:' || c.source and k.account_id = c.account_id and k.value = c.external_call_id and k.role = 'call'`

// SetDispositionRule sets what a code means to an organisation, or with remove takes that back, and has every call with the
// code folded again. It returns how many records that are. wake is called in the transaction; it may be nil.
func (db *DB) SetDispositionRule(
	ctx context.Context, org uuid.UUID, rule pipeline.DispositionRule, remove bool, wake func(context.Context, pgx.Tx) error,
) (touched int64, err error) {
	rule.Code = strings.ToUpper(rule.Code)
	args := pgx.StrictNamedArgs{"org": org, "source": string(rule.Source), "code": rule.Code}
	sql := dispositionRuleRemoveSQL
	if !remove {
		sql = dispositionRuleSetSQL
		var contacted *bool
		if !rule.AsAnswered {
			contacted = &rule.Contacted
		}
		args["outcome"], args["stage"], args["contacted"], args["opt_out"], args["now"] = rule.Outcome, rule.Stage, contacted, rule.OptOut, db.Now()
	}
	return db.changeRule(ctx, org, sql, args, dispositionTouchedSQL, pgx.StrictNamedArgs{"org": org, "code": rule.Code, "now": db.Now()}, wake)
}

// changeRule changes a rule while nobody folds, so that no fold by the old one comes after it, and queues what it touches.
func (db *DB) changeRule(
	ctx context.Context, org uuid.UUID, change string, args pgx.StrictNamedArgs, touch string, touchArgs pgx.StrictNamedArgs,
	wake func(context.Context, pgx.Tx) error,
) (touched int64, err error) {
	err = db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, compareTimeoutsSQL); err != nil {
			return err
		}
		if err := lockFold(ctx, tx, org); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, change, args)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		if tag, err = tx.Exec(ctx, touch, touchArgs); err != nil {
			return err
		}
		touched = tag.RowsAffected()
		if wake == nil || touched == 0 {
			return nil
		}
		return wake(ctx, tx)
	})
	if err != nil {
		return 0, fmt.Errorf("changing a rule: %w", Quiet(err))
	}
	return touched, nil
}

// UsedCode is a raw code that calls carry.
type UsedCode struct {
	Source string
	Code   string
	Calls  int64
	// Name is the dialler's own words for it, where it told any.
	Name *string
}

const usedCodesSQL = `
select source, disposition_raw, count(*), max(disposition_name)
from pipeline.calls
where org_id = @org and disposition_raw is not null
group by source, disposition_raw
order by count(*) desc, source, disposition_raw`

// UsedCodes counts the raw codes of an organisation's calls, as they were told.
func (db *DB) UsedCodes(ctx context.Context, org uuid.UUID) ([]UsedCode, error) {
	rows, err := db.Pool.Query(ctx, usedCodesSQL, pgx.StrictNamedArgs{"org": org})
	if err != nil {
		return nil, fmt.Errorf("counting codes: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[UsedCode])
}

// BlockedPhone is a phone that links no leads.
type BlockedPhone struct {
	Phone     string
	BlockedAt time.Time
}

const blockedPhonesSQL = `
select phone, blocked_at
from pipeline.blocked_phones
where org_id = @org
order by phone`

// BlockedPhones lists the phones that an operator keeps from linking.
func (db *DB) BlockedPhones(ctx context.Context, q Queryer, org uuid.UUID) ([]BlockedPhone, error) {
	rows, err := q.Query(ctx, blockedPhonesSQL, pgx.StrictNamedArgs{"org": org})
	if err != nil {
		return nil, fmt.Errorf("reading blocked phones: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[BlockedPhone])
}

const phoneBlockSQL = `
insert into pipeline.blocked_phones (org_id, phone, blocked_at)
values (@org, @phone, @now)
on conflict (org_id, phone) do update
set blocked_at = pipeline.blocked_phones.blocked_at`

const phoneAllowSQL = `
delete from pipeline.blocked_phones
where org_id = @org and phone = @phone`

const phoneTouchedSQL = `
insert into ops.reconcile_queue (org_id, record_id, queued_at)
select distinct k.org_id, k.record_id, @now::timestamptz
from ops.record_keys k
where k.org_id = @org and k.kind = 'phone' and k.account_id = '' and k.value = @phone`

// BlockPhone keeps a phone, in E.164, from linking leads, or with allow lets it again, and has everything with it folded
// anew. Allowing one that is not blocked is ErrNotFound. It returns how many records that are.
func (db *DB) BlockPhone(ctx context.Context, org uuid.UUID, phone string, allow bool, wake func(context.Context, pgx.Tx) error) (touched int64, err error) {
	args := pgx.StrictNamedArgs{"org": org, "phone": phone}
	change := phoneAllowSQL
	if !allow {
		change = phoneBlockSQL
		args["now"] = db.Now()
	}
	return db.changeRule(ctx, org, change, args, phoneTouchedSQL, pgx.StrictNamedArgs{"org": org, "phone": phone, "now": db.Now()}, wake)
}

// RulesOf returns the rules by which an organisation's records are folded: the program's own, overlaid with what operators
// set. They are read anew for every fold, in its transaction, so that no daemon ever folds by old ones.
func (r *Reconciler) RulesOf(ctx context.Context, q Queryer, org uuid.UUID) (pipeline.Rules, error) {
	rules := r.Rules
	given, err := r.DB.DispositionRules(ctx, q, org)
	if err != nil {
		return rules, err
	}
	rules.Dispositions = rules.Dispositions.With(given)
	phones, err := r.DB.BlockedPhones(ctx, q, org)
	if err != nil {
		return rules, err
	}
	blocked := map[string]bool{}
	for phone := range rules.Blocked {
		blocked[phone] = true
	}
	for _, p := range phones {
		blocked[p.Phone] = true
	}
	rules.Blocked = blocked
	return rules, nil
}

// Stage is a stage of the lead pipeline.
type Stage struct {
	ID    uuid.UUID
	Key   string
	Label string
	Color string
	// Slot is new, working, contacted, qualified, application, won or lost.
	Slot     string
	Position int
	Leads    int64
}

const stagesListSQL = `
select s.stage_id, s.stage_key, s.label, s.color, s.semantic_slot, s.position,
  (select count(*) from pipeline.leads l where l.org_id = s.org_id and l.stage_key = s.stage_key)
from pipeline.stages s
where s.org_id = @org
order by s.position, s.stage_key`

// Stages lists an organisation's stages in their order.
func (db *DB) Stages(ctx context.Context, org uuid.UUID) ([]Stage, error) {
	rows, err := db.Pool.Query(ctx, stagesListSQL, pgx.StrictNamedArgs{"org": org})
	if err != nil {
		return nil, fmt.Errorf("listing stages: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Stage])
}

const stageSetSQL = `
insert into pipeline.stages as s (org_id, stage_id, stage_key, label, color, semantic_slot, position)
values (@org, @id, @key, @label, @color, @slot, @position)
on conflict (org_id, stage_key) do update
set label = excluded.label, color = excluded.color, semantic_slot = excluded.semantic_slot, position = excluded.position`

// SetStage makes or changes a stage, by its key; the id of one that is there stays.
func (db *DB) SetStage(ctx context.Context, org uuid.UUID, s Stage) error {
	_, err := db.Pool.Exec(ctx, stageSetSQL, pgx.StrictNamedArgs{
		"org": org, "id": uuid.New(), "key": s.Key, "label": s.Label, "color": s.Color, "slot": s.Slot, "position": s.Position,
	})
	if err != nil {
		return fmt.Errorf("setting stage %s: %w", s.Key, err)
	}
	return nil
}
