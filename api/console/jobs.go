package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/trunkline/trunkline/store"
)

var jobStates = []string{"running", "available", "scheduled", "retryable", "pending", "discarded", "cancelled"}

func jobsPath(kind, state string) string {
	v := url.Values{}
	if kind != "" {
		v.Set("kind", kind)
	}
	if state != "" {
		v.Set("state", state)
	}
	if len(v) == 0 {
		return "/ui/jobs"
	}
	return "/ui/jobs?" + v.Encode()
}

// jobRows is how many jobs are shown; what is older is of no use to anybody.
const jobRows = 100

func (s *Site) jobs(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	kind, state := v.Get("kind"), v.Get("state")
	ctx, cancel := query(r)
	defer cancel()
	rows, err := s.cfg.Lists.BrowseJobs(ctx, kind, state, jobRows)
	if err != nil {
		return err
	}
	view := listView{layout: s.layout(r, "Jobs", "jobs"), Lead: fmt.Sprintf("Jobs that are not completed, the latest %d. They only wake the work: what is to be done lies in the tables, and what no job wakes the sweeper does.", jobRows)}
	if kind != "" {
		view.Lead += " Only of kind " + kind + "."
	}
	view.Choices = []choice{{"all", jobsPath(kind, ""), state == ""}}
	for _, name := range jobStates {
		view.Choices = append(view.Choices, choice{name, jobsPath(kind, name), state == name})
	}
	list := table{Caption: "Jobs", Hidden: true, Empty: "No such job.", Cols: cols("#Job", "Kind", "State", "#Try", "Due", "Tried", "~Last error")}
	for i := range rows {
		j := &rows[i]
		list.Rows = append(list.Rows, []cell{
			code(strconv.FormatInt(j.ID, 10)), text(j.Kind), stateCell(j.State), text(fmt.Sprintf("%d of %d", j.Attempt, j.MaxAttempt)),
			at(j.ScheduledAt), at(derefTime(j.AttemptedAt)), soft(deref(j.Error)),
		})
	}
	view.Tables = []table{list}
	view.Commands = []string{"trunkline status --json"}
	return s.render(w, http.StatusOK, "list", view)
}

// speedRows is how many leads are shown.
const speedRows = 200

func (s *Site) speed(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	q := store.SpeedQuery{Step: v.Get("step"), Limit: speedRows}
	if q.Step != "sent" && q.Step != "dialled" {
		q.Step = ""
	}
	q.From, q.To = -beyond, beyond
	if from, err := strconv.ParseFloat(v.Get("from"), 64); err == nil {
		q.From = from
	}
	if to, err := strconv.ParseFloat(v.Get("to"), 64); err == nil {
		q.To = to
	}
	ctx, cancel := query(r)
	defer cancel()
	rows, err := s.cfg.Lists.SpeedRows(ctx, q)
	if err != nil {
		return err
	}
	view := listView{layout: s.layout(r, "Speed to lead", "overview"), Lead: fmt.Sprintf("The last day's leads that are pushed anywhere, newest first, at most %d: how long after a lead came to be each step was.", speedRows)}
	if q.Step != "" {
		view.Lead += " Only those " + q.Step + " " + bucketName(q.From, q.To) + "."
	}
	list := table{Caption: "Leads", Hidden: true, Empty: "No such lead.", Cols: cols("~Lead", "Came", "#Ready", "#Sent", "#Accepted", "#Dialled", "#Answered")}
	for i := range rows {
		l := &rows[i]
		id := idLink(l.LeadID.String(), "/ui/deliveries?lead="+l.LeadID.String())
		id.Label = "Deliveries of lead " + l.LeadID.String()
		list.Rows = append(list.Rows, []cell{id, at(l.CreatedAt), seconds(l.Ready), seconds(l.Sent), seconds(l.Accepted), seconds(l.Dialled), seconds(l.Answered)})
	}
	view.Tables = []table{list}
	view.Commands = []string{"trunkline lead explain ID", "trunkline deliveries list --lead ID"}
	return s.render(w, http.StatusOK, "list", view)
}
