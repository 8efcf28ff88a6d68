package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

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
