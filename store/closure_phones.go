package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// One identity more than the limit is enough to know that there are too many; of those that know only phones one is enough
// to know that there is any.
const identitiesOfPhonesSQL = `
select p.value, i.identity
from unnest(@phones::text[]) as p (value)
cross join lateral (
  (select distinct k.identity
   from ops.record_keys k
   where k.org_id = @org and k.kind = 'phone' and k.role = 'lead' and k.value = p.value and k.identity not like 'phone|%'
   order by k.identity
   limit @most)
  union all
  (select k.identity
   from ops.record_keys k
   where k.org_id = @org and k.kind = 'phone' and k.role = 'lead' and k.value = p.value and k.identity like 'phone|%'
   limit 1)
) i`

const linkedPhonesSQL = `
select p.value
from unnest(@phones::text[]) as p (value)
where exists (
  select
  from pipeline.lead_keys k
  where k.org_id = @org and k.kind = 'phone' and k.account_id = '' and k.value = p.value and k.rule = 'phone'
  offset 0)`

const recordsOfPhonesSQL = `
select k.record_id
from unnest(@linking::text[]) as p (value)
cross join lateral (
  select r.record_id
  from ops.record_keys r
  where r.org_id = @org and r.kind = 'phone' and r.account_id = '' and r.value = p.value
  offset 0) k
union
select k.record_id
from unnest(@shared::text[]) as p (value)
cross join lateral (
  select r.record_id
  from ops.record_keys r
  where r.org_id = @org and r.kind = 'phone' and r.account_id = '' and r.value = p.value and r.role = 'dnc'
  offset 0) k
union
-- Opt-outs that name only a call, of which there are few, where the call was to one of these phones.
select o.record_id
from ops.record_keys o
join ops.record_keys c
  on c.org_id = o.org_id and c.kind = o.kind and c.account_id = o.account_id and c.value = o.value and c.role = 'call'
join ops.record_keys r
  on r.record_id = c.record_id and r.role = 'ref' and r.kind = 'phone' and r.account_id = '' and r.value = any(@shared)
where o.org_id = @org and o.role = 'dnc' and o.kind like 'call:%'
union
select k.record_id
from unnest(@bare::text[]) as p (value)
cross join lateral (
  select r.record_id
  from ops.record_keys r
  where r.org_id = @org and r.kind = 'phone' and r.account_id = '' and r.value = p.value and r.role = 'lead' and r.identity like 'phone|%'
  offset 0) k`

// markCallOptOuts finds the phones of calls that opt somebody out: whoever shares them has to learn of it.
func (c *closure) markCallOptOuts() {
	out := map[keyName]bool{}
	for _, keys := range c.have {
		for k := range keys {
			if _, call := k.call(); call && k.Role == roleDNC {
				out[k.keyName] = true
			}
		}
	}
	if len(out) == 0 {
		return
	}
	for _, keys := range c.have {
		told := false
		for k := range keys {
			told = told || k.Role == roleCall && out[k.keyName]
		}
		for k := range keys {
			if told && k.phone() {
				c.optOut[k.Value] = true
			}
		}
	}
}

// askPhones decides for each new phone whether it links, and adds the records that follow. It tells whether any came.
func (c *closure) askPhones(ctx context.Context) (grown bool, err error) {
	var phones []string
	for phone := range c.phones {
		// A phone that turns out to be some record's only name, or to be opted out by one that was taken since, is asked again.
		if !c.asked[phone] || c.bare[phone] && c.shared[phone] && !c.askedBare[phone] || c.optOut[phone] && !c.askedAll[phone] {
			phones = append(phones, phone)
		}
	}
	if len(phones) == 0 {
		return false, nil
	}
	slices.Sort(phones)
	identities, held, err := c.identities(ctx, phones)
	if err != nil {
		return false, err
	}
	linked, err := c.linkedNow(ctx, phones)
	if err != nil {
		return false, err
	}
	leads, err := c.countLeads(ctx, identities)
	if err != nil {
		return false, err
	}
	linking, shared, bare := []string{}, []string{}, []string{}
	unheld := []string{}
	for _, phone := range phones {
		c.asked[phone] = true
		// As pipeline.Fold does: by identities where there are very many, else by leads, which may have several.
		tooMany := c.blocked[phone] || len(identities[phone]) > pipeline.PhoneIdentityMax || leads[phone] > pipeline.PhoneLinkMax
		switch {
		case !tooMany && !held[phone] && !linked[phone] && !c.optOut[phone]:
			// No lead has it: calls that name it find none, however many they are.
			unheld = append(unheld, phone)
			continue
		case !tooMany:
			c.whole[phone] = true
			linking = append(linking, phone)
			continue
		case linked[phone], c.optOut[phone]:
			// It linked until now, and what it held together has to be folded apart; or all who share it have to learn of
			// an opt-out. All of it is needed.
			linking = append(linking, phone)
		}
		c.shared[phone] = true
		shared = append(shared, phone)
		if c.bare[phone] {
			c.askedBare[phone], c.whole[phone] = true, true
			bare = append(bare, phone)
		}
	}
	rows, err := c.tx.Query(ctx, recordsOfPhonesSQL, pgx.StrictNamedArgs{"org": c.org, "linking": linking, "shared": append(shared, unheld...), "bare": bare})
	if err != nil {
		return false, fmt.Errorf("finding records by phone: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return false, fmt.Errorf("finding records by phone: %w", err)
	}
	for _, phone := range linking {
		c.askedAll[phone] = true
	}
	c.addRecords(ids)
	return len(c.fresh) > 0, nil
}

// identities returns the strong identities that hold each phone, up to one more than matters, and whether any lead does.
func (c *closure) identities(ctx context.Context, phones []string) (strong map[string][]string, held map[string]bool, err error) {
	rows, err := c.tx.Query(ctx, identitiesOfPhonesSQL, pgx.StrictNamedArgs{"org": c.org, "phones": phones, "most": pipeline.PhoneIdentityMax + 2})
	if err != nil {
		return nil, nil, fmt.Errorf("counting the leads of phones: %w", err)
	}
	strong, held = map[string][]string{}, map[string]bool{}
	var phone, identity string
	_, err = pgx.ForEachRow(rows, []any{&phone, &identity}, func() error {
		held[phone] = true
		if !strings.HasPrefix(identity, barePrefix) {
			strong[phone] = append(strong[phone], identity)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("counting the leads of phones: %w", err)
	}
	return strong, held, nil
}

func (c *closure) linkedNow(ctx context.Context, phones []string) (map[string]bool, error) {
	rows, err := c.tx.Query(ctx, linkedPhonesSQL, pgx.StrictNamedArgs{"org": c.org, "phones": phones})
	if err != nil {
		return nil, fmt.Errorf("asking which phones link: %w", err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("asking which phones link: %w", err)
	}
	linked := map[string]bool{}
	for _, v := range values {
		linked[v] = true
	}
	return linked, nil
}
