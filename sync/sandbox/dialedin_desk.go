package sandbox

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Operations of DialedIn's desk: texts, calls, dial lists, playlists, skills. Their scripts are only assumed by the contract.
const (
	OpSendSMS         = "send_sms"
	OpAvailableAgents = "available_inbound_agents"
	OpConference      = "conference_call"
	OpDialList        = "agent_dial_list"
	OpPlaylist        = "playlist"
	OpSkill           = "skill_list"
)

// DialedInScripts are the simulator's names of the scripts that no document tells, by the setting's last part.
func DialedInScripts() map[string]string {
	return map[string]string{
		"TEXT": "TextOperations.php", "CALL": "CallOperations.php", "AGENT_DIAL_LIST": "AgentDialListOperations.php",
		"PLAYLIST": "PlaylistOperations.php", "SKILL_LIST": "SkillListOperations.php",
	}
}

// DialedInDesk is what the operations beside leads have changed.
type DialedInDesk struct {
	// Texts and Conferences are one line each, the parameters in order: what reached a person.
	Texts, Conferences []string
	// Lists are dial lists as "agent/list", with their numbers and whether each was dialled.
	Lists map[string]map[string]bool
	// Playlists are the filters assigned to each, and whether each is enabled; Reloads counts what was applied.
	Playlists map[string]map[string]bool
	// Priorities are "skill/source" with their parameters.
	Priorities map[string]string
	Reloads    map[string]int
}

func newDesk() DialedInDesk {
	return DialedInDesk{
		Lists: map[string]map[string]bool{}, Playlists: map[string]map[string]bool{"Hot": {}}, Priorities: map[string]string{}, Reloads: map[string]int{},
	}
}

// Desk is a copy of what the operations beside leads have changed.
func (d *DialedIn) Desk() DialedInDesk {
	d.mu.Lock()
	defer d.mu.Unlock()
	desk := DialedInDesk{
		Texts: slices.Clone(d.desk.Texts), Conferences: slices.Clone(d.desk.Conferences), Lists: map[string]map[string]bool{},
		Playlists: map[string]map[string]bool{}, Priorities: maps.Clone(d.desk.Priorities), Reloads: maps.Clone(d.desk.Reloads),
	}
	for name, numbers := range d.desk.Lists {
		desk.Lists[name] = maps.Clone(numbers)
	}
	for name, filters := range d.desk.Playlists {
		desk.Playlists[name] = maps.Clone(filters)
	}
	return desk
}

// deskAct changes the desk by one action and answers what the vendor would print after "Result: ".
type deskAct func(d *DialedIn, values url.Values) string

// deskAction is one documented action: the parameters that it requires, the others that it may have, and what it does.
type deskAction struct {
	op       string
	required []string
	optional []string
	act      deskAct
}

func deskActions() map[string]map[string]deskAction {
	list := []string{"Agent", "List"}
	number := append(slices.Clone(list), "Phone")
	filter := []string{"Playlist", "Filter"}
	return map[string]map[string]deskAction{
		"TEXT": {"SendSms": {OpSendSMS, []string{"From", "To", "Message"}, []string{"Agent", "LeadId"}, func(d *DialedIn, v url.Values) string {
			d.desk.Texts = append(d.desk.Texts, said(v, "From", "To", "Message", "Agent", "LeadId"))
			return "OK"
		}}},
		"CALL": {
			"AvailableInboundAgents": {OpAvailableAgents, []string{"DID"}, []string{"CallId", "CanBeOnCall", "CanBeOnBreak", "CanDoWrapUp"}, func(_ *DialedIn, v url.Values) string {
				free := 2
				for _, name := range []string{"CanBeOnCall", "CanBeOnBreak", "CanDoWrapUp"} {
					if v.Get(name) == "1" {
						free++
					}
				}
				return strconv.Itoa(free)
			}},
			"ConferenceCall": {OpConference, []string{"Agent", "Phone"}, []string{"PrivateConference"}, func(d *DialedIn, v url.Values) string {
				d.desk.Conferences = append(d.desk.Conferences, said(v, "Agent", "Phone", "PrivateConference"))
				return "OK"
			}},
		},
		"AGENT_DIAL_LIST": {
			"CreateList":    {OpDialList, list, nil, createList},
			"DeleteList":    {OpDialList, list, nil, onList(func(d *DialedIn, name string, _ string) { delete(d.desk.Lists, name) })},
			"AddPhone":      {OpDialList, number, nil, onList(func(d *DialedIn, name, phone string) { enlist(d.desk.Lists[name], phone) })},
			"DeletePhone":   {OpDialList, number, nil, onList(func(d *DialedIn, name, phone string) { delete(d.desk.Lists[name], phone) })},
			"PhoneDialed":   {OpDialList, number, nil, onList(func(d *DialedIn, name, phone string) { d.desk.Lists[name][phone] = true })},
			"PhoneUnDialed": {OpDialList, number, nil, onList(func(d *DialedIn, name, phone string) { d.desk.Lists[name][phone] = false })},
		},
		"PLAYLIST": {
			"AssignFilter":  {OpPlaylist, filter, nil, onPlaylist(enlist)},
			"RemoveFilter":  {OpPlaylist, filter, nil, onPlaylist(func(filters map[string]bool, name string) { delete(filters, name) })},
			"EnableFilter":  {OpPlaylist, filter, nil, onPlaylist(func(filters map[string]bool, name string) { filters[name] = true })},
			"DisableFilter": {OpPlaylist, filter, nil, onPlaylist(func(filters map[string]bool, name string) { filters[name] = false })},
			"Reload": {OpPlaylist, []string{"Playlist"}, nil, func(d *DialedIn, v url.Values) string {
				d.desk.Reloads["playlist "+v.Get("Playlist")]++
				return "OK"
			}},
		},
		"SKILL_LIST": {
			"UpdatePriority": {OpSkill, []string{"Skill", "Source"}, []string{"Priority", "Delay", "Active"}, func(d *DialedIn, v url.Values) string {
				d.desk.Priorities[v.Get("Skill")+"/"+v.Get("Source")] = said(v, "Priority", "Delay", "Active")
				return "OK"
			}},
			"Reload": {OpSkill, nil, nil, func(d *DialedIn, _ url.Values) string {
				d.desk.Reloads["skills"]++
				return "OK"
			}},
		},
	}
}

func said(v url.Values, names ...string) string {
	var parts []string
	for _, name := range names {
		if v.Has(name) {
			parts = append(parts, name+"="+v.Get(name))
		}
	}
	return strings.Join(parts, " ")
}

func createList(d *DialedIn, v url.Values) string {
	name := v.Get("Agent") + "/" + v.Get("List")
	if d.desk.Lists[name] != nil {
		return "List exists"
	}
	d.desk.Lists[name] = map[string]bool{}
	return "OK"
}

func onList(change func(d *DialedIn, list, phone string)) deskAct {
	return func(d *DialedIn, v url.Values) string {
		name := v.Get("Agent") + "/" + v.Get("List")
		if d.desk.Lists[name] == nil {
			return "List not found"
		}
		change(d, name, v.Get("Phone"))
		return "OK"
	}
}

func onPlaylist(change func(filters map[string]bool, filter string)) deskAct {
	return func(d *DialedIn, v url.Values) string {
		filters := d.desk.Playlists[v.Get("Playlist")]
		if filters == nil {
			return "Playlist not found"
		}
		change(filters, v.Get("Filter"))
		return "OK"
	}
}

// enlist adds what is not there yet.
func enlist(marks map[string]bool, name string) {
	if _, there := marks[name]; !there {
		marks[name] = false
	}
}

// deskRoutes serves the scripts of the desk.
func (d *DialedIn) deskRoutes(mux *http.ServeMux) {
	actions := deskActions()
	for group, script := range DialedInScripts() {
		op := func(in *inbound) string {
			if action, ok := actions[group][form(in).Get("Action")]; ok {
				return action.op
			}
			return opUnknown
		}
		mux.Handle(dialedinMount+script, d.box.serve(VendorDialedIn, op, d.checked(func(in *inbound, values url.Values) reply {
			action, ok := actions[group][values.Get("Action")]
			if !ok {
				in.violate("Action is missing or not documented")
				return result("Unknown action", 0)
			}
			return d.atDesk(in, action, values)
		})))
	}
}

func (d *DialedIn) atDesk(in *inbound, action deskAction, values url.Values) reply {
	known := append([]string{"token", "accid", "Action"}, append(action.required, action.optional...)...)
	for name := range values {
		if !slices.Contains(known, name) {
			in.violate("the action has no parameter " + name)
		}
	}
	for _, name := range action.required {
		if values.Get(name) == "" {
			in.violate("missing required parameter " + name)
			return result("Missing parameter", 0)
		}
	}
	for _, name := range []string{"From", "To", "Phone", "DID", "CallId"} {
		if values.Has(name) && !tenDigits.MatchString(values.Get(name)) {
			in.violate(name + " is not ten digits of a North American number")
			return result("CURL error[400]: Invalid phone number", 0)
		}
	}
	if in.faulty(FaultLyingOK) {
		return result("OK", 0)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	told := action.act(d, values)
	if in.faulty(FaultFrontTimeout) {
		return result("CURL error[28]: Operation timed out", 0)
	}
	return result(told, int64(len(told)))
}
