package api

import (
	"net/http"

	"github.com/trunkline/trunkline/sync/pipeline"
)

type catalogueAttributes struct {
	Event       string            `json:"event"`
	Description string            `json:"description"`
	Data        map[string]string `json:"data"`
}

// What the data of an envelope holds, for people: contracts/lendworks.md section 9.3, and ours.
var (
	leadCreatedFields = map[string]string{
		"leadId": "the lead", "orgId": "the organisation", "businessName": "text or null", "contactFirstName": "text or null",
		"contactLastName": "text or null", "email": "text or null", "source": "where the lead came from",
		"priority": "low, normal, high or urgent", "stageId": "its stage", "advisorId": "its advisor, or null",
	}
	stageFields = map[string]string{
		"leadId": "the lead", "orgId": "the organisation", "previousStageId": "the stage it was in", "previousStageLabel": "its label",
		"newStageId": "the stage it is in", "newStageLabel": "its label", "changedBy": "the user whose disposition said so; else who set it, such as api or operator; null where it followed from a call",
	}
	callFields = map[string]string{
		"externalCallId": "the dialler's id of the call", "orgId": "the organisation", "source": "the dialler", "leadId": "the lead, or null",
		"userId": "the agent, or null", "direction": "inbound, outbound or null", "startedAt": "time or null", "answeredAt": "time or null",
		"endedAt": "time or null", "durationSeconds": "seconds of talk, or null", "disposition": "the outcome by the rules, or null",
		"dispositionRaw": "the dialler's own code, or null",
	}
	dncFields = map[string]string{
		"orgId": "the organisation", "phone": "the phone in E.164; null when the dialler named a lead of its own only",
		"leadIds": "leads with that phone", "reason": "the raw code or words", "source": "who told it, or null", "since": "since when it holds",
	}
)

var eventTexts = map[pipeline.WebhookEvent]struct {
	description string
	fields      map[string]string
}{
	pipeline.WebhookLeadCreated:       {"a lead came to be, whoever told of it", leadCreatedFields},
	pipeline.WebhookLeadStatusChanged: {"a lead moved to another stage", stageFields},
	pipeline.WebhookStageChanged:      {"another name for lead.status_changed; ask for one of them", stageFields},
	pipeline.WebhookCallEnded:         {"a call ended; what the agent made of it may come later", callFields},
	pipeline.WebhookCallDisposition:   {"a call got a disposition, or another one", callFields},
	pipeline.WebhookDNCAdded:          {"a phone must not be called any more", dncFields},
	pipeline.WebhookDNCLifted:         {"a phone may be called again", dncFields},
}

// webhookCatalogue is GET /v1/webhooks/catalog: what can be subscribed to, on one page.
func (s *Server) webhookCatalogue(w http.ResponseWriter, r *http.Request) error {
	names := pipeline.WebhookEvents()
	data := make([]resource, len(names))
	for i, name := range names {
		text := eventTexts[name]
		data[i] = resource{ID: string(name), Type: "webhook_event", Attributes: catalogueAttributes{string(name), text.description, text.fields}}
	}
	return writePage(w, r, paging{page: 1, limit: len(data)}, int64(len(data)), data, nil)
}
