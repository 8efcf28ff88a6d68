package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
)

var webhookStates = []string{"pending", "failed", "delivered"}

// webhooksPath is where webhook deliveries are listed; empty arguments choose all.
func webhooksPath(state, endpoint string) string {
	v := url.Values{}
	if state != "" {
		v.Set("state", state)
	}
	if endpoint != "" {
		v.Set("endpoint", endpoint)
	}
	if len(v) == 0 {
		return "/ui/webhooks"
	}
	return "/ui/webhooks?" + v.Encode()
}

func (s *Site) webhooks(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	b := store.WebhookBrowse{Limit: pageRows + 1}
	state := v.Get("state")
	if slices.Contains(webhookStates, state) {
		b.States = []string{state}
	} else {
		state = ""
	}
	endpoint := ""
	if b.Endpoint, _ = uuid.Parse(v.Get("endpoint")); b.Endpoint != uuid.Nil { // one that is none chooses all
		endpoint = b.Endpoint.String()
	}
	b.BeforeID, _ = uuid.Parse(v.Get("before_id"))
	if before, err := strconv.ParseInt(v.Get("before"), 10, 64); err == nil {
		b.Before = time.UnixMicro(before).UTC()
	}
	ctx, cancel := query(r)
	defer cancel()
	endpoints, err := s.cfg.Lists.WebhookEndpoints(ctx, uuid.Nil)
	if err != nil {
		return err
	}
	rows, err := s.cfg.Lists.BrowseWebhooks(ctx, b)
	if err != nil {
		return err
	}
	view := listView{layout: s.layout(r, "Webhooks", "webhooks"), Lead: "What is told to those who asked to be told, newest first. What an event tells is not shown here."}
	view.Choices = []choice{{"all", webhooksPath("", endpoint), state == ""}}
	for _, name := range webhookStates {
		view.Choices = append(view.Choices, choice{name, webhooksPath(name, endpoint), state == name})
	}
	if len(rows) > pageRows {
		rows = rows[:pageRows]
		last := &rows[pageRows-1]
		v.Set("before", strconv.FormatInt(last.CreatedAt.UnixMicro(), 10))
		v.Set("before_id", last.ID.String())
		view.Next = "/ui/webhooks?" + v.Encode()
	}
	hosts := map[uuid.UUID]string{}
	for i := range endpoints {
		hosts[endpoints[i].ID] = hostOf(endpoints[i].URL)
	}
	list := table{
		Caption: "Deliveries", Empty: "No such delivery.",
		Cols: cols("~Delivery", "State", "~Event", "~To", "#Attempts", "Created", "Next", "Settled", "~Outcome"),
	}
	for i := range rows {
		d := &rows[i]
		next := cell{}
		if d.State == "pending" {
			next = at(d.NextAt)
		}
		outcome := deref(d.LastOutcome)
		if d.LastStatus != nil && *d.LastStatus > 0 {
			outcome = strings.TrimSpace(outcome + " " + strconv.Itoa(*d.LastStatus))
		}
		list.Rows = append(list.Rows, []cell{
			code(d.ID.String()), stateCell(d.State), text(d.Event),
			{Text: hosts[d.EndpointID], Link: webhooksPath(state, d.EndpointID.String())},
			count(d.Attempts), at(d.CreatedAt), next, at(derefTime(d.SettledAt)), soft(outcome),
		})
	}
	view.Tables = []table{endpointsTable(endpoints, b.Endpoint), list}
	view.Commands = []string{"trunkline webhooks list", "trunkline webhooks resend ID", "trunkline webhooks recover ENDPOINT --since DATE"}
	return s.render(w, http.StatusOK, "list", view)
}

// endpointsTable shows the endpoints, or the chosen one.
func endpointsTable(endpoints []store.WebhookEndpoint, chosen uuid.UUID) table {
	t := table{
		Caption: "Endpoints", Empty: "Nobody has asked to be told of anything.",
		Cols: cols("~Endpoint", "State", "~To", "~Events", "#Failures", "Failing since", "Last success", "~Last outcome"),
	}
	for i := range endpoints {
		e := &endpoints[i]
		if chosen != uuid.Nil && e.ID != chosen {
			continue
		}
		t.Rows = append(t.Rows, []cell{
			idLink("whsub_"+e.ID.String(), webhooksPath("", e.ID.String())), stateCell(string(e.State())), text(hostOf(e.URL)), text(strings.Join(e.Events, ", ")), count(e.Failures),
			at(derefTime(e.FailingSince)), at(derefTime(e.LastSuccessAt)), soft(deref(e.LastOutcome)),
		})
	}
	return t
}

// hostOf is all that is shown of an address: its path and query may hold what lets one in.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
