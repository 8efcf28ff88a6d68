package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// announcement is an event on its way into the outbox.
type announcement struct {
	name    pipeline.WebhookEvent
	subject string
	dedupe  string
	at      time.Time
	data    any
}

// announce writes what the fold brought about into the outbox of webhooks. What happened longer ago than MaxAge is told to
// nobody: a first sync or a backfill learns of much that is no news (law 7).
func (r *Reconciler) announce(ctx context.Context, tx pgx.Tx, f *folded, before *webhookWatch, changed []int) error {
	if before == nil {
		return nil
	}
	a := &announcer{r: r, f: f, before: before}
	for _, collect := range []func(context.Context, pgx.Tx) error{
		func(ctx context.Context, tx pgx.Tx) error { return a.leads(ctx, tx, changed) }, a.calls, a.dnc,
	} {
		if err := collect(ctx, tx); err != nil {
			return err
		}
	}
	return a.write(ctx, tx)
}

// announcer collects events.
type announcer struct {
	r      *Reconciler
	f      *folded
	before *webhookWatch
	list   []announcement
}

func (a *announcer) add(e announcement) {
	if e.at = micros(e.at); a.f.now.Sub(e.at) < a.r.MaxAge {
		a.list = append(a.list, e)
	}
}

// stageName is what an event tells of a stage.
type stageName struct {
	id    uuid.UUID
	label string
}

const stageNamesSQL = `select stage_key, stage_id, label from pipeline.stages where org_id = @org`

// leads tells of leads that are new, and of stages that are others now. A lead that was split off another is no new one.
func (a *announcer) leads(ctx context.Context, tx pgx.Tx, changed []int) error {
	f := a.f
	if len(changed) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, len(changed))
	for n, i := range changed {
		ids[n] = f.ids.IDs[i]
	}
	split, err := a.r.splitOff(ctx, tx, f.org, ids)
	if err != nil {
		return err
	}
	stages := map[string]stageName{}
	var key string
	var name stageName
	rows, err := tx.Query(ctx, stageNamesSQL, pgx.StrictNamedArgs{"org": f.org})
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&key, &name.id, &name.label}, func() error {
			stages[key] = name
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("reading stages: %w", err)
	}
	var choosers []agentKey
	for _, i := range changed {
		choosers = append(choosers, chooser(&f.result.Leads[i]))
	}
	users, err := a.users(ctx, tx, choosers)
	if err != nil {
		return err
	}
	for _, i := range changed {
		l, id := &f.result.Leads[i], f.ids.IDs[i]
		was, had := a.before.leads[id]
		switch {
		case !had && !split[id] && f.ids.SplitFrom[i] == uuid.Nil:
			a.created(i, stages)
		case had && was.stage != l.Stage:
			by := chooser(l)
			data := leadStatusData{LeadID: id, OrgID: f.org, ChangedBy: optional(cmp.Or(users[by], by.source))}
			data.PreviousStageID, data.PreviousStageLabel = stageOf(stages, was.stage)
			data.NewStageID, data.NewStageLabel = stageOf(stages, l.Stage)
			a.add(announcement{
				name: pipeline.WebhookLeadStatusChanged, subject: id.String(), at: l.StageChangedAt, data: data,
				dedupe: strings.Join([]string{"stage", id.String(), was.stage, l.Stage, strconv.FormatInt(l.StageChangedAt.UnixMicro(), 10)}, "|"),
			})
		}
		if l.DNC && !was.dnc && l.DialPhone() == "" {
			// There is no phone to tell of: the dialler named its own lead only.
			a.add(announcement{
				name: pipeline.WebhookDNCAdded, subject: id.String(), dedupe: "dnc|" + id.String() + "|" + l.DNCAt.String(), at: l.DNCAt,
				data: dncData{OrgID: f.org, LeadIDs: []uuid.UUID{id}, Reason: orElse(l.DNCReason, "opt_out"), Since: l.DNCAt},
			})
		}
	}
	return nil
}

func (a *announcer) created(i int, stages map[string]stageName) {
	row := a.f.leadRow(i)
	data := leadCreatedData{
		LeadID: row.LeadID, OrgID: row.OrgID, BusinessName: row.BusinessName, ContactFirstName: row.ContactFirstName,
		ContactLastName: row.ContactLastName, Email: row.Email, Source: row.Source, Priority: row.Priority, AdvisorID: row.AdvisorID,
	}
	data.StageID, _ = stageOf(stages, row.StageKey)
	a.add(announcement{
		name: pipeline.WebhookLeadCreated, subject: row.LeadID.String(), dedupe: "created|" + row.LeadID.String(),
		at: row.FirstSourceTime, data: data,
	})
}

func stageOf(stages map[string]stageName, key string) (*uuid.UUID, *string) {
	s, ok := stages[key]
	if !ok {
		return nil, nil
	}
	return &s.id, &s.label
}

// calls tells of calls that have ended, and of dispositions that are others now.
func (a *announcer) calls(ctx context.Context, tx pgx.Tx) error {
	f := a.f
	var told []int
	var agents []agentKey
	for i := range f.result.Calls {
		c, was := &f.result.Calls[i], a.before.calls[i]
		ends := !c.EndedAt.IsZero() && !was.ended && f.now.Sub(c.EndedAt) < a.r.MaxAge
		if ends || c.DispositionRaw != "" && c.DispositionRaw != was.disposition && f.now.Sub(c.DisposedAt()) < a.r.MaxAge {
			told, agents = append(told, i), append(agents, callAgent(c))
		}
	}
	users, err := a.users(ctx, tx, agents)
	if err != nil {
		return err
	}
	for _, i := range told {
		a.call(i, users)
	}
	return nil
}

func (a *announcer) call(i int, users map[agentKey]string) {
	c, was := &a.f.result.Calls[i], a.before.calls[i]
	row := a.f.callRow(c)
	key := strings.Join([]string{row.Source, row.Account, row.ExternalID}, "|")
	data := callData{
		ExternalCallID: row.ExternalID, OrgID: row.OrgID, Source: row.Source, LeadID: row.LeadID, Direction: row.Direction,
		StartedAt: row.StartedAt, AnsweredAt: row.AnsweredAt, EndedAt: row.EndedAt, DurationSeconds: row.TalkSeconds,
		Disposition: row.Disposition, DispositionRaw: row.DispositionRaw,
	}
	data.UserID = optional(users[callAgent(c)])
	subject := "call|" + key
	if row.LeadID != nil {
		subject = row.LeadID.String()
	}
	if !c.EndedAt.IsZero() && !was.ended {
		a.add(announcement{name: pipeline.WebhookCallEnded, subject: subject, dedupe: "ended|" + key, at: c.EndedAt, data: data})
	}
	if c.DispositionRaw != "" && c.DispositionRaw != was.disposition {
		a.add(announcement{
			name: pipeline.WebhookCallDisposition, subject: subject, dedupe: "disposition|" + key + "|" + c.DispositionRaw,
			at: c.DisposedAt(), data: data,
		})
	}
}

// dnc tells of phones that must no longer be called, and of those that may be again.
func (a *announcer) dnc(context.Context, pgx.Tx) error {
	f := a.f
	for i := range f.result.DNC {
		d := &f.result.DNC[i]
		if d.Active() == a.before.blocked[d.Phone] {
			continue
		}
		source := string(d.Source)
		data := dncData{OrgID: f.org, Phone: &d.Phone, LeadIDs: []uuid.UUID{}, Reason: orElse(d.Reason, "opt_out"), Source: &source, Since: d.Since}
		for n := range f.result.Leads {
			if slices.ContainsFunc(f.result.Leads[n].Keys, func(k pipeline.LinkedKey) bool {
				return k.Kind == pipeline.KeyPhone && k.Value == d.Phone
			}) {
				data.LeadIDs = append(data.LeadIDs, f.ids.IDs[n])
			}
		}
		e := announcement{name: pipeline.WebhookDNCAdded, at: d.Since, data: data}
		if !d.Active() {
			e.name, e.at = pipeline.WebhookDNCLifted, d.LiftedAt
		}
		e.subject, e.dedupe = "phone|"+d.Phone, fmt.Sprintf("%s|%s|%d", e.name, d.Phone, d.Lifts)
		a.add(e)
	}
	return nil
}

const webhookEventsInsertSQL = `
insert into ops.webhook_events (event_id, org_id, event, subject, data, occurred_at, created_at, dedupe)
select n.event_id, @org, n.event, n.subject, n.data, n.occurred_at, @now, n.dedupe
from unnest(@ids::uuid[], @names::text[], @subjects::text[], @data::json[], @times::timestamptz[], @dedupes::text[])
  with ordinality as n (event_id, event, subject, data, occurred_at, dedupe, ord)
order by n.ord
on conflict (org_id, dedupe) do nothing
returning event_id`

const webhookDeliveriesInsertSQL = `
insert into ops.webhook_deliveries (delivery_id, org_id, endpoint_id, event_id, event, subject, position, next_at, created_at)
select n.delivery_id, v.org_id, n.endpoint_id, v.event_id, n.event, v.subject, v.position, @now, @now
from unnest(@deliveries::uuid[], @endpoints::uuid[], @ids::uuid[], @names::text[]) as n (delivery_id, endpoint_id, event_id, event)
join ops.webhook_events v on v.event_id = n.event_id
on conflict (endpoint_id, event_id) do nothing`

// write puts the events that somebody wants into the outbox, in the order in which they happened, and wakes it.
func (a *announcer) write(ctx context.Context, tx pgx.Tx) error {
	wanted := slices.DeleteFunc(a.list, func(e announcement) bool {
		return !slices.ContainsFunc(a.before.endpoints, func(w webhookWant) bool { _, ok := e.name.WantedAs(w.Events); return ok })
	})
	if len(wanted) == 0 {
		return nil
	}
	slices.SortStableFunc(wanted, func(x, y announcement) int { return x.at.Compare(y.at) })
	var names, subjects, data, dedupes []string
	var ids []uuid.UUID
	var times []time.Time
	place := map[uuid.UUID]int{}
	for i := range wanted {
		text, err := json.Marshal(wanted[i].data)
		if err != nil {
			return fmt.Errorf("writing webhook events: %w", err)
		}
		id := newID()
		place[id] = i
		ids, names, subjects = append(ids, id), append(names, string(wanted[i].name)), append(subjects, wanted[i].subject)
		data, dedupes, times = append(data, string(text)), append(dedupes, wanted[i].dedupe), append(times, wanted[i].at)
	}
	rows, err := tx.Query(ctx, webhookEventsInsertSQL, pgx.StrictNamedArgs{
		"org": a.f.org, "now": a.f.now, "ids": ids, "names": names, "subjects": subjects, "data": data, "times": times, "dedupes": dedupes,
	})
	if err != nil {
		return fmt.Errorf("writing webhook events: %w", err)
	}
	fresh, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return fmt.Errorf("writing webhook events: %w", err)
	}
	var deliveries, endpoints, events []uuid.UUID
	var told []string
	for _, id := range fresh {
		for _, w := range a.before.endpoints {
			if name, ok := wanted[place[id]].name.WantedAs(w.Events); ok && w.Live {
				deliveries, endpoints, events, told = append(deliveries, newID()), append(endpoints, w.ID), append(events, id), append(told, string(name))
			}
		}
	}
	if len(deliveries) == 0 {
		return nil
	}
	_, err = tx.Exec(ctx, webhookDeliveriesInsertSQL, pgx.StrictNamedArgs{
		"now": a.f.now, "deliveries": deliveries, "endpoints": endpoints, "ids": events, "names": told,
	})
	if err != nil {
		return fmt.Errorf("ordering webhooks: %w", err)
	}
	if err := a.r.WakeWebhooks(ctx, tx); err != nil {
		return fmt.Errorf("%w: webhooks: %w", errWake, err)
	}
	return nil
}
