package lendworks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// keyParam is an operator's own idempotency key.
const keyParam = "idempotencyKey"

// Described returns the vendor's operations as an operator may ask for them; Call runs them (contract sections 7 and 8).
func Described() []vendorapi.Operation {
	text := func(names ...string) (params []vendorapi.Param) {
		for _, name := range names {
			params = append(params, vendorapi.Param{Name: name, Type: "text"})
		}
		return params
	}
	id := vendorapi.Param{Name: "id", Type: "text", Required: true, Help: "LendWorks' id of the lead"}
	key := vendorapi.Param{Name: keyParam, Type: "text", Help: "letters, digits, - and _; the same one makes a repeat harmless for 24 hours; made up unless given"}
	fields := append(text("businessName", "contactFirstName", "contactLastName", "email", "phone", "industry", "monthlyRevenue", "requestedAmount"),
		vendorapi.Param{Name: "priority", Type: "text", Values: priorities()},
		vendorapi.Param{Name: "tags", Type: "list", Help: "comma list; takes the place of those that are there"},
		vendorapi.Param{Name: "customFields", Type: "object", Help: "a JSON object, or @FILE; takes the place of those that are there"})
	call := func(required ...string) (params []vendorapi.Param) {
		for _, name := range required {
			params = append(params, vendorapi.Param{Name: name, Type: "text", Required: true})
		}
		return append(params, vendorapi.Param{Name: "leadId", Type: "text", Help: "LendWorks' id"})
	}
	at := vendorapi.Param{Name: "occurredAt", Type: "time", Required: true, Help: "RFC 3339"}
	page := vendorapi.Param{Name: "page", Type: "integer", Help: "from 1 on"}
	metadata := vendorapi.Param{Name: "metadata", Type: "object", Help: "a JSON object, or @FILE"}
	return []vendorapi.Operation{
		{Name: opListLeads, Effect: vendorapi.Reads, Summary: "a page of leads, newest first", Params: []vendorapi.Param{
			page, {Name: "search", Type: "text", Help: "in business name, contact name and e-mail; phones are not found"},
		}},
		{Name: opGetLead, Effect: vendorapi.Reads, Summary: "one lead", Params: []vendorapi.Param{id}},
		{Name: opCreateLead, Effect: vendorapi.Writes, Summary: "create a lead", Params: append(append([]vendorapi.Param{}, fields...),
			vendorapi.Param{Name: "source", Type: "text", Values: sources(), Help: "api unless given"},
			vendorapi.Param{Name: "stageId", Type: "text"}, vendorapi.Param{Name: "assignToAdvisorId", Type: "text"}, vendorapi.Param{Name: "contactId", Type: "text"}, key)},
		{Name: opUpdateLead, Effect: vendorapi.Writes, Summary: "change what is named of a lead", Note: "a value of null asks for the field to be cleared; " +
			"whether LendWorks does so is not documented", Params: append(append([]vendorapi.Param{id}, fields...), key)},
		{Name: opEvent, Effect: vendorapi.Writes, Summary: "tell a step of a call", Params: append(call("externalCallId", "userId"),
			vendorapi.Param{Name: "eventType", Type: "text", Required: true, Values: []string{
				"call_started", "call_answered", "call_ended", "disposition", "transfer", "hold", "resume",
			}},
			vendorapi.Param{Name: "direction", Type: "text", Values: []string{"inbound", "outbound"}},
			vendorapi.Param{Name: "durationSeconds", Type: "integer"}, vendorapi.Param{Name: "disposition", Type: "text"}, metadata, at, key)},
		{Name: opPresence, Effect: vendorapi.Writes, Summary: "tell what an agent is doing now", Params: []vendorapi.Param{
			{Name: "userId", Type: "text", Required: true},
			{Name: "status", Type: "text", Required: true, Values: []string{"online", "on_call", "break", "offline"}},
			{Name: "currentCallId", Type: "text"},
			{Name: "currentLeadId", Type: "text"},
			metadata,
		}},
		{Name: opDisposition, Effect: vendorapi.Writes, Summary: "tell the outcome of a call", Params: append(call("externalCallId", "userId", "disposition"),
			vendorapi.Param{Name: "notes", Type: "text"}, at, key)},
		{Name: opListAgents, Effect: vendorapi.Reads, Summary: "agents and what they are doing", Params: []vendorapi.Param{{Name: "teamId", Type: "text"}, page}},
	}
}

// CheckCall finds everything wrong with the arguments of a Call without sending anything. Values are not quoted.
func CheckCall(name string, args map[string]string) error {
	_, _, err := callBody(name, args)
	return err
}

// Call runs any operation for an operator, by the names of Described. A read returns the answer: {"data": …, "meta": …} of a list,
// else the object. Anything else is sent once and returns a vendorapi.Report, beside an error unless the effect is confirmed.
// Wrong arguments are an error, and nothing is sent.
func (c *Client) Call(ctx context.Context, name string, args map[string]string) (json.RawMessage, error) {
	op, body, err := callBody(name, args)
	if err != nil {
		return nil, err
	}
	page, _ := strconv.Atoi(args["page"]) // checked; none is the first
	key := args[keyParam]
	if key == "" {
		key = KeyOf("operator", uuid.NewString())
	}
	var outcome pipeline.Outcome
	switch op.Name {
	case opListLeads:
		return listed(c.ListLeads(ctx, max(page, 1), args["search"], vendorapi.Live))
	case opListAgents:
		return listed(c.ListAgents(ctx, args["teamId"], page, vendorapi.Live))
	case opGetLead:
		object, err := c.GetLead(ctx, args["id"], vendorapi.Live)
		if err != nil {
			return nil, err
		}
		return json.Marshal(object)
	case opCreateLead:
		outcome, err = c.CreateLead(ctx, key, body)
	case opUpdateLead:
		outcome, err = c.UpdateLead(ctx, key, args["id"], body)
	default:
		p := push{op: op.Name, method: "POST", path: dialerPaths()[op.Name], key: key, body: body, personal: hideable(body)}
		if op.Name == opPresence {
			p.key = "" // it has none: the last word stands
		}
		outcome, err = c.send(ctx, p)
		key = p.key
	}
	raw, encodeErr := json.Marshal(vendorapi.Report{
		Operation: op.Name, State: outcome.State, Reason: outcome.Reason, ExternalID: outcome.ExternalID, Reference: key, Detail: outcome.Detail,
	})
	return raw, errors.Join(err, encodeErr)
}

func listed(l List, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"data": l.Data, "meta": l.Meta})
}

// callBody reads the arguments into the request's body, or tells all that is wrong with them.
func callBody(name string, args map[string]string) (vendorapi.Operation, map[string]any, error) {
	op, ok := vendorapi.Find(Described(), name)
	if !ok {
		return op, nil, fmt.Errorf("lendworks: there is no operation %q", name)
	}
	if err := op.Check(args); err != nil {
		return op, nil, fmt.Errorf("lendworks %s: %w", op.Name, err)
	}
	body := map[string]any{}
	var errs []error
	for _, p := range op.Params {
		text, given := args[p.Name]
		if !given {
			continue
		}
		value, err := argument(op.Name, p, text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.Name, err))
		}
		if p.Name != "id" && p.Name != keyParam && op.Effect != vendorapi.Reads {
			body[p.Name] = value
		}
	}
	if op.Name == opCreateLead && body["source"] == nil {
		body["source"] = "api"
	}
	if op.Name == opUpdateLead && len(body) == 0 {
		errs = append(errs, errors.New("there is no field to change"))
	}
	if err := errors.Join(errs...); err != nil {
		return op, nil, fmt.Errorf("lendworks %s: %w", op.Name, err)
	}
	return op, body, nil
}

// argument reads one value as its parameter wants it.
func argument(op string, p vendorapi.Param, text string) (any, error) {
	text = strings.TrimSpace(text)
	if op == opUpdateLead && text == "null" {
		return nil, nil
	}
	switch p.Type {
	case "integer":
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, errors.New("is no whole number")
		}
		return n, nil
	case "time":
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, errors.New("is no RFC 3339 time")
		}
		return at.UTC().Format(time.RFC3339Nano), nil
	case "object":
		var object map[string]any
		if json.Unmarshal([]byte(text), &object) != nil || object == nil {
			return nil, errors.New("is no JSON object")
		}
		return object, nil
	case "list":
		list := []string{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		return list, nil
	}
	if p.Name == keyParam && !keyForm.MatchString(text) {
		return nil, errors.New("must be 1 to 256 letters, digits, - and _")
	}
	return text, nil
}
