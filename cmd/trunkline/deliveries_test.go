package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// writeLead puts a lead of the default organisation into an idle rig's pipeline.
func (r *rig) writeLead(i int) uuid.UUID {
	r.Helper()
	id := uuid.New()
	r.exec(`insert into pipeline.leads (org_id, lead_id, contact_first_name, contact_last_name, phone, phone_e164, phones, source, priority, timezone,
			stage_key, content_hash, first_source_time, created_at, updated_at)
		select org_id, $1, 'Annabelle', 'Leeuwenhoek', $2, $2, array[$2], 'api', 'urgent', 'America/New_York', 'new_lead', '\x00',
			now() - interval '90 days', now(), now()
		from ops.organisations limit 1`, id, youngPhone(i))
	return id
}

func (r *rig) mustRun(code int, args ...string) ended {
	r.Helper()
	got := r.command(args...)
	if got.code != code {
		r.Fatalf("%v: exit %d, want %d: %s", args, got.code, code, got)
	}
	return got
}

// TestOperatorsCommands runs every command about routes, pushes, deliveries and do-not-call without a daemon.
func TestOperatorsCommands(t *testing.T) {
	t.Parallel()
	r := newIdleRig(t, emptied(61))
	r.mustRun(exitDone, "org", "list")
	lead, second := r.writeLead(1), r.writeLead(2)

	route := decoded[routeRow](t, r.mustRun(exitDone, "routes", "add", "convolo:priority=urgent", "--json"))
	r.mustRun(exitFailed, "routes", "add", "convolo:priority=urgent")
	r.mustRun(exitUsage, "routes", "add", "fax")
	if list := decoded[[]routeRow](t, r.mustRun(exitDone, "routes", "list", "--json")); !slices.ContainsFunc(list, func(x routeRow) bool {
		return x.RouteID == route.RouteID && x.Origin == "operator" && x.Condition == "priority=urgent"
	}) {
		t.Errorf("routes: %+v", list)
	}

	// A dry run sends and writes nothing, and shows no name, phone or secret.
	dry := r.mustRun(exitDone, "push", lead.String(), "--to", "dialedin", "--dry-run", "--json")
	v := decoded[pushPreview](t, dry)
	checks := map[string]string{}
	if err := json.Unmarshal(v.Checks, &checks); err != nil || checks["do_not_call"] != "ok" || checks["recent_call"] != "ok" {
		t.Errorf("checks: %v, %v", checks, err)
	}
	if !v.WouldSend || !v.RingsNow || v.Request == "" {
		t.Errorf("dry run: %+v", v)
	}
	for _, secret := range []string{"Annabelle", "Leeuwenhoek", youngPhone(1), strings.TrimPrefix(youngPhone(1), "+1"), r.env["DIALEDIN_TOKEN"]} {
		if strings.Contains(dry.stdout, secret) {
			t.Errorf("the dry run shows %q", secret)
		}
	}
	if v := decoded[pushPreview](t, r.mustRun(exitDone, "push", lead.String(), "--to", "lendworks", "--dry-run", "--json")); !v.WouldSend || v.RingsNow || v.Request == "" {
		t.Errorf("dry run at lendworks: %+v", v)
	}
	counts := decoded[pushCounts](t, r.mustRun(exitDone, "push", "--route", route.RouteID.String(), "--dry-run", "--json"))
	if counts.Leads != 2 || counts.WouldSend != 2 || counts.RingNow != 2 || counts.Destination != "convolo" {
		t.Errorf("dry run of the route: %+v", counts)
	}
	if n := one[int](r, `select count(*) from ops.deliveries`); n != 0 {
		t.Errorf("dry runs ordered %d deliveries", n)
	}
	for _, args := range [][]string{
		{"push"},
		{"push", lead.String()},
		{"push", "x", "--to", "dialedin"},
		{"push", lead.String(), "--to", "fax"},
		{"push", "--route", route.RouteID.String()},
		{"deliveries", "list", "--state", "x"},
		{"deliveries", "resolve", lead.String()},
		{"dnc", "add", "12"},
		{"dnc", "add"},
		{"routes", "remove", "x"},
	} {
		r.mustRun(exitUsage, args...)
	}
	r.mustRun(exitFailed, "push", uuid.NewString(), "--to", "dialedin")
	r.mustRun(exitDone, "routes", "remove", route.RouteID.String())
	r.mustRun(exitFailed, "routes", "remove", route.RouteID.String())

	id := strings.TrimSpace(r.mustRun(exitDone, "push", lead.String(), "--to", "convolo").stdout)
	r.mustRun(exitFailed, "push", lead.String(), "--to", "convolo")
	r.mustRun(exitFailed, "deliveries", "resolve", id, "--as", "confirmed")
	r.exec(`update ops.deliveries set state = 'unknown', hold = 'webhook', sending_at = now() where id = $1`, id)
	if d := decoded[deliveryShown](t, r.mustRun(exitDone, "deliveries", "resolve", id, "--as", "rejected", "--json")); d.State != "rejected" {
		t.Errorf("resolved: %+v", d)
	}
	r.mustRun(exitDone, "deliveries", "retry", id)
	if d := decoded[deliveryShown](t, r.mustRun(exitDone, "deliveries", "cancel", id, "--json")); d.State != "cancelled" || d.Reason != "operator" {
		t.Errorf("cancelled: %+v", d)
	}
	r.mustRun(exitFailed, "deliveries", "show", uuid.NewString())
	list := decoded[[]deliveryRow](t, r.mustRun(exitDone, "deliveries", "list", "--state", "cancelled", "--json"))
	if len(list) != 1 || list[0].ID.String() != id {
		t.Errorf("list: %+v", list)
	}

	// What goes with a key goes with the lead as it was ordered, however the lead changes before it is sent.
	keyed := strings.TrimSpace(r.mustRun(exitDone, "push", lead.String(), "--to", "lendworks").stdout)
	if name := one[string](r, `select params -> 'lead' ->> 'FirstName' from ops.deliveries where id = $1`, keyed); name != "Annabelle" {
		t.Errorf("the order has %q for the lead's first name", name)
	}

	// An opt-out cancels what is ready, at once; its lift says what it cannot undo.
	pushed := strings.TrimSpace(r.mustRun(exitDone, "push", second.String(), "--to", "convolo").stdout)
	r.mustRun(exitFailed, "dnc", "remove", youngPhone(2))
	added := decoded[dncAnswer](t, r.mustRun(exitDone, "dnc", "add", youngPhone(2), "--reason", "letter", "--json"))
	if !added.Blocked || !added.Folded || !slices.ContainsFunc(added.Obligations, func(o obligationRow) bool { return o.Destination == "dialedin" && o.State == "ready" }) {
		t.Errorf("added: %+v", added)
	}
	if got := one[string](r, `select state || ' ' || reason from ops.deliveries where id = $1`, pushed); got != "cancelled do_not_call" {
		t.Errorf("the push is %s", got)
	}
	if rows := decoded[[]dncRow](t, r.mustRun(exitDone, "dnc", "list", "--json")); len(rows) != 1 || rows[0].Source != "operator" || rows[0].Reason != "letter" {
		t.Errorf("dnc list: %+v", rows)
	}
	blocked := decoded[pushPreview](t, r.mustRun(exitDone, "push", second.String(), "--to", "convolo", "--dry-run", "--json"))
	if blocked.WouldSend || blocked.RingsNow || blocked.Reason != "do_not_call" {
		t.Errorf("dry run of who opted out: %+v", blocked)
	}
	r.exec(`update ops.deliveries set state = 'confirmed', attempts = 1 where operation = 'dnc_add' and destination = 'dialedin'`)
	lifted := decoded[dncAnswer](t, r.mustRun(exitDone, "dnc", "remove", youngPhone(2), "--json"))
	if lifted.Blocked || !lifted.Folded || len(lifted.Notes) != 1 {
		t.Errorf("lifted: %+v", lifted)
	}
	if rows := decoded[[]dncRow](t, r.mustRun(exitDone, "dnc", "list", "--json")); len(rows) != 0 {
		t.Errorf("dnc list after the lift: %+v", rows)
	}
	if rows := decoded[[]dncRow](t, r.mustRun(exitDone, "dnc", "list", "--all", "--json")); len(rows) != 1 || rows[0].LiftedAt == "-" {
		t.Errorf("dnc list --all: %+v", rows)
	}
}
