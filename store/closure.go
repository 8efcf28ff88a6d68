package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Roles of a key in a record (ops.record_keys.role).
const (
	roleLead = "lead"
	roleRef  = "ref"
	roleCall = "call"
	roleDNC  = "dnc"
)

// keyName is a key without its role.
type keyName struct{ Kind, Account, Value string }

func nameOf(k pipeline.Key) keyName { return keyName{string(k.Kind), k.Account, k.Value} }

func (n keyName) phone() bool { return n.Kind == string(pipeline.KeyPhone) }

// strong tells whether every record with this key belongs together; calls are keyed like leads.
func (n keyName) strong() bool { return !n.phone() && n.Kind != string(pipeline.KeyEmail) }

// barePrefix begins the identity of a fact that knows no key but phones.
const barePrefix = string(pipeline.KeyPhone) + "|"

// text is how a key is written as an identity.
func (n keyName) text() string { return strings.Join([]string{n.Kind, n.Account, n.Value}, "|") }

// callKind is how the key of a dialler's calls is called.
func callKind(dialler pipeline.Source) string { return "call:" + string(dialler) }

// call returns the call that the key names, and false when it names something else.
func (n keyName) call() (pipeline.CallKey, bool) {
	dialler, ok := strings.CutPrefix(n.Kind, callKind(""))
	return pipeline.CallKey{Dialler: pipeline.Source(dialler), Account: n.Account, ExternalID: n.Value}, ok
}

// recordKey is one row of ops.record_keys.
type recordKey struct {
	keyName
	Role     string
	Identity string
}

// keysOf lists the rows that a record's facts ask for.
func keysOf(f pipeline.Facts) map[recordKey]bool {
	rows := map[recordKey]bool{}
	for i := range f.Leads {
		fact := &f.Leads[i]
		identity, ok := fact.Identity()
		if !ok {
			continue
		}
		for _, k := range fact.Keys {
			if k.Kind != pipeline.KeyEmail && k.Value != "" {
				rows[recordKey{nameOf(k), roleLead, nameOf(identity).text()}] = true
			}
		}
	}
	for i := range f.Calls {
		c := &f.Calls[i]
		rows[recordKey{keyName{callKind(c.Key.Dialler), c.Key.Account, c.Key.ExternalID}, roleCall, ""}] = true
		addKeys(rows, c.Lead, roleRef)
	}
	for i := range f.DNC {
		if phone := f.DNC[i].Phone; phone != "" {
			rows[recordKey{keyName{string(pipeline.KeyPhone), "", phone}, roleDNC, ""}] = true
		}
		addKeys(rows, f.DNC[i].Lead, roleDNC)
		if call := f.DNC[i].Call; call != (pipeline.CallKey{}) {
			rows[recordKey{keyName{callKind(call.Dialler), call.Account, call.ExternalID}, roleDNC, ""}] = true
		}
	}
	for i := range f.Unlinks {
		addKeys(rows, f.Unlinks[i].From, roleRef)
		addKeys(rows, []pipeline.Key{f.Unlinks[i].Key}, roleRef)
	}
	return rows
}

func addKeys(rows map[recordKey]bool, keys []pipeline.Key, role string) {
	for _, k := range keys {
		if k.Kind != pipeline.KeyEmail && k.Value != "" {
			rows[recordKey{nameOf(k), role, ""}] = true
		}
	}
}

// closure finds every record that belongs together with some given ones: by strong keys and calls without limit, by each
// phone that few enough leads hold. Fold may then be applied to them alone.
type closure struct {
	tx      pgx.Tx
	org     uuid.UUID
	blocked map[string]bool

	records map[int64]bool
	// fresh are records whose keys have not been read yet.
	fresh  []int64
	keys   map[keyName]bool
	todo   []keyName
	phones map[string]bool
	// bare are phones by which alone some record here names its lead.
	bare      map[string]bool
	asked     map[string]bool
	askedBare map[string]bool
	shared    map[string]bool
	// whole are phones of which every record that names its lead by them alone is here.
	whole map[string]bool
	// seeds are the records to start from; optOut are phones whose opt-outs one of them changes.
	seeds  map[int64]bool
	optOut map[string]bool
	// take is asked which of some records are to be treated as seeds too, which taken then holds; it may be nil.
	take  func(ctx context.Context, ids []int64) ([]int64, error)
	taken []int64
	// have are the keys of each record as ops.record_keys has them.
	have map[int64]map[recordKey]bool
}

func loadClosure(
	ctx context.Context, tx pgx.Tx, org uuid.UUID, seeds []int64, old []keyName, blocked map[string]bool,
	take func(ctx context.Context, ids []int64) ([]int64, error),
) (*closure, error) {
	c := &closure{
		tx: tx, org: org, blocked: blocked, take: take, records: map[int64]bool{}, keys: map[keyName]bool{}, phones: map[string]bool{},
		bare: map[string]bool{}, asked: map[string]bool{}, askedBare: map[string]bool{}, shared: map[string]bool{}, whole: map[string]bool{},
		seeds: map[int64]bool{}, optOut: map[string]bool{}, have: map[int64]map[recordKey]bool{},
	}
	c.addRecords(seeds)
	for _, id := range seeds {
		c.seeds[id] = true
	}
	for _, k := range old {
		c.addKey(k)
		if k.phone() {
			c.optOut[k.Value] = true // it may have been one
			c.bare[k.Value] = true   // or all that some lead was known by
		}
	}
	for {
		if err := c.expand(ctx); err != nil {
			return nil, err
		}
		c.markCallOptOuts()
		grown, err := c.askPhones(ctx)
		if err != nil {
			return nil, err
		}
		if !grown && len(c.fresh) == 0 {
			return c, nil
		}
	}
}

func (c *closure) addRecords(ids []int64) {
	for _, id := range ids {
		if !c.records[id] {
			c.records[id] = true
			c.fresh = append(c.fresh, id)
		}
	}
}

func (c *closure) addKey(k keyName) {
	switch {
	case k.phone():
		c.phones[k.Value] = true
	case k.strong() && !c.keys[k]:
		c.keys[k] = true
		c.todo = append(c.todo, k)
	}
}

const recordsOfKeysSQL = `
select distinct k.record_id
from unnest(@kinds::text[], @accounts::text[], @values::text[]) as n (kind, account_id, value)
cross join lateral (
  select r.record_id
  from ops.record_keys r
  where r.org_id = @org and r.kind = n.kind and r.account_id = n.account_id and r.value = n.value
  offset 0) k`

// expand follows strong keys until nothing new turns up.
func (c *closure) expand(ctx context.Context) error {
	for len(c.fresh) > 0 || len(c.todo) > 0 {
		if len(c.fresh) > 0 {
			if err := c.takeFresh(ctx); err != nil {
				return err
			}
			rows, err := c.tx.Query(ctx, keysOfRecordsSQL, planned, pgx.StrictNamedArgs{"ids": c.fresh})
			if err != nil {
				return fmt.Errorf("reading the keys of records: %w", err)
			}
			c.fresh = nil
			var id int64
			var k recordKey
			_, err = pgx.ForEachRow(rows, []any{&id, &k.Kind, &k.Account, &k.Value, &k.Role, &k.Identity}, func() error {
				c.addKey(k.keyName)
				if c.have[id] == nil {
					c.have[id] = map[recordKey]bool{}
				}
				c.have[id][k] = true
				if k.phone() && k.Role == roleDNC && c.seeds[id] {
					c.optOut[k.Value] = true
				}
				if k.phone() && k.Role == roleLead && strings.HasPrefix(k.Identity, barePrefix) {
					c.bare[k.Value] = true
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("reading the keys of records: %w", err)
			}
		}
		ids, err := recordsOfKeys(ctx, c.tx, c.org, c.todo)
		if err != nil {
			return err
		}
		c.todo = nil
		c.addRecords(ids)
	}
	return nil
}

// takeFresh asks before the keys are read: what a seed tells counts for more.
func (c *closure) takeFresh(ctx context.Context) error {
	if c.take == nil {
		return nil
	}
	taken, err := c.take(ctx, c.fresh)
	if err != nil {
		return err
	}
	for _, id := range taken {
		c.seeds[id] = true
	}
	c.taken = append(c.taken, taken...)
	return nil
}

func recordsOfKeys(ctx context.Context, tx pgx.Tx, org uuid.UUID, keys []keyName) ([]int64, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	kinds, accounts, values := columns(keys)
	rows, err := tx.Query(ctx, recordsOfKeysSQL, pgx.StrictNamedArgs{"org": org, "kinds": kinds, "accounts": accounts, "values": values})
	if err != nil {
		return nil, fmt.Errorf("finding records by key: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// columns turns keys into three parallel arrays, as unnest takes them.
func columns(keys []keyName) (kinds, accounts, values []string) {
	for _, k := range keys {
		kinds, accounts, values = append(kinds, k.Kind), append(accounts, k.Account), append(values, k.Value)
	}
	return kinds, accounts, values
}

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
		// A phone that turns out to be some record's only name is asked again.
		if !c.asked[phone] || c.bare[phone] && c.shared[phone] && !c.askedBare[phone] {
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

// untold lists the records of the closure whose facts have not been read.
func (c *closure) untold(told map[int64]pipeline.Told) []int64 {
	var ids []int64
	for _, id := range slices.Sorted(maps.Keys(c.records)) {
		if _, ok := told[id]; !ok {
			ids = append(ids, id)
		}
	}
	return ids
}
