package sandbox

import (
	"fmt"
	"net/http"
	"net/mail"
	"slices"
	"strconv"
	"strings"
)

func (l *LendWorks) createLead(in *inbound) reply { return l.writeLead(in, "") }

func (l *LendWorks) updateLead(in *inbound) reply { return l.writeLead(in, in.PathValue("id")) }

func (l *LendWorks) writeLead(in *inbound, id string) reply {
	body, ok := in.object()
	if !ok {
		return lendworksError(http.StatusBadRequest, "BAD_REQUEST", nil)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	at, found := l.byID[id]
	if id != "" && !found {
		return lendworksError(http.StatusNotFound, "NOT_FOUND", nil)
	}
	if wrong := wrongLeadFields(body, id == ""); len(wrong) > 0 {
		for _, name := range wrong {
			in.violate(fmt.Sprintf("lead field %.40s is not valid", name))
		}
		return lendworksError(http.StatusUnprocessableEntity, "VALIDATION_ERROR", wrong)
	}
	if id == "" {
		return oneObject(http.StatusCreated, l.add(body, true).object())
	}
	l.change(at, body)
	return oneObject(http.StatusOK, l.leads[at].object())
}

// wrongLeadFields names the fields that the contract refuses (section 7.2).
func wrongLeadFields(body map[string]any, create bool) []string {
	limits := map[string]int{"businessName": 255, "contactFirstName": 100, "contactLastName": 100, "email": 254, "phone": 20, "industry": 100}
	enums := map[string][]string{
		"source": {"manual", "csv_import", "api", "web_form", "referral", "dialer"}, "priority": {"low", "normal", "high", "urgent"},
	}
	var wrong []string
	for name, value := range body {
		text, isText := value.(string)
		limit, limited := limits[name]
		_, isObject := value.(map[string]any)
		_, isList := value.([]any)
		good := false
		switch {
		case value == nil:
			// Whether null clears is not documented; here it does, where there is something to clear.
			good = !create && (limited || name == "monthlyRevenue" || name == "requestedAmount")
		case limited:
			good = isText && text != "" && len([]rune(text)) <= limit && !strings.ContainsAny(text, "<>")
			if _, err := mail.ParseAddress(text); name == "email" && err != nil {
				good = false
			}
		case enums[name] != nil:
			good = slices.Contains(enums[name], text) && (create || name != "source")
		case name == "monthlyRevenue" || name == "requestedAmount":
			good = isText && money.MatchString(text)
		case name == "tags":
			good = isList
		case name == "customFields":
			good = isObject
		case name == "stageId" || name == "assignToAdvisorId" || name == "contactId":
			good = create && userID.MatchString(text)
		}
		if !good {
			wrong = append(wrong, name)
		}
	}
	slices.Sort(wrong)
	return wrong
}

func (l *LendWorks) getLead(in *inbound) reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.byID[in.PathValue("id")]
	if !ok {
		return lendworksError(http.StatusNotFound, "NOT_FOUND", nil)
	}
	return oneObject(http.StatusOK, l.leads[at].object())
}

// listLeads is a page, newest created first; of one moment the last made comes first.
func (l *LendWorks) listLeads(in *inbound) reply {
	number := func(name string, fallback, most int) int {
		n, err := strconv.Atoi(in.query.Get(name))
		if err != nil || n < 1 {
			if in.query.Get(name) != "" {
				in.violate(name + " is not a number above zero")
			}
			return fallback
		}
		return min(n, most)
	}
	for name := range in.query {
		if !slices.Contains([]string{"page", "limit", "search"}, name) {
			in.violate(fmt.Sprintf("unknown parameter %.40s", name))
		}
	}
	page, limit := number("page", 1, 1<<30), number("limit", 20, 100)
	l.mu.Lock()
	defer l.mu.Unlock()
	var hits []map[string]any
	for _, lead := range slices.Backward(l.leads) {
		if search := in.query.Get("search"); search == "" || lead.matches(search) {
			hits = append(hits, lead.object())
		}
	}
	from := min((page-1)*limit, len(hits))
	to := min(from+limit, len(hits))
	data := append([]map[string]any{}, hits[from:to]...)
	out := jsonReply(http.StatusOK, map[string]any{
		"data": data,
		"meta": map[string]any{"total": len(hits), "page": page, "limit": limit, "hasMore": to < len(hits), "requestId": "req_sandbox"},
	})
	out.rows = len(data)
	return out
}
