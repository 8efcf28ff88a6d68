package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

const ownRecordSQL = `
select payload::text, first_seen_at, observed_at
from ops.records
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and object_id = @object_id`

// OwnRecorded is a record of ours as it is stored.
type OwnRecorded struct {
	Payload                 []byte
	FirstSeenAt, ObservedAt time.Time
}

// Recorded reads a record of ours; ErrNotFound where there is none.
func (o *OwnWrite) Recorded(ctx context.Context, stream, object string) (OwnRecorded, error) {
	var r OwnRecorded
	var payload string
	err := o.tx.QueryRow(ctx, ownRecordSQL, pgx.StrictNamedArgs{
		"org": o.org, "account": DefaultAccount, "source": string(pipeline.SourceAPI), "stream": stream, "object_id": object,
	}).Scan(&payload, &r.FirstSeenAt, &r.ObservedAt)
	if err != nil {
		return OwnRecorded{}, fmt.Errorf("reading record %s/%s: %w", stream, object, rowMissing(err))
	}
	r.Payload, r.FirstSeenAt, r.ObservedAt = []byte(payload), r.FirstSeenAt.UTC(), r.ObservedAt.UTC()
	return r, nil
}

// Lead reads a lead, by its own id or by one that was merged into it; ErrNotFound for any other id.
func (o *OwnWrite) Lead(ctx context.Context, id uuid.UUID) (LeadDetail, error) {
	return leadByID(ctx, o.tx, o.org, id)
}

// A lead that was made here is known by its own id. Any other is known by the key that its id was first handed out for:
// should the lead fall apart, what was written goes with the part that keeps the id.
const leadAnchorSQL = `
select k.kind, k.account_id, k.value
from pipeline.lead_keys k
left join pipeline.lead_ledger g
  on g.org_id = k.org_id and g.kind = k.kind and g.account_id = k.account_id and g.value = k.value
where k.org_id = @org
  and k.lead_id = @lead_id
  and k.kind not in ('email', 'lead')
  and not exists (
    select
    from ops.records r
    where r.org_id = @org
      and r.account_id = @account
      and r.source = @source
      and r.stream = @stream
      and r.object_id = @lead_id::text)
order by k.kind = 'phone', g.lead_id is not distinct from k.lead_id desc, g.first_source_time, k.kind, k.account_id, k.value
limit 1`

// Anchor returns the key by which the fold knows a lead, false where its id is enough. made is the stream of leads that
// were made here.
func (o *OwnWrite) Anchor(ctx context.Context, lead uuid.UUID, made string) (pipeline.Key, bool, error) {
	var k pipeline.Key
	err := o.tx.QueryRow(ctx, leadAnchorSQL, pgx.StrictNamedArgs{
		"org": o.org, "lead_id": lead, "account": DefaultAccount, "source": string(pipeline.SourceAPI), "stream": made,
	}).Scan(&k.Kind, &k.Account, &k.Value)
	if errors.Is(err, pgx.ErrNoRows) {
		return pipeline.Key{}, false, nil
	}
	if err != nil {
		return pipeline.Key{}, false, fmt.Errorf("finding the key of lead %s: %w", lead, err)
	}
	return k, true, nil
}

const leadPhonesSQL = `
select array(
  select distinct p
  from unnest(l.phones || l.phone_e164 || array(
    select k.value
    from pipeline.lead_keys k
    where k.org_id = l.org_id and k.lead_id = l.lead_id and k.kind = 'phone')) p
  where p is not null
  order by p)
from pipeline.leads l
where l.org_id = @org
  and l.lead_id = @lead_id`

// Phones returns every valid number of a lead in E.164, shared ones too.
func (o *OwnWrite) Phones(ctx context.Context, lead uuid.UUID) ([]string, error) {
	var phones []string
	err := o.tx.QueryRow(ctx, leadPhonesSQL, pgx.StrictNamedArgs{"org": o.org, "lead_id": lead}).Scan(&phones)
	if err != nil {
		return nil, fmt.Errorf("reading the phones of lead %s: %w", lead, rowMissing(err))
	}
	return phones, nil
}

const stageByIDSQL = `
select stage_key
from pipeline.stages
where org_id = @org
  and stage_id = @stage_id`

// StageKey returns the key of a stage of the organisation, or ErrNotFound.
func (o *OwnWrite) StageKey(ctx context.Context, id uuid.UUID) (string, error) {
	key, err := stageKeyOf(ctx, o.tx, o.org, id)
	if err == nil && key == "" {
		err = fmt.Errorf("stage %s: %w", id, ErrNotFound)
	}
	return key, err
}

// stageKeyOf returns the key of a stage of the organisation, empty for none.
func stageKeyOf(ctx context.Context, q Queryer, org, id uuid.UUID) (string, error) {
	var key string
	err := q.QueryRow(ctx, stageByIDSQL, pgx.StrictNamedArgs{"org": org, "stage_id": id}).Scan(&key)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("reading stage %s: %w", id, err)
	}
	return key, nil
}

const stageFirstSQL = `
select stage_key
from pipeline.stages
where org_id = @org
order by position, stage_key
limit 1`

// FirstStage returns the key of the organisation's first stage, empty where it has none.
func (o *OwnWrite) FirstStage(ctx context.Context) (string, error) {
	var key string
	err := o.tx.QueryRow(ctx, stageFirstSQL, pgx.StrictNamedArgs{"org": o.org}).Scan(&key)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("reading the first stage: %w", err)
	}
	return key, nil
}

// A user of the API is an agent of ours under its agent_id, or one that clients brought, under the id they gave.
const agentByUserSQL = `
select source, account_id, external_id
from pipeline.agents
where org_id = @org
  and (agent_id::text = @user_id or source = 'api' and external_id = @user_id)
order by source = 'api' desc
limit 1`

// Agent returns who a userId stands for: an agent who is known, else one that our API names.
func (o *OwnWrite) Agent(ctx context.Context, user string) (pipeline.AgentRef, error) {
	a := pipeline.AgentRef{Source: pipeline.SourceAPI, Account: DefaultAccount, ID: user}
	err := o.tx.QueryRow(ctx, agentByUserSQL, pgx.StrictNamedArgs{"org": o.org, "user_id": user}).Scan(&a.Source, &a.Account, &a.ID)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return pipeline.AgentRef{}, fmt.Errorf("looking for a user: %w", err)
	}
	return a, nil
}

// Presence reads one agent as the API shows it.
func (o *OwnWrite) Presence(ctx context.Context, agent pipeline.AgentRef, dayStart time.Time) (AgentPresence, error) {
	page, err := agents(ctx, o.tx, o.org, AgentQuery{DayStart: dayStart, Limit: 1, Agent: agent})
	if err != nil {
		return AgentPresence{}, err
	}
	if len(page.Agents) == 0 {
		return AgentPresence{}, fmt.Errorf("reading an agent: %w", ErrNotFound)
	}
	return page.Agents[0], nil
}

const leadOfKeySQL = `
select lead_id
from pipeline.lead_keys
where org_id = @org
  and kind = @kind
  and account_id = ''
  and value = @value
limit 1`

// Made returns the lead that one which was made under an id has become part of: itself, or the lead that its phone links
// it to.
func (o *OwnWrite) Made(ctx context.Context, id uuid.UUID) (LeadDetail, error) {
	var lead uuid.UUID
	err := o.tx.QueryRow(ctx, leadOfKeySQL, pgx.StrictNamedArgs{"org": o.org, "kind": string(pipeline.KeyLead), "value": id.String()}).Scan(&lead)
	if err != nil {
		return LeadDetail{}, fmt.Errorf("finding lead %s: %w", id, rowMissing(err))
	}
	return o.Lead(ctx, lead)
}
