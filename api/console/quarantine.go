package console

import (
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// replayAtOnce is how many items of a group one press of the button tries again: it has to end while a browser waits.
const replayAtOnce = 100

func (s *Site) quarantine(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := query(r)
	defer cancel()
	groups, err := s.cfg.Lists.QuarantineShapes(ctx, s.cfg.Lists.Pool)
	if err != nil {
		return err
	}
	view := listView{layout: s.layout(r, "Quarantine", "quarantine"), Lead: "What could not be processed and is still open, by what is wrong with it; of very many the newest."}
	list := table{
		Caption: "Kinds of items", Hidden: true, Empty: "Nothing is in quarantine.",
		Cols: cols("From", "~Reason", "~Error", "#Items", "#Seen", "First", "Last", "Example"),
	}
	for i := range groups {
		g := &groups[i]
		example := shortLink("Example", g.Example, "/ui/quarantine/"+g.Example.String())
		items := count(g.Items)
		items.Link, items.Label = "/ui/quarantine/"+g.Example.String(), status.Many(g.Items, "item", "items")+" of this kind, by an example"
		list.Rows = append(list.Rows, []cell{
			text(g.Source + "." + g.Stream), text(g.Reason), text(g.Shape), items, count(g.Seen), at(g.FirstSeenAt), at(g.LastSeenAt), example,
		})
	}
	view.Tables = []table{list}
	view.Commands = []string{"trunkline quarantine list", "trunkline quarantine replay --all"}
	return s.render(w, http.StatusOK, "list", view)
}

func (s *Site) quarantined(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	ctx, cancel := query(r)
	defer cancel()
	item, err := s.cfg.Lists.GetQuarantine(ctx, s.cfg.Lists.Pool, id)
	if err != nil {
		return err
	}
	view := detailView{layout: s.layout(r, "Item in quarantine", "quarantine"), Lead: "An item of " + item.Source + "." + item.Stream, State: stateCell(item.State)}
	view.Done, view.Failed = outcome(r)
	view.Facts = some(
		fact{"Item", code(item.ID.String())}, fact{"Object", code(item.ObjectID)}, fact{"Reason", text(item.Reason)}, fact{"Error", text(item.Error)},
		fact{"Seen", count(item.Seen)}, fact{"First", at(item.FirstSeenAt)}, fact{"Last", at(item.LastSeenAt)},
	)
	view.Blocks = []block{{"What it looks like, letters and digits masked", vendorapi.Masked(item.Body)}}
	path := "/ui/quarantine/" + id.String() + "/"
	view.Commands = []string{"trunkline quarantine show " + id.String(), "trunkline quarantine replay " + id.String()}
	if item.State != "open" {
		return s.render(w, http.StatusOK, "detail", view)
	}
	view.Buttons = []button{{Action: path + "replay", Label: "Try it again"}}
	alike, err := s.cfg.Lists.QuarantinedAlike(ctx, id, replayAtOnce)
	if err != nil {
		return err
	}
	if n := len(alike); n > 1 {
		view.Buttons = append(view.Buttons, button{Action: path + "replay-alike", Label: "Try " + number(int64(n)) + " like it again"})
		others := table{Caption: "Others like it, the newest", Cols: cols("Item"), Plain: true}
		for _, other := range alike[1:min(n, 11)] {
			others.Rows = append(others.Rows, []cell{idLink(other.String(), "/ui/quarantine/"+other.String())})
		}
		view.Tables = []table{others}
		view.Commands = append(view.Commands, s.inOrg("trunkline quarantine replay --source "+shellWord(item.Source), item.Org))
	}
	return s.render(w, http.StatusOK, "detail", view)
}

func (s *Site) replayQuarantined(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	ctx, cancel := query(r)
	defer cancel()
	ids := []uuid.UUID{id}
	switch r.PathValue("action") {
	case "replay":
	case "replay-alike":
		if ids, err = s.cfg.DB.QuarantinedAlike(ctx, id, replayAtOnce); err != nil {
			return err
		}
	default:
		return store.ErrNotFound
	}
	fixed, left, waiting, err := s.cfg.Actions.ReplayItems(ctx, ids)
	if err != nil {
		return err
	}
	return s.back(w, r, "/ui/quarantine/"+id.String(), "replayed", "fixed", strconv.Itoa(fixed), "left", strconv.Itoa(left), "waiting", strconv.Itoa(waiting))
}
