package sandbox

import (
	"encoding/json"
	"time"
)

type wireActivity struct {
	Type string          `json:"type"`
	Data json.RawMessage `json:"data"`
}

type wireActivityData struct {
	*wireOutbound
	*wireInbound
	ActivityID         int64              `json:"activityId"`
	ParentActivityID   *int64             `json:"parentActivityId"`
	RootActivityID     *int64             `json:"rootActivityId"`
	ActivityStatusID   *int               `json:"activityStatusId"`
	ActivityStatusName *string            `json:"activityStatusName"`
	Source             *string            `json:"source"`
	Destination        *string            `json:"destination"`
	CampaignID         *int64             `json:"campaignId"`
	CampaignName       *string            `json:"campaignName"`
	AgentInteractionID *int64             `json:"agentInteractionId"`
	AgentID            *int64             `json:"agentId"`
	AgentFullName      *string            `json:"agentFullName"`
	WrapCode           *int               `json:"wrapCode"`
	WrapDescription    *string            `json:"wrapDescription"`
	RecordingStatus    *string            `json:"recordingStatus"`
	RecordingMetadata  any                `json:"recordingMetadata"`
	VoicemailMetadata  []wireVoicemail    `json:"voicemailMetadata"`
	Survey             any                `json:"survey"`
	Durations          any                `json:"durations"`
	Timestamps         map[string]*string `json:"timestamps"`
}

// wireOutbound are the fields that only outbound calls have.
type wireOutbound struct {
	AttemptID      *int64  `json:"attemptId"`
	DialStatusID   *int    `json:"dialStatusId"`
	DialStatusName *string `json:"dialStatusName"`
	PhoneIndex     *int    `json:"phoneIndex"`
	PhoneNumber    *string `json:"phoneNumber"`
	LeadID         *int64  `json:"leadId"`
}

// wireInbound are the fields that only inbound calls have.
type wireInbound struct {
	CallQualityScore *int `json:"callQualityScore"`
}

type wireVoicemail struct {
	MediaID  int64  `json:"mediaId"`
	MediaURI string `json:"mediaUri"`
	Duration int    `json:"duration"`
}

type wireRecording struct {
	wireVoicemail
	Deleted bool `json:"deleted"`
}

type wireSurvey struct {
	Started        bool    `json:"started"`
	StartTimestamp *string `json:"startTimestamp"`
	WorkflowID     *int64  `json:"workflowId"`
	WorkflowName   *string `json:"workflowName"`
}

// renderActivity writes an activity as it looks now: what happens later, or is told late, is not there yet.
func (v *IPSCAPE) renderActivity(a *Activity) json.RawMessage {
	if a.Raw != nil {
		return a.Raw
	}
	now := v.box.now()
	layout := colonLayout
	if a.Type == TypeInbound {
		layout = colonlessLayout
	}
	past := func(at time.Time) *string {
		if at.After(now) {
			return nil
		}
		return v.stamp(at, layout)
	}
	d := wireActivityData{
		ActivityID: a.ID, ParentActivityID: orNull(a.ParentID), RootActivityID: orNull(a.RootID),
		ActivityStatusID: orNull(a.StatusID), ActivityStatusName: orNull(a.StatusName), Source: orNull(a.Source),
		Destination: orNull(a.Destination), CampaignID: orNull(a.CampaignID), CampaignName: orNull(a.CampaignName),
		AgentInteractionID: orNull(a.InteractionID), AgentID: orNull(a.AgentID), AgentFullName: orNull(a.AgentName),
		RecordingStatus: orNull(a.RecordingStatus), VoicemailMetadata: []wireVoicemail{}, Durations: a.Durations,
		Timestamps: map[string]*string{
			"created": v.stamp(a.Created, layout), "answered": past(a.Answered), "hangUp": past(a.HangUp), "wrapUp": nil,
		},
	}
	switch a.Type {
	case TypeInbound:
		d.wireInbound = &wireInbound{}
		d.Timestamps["joinQueue"] = past(a.JoinQueue)
	case TypeOutbound:
		d.wireOutbound = &wireOutbound{
			orNull(a.AttemptID), orNull(a.DialStatusID), orNull(a.DialStatusName), orNull(a.PhoneIndex), orNull(a.Phone), orNull(a.LeadID),
		}
	}
	if len(a.Durations) == 0 {
		d.Durations = []int{}
	}
	d.Survey = emptySurvey(a.ID)
	if !a.LateUntil.After(now) {
		v.renderLate(a, &d, past, layout)
	}
	return marshal(wireActivity{a.Type, withExtra(marshal(d), a.Extra)})
}

// renderLate adds what is written after the call.
func (v *IPSCAPE) renderLate(a *Activity, d *wireActivityData, past func(time.Time) *string, layout string) {
	d.Timestamps["wrapUp"] = past(a.WrapUp)
	if a.WrapUp.IsZero() || d.Timestamps["wrapUp"] != nil {
		d.WrapCode, d.WrapDescription = orNull(a.WrapCode), orNull(a.WrapDescription)
	}
	if a.Recording != nil {
		m := a.Recording
		d.RecordingMetadata = wireRecording{wireVoicemail{m.MediaID, mediaURI(m.MediaID), m.Duration}, m.Deleted}
	}
	for _, m := range a.Voicemails {
		d.VoicemailMetadata = append(d.VoicemailMetadata, wireVoicemail{m.MediaID, mediaURI(m.MediaID), m.Duration})
	}
	if s := a.Survey; s != nil {
		d.Survey = wireSurvey{s.Started, v.stamp(s.Start, layout), orNull(s.WorkflowID), orNull(s.WorkflowName)}
	}
	if d.wireInbound != nil {
		d.CallQualityScore = orNull(a.QualityScore)
	}
}

// emptySurvey is the absent survey in the three ways a PHP service may write it.
func emptySurvey(id int64) any {
	switch id % 3 {
	case 0:
		return nil
	case 1:
		return []string{}
	}
	return wireSurvey{}
}
