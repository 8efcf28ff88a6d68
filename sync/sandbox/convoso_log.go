package sandbox

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const convosoLogPath = "/convoso/v1/log/retrieve"

// OpCallLog is the one request that Convoso answers.
const OpCallLog = "log_retrieve"

// LogEnv is the environment that lets a daemon read the call log too; without it a daemon lives on posts alone.
func (c *Convoso) LogEnv(baseURL string) map[string]string {
	return map[string]string{
		"CONVOSO_API_URL": strings.TrimRight(baseURL, "/") + convosoLogPath, "CONVOSO_AUTH_TOKEN": c.box.secrets.convosoToken, "CONVOSO_RATE": "1000",
	}
}

// SetLogPage sets how many calls the log gives in one answer at most; 500 unless set.
func (c *Convoso) SetLogPage(most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logPage = most
}

func (c *Convoso) routes(mux *http.ServeMux) {
	mux.Handle(convosoLogPath, c.box.serve(VendorConvoso, func(*inbound) string { return OpCallLog }, c.callLog))
}

// callLog answers the calls of a range of local time (contract section 7): the words of the call log, not those of a post.
func (c *Convoso) callLog(in *inbound) reply {
	form, err := url.ParseQuery(string(in.body))
	refuse := func(text string) reply {
		in.violate(text)
		return jsonReply(http.StatusOK, map[string]any{"success": false, "text": text})
	}
	zone, zoneErr := time.LoadLocation("America/Los_Angeles")
	if in.Method != http.MethodPost || err != nil || zoneErr != nil {
		return refuse("not a form that was posted")
	}
	if form.Get("auth_token") != c.box.secrets.convosoToken {
		return jsonReply(http.StatusUnauthorized, map[string]any{"success": false, "text": "No such auth token"})
	}
	from, fromErr := time.ParseInLocation("2006-01-02 15:04:05", form.Get("start_time"), zone)
	to, toErr := time.ParseInLocation("2006-01-02 15:04:05", form.Get("end_time"), zone)
	limit, limitErr := strconv.Atoi(form.Get("limit"))
	offset, offsetErr := strconv.Atoi(form.Get("offset"))
	switch {
	case fromErr != nil || toErr != nil || to.Before(from):
		return refuse("start_time or end_time is not valid")
	case limitErr != nil || limit < 1 || limit > 500:
		return refuse("limit is not from 1 to 500")
	case offsetErr != nil || offset < 0 || offset > 40_000:
		return refuse("offset is not from 0 to 40000")
	}
	c.mu.Lock()
	if c.logPage > 0 {
		limit = min(limit, c.logPage)
	}
	c.mu.Unlock()
	var hits []map[string]any
	for _, call := range c.loggedCalls(zone) {
		if !call.at.Before(from) && !call.at.After(to) {
			hits = append(hits, call.entry)
		}
	}
	results := append([]map[string]any{}, hits[min(offset, len(hits)):min(offset+limit, len(hits))]...)
	out := jsonReply(http.StatusOK, map[string]any{"success": true, "data": map[string]any{
		"offset": offset, "limit": limit, "total_found": strconv.Itoa(len(hits)), "entries": len(results), "results": results,
	}})
	out.rows = len(results)
	return out
}

type loggedCall struct {
	at    time.Time
	entry map[string]any
}

// loggedCalls are the calls of the whole plan, whether or not their posts were sent: as of their last disposition.
func (c *Convoso) loggedCalls(zone *time.Location) []loggedCall {
	var calls []loggedCall
	at := map[string]int{}
	for _, p := range c.posts {
		if p.CallID == "" || p.Event != EventDisposition && p.Event != EventDNC {
			continue
		}
		i, known := at[p.CallID]
		if !known {
			i = len(calls)
			at[p.CallID] = i
			calls = append(calls, loggedCall{})
		} else if p.At.Before(calls[i].at) {
			continue
		}
		calls[i] = loggedCall{at: p.At, entry: map[string]any{
			"id": p.CallID, "lead_id": p.LeadID, "campaign_id": "3475", "campaign": "Funding Q3", "status": p.Status, "status_name": nil, "call_length": "61",
			"number_dialed": strings.TrimPrefix(p.Phone, "+1"), "phone_number": strings.TrimPrefix(p.Phone, "+1"), "phone_code": "1", "call_type": "OUTBOUND",
			"term_reason": "AGENT", "call_date": p.At.In(zone).Format("2006-01-02 15:04:05"), "recording": []any{},
		}}
	}
	return calls
}
