package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// pageRows is how many rows a list shows at once.
const pageRows = 50

// deliveryStates are the states, those that need somebody first.
var deliveryStates = []string{"unknown", "sending", "ready", "rejected", "expired", "cancelled", "confirmed"}

var openStates = []string{"unknown", "sending", "ready"}

// deliveriesPath is where the deliveries of a kind are listed; empty arguments choose all.
func deliveriesPath(state, destination, operation, reason string) string {
	v := url.Values{}
	for name, value := range map[string]string{"state": state, "destination": destination, "operation": operation, "reason": reason} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if len(v) == 0 {
		return "/ui/deliveries"
	}
	return "/ui/deliveries?" + v.Encode()
}

func (s *Site) deliveries(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	state := v.Get("state")
	b := store.DeliveryBrowse{Destination: v.Get("destination"), Operation: v.Get("operation"), Reason: v.Get("reason"), Limit: pageRows + 1}
	switch {
	case state == "open":
		b.States = openStates
	case slices.Contains(deliveryStates, state):
		b.States = []string{state}
	default:
		state = ""
	}
	b.LeadID, _ = uuid.Parse(v.Get("lead")) // one that is none chooses all
	b.BeforeID, _ = uuid.Parse(v.Get("before_id"))
	if before, err := strconv.ParseInt(v.Get("before"), 10, 64); err == nil {
		b.Before = time.UnixMicro(before).UTC()
	}
	ctx, cancel := query(r)
	defer cancel()
	rows, err := s.cfg.Lists.BrowseDeliveries(ctx, b)
	if err != nil {
		return err
	}
	view := listView{layout: s.layout(r, "Deliveries", "deliveries"), Lead: "What is sent to destinations, newest first."}
	view.Choices = append(view.Choices, choice{"all", deliveriesPath("", b.Destination, b.Operation, ""), state == ""},
		choice{"open", deliveriesPath("open", b.Destination, b.Operation, ""), state == "open"})
	for _, name := range deliveryStates {
		view.Choices = append(view.Choices, choice{name, deliveriesPath(name, b.Destination, b.Operation, ""), state == name})
	}
	for _, only := range [][2]string{{"to ", b.Destination}, {"operation ", b.Operation}, {"reason ", b.Reason}} {
		if only[1] != "" {
			view.Lead += " Only " + only[0] + only[1] + "."
		}
	}
	if b.LeadID != uuid.Nil {
		view.Lead += " Only of lead " + b.LeadID.String() + "."
	}
	if len(rows) > pageRows {
		rows = rows[:pageRows]
		last := &rows[pageRows-1]
		v.Set("before", strconv.FormatInt(last.CreatedAt.UnixMicro(), 10))
		v.Set("before_id", last.ID.String())
		view.Next = "/ui/deliveries?" + v.Encode()
	}
	list := table{
		Caption: "Deliveries", Hidden: true, Empty: "No such delivery.",
		Cols: cols("Delivery", "State", "To", "Operation", "~Why", "Lead", "#Attempts", "Created", "~Error"),
	}
	for i := range rows {
		list.Rows = append(list.Rows, deliveryCells(&rows[i]))
	}
	view.Tables = []table{list}
	view.Commands = deliveryListCommands(state, b.Destination, b.LeadID)
	return s.render(w, http.StatusOK, "list", view)
}

func deliveryCells(d *store.DeliveryRow) []cell {
	why := deref(d.Reason)
	if why == "" {
		why = deref(d.Hold)
	}
	lead := cell{}
	if d.LeadID != nil {
		lead = shortLink("Deliveries of lead", *d.LeadID, "/ui/deliveries?lead="+d.LeadID.String())
	}
	id := shortLink("Delivery", d.ID, "/ui/deliveries/"+d.ID.String())
	return []cell{id, stateCell(d.State), text(d.Destination), text(d.Operation), text(why), lead, count(d.Attempts), at(d.CreatedAt), soft(status.RefusalText(d))}
}

// short is enough of an id to tell rows of one page apart: its end, for ids that rise with time begin alike.
func short(id uuid.UUID) string {
	all := id.String()
	return "…" + all[len(all)-12:]
}

func deliveryListCommands(state, destination string, lead uuid.UUID) []string {
	command := "trunkline deliveries list"
	if slices.Contains(deliveryStates, state) {
		command += " --state " + state
	}
	if destination != "" {
		command += " --to " + shellWord(destination)
	}
	if lead != uuid.Nil {
		command += " --lead " + lead.String()
	}
	return []string{command}
}

// shellWord makes a text of a request harmless in a command that people copy.
func shellWord(word string) string {
	for _, r := range word {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '.' {
			return "…"
		}
	}
	return word
}

func (s *Site) delivery(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	ctx, cancel := query(r)
	defer cancel()
	c, err := s.cfg.Lists.DeliveryView(ctx, id)
	if err != nil {
		return err
	}
	attempts, err := s.cfg.Lists.DeliveryAttempts(ctx, id)
	if err != nil {
		return err
	}
	d := &c.Delivery
	view := detailView{layout: s.layout(r, "Delivery", "deliveries"), Lead: d.Operation + " to " + d.Destination, State: stateCell(string(d.State))}
	view.Done, view.Failed = outcome(r)
	lead := cell{}
	if d.LeadID != uuid.Nil {
		lead = idLink(d.LeadID.String(), "/ui/deliveries?lead="+d.LeadID.String())
	}
	waits, expires := cell{}, cell{}
	if d.State == pipeline.DeliveryReady || d.State == pipeline.DeliveryUnknown {
		waits, expires = at(d.NotBefore), at(d.ExpiresAt)
	}
	view.Facts = some(
		fact{"Delivery", code(d.ID.String())}, fact{"Reason", text(d.Reason)}, fact{"Refused by", text(status.RefusedBy(d, attempts))}, fact{"Waits for", text(d.Hold)}, fact{"Not before", waits},
		fact{"Lead", lead}, fact{"Phone", code(pipeline.MaskPhone(d.Phone))}, fact{"Class", text(string(d.Class))}, fact{"Attempts", count(d.Attempts)},
		fact{"Created", at(d.CreatedAt)}, fact{"Sending", at(d.SendingAt)}, fact{"Settled", at(d.SettledAt)}, fact{"Expires", expires},
		fact{"Their id", code(d.ExternalID)}, fact{"Error", text(d.Error)},
	)
	if view.Tables, err = s.requestTables(attempts); err != nil {
		return err
	}
	view.Buttons, view.Commands = deliveryActions(d)
	return s.render(w, http.StatusOK, "detail", view)
}

// requestTables lists the requests made for a delivery, and the checks before each, the latest first.
func (s *Site) requestTables(attempts []store.DeliveryAttempt) ([]table, error) {
	requests := table{
		Caption: "Requests made for it", Empty: "No request has been made for it.",
		Cols: cols("#No.", "Kind", "Began", "Took", "Outcome", "~Request", "~Answer"),
	}
	var tables []table
	for i := range attempts {
		a := &attempts[i]
		took := cell{}
		if a.FinishedAt != nil {
			took = text(a.FinishedAt.Sub(a.StartedAt).Round(time.Millisecond).String())
		}
		requests.Rows = append(requests.Rows, []cell{
			count(a.Attempt), text(string(a.Kind)), at(a.StartedAt), took, stateCell(deref(a.Outcome)), code(a.Request), code(deref(a.Detail)),
		})
		checks, err := status.Checks(a.Checks)
		if err != nil {
			return nil, err
		}
		if len(checks) == 0 {
			continue // a search has none
		}
		t := table{Caption: fmt.Sprintf("Checks before request %d, all at %s", a.Attempt, s.clock(a.StartedAt)), Cols: cols("Check", "~Verdict", "~Why"), Plain: true}
		for k := range checks {
			verdict := cell{Text: checks[k].Verdict, Class: "short"}
			if !checks[k].Passed() {
				verdict.Class = "bad"
			}
			name := code(checks[k].Name)
			name.Class = "short"
			t.Rows = append(t.Rows, []cell{name, verdict, text(checks[k].Why)})
		}
		tables = append(tables, t)
	}
	slices.Reverse(tables)
	return append([]table{requests}, tables...), nil
}

// deliveryActions are what can be done to a delivery in its state, and the commands that do the same.
func deliveryActions(d *pipeline.Delivery) (buttons []button, commands []string) {
	id := d.ID.String()
	path := "/ui/deliveries/" + id + "/"
	commands = []string{"trunkline deliveries show " + id}
	retry := button{Action: path + "retry", Label: "Send it again (ready)"}
	if d.Class == pipeline.ClassRings {
		retry.Warn, retry.Grave = fmt.Sprintf("I know that this hands the lead to %s once more, and that its phone may ring", d.Destination), true
	}
	cancelled := button{Action: path + "cancel", Label: "Cancel it", Warn: "I know that what has been sent stays sent", Grave: true}
	switch d.State {
	case pipeline.DeliveryUnknown:
		buttons = []button{
			{Action: path + "confirmed", Label: "It arrived (confirmed)", Warn: "I have looked at " + d.Destination + ": it arrived"},
			{Action: path + "rejected", Label: "It did not arrive (rejected)", Warn: "I have looked at " + d.Destination + ": it did not, and shall not be sent again"},
			retry, cancelled,
		}
		commands = append(commands, "trunkline deliveries resolve "+id+" --as confirmed", "trunkline deliveries resolve "+id+" --as rejected",
			"trunkline deliveries retry "+id, "trunkline deliveries cancel "+id)
	case pipeline.DeliveryReady:
		buttons = []button{retry, cancelled}
		commands = append(commands, "trunkline deliveries retry "+id, "trunkline deliveries cancel "+id)
	case pipeline.DeliveryRejected, pipeline.DeliveryExpired, pipeline.DeliveryCancelled:
		buttons = []button{retry}
		commands = append(commands, "trunkline deliveries retry "+id)
	case pipeline.DeliverySending, pipeline.DeliveryConfirmed:
	}
	for i := range buttons {
		buttons[i].Hidden = []hidden{{"state", string(d.State)}, {"attempts", strconv.Itoa(d.Attempts)}}
	}
	return buttons, commands
}

func (s *Site) moveDelivery(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	ctx, cancel := query(r)
	defer cancel()
	c, err := s.cfg.DB.DeliveryView(ctx, id)
	if err != nil {
		return err
	}
	action := r.PathValue("action")
	done, known := map[string]string{"retry": "retried", "cancel": "cancelled", "confirmed": "settled", "rejected": "settled"}[action]
	if !known {
		return store.ErrNotFound
	}
	// What the page showed when it was drawn: an order for anything else, or given twice, does nothing (law 5).
	seen := store.DeliverySeen{State: pipeline.DeliveryState(r.PostForm.Get("state"))}
	if seen.Attempts, err = strconv.Atoi(r.PostForm.Get("attempts")); err != nil {
		seen.State = "" // which is none
	}
	grave := action != "retry" || c.Delivery.Class == pipeline.ClassRings
	if grave && r.PostForm.Get("sure") != "yes" {
		done = "unsure"
	} else if err := s.cfg.Actions.Delivery(ctx, id, action, seen); err != nil {
		if done, err = refusal(err); err != nil {
			return err
		}
	}
	return s.back(w, r, "/ui/deliveries/"+id.String(), done)
}
