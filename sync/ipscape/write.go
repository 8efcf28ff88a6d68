package ipscape

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// ErrWritesOff means that an operation with an effect was asked of a client that may only read (Config.Writes).
var ErrWritesOff = errors.New("ipscape: writes are off")

// LeadUpdate is what to change of a lead; what is nil stays as it is (contracts/ipscape.md 6.7).
type LeadUpdate struct {
	ListID, StatusCode, AgentID                   *int64
	CustomerKey, Timezone, Phone1, Phone2, Phone3 *string
	NextAttempt                                   *time.Time
	// Complete ends the dialling of the lead. It cannot be undone.
	Complete bool
	// Data are the custom fields. Whether the vendor merges or replaces them is not documented: MergeLeadData is safe
	// either way.
	Data map[string]any
	// Clear are the vendor's names of what to set to null.
	Clear []string
}

func (u *LeadUpdate) body() map[string]any {
	body := map[string]any{}
	for name, v := range map[string]*int64{"listId": u.ListID, "statusCode": u.StatusCode, "agentId": u.AgentID} {
		if v != nil {
			body[name] = *v
		}
	}
	for name, v := range map[string]*string{
		"customerKey": u.CustomerKey, "timezone": u.Timezone, "phone1": u.Phone1, "phone2": u.Phone2, "phone3": u.Phone3,
	} {
		if v != nil {
			body[name] = *v
		}
	}
	if u.NextAttempt != nil {
		body["nextAttemptTimestamp"] = bodyTime(*u.NextAttempt)
	}
	if u.Complete {
		body["isCompleted"] = true
	}
	if u.Data != nil {
		body["leadData"] = u.Data
	}
	for _, name := range u.Clear {
		body[name] = nil
	}
	return body
}

// bodyTime is the spelling of the vendor's request samples.
func bodyTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// UpdateLead changes a lead. Only what the update names is sent. It may be repeated: the same update twice is the same lead.
// ErrNotFound tells that the lead is gone.
func (c *Client) UpdateLead(ctx context.Context, id string, u LeadUpdate) error {
	return c.updateLead(ctx, id, u.body())
}

func (c *Client) updateLead(ctx context.Context, id string, body map[string]any) error {
	if len(body) == 0 {
		return fmt.Errorf("ipscape %s: nothing to change", OpUpdateLead)
	}
	if err := checkNames(OpUpdateLead, slices.Sorted(maps.Keys(body))); err != nil {
		return err
	}
	// No answer is documented: any 2xx that speaks of no failure is one.
	_, err := c.push(ctx, OpUpdateLead, id, nil, body, nil)
	return err
}

// MergeLeadData sets some of a lead's custom fields and leaves the others as they are: it reads the lead, merges and writes
// all of them. What somebody else changes between reading and writing is lost, if the vendor replaces.
func (c *Client) MergeLeadData(ctx context.Context, id string, changes map[string]any) error {
	data, err := c.mergedData(ctx, id, changes)
	if err != nil {
		return err
	}
	return c.UpdateLead(ctx, id, LeadUpdate{Data: data})
}

func (c *Client) mergedData(ctx context.Context, id string, changes map[string]any) (map[string]any, error) {
	// A client that may not write need not read first.
	if !c.cfg.Writes {
		return nil, fmt.Errorf("ipscape %s: %w", OpUpdateLead, ErrWritesOff)
	}
	if len(changes) == 0 {
		return nil, fmt.Errorf("ipscape %s: nothing to change", OpUpdateLead)
	}
	raw, _, err := c.GetLead(ctx, id, vendorapi.Live)
	if err != nil {
		return nil, fmt.Errorf("reading the lead's fields first: %w", err)
	}
	l, left, err := Settings{}.parseLead(raw)
	if err != nil {
		return nil, err
	}
	if slices.Contains(left.unread, "data_fields") {
		return nil, fmt.Errorf("ipscape %s: the lead's fields cannot be read, and would be lost", OpUpdateLead)
	}
	data := map[string]any{}
	if l.dataFields != nil {
		dec := json.NewDecoder(bytes.NewReader(l.dataFields))
		// Numbers go back as they came.
		dec.UseNumber()
		if err := dec.Decode(&data); err != nil {
			return nil, fmt.Errorf("ipscape %s: the lead's fields cannot be read, and would be lost", OpUpdateLead)
		}
	}
	maps.Copy(data, changes)
	return data, nil
}

// NewLeadList is a lead list that was created.
type NewLeadList struct {
	ListID, CampaignID int64
	Name               string
}

// CreateLeadList creates a lead list. Before repeating it after an unknown outcome, list the campaign's lists and compare the
// names: the vendor may have made one.
func (c *Client) CreateLeadList(ctx context.Context, name string, campaignID int64) (NewLeadList, error) {
	if strings.TrimSpace(name) == "" || campaignID <= 0 {
		return NewLeadList{}, fmt.Errorf("ipscape %s: a name and a campaign are required", OpCreateLeadList)
	}
	made := NewLeadList{Name: name, CampaignID: campaignID}
	_, err := c.push(ctx, OpCreateLeadList, "", nil, map[string]any{"listName": name, "campaignId": campaignID}, func(raw []byte) error {
		members(raw, func(f *fields) {
			if string(f.key) == "listId" {
				made.ListID = f.number("").v
				return
			}
			f.value()
		})
		if made.ListID <= 0 {
			return errors.New("the answer names no list")
		}
		return nil
	})
	if err != nil {
		return NewLeadList{}, err
	}
	return made, nil
}

// Removal counts what a removal of personal data overwrote and deleted, by the vendor's groups and names
// (contracts/ipscape.md 6.10).
type Removal map[string]map[string]int64

// RemovePersonalData erases somebody's data at the vendor, by phone number, e-mail address or both. It cannot be undone, and
// may be repeated. No time filter shows what it changed: apply it to local copies directly.
func (c *Client) RemovePersonalData(ctx context.Context, phone, email string) (Removal, error) {
	query := url.Values{}
	if phone = strings.TrimSpace(phone); phone != "" {
		query.Set("phoneNumber", phone)
	}
	if email = strings.TrimSpace(email); email != "" {
		query.Set("emailAddress", email)
	}
	if len(query) == 0 {
		return nil, fmt.Errorf("ipscape %s: a phone number or an e-mail address is required", OpRemovePersonalData)
	}
	removed := Removal{}
	_, err := c.push(ctx, OpRemovePersonalData, "", query, nil, func(raw []byte) error {
		members(raw, removed.group)
		if len(removed) == 0 {
			return errors.New("the answer counts nothing")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return removed, nil
}

func (r Removal) group(f *fields) {
	group := string(f.key)
	if f.peek() != '{' {
		f.value()
		return
	}
	counts := map[string]int64{}
	for f.enter(); f.next(); {
		name := string(f.key)
		if n := f.number(""); n.ok {
			counts[name] = n.v
		}
	}
	r[group] = counts
}

// SetPresence makes an agent available or not. It may be repeated. The vendor echoes what was asked: it accepted it, and may
// not have done it yet.
func (c *Client) SetPresence(ctx context.Context, agentID int64, available bool) error {
	return c.flip(ctx, OpUpdatePresence, agentID, "available", available)
}

// SetRecording starts or pauses the recording of the call that an agent is in. It may be repeated, and is echoed like
// SetPresence.
func (c *Client) SetRecording(ctx context.Context, agentID int64, recording bool) error {
	return c.flip(ctx, OpSetRecording, agentID, "recording", recording)
}

func (c *Client) flip(ctx context.Context, op string, agentID int64, name string, on bool) error {
	if agentID <= 0 {
		return fmt.Errorf("ipscape %s: an agent is required", op)
	}
	var agent number
	var state boolean
	_, err := c.push(ctx, op, "", nil, map[string]any{"agentId": agentID, name: on}, func(raw []byte) error {
		members(raw, func(f *fields) {
			switch string(f.key) {
			case "agentId":
				agent = f.number("")
			case name:
				state = f.flag("")
			default:
				f.value()
			}
		})
		if agent.id() != strconv.FormatInt(agentID, 10) || !state.ok || state.v != on {
			return errors.New("the answer does not repeat what was asked")
		}
		return nil
	})
	return err
}
