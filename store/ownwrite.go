package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Writer takes writes of our own HTTP API: records of source api, folded in the transaction that lands them, so that the
// answer shows what they came to.
type Writer struct {
	db   *DB
	fold *Reconciler
	// slots bounds the connections that writes hold while they wait for a fold under way, so that reads have some left.
	slots chan struct{}
}

const writerSlots = 8

// NewWriter makes a writer that folds with the given rules.
func NewWriter(db *DB, fold *Reconciler) *Writer {
	return &Writer{db: db, fold: fold, slots: make(chan struct{}, writerSlots)}
}

// Answer is what a write is answered with.
type Answer struct {
	Status int
	Body   []byte
	// Replayed tells that an earlier request with the same idempotency key got this answer.
	Replayed bool
}

// Write runs work in one transaction that nobody else's fold of the organisation comes between, and commits what it landed
// together with its answer under the idempotency key, where there is one. An error rolls all of it back. work may be called
// twice.
func (w *Writer) Write(ctx context.Context, org uuid.UUID, key *IdempotencyKey, work func(ctx context.Context, tx *OwnWrite) (Answer, error)) (Answer, error) {
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("waiting to write for the api: %w", ctx.Err())
	}
	answer, err := w.write(ctx, org, key, work)
	if lostRace(err) {
		// A fold and an opt-out that waited for each other: one of them was rolled back, and may simply go again.
		answer, err = w.write(ctx, org, key, work)
	}
	if err != nil {
		return Answer{}, fmt.Errorf("writing for the api: %w", Quiet(err))
	}
	return answer, nil
}

func (w *Writer) write(ctx context.Context, org uuid.UUID, key *IdempotencyKey, work func(ctx context.Context, tx *OwnWrite) (Answer, error)) (answer Answer, err error) {
	var own *OwnWrite
	err = w.db.InTx(ctx, func(tx pgx.Tx) error {
		if key != nil {
			before, done, err := claimIdempotency(ctx, tx, org, key, w.db.Now())
			if err != nil || done {
				answer = before
				return err
			}
		}
		if err := lockFold(ctx, tx, org); err != nil {
			return err
		}
		var err error
		// The time is taken under the lock: who comes later says the later word.
		own = &OwnWrite{w: w, tx: tx, org: org, now: w.db.Now()}
		if answer, err = work(ctx, own); err != nil || key == nil {
			return err
		}
		return keepIdempotency(ctx, tx, org, key, answer, own.now)
	})
	if errors.Is(err, ErrErased) && len(own.refused) > 0 {
		// Nothing of it stays, save that somebody does not want to be called: that has to hold before it is answered (law 6).
		if kept := w.keepRefused(ctx, own); kept != nil {
			err = kept
		}
	}
	return answer, err
}

// refusal is a record that names somebody who was erased, with the opt-outs that came with it.
type refusal struct {
	target  Target
	record  LandRecord
	optOuts []suppressionRow
}

// keepRefused lands what was refused once more, which keeps its opt-outs and nothing else of it.
func (w *Writer) keepRefused(ctx context.Context, own *OwnWrite) error {
	return w.db.InTx(ctx, func(tx pgx.Tx) error {
		if err := lockFold(ctx, tx, own.org); err != nil {
			return err
		}
		var kept []int64
		for i := range own.refused {
			r := &own.refused[i]
			if err := suppress(ctx, tx, r.optOuts, own.now); err != nil {
				return err
			}
			landed, err := w.db.Land(ctx, tx, r.target, []LandRecord{r.record}, LandOptions{Bump: true})
			if err != nil {
				return err
			}
			if landed.Erased == 0 {
				return errVanished // the erasure was taken back this moment
			}
			kept = append(kept, landed.Kept...)
		}
		return w.fold.FoldNow(ctx, tx, own.org, kept)
	})
}

// OwnWrite is one write under way.
type OwnWrite struct {
	w   *Writer
	tx  pgx.Tx
	org uuid.UUID
	now time.Time
	// refused are records that are not to be kept.
	refused []refusal
}

// Now is the write's time (UTC).
func (o *OwnWrite) Now() time.Time { return o.now }

// OwnRecord is one object of a write.
type OwnRecord struct {
	Stream   string
	ObjectID string
	// Payload is marshalled as JSON.
	Payload any
	// SourceTime is when what it tells happened; zero = now.
	SourceTime time.Time
}

// Land stores the records and folds them. Opt-outs among them cancel what was ready to ring in this very transaction
// (law 6). It fails with ErrErased where one names somebody who was erased; then only the opt-outs that such a one tells stay.
func (o *OwnWrite) Land(ctx context.Context, records []OwnRecord, optOuts []Suppression) error {
	rows := make([]suppressionRow, 0, len(optOuts))
	for _, s := range optOuts {
		rows = append(rows, suppressionRow{s, o.org, string(pipeline.SourceAPI), o.now})
	}
	// Their locks come first: rows of deliveries are locked after them everywhere.
	if err := suppress(ctx, o.tx, rows, o.now); err != nil {
		return err
	}
	var written []int64
	for _, r := range records {
		payload, err := json.Marshal(r.Payload)
		if err != nil {
			return fmt.Errorf("making record %s/%s: %w", r.Stream, r.ObjectID, err)
		}
		target := Target{Org: o.org, Account: DefaultAccount, Source: pipeline.SourceAPI, Stream: r.Stream}
		at, err := o.after(ctx, &target, r.ObjectID)
		if err != nil {
			return err
		}
		rec := LandRecord{ObjectID: r.ObjectID, Payload: payload, ObservedAt: at, SourceTime: r.SourceTime}
		landed, err := o.w.db.Land(ctx, o.tx, target, []LandRecord{rec}, LandOptions{Bump: true})
		if err != nil {
			return err
		}
		if landed.Erased > 0 {
			rec.erased = false
			o.refused = append(o.refused, refusal{target, rec, rowsOf(rows, r.Stream, r.ObjectID)})
		}
		written = append(written, landed.Records...)
	}
	if len(o.refused) > 0 {
		return ErrErased
	}
	return o.w.fold.FoldNow(ctx, o.tx, o.org, written)
}

func rowsOf(rows []suppressionRow, stream, object string) []suppressionRow {
	return slices.DeleteFunc(slices.Clone(rows), func(r suppressionRow) bool { return r.Stream != stream || r.ObjectID != object })
}

const ownObservedSQL = `
select observed_at
from ops.records
where org_id = @org
  and account_id = @account
  and source = @source
  and stream = @stream
  and object_id = @object_id`

// after returns the time of the write, moved behind the object's present version: another daemon's clock may be ahead, and
// what is written now is the last word.
func (o *OwnWrite) after(ctx context.Context, t *Target, object string) (time.Time, error) {
	var before time.Time
	err := o.tx.QueryRow(ctx, ownObservedSQL, pgx.StrictNamedArgs{
		"org": t.Org, "account": t.Account, "source": string(t.Source), "stream": t.Stream, "object_id": object,
	}).Scan(&before)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return o.now, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("reading record %s/%s: %w", t.Stream, object, err)
	case !before.Before(o.now):
		return before.UTC().Add(time.Microsecond), nil
	}
	return o.now, nil
}

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
