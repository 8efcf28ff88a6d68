package dialedin

import (
	"strings"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// operation is one kind of request (contracts/dialedin.md sections 4 to 7).
type operation struct {
	name  string
	group Group
	// action is the Action parameter; the scripts of leads to insert and update have none.
	action string
	// effect is what it does at the vendor; anything but Reads is a push.
	effect vendorapi.Effect
	// repeatable marks a push that may be repeated without harm (law 5): a cut then calls for another try.
	repeatable bool
	summary    string
	aliases    []string
	params     []vendorapi.Param
	// further says what arguments are fields of the lead.
	further string
	note    string
}

// Operations that the program runs by itself, too.
const (
	nameInsert    = "InsertLead"
	nameUpdate    = "UpdateLead"
	nameSearch    = "SearchLead"
	nameInsertDNC = "InsertDnc"
)

// zoneParam is ours: it says how to read CallbackDate and is not sent.
const zoneParam = "customerTimezone"

// callback are the parameters that have an agent call the customer back.
func callback() []vendorapi.Param {
	return []vendorapi.Param{
		{Name: "CallbackAgent", Type: "text", Help: "login of the agent who is to call back"},
		{Name: "CallbackDate", Type: "time", Help: "when: RFC 3339 with an offset, or MM/dd/yyyy HH:mm:ss by the customer's own clock"},
		{Name: "CallbackNotes", Type: "text"},
		{Name: zoneParam, Type: "text", Help: "IANA zone of the customer, such as America/New_York; not sent. Found by the phone's area where that has one zone"},
	}
}

func leadFields() []vendorapi.Param {
	names := []string{"FirstName", "LastName", "Address", "City", "State", "ZipCode", "Rep", "CallStatus", "Notes"}
	return each("text", false, names...)
}

const anyField = "any field of the lead; a custom one by its own name or as adv_NAME"

func each(kind string, required bool, names ...string) []vendorapi.Param {
	list := make([]vendorapi.Param, len(names))
	for i, name := range names {
		list[i] = vendorapi.Param{Name: name, Type: kind, Required: required}
	}
	return list
}

func join(groups ...[]vendorapi.Param) []vendorapi.Param {
	var all []vendorapi.Param
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}

func must(names ...string) []vendorapi.Param { return each("text", true, names...) }

func phone(name, help string) []vendorapi.Param {
	return []vendorapi.Param{{Name: name, Type: "phone", Required: true, Help: help}}
}

func flags(names ...string) []vendorapi.Param {
	list := each("choice", false, names...)
	for i := range list {
		list[i].Values = []string{"0", "1"}
	}
	return list
}

// operations are all that the contract lists.
func operations() []operation {
	search := []vendorapi.Param{
		{Name: "SearchField", Type: "choice", Required: true, Values: []string{"ClientId", "LeadId", "Phone"}},
		{Name: "Identifier", Type: "text", Required: true, Help: "what to look for"},
	}
	perform := func(action string, effect vendorapi.Effect, summary string) operation {
		return operation{name: action, action: action, effect: effect, summary: summary}
	}
	list := []operation{
		{
			name: nameInsert, group: GroupInsert, effect: vendorapi.Rings, summary: "insert a lead, which may be dialled at once; DIALEDIN_DIAL decides unless ImportOnly is given",
			params: join(phone("PrimaryPhone", "ten digits or +1…"), must("ClientId"),
				[]vendorapi.Param{
					{Name: "Campaign", Type: "text", Help: "DIALEDIN_CAMPAIGN unless given; must exist"},
					{Name: "Subcampaign", Type: "text"},
					{Name: "ImportOnly", Type: "choice", Values: []string{"0", "1"}, Help: "1 imports without dialling"},
					{Name: "timezone", Type: "choice", Values: []string{"0", "1"}, Help: "1 has DialedIn check calling hours"},
					{Name: "DuplicatesCheck", Type: "choice", Values: []string{"0", "2", "3"}, Help: "0 same campaign, 2 all campaigns, 3 same sub-campaign"},
					{Name: "AllowDialingDups", Type: "choice", Values: []string{"0"}, Help: "always 0: nobody is called twice"},
					{Name: "DialNonCallables", Type: "choice", Values: []string{"0"}, Help: "always 0: nobody is called who asked not to be"},
				}, callback(), leadFields()),
			further: anyField,
		},
		{
			name: nameUpdate, group: GroupUpdate, effect: vendorapi.Writes, repeatable: true, summary: "set fields of a lead, or have an agent call back",
			params: join(search, callback(), leadFields()), further: anyField,
		},
		{
			name: nameSearch, group: GroupLead, action: nameSearch, effect: vendorapi.Reads, summary: "whether a lead exists; with Detailed=1 all its fields",
			params: join(search, flags("Detailed"), each("text", false, "Campaign", "Subcampaign")),
		},
		{
			name: nameInsertDNC, group: GroupLead, action: nameInsertDNC, effect: vendorapi.Writes, repeatable: true,
			summary: "put a number on the do-not-call table and mark its leads", params: phone("Number", ""),
		},
		{
			name: "DeleteDnc", group: GroupLead, action: "DeleteDnc", effect: vendorapi.Deletes, repeatable: true,
			summary: "take a number off the do-not-call table; leads that are marked stay marked", params: phone("Number", ""),
		},
		{
			name: "SendSms", group: GroupText, action: "SendSms", effect: vendorapi.Rings, summary: "send a text message",
			params: join(phone("From", "one of the account's own numbers"), phone("To", ""), must("Message"), each("text", false, "Agent", "LeadId")),
		},
		{
			name: "AvailableInboundAgents", group: GroupCall, action: "AvailableInboundAgents", effect: vendorapi.Reads, summary: "agents who could take a call now",
			params: join(phone("DID", "number of the ring group"), []vendorapi.Param{{Name: "CallId", Type: "phone", Help: "number of the caller"}},
				flags("CanBeOnCall", "CanBeOnBreak", "CanDoWrapUp")),
		},
		{
			name: "ConferenceCall", group: GroupCall, action: "ConferenceCall", effect: vendorapi.Rings, summary: "call a number into an agent's conference",
			params: join(must("Agent"), phone("Phone", ""), flags("PrivateConference")),
		},
	}
	for _, op := range []operation{
		perform("CreateList", vendorapi.Writes, "create a dial list of an agent"),
		perform("DeleteList", vendorapi.Deletes, "delete a dial list of an agent"),
		perform("AddPhone", vendorapi.Rings, "add a number to an agent's dial list"),
		perform("DeletePhone", vendorapi.Deletes, "take a number off an agent's dial list"),
		perform("PhoneDialed", vendorapi.Writes, "mark a number of a dial list as dialled"),
		perform("PhoneUnDialed", vendorapi.Rings, "mark a number of a dial list as not dialled"),
	} {
		op.group, op.params = GroupAgentDialList, must("Agent", "List")
		if strings.Contains(op.name, "Phone") {
			op.params = append(op.params, phone("Phone", "")...)
		}
		// Lists are made once; a number is on a list once, and marks are marks.
		op.repeatable = op.name != "CreateList"
		list = append(list, op)
	}
	for _, op := range []operation{
		perform("EnableFilter", vendorapi.Writes, "enable a filter of a playlist"),
		perform("DisableFilter", vendorapi.Writes, "disable a filter of a playlist"),
		perform("AssignFilter", vendorapi.Writes, "assign a filter to a playlist"),
		perform("RemoveFilter", vendorapi.Deletes, "remove a filter from a playlist"),
	} {
		op.group, op.params, op.repeatable = GroupPlaylist, must("Playlist", "Filter"), true
		list = append(list, op)
	}
	return append(list,
		operation{
			name: "ReloadPlaylist", aliases: []string{"playlist reload"}, group: GroupPlaylist, action: "Reload", effect: vendorapi.Writes, repeatable: true,
			summary: "apply changes of a playlist and reload its leads (Reload with a Playlist)", params: must("Playlist"),
		},
		operation{
			name: "UpdatePriority", group: GroupSkillList, action: "UpdatePriority", effect: vendorapi.Writes, repeatable: true,
			summary: "set a skill's priority for a source, or create it",
			params: join(must("Skill", "Source"), each("integer", false, "Priority"), []vendorapi.Param{
				{Name: "Delay", Type: "integer", Help: "seconds"}, {Name: "Active", Type: "choice", Values: []string{"0", "1"}},
			}),
		},
		operation{
			name: "ReloadSkills", aliases: []string{"Reload", "skill reload", "reload skill"}, group: GroupSkillList, action: "Reload", effect: vendorapi.Writes, repeatable: true,
			summary: "apply changes of skills and reload the queues (Reload without a Playlist)",
		},
	)
}

// operationNamed returns the operation of exactly that name.
func operationNamed(name string) (operation, bool) {
	for _, op := range operations() {
		if op.name == name {
			return op, true
		}
	}
	return operation{}, false
}

// Described returns all operations as an operator may ask for them; Call runs them by these names.
func Described() []vendorapi.Operation {
	var list []vendorapi.Operation
	for _, op := range operations() {
		d := vendorapi.Operation{
			Name: op.name, Aliases: op.aliases, Summary: op.summary, Effect: op.effect, Params: op.params, Further: op.further, Note: op.note,
		}
		if defaultScripts()[op.group] == "" {
			d.Note = "its script is nowhere documented; it runs only with " + scriptVariable(op.group) + ", probably " + likelyScripts()[op.group]
		}
		list = append(list, d)
	}
	return list
}

// likelyScripts are the names that the contract supposes (section 2). They are for people to try.
func likelyScripts() map[Group]string {
	return map[Group]string{
		GroupText: "TextOperations.php", GroupCall: "CallOperations.php", GroupAgentDialList: "AgentDialListOperations.php",
		GroupPlaylist: "PlaylistOperations.php", GroupSkillList: "SkillListOperations.php",
	}
}

func scriptVariable(group Group) string { return "DIALEDIN_SCRIPT_" + strings.ToUpper(string(group)) }

// MissingScript names the variable without which the operation of that name refuses to run; it is empty where nothing is
// missing.
func (c *Config) MissingScript(name string) string {
	op, ok := operationNamed(name)
	if !ok || defaultScripts()[op.group] != "" || c.Scripts[op.group] != "" {
		return ""
	}
	return scriptVariable(op.group)
}
