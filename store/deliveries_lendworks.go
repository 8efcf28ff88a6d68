package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// destinationLendWorks has leads that come back: its list shows what we created there.
const destinationLendWorks = "lendworks"

// streamPushed holds, for each lead that we create at LendWorks, by which of its identities it is known here.
const streamPushed = "pushed"

// pushedLead is a lead that we create at LendWorks, with its id there once that is told, and what else it was told now.
type pushedLead struct {
	org         uuid.UUID
	account     string
	lead        uuid.UUID
	lendworksID string
	told        *toldLead
}

// toldLead is a lead as LendWorks was told of it.
type toldLead struct {
	At   time.Time       `json:"at"`
	Lead json.RawMessage `json:"lead"`
	// not are fields that the request left out, whatever the lead has there.
	not []pipeline.Field
}

// toldMost is how many of the things that LendWorks was told of a lead are remembered. It says the latest ones back, and older ones
// for as long as a change is under way.
const toldMost = 5

// pushedRecord is the payload of such a record.
type pushedRecord struct {
	LeadID      string `json:"lead_id"`
	LendWorksID string `json:"lendworks_id,omitempty"`
	Key         struct {
		Kind    string `json:"kind"`
		Account string `json:"account"`
		Value   string `json:"value"`
	} `json:"key"`
	// Told are leads as LendWorks was told of them, the latest last.
	Told []toldLead `json:"told,omitempty"`
}

// tell adds what LendWorks was told. Of fields that it was not told now it knows from us what it was told before. A request that
// was repeated told nothing new.
func (p *pushedRecord) tell(told *toldLead) error {
	if told == nil {
		return nil
	}
	var view, last pipeline.LeadView
	if err := json.Unmarshal(told.Lead, &view); err != nil {
		return fmt.Errorf("reading what lendworks was told: %w", err)
	}
	if len(p.Told) > 0 {
		if err := json.Unmarshal(p.Told[len(p.Told)-1].Lead, &last); err != nil {
			return fmt.Errorf("reading what lendworks was told: %w", err)
		}
	}
	lead, err := json.Marshal(view.With(last, told.not))
	if err != nil {
		return fmt.Errorf("writing what lendworks was told: %w", err)
	}
	if before, err := json.Marshal(last); err == nil && len(p.Told) > 0 && bytes.Equal(before, lead) {
		return nil
	}
	p.Told = append(p.Told, toldLead{At: told.At, Lead: lead})
	p.Told = p.Told[max(len(p.Told)-toldMost, 0):]
	return nil
}

// One identity is enough, the eldest: what ties several together can come apart again only where they do not meet here.
const pushedKeysSQL = `
select n.org_id, n.account_id, n.lead_id, r.payload::text, r.observed_at, coalesce(k.kind, ''), coalesce(k.account_id, ''), coalesce(k.value, '')
from unnest(@orgs::uuid[], @accounts::text[], @leads::uuid[]) as n (org_id, account_id, lead_id)
left join ops.records r
  on r.org_id = n.org_id and r.account_id = n.account_id and r.source = 'lendworks' and r.stream = 'pushed' and r.object_id = n.lead_id::text
left join lateral (
  select k.kind, k.account_id, k.value
  from pipeline.lead_keys k
  left join pipeline.lead_ledger l
    on l.org_id = k.org_id and l.kind = k.kind and l.account_id = k.account_id and l.value = k.value
  where k.org_id = n.org_id and k.lead_id = n.lead_id and k.kind not in ('email', 'lead', 'lendworks_lead')
  order by k.kind = 'phone', l.first_source_time, k.kind, k.account_id, k.value
  limit 1
) k on true`

// landPushed keeps a record for each lead that is created at LendWorks, from its order on: whatever becomes of the answer, what
// comes back is known for that lead, and is not pushed again. The sweeper wakes the fold.
func (db *DB) landPushed(ctx context.Context, tx pgx.Tx, leads map[uuid.UUID]pushedLead) error {
	if len(leads) == 0 {
		return nil
	}
	sorted := slices.SortedFunc(maps.Values(leads), func(a, b pushedLead) int {
		return cmp.Or(slices.Compare(a.org[:], b.org[:]), cmp.Compare(a.account, b.account), slices.Compare(a.lead[:], b.lead[:]))
	})
	var orgs, ids []uuid.UUID
	var accounts []string
	for _, l := range sorted {
		orgs, accounts, ids = append(orgs, l.org), append(accounts, l.account), append(ids, l.lead)
	}
	rows, err := tx.Query(ctx, pushedKeysSQL, pgx.StrictNamedArgs{"orgs": orgs, "accounts": accounts, "leads": ids})
	if err != nil {
		return fmt.Errorf("asking by which keys leads are known: %w", err)
	}
	byTarget := map[Target][]LandRecord{}
	var at pushedLead
	var before *string
	var observed *time.Time
	var key pushedRecord
	_, err = pgx.ForEachRow(rows, []any{&at.org, &at.account, &at.lead, &before, &observed, &key.Key.Kind, &key.Key.Account, &key.Key.Value}, func() error {
		p, now := key, db.Now()
		if before != nil {
			// Of two versions of one moment the later one need not win.
			if next := observed.Add(time.Microsecond).UTC(); next.After(now) {
				now = next
			}
			if err := json.Unmarshal([]byte(*before), &p); err != nil {
				return err
			}
		}
		if err := p.tell(leads[at.lead].told); err != nil {
			return err
		}
		p.LeadID, p.LendWorksID = at.lead.String(), cmp.Or(leads[at.lead].lendworksID, p.LendWorksID)
		payload, err := json.Marshal(p)
		target := Target{Org: at.org, Account: at.account, Source: pipeline.SourceLendWorks, Stream: streamPushed}
		byTarget[target] = append(byTarget[target], LandRecord{ObjectID: p.LeadID, Payload: payload, ObservedAt: now})
		return err
	})
	if err != nil {
		return fmt.Errorf("asking by which keys leads are known: %w", err)
	}
	for _, l := range sorted {
		target := Target{Org: l.org, Account: l.account, Source: pipeline.SourceLendWorks, Stream: streamPushed}
		recs, ok := byTarget[target]
		if !ok {
			continue
		}
		delete(byTarget, target)
		if _, err := db.Land(ctx, tx, target, recs, LandOptions{}); err != nil {
			return err
		}
	}
	return nil
}

const deliveriesToldSQL = `
select id, coalesce(told, params -> 'lead')::text, params::text
from ops.deliveries
where id = any(@ids)
order by sending_at, id`

// notePushed tells under which ids LendWorks has the leads that it confirmed, and what it was told of them: what it says back is
// not its own word.
func (db *DB) notePushed(ctx context.Context, tx pgx.Tx, ends []pipeline.DeliverySettlement, moved []bool) error {
	of := map[uuid.UUID]*pipeline.DeliverySettlement{}
	var ids []uuid.UUID
	for i := range ends {
		d := &ends[i].Delivery
		if moved[i] && d.Destination == destinationLendWorks && d.LeadID != uuid.Nil && ends[i].Change.State == pipeline.DeliveryConfirmed &&
			(d.Operation == OpInsertLead && ends[i].Change.ExternalID != "" || d.Operation == OpUpdateLead) {
			ids, of[d.ID] = append(ids, d.ID), &ends[i]
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, deliveriesToldSQL, pgx.StrictNamedArgs{"ids": ids})
	if err != nil {
		return fmt.Errorf("asking what lendworks was told: %w", err)
	}
	leads := map[uuid.UUID]pushedLead{}
	var id uuid.UUID
	var told *string
	var params string
	_, err = pgx.ForEachRow(rows, []any{&id, &told, &params}, func() error {
		d := &of[id].Delivery
		l := pushedLead{org: d.Org, account: d.Account, lead: d.LeadID, lendworksID: leads[d.LeadID].lendworksID}
		if d.Operation == OpInsertLead {
			l.lendworksID = of[id].Change.ExternalID
		}
		if told != nil {
			l.told = &toldLead{At: d.SendingAt.UTC(), Lead: json.RawMessage(*told)}
		}
		if l.told != nil && d.Operation == OpUpdateLead {
			var left UpdateParams
			_ = json.Unmarshal([]byte(params), &left) // ours; an order without any left nothing out
			l.told.not = append(left.Theirs, pipeline.FieldTags, pipeline.FieldCustom)
		}
		leads[d.LeadID] = l
		return nil
	})
	if err != nil {
		return fmt.Errorf("asking what lendworks was told: %w", err)
	}
	return db.landPushed(ctx, tx, leads)
}
