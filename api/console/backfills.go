package console

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
)

func (s *Site) backfills(w http.ResponseWriter, r *http.Request) error {
	offset, err := strconv.ParseInt(r.URL.Query().Get("from"), 10, 32)
	if err != nil || offset < 0 {
		offset = 0
	}
	ctx, cancel := query(r)
	defer cancel()
	page, err := s.cfg.Lists.Backfills(ctx, uuid.Nil, offset, pageRows)
	if err != nil {
		return err
	}
	view := listView{layout: s.layout(r, "Backfills", "backfills"), Lead: "Orders to read streams over a range of time, the latest first."}
	list := table{
		Caption: "Backfills", Hidden: true, Empty: "No backfill was ordered yet.",
		Cols: cols("Backfill", "State", "~Streams", "From", "To", "#Windows done", "#Failed", "#Rows", "Time left", "Ordered"),
	}
	for i := range page.Backfills {
		b := &page.Backfills[i]
		id := shortLink("Backfill", b.ID, "/ui/backfills/"+b.ID.String())
		p := &b.Progress
		list.Rows = append(list.Rows, []cell{
			id, stateCell(string(b.State)), text(string(b.Source) + " " + strings.Join(b.Streams, ", ")), at(b.Range.From), at(b.Range.To),
			text(fmt.Sprintf("%d of %d", p.Done, p.Windows)), count(p.Failed), text(number(p.Rows)), text(timeLeft(p)), at(b.CreatedAt),
		})
	}
	view.Tables = []table{list}
	if offset+pageRows < page.Total {
		view.Next = "/ui/backfills?from=" + strconv.FormatInt(offset+pageRows, 10)
	}
	view.Commands = []string{"trunkline backfill list", "trunkline backfill start SOURCE [STREAM…] --from DATE --dry-run"}
	return s.render(w, http.StatusOK, "list", view)
}

func timeLeft(p *store.BackfillProgress) string {
	if !p.TimeLeftKnown {
		return ""
	}
	return span(p.TimeLeft)
}

// troubledWindows is how many windows with a problem are shown.
const troubledWindows = 50

func (s *Site) backfill(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	ctx, cancel := query(r)
	defer cancel()
	b, err := s.cfg.Lists.Backfill(ctx, uuid.Nil, id)
	if err != nil {
		return err
	}
	troubled, err := s.cfg.Lists.TroubledWindows(ctx, id, troubledWindows)
	if err != nil {
		return err
	}
	view := detailView{layout: s.layout(r, "Backfill", "backfills"), Lead: string(b.Source) + " " + strings.Join(b.Streams, ", "), State: stateCell(string(b.State))}
	view.Done, view.Failed = outcome(r)
	var filters []string
	for _, name := range slices.Sorted(maps.Keys(b.Filters)) {
		filters = append(filters, name+"="+b.Filters[name])
	}
	p := &b.Progress
	view.Facts = some(
		fact{"Backfill", code(id.String())}, fact{"From", at(b.Range.From)}, fact{"To", at(b.Range.To)}, fact{"Window", text(span(b.Window))},
		fact{"Filters", code(strings.Join(filters, " "))},
		fact{"Windows", text(fmt.Sprintf("%d: %d done, %d running, %d waiting, %d failed, %d cancelled", p.Windows, p.Done, p.Running, p.Waiting, p.Failed, p.Cancelled))},
		fact{"Rows", text(fmt.Sprintf("%s, of them new or changed %s; %s in quarantine; %s", number(p.Rows), number(p.Changed), many(p.Quarantined, "item", "items"), many(p.Pages, "page", "pages")))},
		fact{"Rate", text(status.BackfillRate(&b))}, fact{"Time left", text(timeLeft(p))},
		fact{"Ordered", at(b.CreatedAt)}, fact{"By", text(b.Actor)}, fact{"Started", at(b.StartedAt)}, fact{"Finished", at(b.FinishedAt)}, fact{"Error", text(b.Error)},
	)
	windows := table{Caption: "Windows that met a problem", Empty: "No window met a problem.", Cols: cols("Stream", "State", "From", "To", "#Rows", "#Failures", "~Last problem")}
	for _, t := range troubled {
		windows.Rows = append(windows.Rows, []cell{text(t.Stream), stateCell(t.State), at(t.Range.From), at(t.Range.To), text(number(t.Rows)), count(t.Tries), text(t.Error)})
	}
	view.Tables = []table{windows}
	view.Buttons, view.Commands = backfillActions(&b)
	return s.render(w, http.StatusOK, "detail", view)
}

func backfillActions(b *store.Backfill) (buttons []button, commands []string) {
	id := b.ID.String()
	path := "/ui/backfills/" + id + "/"
	commands = []string{"trunkline backfill show " + id}
	add := func(action, label string) {
		buttons = append(buttons, button{Action: path + action, Label: label})
		commands = append(commands, "trunkline backfill "+action+" "+id)
	}
	switch b.State {
	case store.BackfillPlanned, store.BackfillRunning:
		add("pause", "Pause")
	case store.BackfillPaused:
		add("resume", "Go on")
	case store.BackfillFailed:
		add("resume", "Try the failed windows again")
		return buttons, commands
	case store.BackfillDone, store.BackfillCancelled:
		return buttons, commands
	}
	add("cancel", "Cancel")
	last := &buttons[len(buttons)-1]
	last.Warn, last.Grave = "I know that it cannot go on afterwards; what was read stays", true
	return buttons, commands
}

func (s *Site) steerBackfill(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	action := r.PathValue("action")
	done, known := map[string]string{"pause": "paused", "resume": "resumed", "cancel": "cancelled"}[action]
	if !known {
		return store.ErrNotFound
	}
	ctx, cancel := query(r)
	defer cancel()
	if action == "cancel" && r.PostForm.Get("sure") != "yes" {
		done = "unsure"
	} else if err := s.cfg.Actions.Backfill(ctx, id, action); err != nil {
		if done, err = refusal(err); err != nil {
			return err
		}
	}
	return s.back(w, r, "/ui/backfills/"+id.String(), done)
}

// recentWalks is how many walks of a stream are shown.
const recentWalks = 50

func (s *Site) stream(w http.ResponseWriter, r *http.Request) error {
	org, err := uuid.Parse(r.PathValue("org"))
	if err != nil {
		return store.ErrNotFound
	}
	ctx, cancel := query(r)
	defer cancel()
	states, err := s.cfg.Lists.StreamStates(ctx, s.cfg.Lists.Pool, org)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(states, func(st store.StreamStatus) bool {
		k := &st.Key
		return k.Account == r.PathValue("account") && string(k.Source) == r.PathValue("source") && k.Stream == r.PathValue("stream")
	})
	if i < 0 {
		return store.ErrNotFound
	}
	st := &states[i]
	walks, err := s.cfg.Lists.RecentWalks(ctx, st.Key, recentWalks)
	if err != nil {
		return err
	}
	name := string(st.Key.Source) + "." + st.Key.Stream
	view := detailView{layout: s.layout(r, name, "streams"), Lead: "What of this stream is read, and by which walks."}
	lag := cell{}
	if st.Lag > 0 {
		lag = text(span(st.Lag))
	}
	view.Facts = some(
		fact{"Covered through", at(st.CoveredThrough)}, fact{"Lag", lag}, fact{"Read", text(capabilities[st.Capability])}, fact{"Since", at(st.Origin)}, fact{"Account", code(st.Key.Account)},
		fact{"Last good walk", at(st.LastSuccessAt)}, fact{"Due", at(st.DueAt)}, fact{"Last error", text(st.LastError)}, fact{"Failed at", at(st.LastErrorAt)},
		fact{"Tried again", at(st.RetryAt)}, fact{"Warning", text(st.Warning)}, fact{"Last whole pass", at(st.SweptAt)},
	)
	holes := table{Caption: "Holes", Empty: "Its coverage has no hole.", Cols: cols("From", "To", "Length"), Plain: true}
	for _, h := range holesOf(st) {
		holes.Rows = append(holes.Rows, []cell{at(h.From), at(h.To), text(span(h.To.Sub(h.From)))})
	}
	list := table{
		Caption: "Walks, the latest first", Empty: "No walk was ordered yet.",
		Cols: cols("Kind", "State", "From", "To", "#Pages", "#Rows", "#Changed", "#Bad", "Ordered", "Took", "~Error"),
	}
	for i := range walks {
		wk := &walks[i]
		var span store.TimeRange
		if wk.Window != nil {
			span = *wk.Window
		}
		took := cell{}
		if !wk.StartedAt.IsZero() && !wk.FinishedAt.IsZero() {
			took = text(wk.FinishedAt.Sub(wk.StartedAt).Round(10 * time.Millisecond).String())
		}
		kind := text(wk.Kind)
		if wk.Backfill != uuid.Nil {
			kind.Link = "/ui/backfills/" + wk.Backfill.String()
		}
		list.Rows = append(list.Rows, []cell{
			kind, stateCell(wk.State), at(span.From), at(span.To), count(wk.Pages), text(number(wk.Rows)), text(number(wk.Changed)), text(number(wk.Quarantined)),
			at(wk.CreatedAt), took, soft(wk.Error),
		})
	}
	view.Tables = []table{holes, list}
	view.Commands = []string{
		"trunkline sync " + string(st.Key.Source) + " " + st.Key.Stream + " --wait",
		"trunkline backfill start " + string(st.Key.Source) + " " + st.Key.Stream + " --from DATE --dry-run",
	}
	return s.render(w, http.StatusOK, "detail", view)
}

var capabilities = map[string]string{"created": "by time of creation", "snapshot": "whole"}
