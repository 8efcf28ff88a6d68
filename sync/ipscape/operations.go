package ipscape

import (
	"net/http"
	"slices"
)

// The operations, as they are named in Config.Paths, logs, metrics and errors.
const (
	OpListActivities      = "list_activities"
	OpGetActivity         = "get_activity"
	OpListCampaigns       = "list_campaigns"
	OpOutboundInfo        = "outbound_campaign_info"
	OpInboundStatistics   = "inbound_campaign_statistics"
	OpGetMedia            = "get_media"
	OpGetLead             = "get_lead"
	OpUpdateLead          = "update_lead"
	OpBulkCreateLeads     = "bulk_create_leads"
	OpListLeadLists       = "list_lead_lists"
	OpCreateLeadList      = "create_lead_list"
	OpGetLeadList         = "get_lead_list"
	OpListLeads           = "list_leads"
	OpCreateLead          = "create_lead"
	OpRemovePersonalData  = "remove_personal_data"
	OpListUsers           = "list_users"
	OpUpdatePresence      = "update_agent_presence"
	OpListDiallerAttempts = "list_dialler_attempts"
	OpGetDiallerAttempt   = "get_dialler_attempt"
	OpSetRecording        = "set_call_recording"
)

// Place says where a parameter travels.
type Place string

// The places of parameters.
const (
	InPath  Place = "path"
	InQuery Place = "query"
	InBody  Place = "body"
)

// ValueType says how a parameter's text is read.
type ValueType string

// The types of parameters, as an operator writes their values.
const (
	Integer ValueType = "integer"
	Text    ValueType = "text"
	Boolean ValueType = "boolean" // true or false
	Instant ValueType = "time"    // RFC 3339 with an offset
	Object  ValueType = "object"  // a JSON object
	Leads   ValueType = "leads"   // a JSON array of objects with the parameters of create_lead
)

// Param is one parameter of an operation, by the vendor's name.
type Param struct {
	Name     string
	In       Place
	Type     ValueType
	Required bool
	// Values are the only ones allowed, if there are any.
	Values []string
	Help   string
}

// Operation describes one operation of the vendor (contracts/ipscape.md section 3).
type Operation struct {
	Name    string
	Summary string
	// Method and Path are the defaults; Config.Methods and Config.Paths override them.
	Method string
	Path   string
	// Guessed marks a path that the vendor does not show.
	Guessed bool
	// Writes marks an operation with an effect at the vendor: it is refused unless Config.Writes is set.
	Writes bool
	// Irreversible marks what cannot be undone at the vendor.
	Irreversible bool
	// Rings marks what may have a person called.
	Rings  bool
	Params []Param
}

// Param finds a parameter by its name.
func (o *Operation) Param(name string) (Param, bool) {
	i := slices.IndexFunc(o.Params, func(p Param) bool { return p.Name == name })
	if i < 0 {
		return Param{}, false
	}
	return o.Params[i], true
}

// Operations returns the names of the 20 operations in the order of the contract; they are the keys of Config.Paths.
func Operations() []string {
	ops := Catalogue()
	names := make([]string, len(ops))
	for i, op := range ops {
		names[i] = op.Name
	}
	return names
}

// Describe returns the operation of that name.
func Describe(name string) (Operation, bool) {
	ops := Catalogue()
	i := slices.IndexFunc(ops, func(o Operation) bool { return o.Name == name })
	if i < 0 {
		return Operation{}, false
	}
	return ops[i], true
}

// Catalogue returns all 20 operations in the order of the contract.
func Catalogue() []Operation {
	return []Operation{
		{
			Name: OpListActivities, Summary: "one page of activities, by time of creation", Method: http.MethodGet, Path: "/v3.0/activities",
			Params: params(cursor(), between("created"), number64("campaignId", "leadId"), words("activityType")),
		},
		{Name: OpGetActivity, Summary: "one activity", Method: http.MethodGet, Path: "/v3.0/activities/{activityId}", Params: params(id("activityId"))},
		{
			Name: OpListCampaigns, Summary: "one page of campaigns", Method: http.MethodGet, Path: "/v3.0/campaigns", Guessed: true,
			Params: params(cursor(), number64("campaignId"), words("campaignType"), []Param{{Name: pageParam, In: InQuery, Type: Integer, Help: "page, sent by the configured name"}}),
		},
		{Name: OpOutboundInfo, Summary: "an outbound campaign as it is now", Method: http.MethodGet, Path: "/v3.0/campaigns/outbound/{campaignId}", Guessed: true, Params: params(id("campaignId"))},
		{
			Name: OpInboundStatistics, Summary: "an inbound campaign's queue as it is now", Method: http.MethodGet, Path: "/v3.0/campaigns/inbound/{campaignId}", Guessed: true,
			Params: params(id("campaignId"), []Param{{Name: "period", In: InQuery, Type: Text, Values: []string{PeriodHour, PeriodDay}, Help: "what is counted; hour unless told"}}),
		},
		{Name: OpGetMedia, Summary: "what is known of a recording or voicemail", Method: http.MethodGet, Path: "/v3.0/media/{mediaId}", Params: params(id("mediaId"))},
		{Name: OpGetLead, Summary: "one lead", Method: http.MethodGet, Path: "/v3.0/leads/{leadId}", Params: params(id("leadId"))},
		{
			Name: OpUpdateLead, Summary: "change some of a lead; null clears", Method: http.MethodPut, Path: "/v3.0/leads/{leadId}", Writes: true,
			Params: params(id("leadId"), body(Integer, "listId", "statusCode", "agentId"), body(Text, "customerKey", "timezone", "phone1", "phone2", "phone3"),
				[]Param{
					{Name: "isCompleted", In: InBody, Type: Boolean, Values: []string{"true"}, Help: "a lead cannot be un-completed"},
					{Name: "leadData", In: InBody, Type: Object, Help: "merged into the lead's fields"},
				}, body(Instant, "nextAttemptTimestamp")),
		},
		{
			Name: OpBulkCreateLeads, Summary: "create many leads, in parts", Method: http.MethodPost, Path: "/v3.0/leads/bulk", Guessed: true, Writes: true, Rings: true,
			Params: []Param{{Name: "leads", In: InBody, Type: Leads, Required: true, Help: "each with listId and customerKey"}},
		},
		{Name: OpListLeadLists, Summary: "one page of lead lists", Method: http.MethodGet, Path: "/v3.0/leads/lists", Params: params(cursor(), number64("campaignId"))},
		{
			Name: OpCreateLeadList, Summary: "create a lead list", Method: http.MethodPost, Path: "/v3.0/leads/lists", Writes: true,
			Params: required(body(Text, "listName"), body(Integer, "campaignId")),
		},
		{Name: OpGetLeadList, Summary: "one lead list", Method: http.MethodGet, Path: "/v3.0/leads/lists/{listId}", Params: params(id("listId"))},
		{
			Name: OpListLeads, Summary: "one page of leads, by time of upload", Method: http.MethodGet, Path: "/v3.0/leads",
			Params: params(cursor(), between("uploaded"), number64("campaignId", "listId", "statusCode"), words("customerKey"),
				[]Param{{Name: "phone1", In: InQuery, Type: Text, Help: "E.164"}}),
		},
		{
			Name: OpCreateLead, Summary: "create a lead, once for a customerKey in a list", Method: http.MethodPost, Path: "/v3.0/leads", Writes: true, Rings: true,
			Params: params(required(body(Integer, "listId")), body(Text, "customerKey", "timezone", "phone1", "phone2", "phone3"),
				body(Instant, "nextAttemptTimestamp"), body(Object, "leadData"), body(Integer, "statusCode", "agentId")),
		},
		{
			Name: OpRemovePersonalData, Summary: "erase somebody's data", Method: http.MethodDelete, Path: "/v3.0/personal-data", Guessed: true, Writes: true, Irreversible: true,
			Params: params(words("phoneNumber", "emailAddress")),
		},
		{
			Name: OpListUsers, Summary: "one page of users", Method: http.MethodGet, Path: "/v3.0/users", Guessed: true,
			Params: params(cursor(), []Param{
				{Name: "userType", In: InQuery, Type: Text, Values: []string{"agent", "user"}}, {Name: "accountActive", In: InQuery, Type: Boolean},
			}),
		},
		{
			Name: OpUpdatePresence, Summary: "make an agent available or not", Method: http.MethodPut, Path: "/v3.0/agents/presence", Guessed: true, Writes: true,
			Params: required(body(Integer, "agentId"), body(Boolean, "available")),
		},
		{
			Name: OpListDiallerAttempts, Summary: "one page of dial attempts, by time of the dial", Method: http.MethodGet, Path: "/v3.0/calls/dialler",
			Params: params(cursor(), between("dialled"), number64("campaignId", "leadId")),
		},
		{Name: OpGetDiallerAttempt, Summary: "one dial attempt", Method: http.MethodGet, Path: "/v3.0/calls/dialler/{attemptId}", Params: params(id("attemptId"))},
		{
			Name: OpSetRecording, Summary: "start or pause the recording of an agent's call", Method: http.MethodPut, Path: "/v3.0/calls/recording", Guessed: true, Writes: true,
			Params: required(body(Integer, "agentId"), body(Boolean, "recording")),
		},
	}
}

func params(groups ...[]Param) []Param { return slices.Concat(groups...) }

func required(groups ...[]Param) []Param {
	all := slices.Concat(groups...)
	for i := range all {
		all[i].Required = true
	}
	return all
}

func body(kind ValueType, names ...string) []Param { return each(InBody, kind, names) }

func number64(names ...string) []Param { return each(InQuery, Integer, names) }

func words(names ...string) []Param { return each(InQuery, Text, names) }

func each(in Place, kind ValueType, names []string) []Param {
	all := make([]Param, len(names))
	for i, name := range names {
		all[i] = Param{Name: name, In: in, Type: kind}
	}
	return all
}

func id(name string) []Param { return required(each(InPath, Integer, []string{name})) }

func cursor() []Param {
	return []Param{{Name: "cursor", In: InQuery, Type: Text, Help: "the cursor in an answer's nextUri"}}
}

// between are a list's bounds on its time, both inclusive.
func between(what string) []Param {
	return each(InQuery, Instant, []string{what + "TimestampFrom", what + "TimestampTo"})
}
