package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Agents with one e-mail are one person, unless a dialler has agents of several names with it: that is a mailbox that people share,
// and tells nobody apart. One without joins whom its full name, of two words at least, is the only one's with an
// e-mail, and who has no agent at its dialler yet; else those of several diallers with one name join each other. Nobody is guessed:
// where a dialler has two agents of one name, or two people have it, each stands for itself. ipSCAPE tells e-mails and names of its
// users in a list of its own. The outcome follows from who there is, not from the order in which they came (law 3).
const agentPeople = `
with listed as (
  select a.agent_id, a.source, a.account_id, a.external_id, a.name, a.person_id as had_id, a.person_name as had_name,
    nullif(lower(btrim(coalesce(a.email, u.email))), '') as email,
    lower(regexp_replace(btrim(coalesce(a.name, concat_ws(' ', u.first_name, u.last_name))), '\s+', ' ', 'g')) as called
  from pipeline.agents a
  left join ipscape.users u
    on a.source = 'ipscape' and u.org_id = a.org_id and u.account_id = a.account_id and u.user_id::text = a.external_id
  where a.org_id = @org
), shared as (
  select email
  from listed
  where email is not null
  group by email, source, account_id
  having count(distinct nullif(called, '')) > 1 -- one without a name yet is nobody else
), known as (
  select agent_id, source, account_id, external_id, name, had_id, had_name, called,
    case when email not in (select s.email from shared s) then email end as email
  from listed
), mailed as (
  select called, min(email) as email, count(distinct email) as people
  from known
  where email is not null and called like '% %'
  group by called
), namesakes as (
  select distinct called
  from known
  where email is null and called like '% %'
  group by called, source, account_id
  having count(*) > 1
), told as (
  select k.*,
    case
      when k.email is not null then 'email ' || k.email
      when k.called not like '% %' or k.called in (select called from namesakes) or m.people > 1 then 'agent ' || k.agent_id
      when m.people is null then 'name ' || k.called
      when exists (select from known o where o.email = m.email and o.source = k.source and o.account_id = k.account_id) then 'agent ' || k.agent_id
      else 'email ' || m.email
    end as person
  from known k
  left join mailed m on m.called = k.called
), chosen as (
  select t.*, first_value(agent_id) over by_age as person_id, first_value(name) over by_name as person_name
  from told t
  window by_age as (partition by person order by source <> 'api', agent_id),
    by_name as (partition by person order by name is null, source <> 'api', agent_id)
)`

const agentPeopleUpdateSQL = agentPeople + `
update pipeline.agents a
set person_id = c.person_id, person_name = c.person_name
from chosen c
where a.org_id = @org and a.agent_id = c.agent_id
  and (c.had_id is distinct from c.person_id or c.had_name is distinct from c.person_name)`

// matchPeople says of an organisation's agents which are one person; tx holds the fold's lock.
func matchPeople(ctx context.Context, tx pgx.Tx, org uuid.UUID) error {
	if _, err := tx.Exec(ctx, agentPeopleUpdateSQL, pgx.StrictNamedArgs{"org": org}); err != nil {
		return fmt.Errorf("matching agents: %w", err)
	}
	return nil
}

// tellsOfAgents tells whether a record may change which agents are one person: the list of ipSCAPE's users.
func tellsOfAgents(rec *pipeline.Record) bool {
	return rec.Source == pipeline.SourceIPSCAPE && rec.Stream == "users"
}

const organisationsOfAgentsSQL = `
select distinct org_id
from pipeline.agents
order by org_id`

// matchAllPeople matches the agents of every organisation, for those that were written before agents were matched.
func (u *Upkeeper) matchAllPeople(ctx context.Context) error {
	rows, err := u.DB.Pool.Query(ctx, organisationsOfAgentsSQL)
	if err != nil {
		return fmt.Errorf("listing organisations with agents: %w", err)
	}
	orgs, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return fmt.Errorf("listing organisations with agents: %w", err)
	}
	for _, org := range orgs {
		err := u.DB.InTx(ctx, func(tx pgx.Tx) error {
			if err := lockFold(ctx, tx, org); err != nil {
				return err
			}
			return matchPeople(ctx, tx, org)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const agentPeopleCompareSQL = agentPeople + `
select source || '/' || account_id || '/' || external_id
from chosen
where had_id is distinct from person_id or had_name is distinct from person_name
order by 1`

// people finds agents that stand for somebody else than they should.
func (c *comparison) people(ctx context.Context) error {
	rows, err := c.tx.Query(ctx, agentPeopleCompareSQL, pgx.StrictNamedArgs{"org": c.org})
	if err != nil {
		return fmt.Errorf("comparing which agents are one person: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("comparing which agents are one person: %w", err)
	}
	for _, name := range names {
		if err := c.excess(Difference{Table: "agents", Key: name, Change: RowDiffers, Columns: []ColumnDifference{{Column: "person_id"}}}); err != nil {
			return err
		}
	}
	return nil
}
