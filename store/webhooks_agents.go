package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// agentKey names an agent as records do: who names them, within which account, and by which id. The zero value is nobody.
type agentKey struct{ source, account, id string }

// callAgent is whose call it is: an agent of the call's own dialler, or of whoever else named one.
func callAgent(c *pipeline.Call) agentKey {
	source, account := agentNamer(c.Agent, c.Key)
	if source == nil {
		return agentKey{}
	}
	return agentKey{*source, *account, c.Agent.ID}
}

// chooser is who chose the stage that a lead is in, nobody where it followed from calls. Without an agent it is a source alone.
func chooser(l *pipeline.Lead) agentKey {
	if n := len(l.Stages); n > 0 && l.Stages[n-1].By != nil {
		by := l.Stages[n-1].By
		return agentKey{string(by.Source), by.Account, by.Agent}
	}
	return agentKey{}
}

// An agent whom a client of our API named goes by the id that the client brought.
const agentUsersSQL = `
select k.source, k.account_id, k.external_id, case a.source when 'api' then a.external_id else a.agent_id::text end
from unnest(@sources::text[], @accounts::text[], @ids::text[]) as k (source, account_id, external_id)
join pipeline.agents a
  on a.org_id = @org and a.source = k.source and a.account_id = k.account_id and a.external_id = k.external_id`

// users returns the ids that agents have in the API; of nobody, and of those who are unknown, there is none.
func (a *announcer) users(ctx context.Context, tx pgx.Tx, agents []agentKey) (map[agentKey]string, error) {
	found := map[agentKey]string{}
	var sources, accounts, ids []string
	for _, k := range agents {
		if k.id != "" {
			sources, accounts, ids = append(sources, k.source), append(accounts, k.account), append(ids, k.id)
		}
	}
	if len(ids) == 0 {
		return found, nil
	}
	var k agentKey
	var user string
	rows, err := tx.Query(ctx, agentUsersSQL, pgx.StrictNamedArgs{"org": a.f.org, "sources": sources, "accounts": accounts, "ids": ids})
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&k.source, &k.account, &k.id, &user}, func() error {
			found[k] = user
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("reading agents: %w", err)
	}
	return found, nil
}
