package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Operations of ipSCAPE that change something, the contract's names (section 3) in snake case.
const (
	OpUpdateIPSCAPELead  = "update_lead"
	OpBulkCreateLeads    = "bulk_create_leads"
	OpCreateLeadList     = "create_lead_list"
	OpCreateLead         = "create_lead"
	OpRemovePersonalData = "remove_personal_data"
	OpUpdatePresence     = "update_agent_presence"
	OpSetRecording       = "set_call_recording"
)

// firstList is the id of the first lead list that a client creates.
const firstList = 900

// wireNewLead is the body of a create (contract section 6.9). Pointers tell null and absent from values.
type wireNewLead struct {
	ListID      *int64         `json:"listId"`
	CustomerKey *string        `json:"customerKey"`
	Timezone    *string        `json:"timezone"`
	Phone1      *string        `json:"phone1"`
	Phone2      *string        `json:"phone2"`
	Phone3      *string        `json:"phone3"`
	NextAttempt *string        `json:"nextAttemptTimestamp"`
	LeadData    map[string]any `json:"leadData"`
	StatusCode  *int           `json:"statusCode"`
	AgentID     *int64         `json:"agentId"`
}

// wireLeadUpdate is the body of an update (contract section 6.7).
type wireLeadUpdate struct {
	wireNewLead
	IsCompleted *bool `json:"isCompleted"`
}

// readBody reads a JSON object without unknown members; what is wrong with it is a violation and a 400.
func readBody(in *inbound, into any) *reply {
	refuse := func(text string) *reply {
		in.violate(text)
		out := badRequest(text)
		return &out
	}
	if kind := in.Header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		return refuse("body is not sent as application/json")
	}
	if body := bytes.TrimSpace(in.body); len(body) == 0 || body[0] != '{' {
		return refuse("body is not a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(in.body))
	d.DisallowUnknownFields()
	// Numbers are told again as they came.
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		// encoding/json's texts name members and types, and quote no values but unknown members' names.
		return refuse("body cannot be read: " + err.Error())
	}
	return nil
}

// createLead stores a lead; the list implies the campaign. Nothing stops a second lead of the same key.
func (v *IPSCAPE) createLead(in *inbound) reply {
	var body wireNewLead
	if refused := readBody(in, &body); refused != nil {
		return *refused
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	l, list, err := v.newLead(&body)
	if err != nil {
		in.violate(err.Error())
		return badRequest(err.Error())
	}
	v.putLead(l)
	return jsonReply(http.StatusCreated, map[string]any{"leadId": v.leads.last(), "inDialler": list.InDialler})
}

// newLead makes a lead of a body. v.mu is held.
func (v *IPSCAPE) newLead(body *wireNewLead) (Lead, LeadList, error) {
	if body.ListID == nil {
		return Lead{}, LeadList{}, errors.New("missing required parameter listId")
	}
	list, found := v.lists.get(*body.ListID)
	if !found {
		return Lead{}, list, errors.New("no such list")
	}
	l := Lead{
		CampaignID: list.CampaignID, CampaignName: list.CampaignName, ListID: list.ID, ListName: list.Name, OutcomeType: "preview",
	}
	return l, list, v.apply(&l, body)
}

// apply sets what a body names. v.mu is held.
func (v *IPSCAPE) apply(l *Lead, body *wireNewLead) error {
	set(&l.CustomerKey, body.CustomerKey)
	set(&l.Timezone, body.Timezone)
	set(&l.LastStatusCode, body.StatusCode)
	set(&l.AgentID, body.AgentID)
	if body.AgentID != nil {
		agent, found := v.users.get(*body.AgentID)
		if !found {
			return errors.New("no such agent")
		}
		l.AgentName = agent.FirstName + " " + agent.LastName
	}
	for i, phone := range []*string{body.Phone1, body.Phone2, body.Phone3} {
		if phone == nil {
			continue
		}
		for len(l.Phones) <= i {
			l.Phones = append(l.Phones, "")
		}
		l.Phones[i] = *phone
	}
	l.Phones = slices.DeleteFunc(l.Phones, func(phone string) bool { return phone == "" })
	if body.NextAttempt != nil {
		at, err := parseFilterTime(*body.NextAttempt)
		if err != nil {
			return fmt.Errorf("nextAttemptTimestamp: %w", err)
		}
		l.NextAttempt = at
	}
	if body.LeadData != nil {
		// Replaced, not merged: the contract assumes the worse of the two.
		l.DataFields = body.LeadData
	}
	return nil
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// updateLead changes what the body names and answers nothing: the contract shows no answer.
func (v *IPSCAPE) updateLead(in *inbound) reply {
	id := pathID(in)
	var body wireLeadUpdate
	if refused := readBody(in, &body); refused != nil {
		return *refused
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	l, found := v.leads.get(id)
	if !found {
		return notFound()
	}
	var named map[string]json.RawMessage
	_ = json.Unmarshal(in.body, &named) // it has been read as an object before
	if len(named) == 0 {
		in.violate("update without anything to change")
	}
	err := v.apply(&l, &body.wireNewLead)
	switch {
	case body.IsCompleted != nil && !*body.IsCompleted:
		err = errors.New("a lead cannot be un-completed")
	case body.ListID != nil:
		list, found := v.lists.get(*body.ListID)
		if !found {
			err = errors.New("no such list")
		}
		l.ListID, l.ListName, l.CampaignID, l.CampaignName = list.ID, list.Name, list.CampaignID, list.CampaignName
	}
	if err != nil {
		in.violate(err.Error())
		return badRequest(err.Error())
	}
	clearNulls(&l, named)
	l.Completed = l.Completed || body.IsCompleted != nil
	l.Modified = v.box.now().Truncate(time.Second)
	v.leads.put(l)
	return reply{status: http.StatusNoContent}
}

// clearNulls clears what was sent as null, which differs from what was not sent.
func clearNulls(l *Lead, named map[string]json.RawMessage) {
	null := func(name string) bool { return string(bytes.TrimSpace(named[name])) == "null" }
	if null("customerKey") {
		l.CustomerKey = ""
	}
	if null("timezone") {
		l.Timezone = ""
	}
	if null("agentId") {
		l.AgentID, l.AgentName = 0, ""
	}
	if null("statusCode") {
		l.LastStatusCode, l.LastStatusDescription = 0, ""
	}
	if null("nextAttemptTimestamp") {
		l.NextAttempt = time.Time{}
	}
	if null("leadData") {
		l.DataFields = nil
	}
	for i := 2; i >= 0; i-- {
		if null(fmt.Sprintf("phone%d", i+1)) && i < len(l.Phones) {
			l.Phones = slices.Delete(l.Phones, i, i+1)
		}
	}
}

// createLeadList stores a list, not yet in the dialler.
func (v *IPSCAPE) createLeadList(in *inbound) reply {
	var body struct {
		ListName   string `json:"listName"`
		CampaignID int64  `json:"campaignId"`
	}
	if refused := readBody(in, &body); refused != nil {
		return *refused
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	c, found := v.campaigns.get(body.CampaignID)
	if body.ListName == "" || !found {
		in.violate("list without a name or with an unknown campaign")
		return badRequest("listName and an existing campaignId are required")
	}
	l := LeadList{
		ID: max(v.lists.last()+1, firstList), Name: body.ListName, CampaignID: c.ID, CampaignName: c.Title, Created: v.box.now().Truncate(time.Second),
	}
	v.lists.put(l)
	return jsonReply(http.StatusCreated, map[string]any{"listName": l.Name, "campaignId": l.CampaignID, "listId": l.ID})
}

// bulkCreateLeads queues a job and, unless jobs are held, does it at once. A lead that cannot be created is left out without a
// word: the vendor documents no result per lead.
func (v *IPSCAPE) bulkCreateLeads(in *inbound) reply {
	var body struct {
		Leads []wireNewLead `json:"leads"`
	}
	if refused := readBody(in, &body); refused != nil {
		return *refused
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.nonce++
	job := BulkJob{UUID: fmt.Sprintf("5b0c0000-0000-4000-8000-%012d", v.nonce), leads: body.Leads, Leads: len(body.Leads)}
	v.jobs = append(v.jobs, job)
	if !v.holdJobs {
		v.runJobs()
	}
	return jsonReply(http.StatusAccepted, map[string]any{"uuid": job.UUID, "status": "queued"})
}

// BulkJob is one bulk create that was accepted.
type BulkJob struct {
	UUID string
	// Leads is how many were sent, Created how many of them the job has created.
	Leads, Created int

	leads []wireNewLead
	done  bool
}

// BulkJobs are all bulk creates accepted so far, oldest first.
func (v *IPSCAPE) BulkJobs() []BulkJob {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.jobs)
}

// HoldBulkJobs keeps bulk creates in the vendor's queue until it is called with false.
func (v *IPSCAPE) HoldBulkJobs(hold bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.holdJobs = hold; !hold {
		v.runJobs()
	}
}

// runJobs does the jobs that wait. v.mu is held.
func (v *IPSCAPE) runJobs() {
	for i := range v.jobs {
		job := &v.jobs[i]
		if job.done {
			continue
		}
		for j := range job.leads {
			if l, _, err := v.newLead(&job.leads[j]); err == nil {
				v.putLead(l)
				job.Created++
			}
		}
		job.done, job.leads = true, nil
	}
}
