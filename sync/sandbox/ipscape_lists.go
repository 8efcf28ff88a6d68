package sandbox

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (v *IPSCAPE) listActivities(in *inbound) reply {
	return listPage(v, in, listSpec[Activity]{
		path: "/v3.0/activities", rows: &v.activities, end: endNull,
		allowed: []string{"createdTimestampFrom", "createdTimestampTo", "campaignId", "leadId", "activityType"},
		match: func(f *filters, a *Activity) bool {
			return f.within(a.Created) && same(f.campaignID, a.CampaignID) && same(f.leadID, a.LeadID) && same(f.activityType, a.Type)
		},
		render: v.renderActivity,
	})
}

func (v *IPSCAPE) getActivity(in *inbound) reply {
	now := v.box.now()
	return single(v, in, &v.activities, func(a *Activity) bool { return !a.Created.After(now) }, v.renderActivity)
}

func (v *IPSCAPE) listLeads(in *inbound) reply {
	return listPage(v, in, listSpec[Lead]{
		path: "/v3.0/leads", rows: &v.leads, end: endAbsent, previous: true,
		allowed: []string{"uploadedTimestampFrom", "uploadedTimestampTo", "campaignId", "listId", "statusCode", "customerKey", "phone1"},
		match: func(f *filters, l *Lead) bool {
			return f.within(l.Created) && same(f.campaignID, l.CampaignID) && same(f.listID, l.ListID) &&
				same(f.statusCode, int64(l.LastStatusCode)) && same(f.customerKey, l.CustomerKey) &&
				(f.phone == "" || (len(l.Phones) > 0 && l.Phones[0] == f.phone))
		},
		render: v.renderLead,
	})
}

func (v *IPSCAPE) getLead(in *inbound) reply {
	now := v.box.now()
	return single(v, in, &v.leads, func(l *Lead) bool { return !l.Created.After(now) }, v.renderLead)
}

func (v *IPSCAPE) listAttempts(in *inbound) reply {
	return listPage(v, in, listSpec[DialAttempt]{
		path: "/v3.0/calls/dialler", rows: &v.attempts, end: endNoMetadata,
		allowed: []string{"dialledTimestampFrom", "dialledTimestampTo", "campaignId", "leadId"},
		match: func(f *filters, d *DialAttempt) bool {
			return f.within(d.Dialled) && same(f.campaignID, d.CampaignID) && same(f.leadID, d.LeadID)
		},
		render: v.renderAttempt,
	})
}

func (v *IPSCAPE) getAttempt(in *inbound) reply {
	now := v.box.now()
	return single(v, in, &v.attempts, func(d *DialAttempt) bool { return !d.Dialled.After(now) }, v.renderAttempt)
}

func (v *IPSCAPE) listLeadLists(in *inbound) reply {
	return listPage(v, in, listSpec[LeadList]{
		path: "/v3.0/leads/lists", rows: &v.lists, end: endEmpty, previous: true, allowed: []string{"campaignId"},
		match:  func(f *filters, l *LeadList) bool { return same(f.campaignID, l.CampaignID) },
		render: v.renderLeadList,
	})
}

func (v *IPSCAPE) getLeadList(in *inbound) reply {
	return single(v, in, &v.lists, func(*LeadList) bool { return true }, v.renderLeadList)
}

func (v *IPSCAPE) listUsers(in *inbound) reply {
	return listPage(v, in, listSpec[User]{
		path: "/v3.0/users", rows: &v.users, end: endNull, previous: true, allowed: []string{"userType", "accountActive"},
		match:  func(f *filters, u *User) bool { return same(f.userType, u.Type) && f.active(u.Active) },
		render: v.renderUser,
	})
}

// listCampaigns answers in the page shape that only this list has (contract section 5.2).
func (v *IPSCAPE) listCampaigns(in *inbound) reply {
	in.note(in.query)
	for name := range in.query {
		if !slices.Contains([]string{"cursor", "campaignId", "campaignType", "pageNo"}, name) {
			in.violate("unknown parameter " + name)
		}
	}
	where, err := parseFilters(in.query)
	if err != nil {
		in.violate(err.Error())
		return badRequest(err.Error())
	}
	page, ok := number(in.query.Get("pageNo"))
	if !ok || page < 0 {
		return badRequest("pageNo is not a page number")
	}
	kind := in.query.Get("campaignType")
	v.mu.Lock()
	defer v.mu.Unlock()
	rows, skip := []json.RawMessage{}, page*v.perPage
	for i := range v.campaigns.rows {
		c := &v.campaigns.rows[i]
		if !same(where.campaignID, c.ID) || (kind != "" && !strings.EqualFold(kind, c.Type)) {
			continue
		}
		if skip > 0 {
			skip--
			continue
		}
		if len(rows) == v.perPage {
			break
		}
		rows = append(rows, v.renderCampaign(c))
	}
	out := jsonReply(http.StatusOK, map[string]any{"pageNo": page, "inPage": len(rows), "perPage": v.perPage, "data": rows})
	out.rows = len(rows)
	return out
}

func (v *IPSCAPE) outboundInfo(in *inbound) reply {
	id := pathID(in)
	v.mu.Lock()
	defer v.mu.Unlock()
	c, found := v.campaigns.get(id)
	if !found || c.Type != "Outbound" {
		return notFound()
	}
	lists := []json.RawMessage{}
	for i := range v.lists.rows {
		if v.lists.rows[i].CampaignID == id {
			lists = append(lists, v.renderLeadList(&v.lists.rows[i]))
		}
	}
	return jsonReply(http.StatusOK, map[string]any{
		"campaignId": c.ID, "campaignName": c.Title, "agents": agentCounts(c.ID), "isActive": c.Running,
		"createdDate": v.colon(c.Created), "lastUpdated": v.colon(c.Modified), "lists": lists,
		"timestamp": v.colon(v.box.now()), "timezone": c.Timezone,
	})
}

func (v *IPSCAPE) inboundStatistics(in *inbound) reply {
	id := pathID(in)
	in.note(in.query)
	hours := 1
	switch in.query.Get("period") {
	case "", "hour":
	case "day":
		hours = 24
	default:
		in.violate("period is neither hour nor day")
		return badRequest("period is neither hour nor day")
	}
	now := v.box.now()
	v.mu.Lock()
	defer v.mu.Unlock()
	c, found := v.campaigns.get(id)
	if !found || c.Type != "Inbound" {
		return notFound()
	}
	received := 0
	for i := range v.activities.rows {
		a := &v.activities.rows[i]
		if a.CampaignID == id && !a.Created.After(now) && now.Sub(a.Created) <= time.Duration(hours)*time.Hour {
			received++
		}
	}
	return jsonReply(http.StatusOK, map[string]any{
		"campaignId": c.ID, "campaignName": c.Title, "agents": agentCounts(c.ID), "callsWaiting": received % 3,
		"maxCallWaitingTime": 95, "averageWaitingTime": 22, "estimatedCallWaitingTime": 30,
		"callsReceived": received, "callsAbandonedInWorkflow": received / 20, "callsAbandonedInQueue": received / 10,
		"timestamp": v.colon(now), "timezone": c.Timezone,
	})
}

// agentCounts do not add up, as in the vendor's own sample.
func agentCounts(campaign int64) map[string]int64 {
	return map[string]int64{"assigned": 8, "available": campaign % 4, "busy": 2, "paused": 1}
}

func (v *IPSCAPE) getMedia(in *inbound) reply {
	id := pathID(in)
	v.mu.Lock()
	defer v.mu.Unlock()
	a, found := v.activities.get(v.media[id])
	if !found {
		return notFound()
	}
	all := slices.Clone(a.Voicemails)
	if a.Recording != nil {
		all = append(all, *a.Recording)
	}
	for _, m := range all {
		if m.MediaID == id && v.audioType != "" {
			return reply{status: http.StatusOK, header: http.Header{"Content-Type": {v.audioType}}, body: slices.Clone(v.audio)}
		}
		if m.MediaID == id {
			return jsonReply(http.StatusOK, v.renderMedia(m))
		}
	}
	return notFound()
}
