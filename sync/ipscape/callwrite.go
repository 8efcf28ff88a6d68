package ipscape

import (
	"context"
	"encoding/json"
	"fmt"
)

// callWrite runs a write for an operator, by the typed methods and with their care.
func (c *Client) callWrite(ctx context.Context, op string, in arguments) (json.RawMessage, error) {
	var result any = struct{}{}
	var err error
	switch op {
	case OpUpdateLead:
		if data, ok := in.body["leadData"].(map[string]any); ok {
			in.body["leadData"], err = c.mergedData(ctx, in.id, data)
		}
		if err == nil {
			err = c.updateLead(ctx, in.id, in.body)
		}
	case OpCreateLead:
		result, err = c.callCreate(ctx, in.body)
	case OpBulkCreateLeads:
		leads, _ := in.body["leads"].([]NewLead)
		// What was sent before a failure is worth as much as the failure.
		bulk, bulkErr := c.BulkCreateLeads(ctx, leads)
		result, err = bulk, bulkErr
		if len(bulk.Parts) > 0 {
			raw, _ := json.Marshal(bulk)
			return raw, bulkErr
		}
	case OpCreateLeadList:
		name, _ := in.body["listName"].(string)
		campaign, _ := in.body["campaignId"].(int64)
		var made NewLeadList
		made, err = c.CreateLeadList(ctx, name, campaign)
		result = map[string]any{"listName": made.Name, "campaignId": made.CampaignID, "listId": made.ListID}
	case OpRemovePersonalData:
		result, err = c.RemovePersonalData(ctx, in.query.Get("phoneNumber"), in.query.Get("emailAddress"))
	case OpUpdatePresence:
		agent, _ := in.body["agentId"].(int64)
		available, _ := in.body["available"].(bool)
		result, err = in.body, c.SetPresence(ctx, agent, available)
	case OpSetRecording:
		agent, _ := in.body["agentId"].(int64)
		recording, _ := in.body["recording"].(bool)
		result, err = in.body, c.SetRecording(ctx, agent, recording)
	default:
		err = fmt.Errorf("ipscape %s: cannot be called", op)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(result)
}

// callCreate creates a lead once if it can be found again, that is with a customer key.
func (c *Client) callCreate(ctx context.Context, body map[string]any) (CreatedLead, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return CreatedLead{}, fmt.Errorf("ipscape %s: the lead cannot be written: %w", OpCreateLead, err)
	}
	var l NewLead
	if err := decodeStrict(string(text), &l); err != nil {
		return CreatedLead{}, fmt.Errorf("ipscape %s: the lead cannot be read: %w", OpCreateLead, err)
	}
	if l.CustomerKey == "" {
		return c.CreateLead(ctx, l)
	}
	return c.CreateLeadOnce(ctx, l)
}
