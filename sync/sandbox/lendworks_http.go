package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/mail"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const lendworksMount = "/lendworks"

// LendWorks' operations, as Request.Op and Fault.Op name them.
const (
	OpCreateLendWorksLead = "create_lead"
	OpUpdateLendWorksLead = "update_lead"
	OpGetLendWorksLead    = "get_lendworks_lead"
	OpListLendWorksLeads  = "list_lendworks_leads"
	OpPostEvent           = "post_event"
	OpPostPresence        = "post_presence"
	OpPostDisposition     = "post_disposition"
	OpListAgents          = "list_agents"
)

var (
	idempotencyKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
	userID         = regexp.MustCompile(`^[0-9A-Za-z]{8}(-[0-9A-Za-z]{4}){3}-[0-9A-Za-z]{12}$`)
	money          = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)
)

func (l *LendWorks) routes(mux *http.ServeMux) {
	handle := func(pattern, name string, act action) {
		method, path, _ := strings.Cut(pattern, " ")
		mux.Handle(method+" "+lendworksMount+path, l.box.serve(VendorLendWorks, func(*inbound) string { return name }, l.checked(act)))
	}
	handle("GET /v1/leads", OpListLendWorksLeads, l.listLeads)
	handle("GET /v1/leads/{id}", OpGetLendWorksLead, l.getLead)
	handle("POST /v1/leads", OpCreateLendWorksLead, l.once(l.createLead))
	handle("PATCH /v1/leads/{id}", OpUpdateLendWorksLead, l.once(l.updateLead))
	handle("POST /v1/dialer/events", OpPostEvent, l.once(l.postEvent))
	handle("POST /v1/dialer/disposition", OpPostDisposition, l.once(l.postDisposition))
	handle("POST /v1/dialer/presence", OpPostPresence, l.postPresence)
	handle("GET /v1/dialer/agents", OpListAgents, l.listAgents)
	mux.Handle(lendworksMount+"/", l.box.serve(VendorLendWorks, func(*inbound) string { return opUnknown }, func(in *inbound) reply {
		in.violate("unknown path or method")
		return lendworksError(http.StatusNotFound, "NOT_FOUND", nil)
	}))
}

// lendworksError is the contract's envelope; meta is left out, as documented samples do.
func lendworksError(status int, code string, fields []string) reply {
	type item struct {
		Code    string            `json:"code"`
		Message string            `json:"message"`
		Detail  map[string]string `json:"detail,omitempty"`
	}
	list := []item{{Code: code, Message: "refused"}}
	if len(fields) > 0 {
		list = nil
		for _, f := range fields {
			list = append(list, item{code, f + " is not valid", map[string]string{"field": f}})
		}
	}
	return jsonReply(status, map[string]any{"errors": list})
}

func oneObject(status int, object map[string]any) reply {
	return jsonReply(status, map[string]any{"data": object, "meta": map[string]any{"requestId": "req_sandbox"}})
}

// checked is what every route shares: the key, its level, the limits, and the headers that tell of them.
func (l *LendWorks) checked(act action) action {
	return func(in *inbound) reply {
		if out, refused := l.admit(in); refused {
			return out
		}
		out := act(in)
		if out.header == nil {
			out.header = http.Header{}
		}
		l.mu.Lock()
		left := max(l.perMinute-len(l.recent), 0)
		l.mu.Unlock()
		out.header.Set("LW-API-Version", "2025-01-15")
		out.header.Set("X-RateLimit-Limit", strconv.Itoa(l.perMinute))
		out.header.Set("X-RateLimit-Remaining", strconv.Itoa(left))
		out.header.Set("X-RateLimit-Reset", strconv.FormatInt(l.box.now().Add(time.Minute).Unix(), 10))
		out.header.Set("X-RateLimit-Window", "60")
		return out
	}
}

func (l *LendWorks) admit(in *inbound) (reply, bool) {
	key, isBearer := strings.CutPrefix(in.Header.Get("Authorization"), "Bearer ")
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !isBearer || key == "":
		return lendworksError(http.StatusUnauthorized, "API_KEY_REQUIRED", nil), true
	case key != l.box.secrets.lendworksKey:
		return lendworksError(http.StatusUnauthorized, "INVALID_API_KEY", nil), true
	case l.revoked != "":
		return lendworksError(http.StatusUnauthorized, l.revoked, nil), true
	case l.level == "read" && in.Method != http.MethodGet:
		return lendworksError(http.StatusForbidden, "FORBIDDEN", nil), true
	}
	now := l.box.now()
	l.recent = slices.DeleteFunc(l.recent, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	if l.quota == 0 {
		out := lendworksError(http.StatusTooManyRequests, "MONTHLY_QUOTA_EXCEEDED", nil)
		out.header.Set("Retry-After", "86400")
		return out, true
	}
	if l.perMinute >= 0 && len(l.recent) >= l.perMinute {
		out := lendworksError(http.StatusTooManyRequests, "RATE_LIMIT_EXCEEDED", nil)
		wait := time.Minute
		if len(l.recent) > 0 {
			wait -= now.Sub(l.recent[0])
		}
		out.header.Set("Retry-After", strconv.Itoa(int(wait.Seconds())+1))
		return out, true
	}
	l.recent = append(l.recent, now)
	if l.quota > 0 {
		l.quota--
	}
	return reply{}, false
}

// once carries a keyed request out once within a day: only answers with 2xx are remembered.
func (l *LendWorks) once(act action) action {
	return func(in *inbound) reply {
		key := in.Header.Get("Idempotency-Key")
		if key == "" {
			in.violate("a write without Idempotency-Key")
			return act(in)
		}
		if !idempotencyKey.MatchString(key) {
			in.violate("Idempotency-Key with characters that are not allowed")
			return lendworksError(http.StatusUnprocessableEntity, "INVALID_IDEMPOTENCY_KEY", nil)
		}
		now := l.box.now()
		request := in.Method + " " + in.URL.Path + " " + string(in.body)
		l.mu.Lock()
		if known := l.idem[key]; known != nil && now.Sub(known.at) < idempotentFor {
			defer l.mu.Unlock()
			if known.running {
				return lendworksError(http.StatusConflict, "IDEMPOTENCY_CONFLICT", nil)
			}
			if known.body != request {
				in.violate("an Idempotency-Key was used for two bodies")
			}
			l.replayed++
			out := known.reply
			if out.header = out.header.Clone(); out.header == nil {
				out.header = http.Header{}
			}
			out.header.Set("Idempotency-Key-Replay", "true")
			return out
		}
		l.idem[key] = &idempotent{at: now, running: true, body: request}
		l.mu.Unlock()
		out := act(in)
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.idem, key)
		if out.status/100 == 2 {
			// The answer's own headers are still written to.
			kept := out
			kept.header = out.header.Clone()
			l.idem[key] = &idempotent{at: now, body: request, reply: kept}
		}
		return out
	}
}

// object reads a JSON object.
func (in *inbound) object() (map[string]any, bool) {
	var body map[string]any
	if !strings.HasPrefix(in.Header.Get("Content-Type"), "application/json") {
		in.violate("body is not announced as JSON")
	}
	if json.Unmarshal(in.body, &body) != nil || body == nil {
		in.violate("body is not a JSON object")
		return nil, false
	}
	return body, true
}

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

func (l *LendWorks) postEvent(in *inbound) reply {
	return l.tell(in, map[string][]string{"eventType": {
		"call_started", "call_answered", "call_ended", "disposition", "transfer", "hold", "resume",
	}}, "externalCallId", "userId", "eventType", "occurredAt")
}

func (l *LendWorks) postDisposition(in *inbound) reply {
	return l.tell(in, nil, "externalCallId", "userId", "disposition", "occurredAt")
}

// tell keeps a call event.
func (l *LendWorks) tell(in *inbound, enums map[string][]string, required ...string) reply {
	body, ok := in.object()
	if !ok {
		return lendworksError(http.StatusBadRequest, "BAD_REQUEST", nil)
	}
	if wrong := l.wrongFields(body, enums, required); len(wrong) > 0 {
		return l.invalid(in, wrong)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, LendWorksCall{Op: in.rec.Op, Body: body})
	return oneObject(http.StatusCreated, map[string]any{"id": fmt.Sprintf("evt_%d", len(l.told)), "type": "call_event", "attributes": body})
}

func (l *LendWorks) postPresence(in *inbound) reply {
	body, ok := in.object()
	if !ok {
		return lendworksError(http.StatusBadRequest, "BAD_REQUEST", nil)
	}
	wrong := l.wrongFields(body, map[string][]string{"status": {"online", "on_call", "break", "offline"}}, []string{"userId", "status"})
	if len(wrong) > 0 {
		return l.invalid(in, wrong)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	user, _ := body["userId"].(string)
	l.presence[user] = body
	return oneObject(http.StatusOK, map[string]any{"id": "pres_" + user, "type": "agent_presence", "attributes": body})
}

func (l *LendWorks) invalid(in *inbound, fields []string) reply {
	for _, name := range fields {
		in.violate(fmt.Sprintf("field %.40s is not valid", name))
	}
	return lendworksError(http.StatusUnprocessableEntity, "VALIDATION_ERROR", fields)
}

func (l *LendWorks) wrongFields(body map[string]any, enums map[string][]string, required []string) []string {
	var wrong []string
	for _, name := range required {
		text, _ := body[name].(string)
		if text == "" || enums[name] != nil && !slices.Contains(enums[name], text) || name == "userId" && !userID.MatchString(text) {
			wrong = append(wrong, name)
		}
	}
	if at, ok := body["occurredAt"].(string); ok {
		if _, err := time.Parse(time.RFC3339, at); err != nil {
			wrong = append(wrong, "occurredAt")
		}
	}
	if lead, ok := body["leadId"].(string); ok {
		l.mu.Lock()
		_, known := l.byID[lead]
		l.mu.Unlock()
		if !known {
			wrong = append(wrong, "leadId")
		}
	}
	return wrong
}

func (l *LendWorks) listAgents(*inbound) reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	data := []map[string]any{}
	for i, name := range []string{"Dana", "Riley"} {
		user := fmt.Sprintf("e5f6g7h8-0000-4000-a000-00000000000%d", i+1)
		status := "offline"
		if p := l.presence[user]; p != nil {
			status, _ = p["status"].(string)
		}
		data = append(data, map[string]any{"id": "pres_" + user, "type": "agent_presence", "attributes": map[string]any{
			"userId": user, "firstName": name, "lastName": "Agent", "email": strings.ToLower(name) + "@broker.example", "status": status,
			"currentCallId": nil, "callsToday": 0, "dispositionCount": 0,
		}})
	}
	out := jsonReply(http.StatusOK, map[string]any{
		"data": data, "meta": map[string]any{"total": len(data), "page": 1, "limit": 20, "hasMore": false, "requestId": "req_sandbox"},
	})
	out.rows = len(data)
	return out
}
