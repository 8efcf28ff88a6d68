package console

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

var postStates = []string{"new", "done", "duplicate", "unclassified", "unparsable", "quarantined"}

// badStates are those of posts that nobody understood.
var badStates = []string{"unclassified", "unparsable", "quarantined"}

func inboxPath(state, source string) string {
	v := url.Values{}
	if state != "" {
		v.Set("state", state)
	}
	if source != "" {
		v.Set("source", source)
	}
	if len(v) == 0 {
		return "/ui/inbox"
	}
	return "/ui/inbox?" + v.Encode()
}

func (s *Site) inbox(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	b := store.PostBrowse{Source: v.Get("source"), Limit: pageRows + 1}
	state := v.Get("state")
	switch {
	case state == "bad":
		b.States = badStates
	case slices.Contains(postStates, state):
		b.States = []string{state}
	default:
		state = ""
	}
	b.Before, _ = uuid.Parse(v.Get("before"))
	ctx, cancel := query(r)
	defer cancel()
	posts, err := s.cfg.Lists.BrowsePosts(ctx, b)
	if err != nil {
		return err
	}
	view := listView{layout: s.layout(r, "Posts", "inbox"), Lead: "Posts as they came, newest first. What they tell of people is not shown here."}
	view.Choices = []choice{{"all", inboxPath("", b.Source), state == ""}, {"not understood", inboxPath("bad", b.Source), state == "bad"}}
	for _, name := range postStates {
		view.Choices = append(view.Choices, choice{name, inboxPath(name, b.Source), state == name})
	}
	if b.Source != "" {
		view.Lead += " Only from " + b.Source + "."
	}
	if len(posts) > pageRows {
		posts = posts[:pageRows]
		v.Set("before", posts[pageRows-1].ID.String())
		view.Next = "/ui/inbox?" + v.Encode()
	}
	list := table{Caption: "Posts", Hidden: true, Empty: "No such post.", Cols: cols("Post", "State", "From", "Received", "~Event", "#Bytes", "#Facts", "#Tries", "~Error")}
	for i := range posts {
		p := &posts[i]
		id := shortLink("Post", p.ID, "/ui/inbox/"+p.ID.String())
		facts := cell{}
		if p.Facts != nil {
			facts = count(*p.Facts)
		}
		list.Rows = append(list.Rows, []cell{
			id, stateCell(p.State), text(p.Source), at(p.ReceivedAt), text(p.EventPath), count(p.Bytes), facts, count(p.Attempts), soft(deref(p.Error)),
		})
	}
	view.Tables = []table{list}
	command := "trunkline inbox list"
	if state != "" && state != "bad" {
		command += " --state " + state
	}
	if b.Source != "" {
		command += " --source " + shellWord(b.Source)
	}
	view.Commands = []string{command}
	return s.render(w, http.StatusOK, "list", view)
}

func (s *Site) post(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	ctx, cancel := query(r)
	defer cancel()
	p, err := s.cfg.Lists.InboxPost(ctx, id)
	if err != nil {
		return err
	}
	view := detailView{layout: s.layout(r, "Post", "inbox"), Lead: "A post of " + p.Source, State: stateCell(p.State)}
	view.Done, view.Failed = outcome(r)
	duplicate := cell{}
	if p.DuplicateOf != nil {
		duplicate = idLink(p.DuplicateOf.String(), "/ui/inbox/"+p.DuplicateOf.String())
	}
	facts := cell{}
	if p.Facts != nil {
		facts = count(*p.Facts)
	}
	view.Facts = some(
		fact{"Post", code(p.ID.String())}, fact{"Received", at(p.ReceivedAt)}, fact{"Settled", at(derefTime(p.SettledAt))}, fact{"Method", text(p.Method)},
		fact{"Content type", text(p.ContentType)}, fact{"Event in the path", text(p.EventPath)}, fact{"Bytes", count(p.Bytes)}, fact{"Facts", facts},
		fact{"Tries", count(p.Attempts)}, fact{"Repeats", duplicate}, fact{"Error", text(deref(p.Error))},
	)
	if len(p.Body) > 0 {
		view.Blocks = []block{{"What it looks like, letters and digits masked", vendorapi.Masked(p.Body)}}
	}
	view.Buttons = []button{{Action: "/ui/inbox/" + id.String() + "/replay", Label: "Read it again"}}
	view.Commands = []string{"trunkline inbox show " + id.String(), "trunkline inbox replay " + id.String()}
	return s.render(w, http.StatusOK, "detail", view)
}

func (s *Site) replayPost(w http.ResponseWriter, r *http.Request) error {
	id, err := pathID(r)
	if err != nil {
		return err
	}
	if r.PathValue("action") != "replay" {
		return store.ErrNotFound
	}
	ctx, cancel := query(r)
	defer cancel()
	read, err := s.cfg.Actions.ReplayPost(ctx, id)
	if err != nil {
		return err
	}
	done := "handed"
	if read {
		done = "read"
	}
	return s.back(w, r, "/ui/inbox/"+id.String(), done)
}
