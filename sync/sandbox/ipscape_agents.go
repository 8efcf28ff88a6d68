package sandbox

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// redacted is what the vendor leaves of a number that was removed.
const redacted = "removed"

// updatePresence and setRecording flip an agent's switch and echo the request (contract section 6.12).
func (v *IPSCAPE) updatePresence(in *inbound) reply {
	var body struct {
		AgentID   *int64 `json:"agentId"`
		Available *bool  `json:"available"`
	}
	if refused := readBody(in, &body); refused != nil {
		return *refused
	}
	return v.flip(in, "available", body.AgentID, body.Available, func() map[int64]bool { return v.presence })
}

func (v *IPSCAPE) setRecording(in *inbound) reply {
	var body struct {
		AgentID   *int64 `json:"agentId"`
		Recording *bool  `json:"recording"`
	}
	if refused := readBody(in, &body); refused != nil {
		return *refused
	}
	return v.flip(in, "recording", body.AgentID, body.Recording, func() map[int64]bool { return v.recording })
}

func (v *IPSCAPE) flip(in *inbound, name string, agent *int64, on *bool, state func() map[int64]bool) reply {
	if agent == nil || on == nil {
		in.violate("missing required parameter")
		return badRequest("agentId and " + name + " are required")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, found := v.users.get(*agent); !found {
		return notFound()
	}
	state()[*agent] = *on
	return jsonReply(http.StatusOK, map[string]any{"agentId": *agent, name: *on})
}

// Presence are the agents whose presence a client has set, with what it was set to.
func (v *IPSCAPE) Presence() map[int64]bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.presence)
}

// Recording are the agents whose recording a client has started or paused, with what it was set to.
func (v *IPSCAPE) Recording() map[int64]bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return maps.Clone(v.recording)
}

// SetAudio makes "get media" answer the audio itself, with this content type and these bytes; an empty type makes it answer
// metadata again.
func (v *IPSCAPE) SetAudio(contentType string, audio []byte) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.audioType, v.audio = contentType, slices.Clone(audio)
}

// removePersonalData deletes the leads and overwrites the calls of a number or address (contract section 6.10). No time that a
// filter sees moves.
func (v *IPSCAPE) removePersonalData(in *inbound) reply {
	for name := range in.query {
		if name != "phoneNumber" && name != "emailAddress" {
			in.violate("unknown parameter " + name)
		}
	}
	in.note(in.query)
	phone, email := in.query.Get("phoneNumber"), in.query.Get("emailAddress")
	if phone == "" && email == "" {
		in.violate("neither a phone number nor an address to remove")
		return badRequest("phoneNumber or emailAddress is required")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	deleted, overwritten, results, recordings := 0, 0, 0, 0
	for _, l := range v.leads.all() {
		address, _ := l.DataFields["email"].(string)
		if (phone != "" && slices.Contains(l.Phones, phone)) || (email != "" && strings.EqualFold(address, email)) {
			v.leads.remove(l.ID)
			deleted++
		}
	}
	for i := range v.activities.rows {
		a := &v.activities.rows[i]
		if !overwrite(phone, &a.Source, &a.Destination, &a.Phone) {
			continue
		}
		overwritten++
		if a.Recording != nil && !a.Recording.Deleted {
			a.Recording.Deleted, a.Recording.DeletedAt = true, v.box.now().Truncate(time.Second)
			a.Recording.DeletionReason = "Personal data removed"
			recordings++
		}
	}
	for i := range v.attempts.rows {
		if overwrite(phone, &v.attempts.rows[i].Phone) {
			results++
		}
	}
	return jsonReply(http.StatusOK, map[string]map[string]int{
		"callData": {
			"activitiesOverwritten": overwritten, "callResultsOverwritten": results, "ivrActivitiesDeleted": 0, "ivrLogsDeleted": 0,
			"voiceRecordingsDeleted": recordings,
		},
		"emailData": {
			"outboundEmailsOverwritten": 0, "inboundEmailsOverwritten": 0, "emailAttachmentsDeleted": 0, "chatTranscriptsDeleted": 0,
			"chatAttachmentsDeleted": 0,
		},
		"leadData": {
			"leadsDeleted": deleted, "leadsDeletedFromDialCurrent": 0, "leadDetailsDeleted": deleted, "leadCaptureDetailsDeleted": 0,
		},
	})
}

// overwrite replaces a number wherever it stands and says whether it stood anywhere.
func overwrite(phone string, places ...*string) bool {
	hit := false
	for _, place := range places {
		if phone != "" && *place == phone {
			*place, hit = redacted, true
		}
	}
	return hit
}
