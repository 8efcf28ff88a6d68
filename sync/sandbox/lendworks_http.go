package sandbox

import (
	"encoding/json"
	"net/http"
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
