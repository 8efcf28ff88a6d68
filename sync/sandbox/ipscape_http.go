package sandbox

import (
	"net/http"
	"strconv"
	"strings"
)

const (
	ipscapeMount  = "/ipscape"
	ipscapePrefix = "/platform-api"
)

// Operations of ipSCAPE, the contract's names (section 3) in snake case.
const (
	OpListActivities     = "list_activities"
	OpGetActivity        = "get_activity"
	OpListCampaigns      = "list_campaigns"
	OpOutboundInfo       = "outbound_campaign_info"
	OpInboundStatistics  = "inbound_campaign_statistics"
	OpGetMedia           = "get_media"
	OpGetLead            = "get_lead"
	OpListLeads          = "list_leads"
	OpListLeadLists      = "list_lead_lists"
	OpGetLeadList        = "get_lead_list"
	OpListUsers          = "list_users"
	OpListDialerAttempts = "list_dialler_attempts"
	OpGetDialerAttempt   = "get_dialler_attempt"
)

// opUnknown stands for a path or method the simulated vendor does not have.
const opUnknown = "unknown"

var (
	cursorLists = []string{OpListActivities, OpListLeads, OpListLeadLists, OpListUsers, OpListDialerAttempts}
	singleReads = []string{OpGetActivity, OpGetLead, OpGetLeadList, OpGetDialerAttempt}
)

func (v *IPSCAPE) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern, op string, act action) {
		mux.Handle(pattern, v.box.serve(VendorIPSCAPE, func(in *inbound) string {
			in.rec.ID = in.PathValue("id")
			return op
		}, v.authorised(act)))
	}
	handle("GET /v3.0/activities", OpListActivities, v.listActivities)
	handle("GET /v3.0/activities/{id}", OpGetActivity, v.getActivity)
	handle("GET /v3.0/campaigns", OpListCampaigns, v.listCampaigns)
	handle("GET /v3.0/campaigns/outbound/{id}", OpOutboundInfo, v.outboundInfo)
	handle("GET /v3.0/campaigns/inbound/{id}", OpInboundStatistics, v.inboundStatistics)
	handle("GET /v3.0/media/{id}", OpGetMedia, v.getMedia)
	handle("GET /v3.0/leads", OpListLeads, v.listLeads)
	handle("GET /v3.0/leads/{id}", OpGetLead, v.getLead)
	handle("GET /v3.0/leads/lists", OpListLeadLists, v.listLeadLists)
	handle("GET /v3.0/leads/lists/{id}", OpGetLeadList, v.getLeadList)
	handle("GET /v3.0/users", OpListUsers, v.listUsers)
	handle("GET /v3.0/calls/dialler", OpListDialerAttempts, v.listAttempts)
	handle("GET /v3.0/calls/dialler/{id}", OpGetDialerAttempt, v.getAttempt)
	handle("POST /v3.0/leads", OpCreateLead, v.createLead)
	handle("PUT /v3.0/leads/{id}", OpUpdateIPSCAPELead, v.updateLead)
	handle("POST /v3.0/leads/bulk", OpBulkCreateLeads, v.bulkCreateLeads)
	handle("POST /v3.0/leads/lists", OpCreateLeadList, v.createLeadList)
	handle("DELETE /v3.0/personal-data", OpRemovePersonalData, v.removePersonalData)
	handle("PUT /v3.0/agents/presence", OpUpdatePresence, v.updatePresence)
	handle("PUT /v3.0/calls/recording", OpSetRecording, v.setRecording)
	handle("/", opUnknown, func(*inbound) reply { return notFound() })

	// The mount is served with and without its prefix, since the vendor's samples show both.
	return http.StripPrefix(ipscapeMount, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, found := strings.CutPrefix(r.URL.Path, ipscapePrefix); found && strings.HasPrefix(rest, "/") {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = rest, ""
		}
		mux.ServeHTTP(w, r)
	}))
}

// authorised lets only bearers of the account's token through.
func (v *IPSCAPE) authorised(act action) action {
	return func(in *inbound) reply {
		if in.Header.Get("Authorization") != "Bearer "+v.box.secrets.ipscapeToken {
			return jsonReply(http.StatusUnauthorized, wireError{"unauthorised", "token missing or unknown"})
		}
		return act(in)
	}
}

// wireError is the simulated account's error body; the vendor documents none.
type wireError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func notFound() reply {
	return jsonReply(http.StatusNotFound, wireError{"not_found", "no such resource"})
}

func badRequest(text string) reply {
	return jsonReply(http.StatusBadRequest, wireError{"bad_request", text})
}

// pathID reads the id of a single read; anything but a number is a resource that does not exist.
func pathID(in *inbound) int64 {
	id, err := strconv.ParseInt(in.rec.ID, 10, 64)
	if err != nil {
		in.violate("id is not a number")
		return -1
	}
	return id
}
