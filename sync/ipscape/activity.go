package ipscape

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// activityColumns are those of ipscape.activities, without the ones that every vendor table has.
var activityColumns = [...]string{
	"activity_id", "type", "lead_id", "attempt_id", "parent_activity_id", "root_activity_id",
	"campaign_id", "campaign_name", "agent_interaction_id", "agent_id", "agent_full_name",
	"source", "destination", "phone_number", "phone_index",
	"status_id", "status_name", "dial_status_id", "dial_status_name", "wrap_code", "wrap_description",
	"created_at", "join_queue_at", "answered_at", "hung_up_at", "wrapped_up_at",
	"ivr_s", "queue_s", "hold_s", "interaction_s", "wrap_s", "talk_s", "dial_s",
	"recording_status", "recording_media_id", "recording_media_uri", "recording_duration_s", "recording_deleted",
	"survey", "voicemails", "quality_score",
}

// ActivityColumns returns the columns of ipscape.activities in the order of an activity's Values.
func ActivityColumns() []string { return append([]string(nil), activityColumns[:]...) }

// activity is an item of the activities list (contracts/ipscape.md 6.1).
type activity struct {
	kind                            text
	id, lead, attempt, parent, root number
	campaign                        number
	campaignName                    text
	interaction, agent              number
	agentName                       text
	source, destination, phone      text
	phoneIndex                      number
	status                          number
	statusName                      text
	dialStatus                      number
	dialStatusName                  text
	wrapCode, wrapText              text
	times                           activityTimes
	durations                       durations
	recordingStatus                 text
	recording                       recording
	survey, voicemails              json.RawMessage
	quality                         number
}

type activityTimes struct{ created, joinQueue, answered, hangUp, wrapUp instant }

// durations are in seconds.
type durations struct{ ivr, queue, hold, interaction, wrap, talk, dial number }

type recording struct {
	media    number
	uri      text
	duration number
	deleted  boolean
}

// Activity converts one item of the activities list. Types that nobody has heard of give a row too. The error is an
// *ItemError.
func (s Settings) Activity(raw []byte) (Item, error) {
	payload, cleaned, err := storable(raw)
	if err != nil {
		return unstorable(err, raw, s.parseActivity, func(a *activity) number { return a.id })
	}
	a, left, err := s.parseActivity(payload)
	if err != nil {
		return Item{}, err
	}
	item := Item{
		ObjectID:   strconv.FormatInt(a.id.v, 10),
		Payload:    payload,
		Cleaned:    cleaned,
		FilterTime: a.times.created.t,
		Values:     a.values(),
		Unread:     left.unread,
		Unknown:    left.unknown,
		Strange:    strangeType(a.kind),
		Open:       a.open(),
		Lead:       a.lead.id(),
	}
	item.SourceTime, item.ZoneAssumed = a.times.latest()
	return item, nil
}

// open tells whether a call still lacks what the vendor writes later (contracts/ipscape.md section 8). What is no call has
// nothing to wait for that anybody knows of.
func (a *activity) open() bool {
	if !strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.kind.v)), "call.") {
		return false
	}
	talked := a.agent.id() != "" && a.times.answered.ok
	switch {
	case !a.times.hangUp.ok:
		return true
	case talked && !a.times.wrapUp.ok:
		return true
	}
	return talked && strings.EqualFold(a.recordingStatus.v, recordingOn) && a.recording.media.id() == ""
}

// recordingOn is the status of a call that is, or was, being recorded.
const recordingOn = "enabled"

// latest is the activity's own time: it moves with each step of the call.
func (t *activityTimes) latest() (at time.Time, assumed bool) {
	for _, step := range [...]instant{t.created, t.joinQueue, t.answered, t.hangUp, t.wrapUp} {
		if step.ok && !step.t.Before(at) {
			at, assumed = step.t, step.assumed
		}
	}
	return at, assumed
}

func (a *activity) values() []any {
	t, d, r := &a.times, &a.durations, &a.recording
	return []any{
		a.id.any(), a.kind.any(), a.lead.any(), a.attempt.any(), a.parent.any(), a.root.any(),
		a.campaign.any(), a.campaignName.any(), a.interaction.any(), a.agent.any(), a.agentName.any(),
		a.source.any(), a.destination.any(), a.phone.any(), a.phoneIndex.int32(),
		a.status.any(), a.statusName.any(), a.dialStatus.any(), a.dialStatusName.any(), a.wrapCode.any(), a.wrapText.any(),
		t.created.any(), t.joinQueue.any(), t.answered.any(), t.hangUp.any(), t.wrapUp.any(),
		d.ivr.int32(), d.queue.int32(), d.hold.int32(), d.interaction.int32(), d.wrap.int32(), d.talk.int32(), d.dial.int32(),
		a.recordingStatus.any(), r.media.any(), r.uri.any(), r.duration.int32(), r.deleted.any(),
		rawAny(a.survey), rawAny(a.voicemails), a.quality.int32(),
	}
}

// parseActivity reads an activity and names what it could not read.
func (s Settings) parseActivity(payload []byte) (*activity, notes, error) {
	f := fields{decoder: decoder{b: payload}, zone: s.Zone}
	var a activity
	if !f.enter() {
		return nil, notes{}, &ItemError{Reason: ReasonNotObject}
	}
	for f.next() {
		switch string(f.key) {
		case "type":
			a.kind = f.text("type")
		case "data":
			kind := a.kind
			a = activity{kind: kind}
			f.unread = nil
			a.data(&f)
		default:
			f.strange()
		}
	}
	if f.bad || !a.id.ok || a.id.v <= 0 {
		return nil, notes{}, &ItemError{Reason: ReasonNoID}
	}
	return &a, f.notes, nil
}

func (a *activity) data(f *fields) {
	if !f.enter() {
		return
	}
	for f.next() {
		switch string(f.key) {
		case "activityId":
			a.id = f.number("activity_id")
		case "leadId":
			a.lead = f.number("lead_id")
		case "attemptId":
			a.attempt = f.number("attempt_id")
		case "parentActivityId":
			a.parent = f.number("parent_activity_id")
		case "rootActivityId":
			a.root = f.number("root_activity_id")
		case "campaignId":
			a.campaign = f.number("campaign_id")
		case "campaignName":
			a.campaignName = f.text("campaign_name")
		case "agentInteractionId":
			a.interaction = f.number("agent_interaction_id")
		case "agentId":
			a.agent = f.number("agent_id")
		case "agentFullName":
			a.agentName = f.text("agent_full_name")
		case "source":
			a.source = f.text("source")
		case "destination":
			a.destination = f.text("destination")
		case "phoneNumber":
			a.phone = f.text("phone_number")
		case "phoneIndex":
			a.phoneIndex = f.small("phone_index")
		case "activityStatusId":
			a.status = f.number("status_id")
		case "activityStatusName":
			a.statusName = f.text("status_name")
		case "dialStatusId":
			a.dialStatus = f.number("dial_status_id")
		case "dialStatusName":
			a.dialStatusName = f.text("dial_status_name")
		case "wrapCode":
			a.wrapCode = f.text("wrap_code")
		case "wrapDescription":
			a.wrapText = f.text("wrap_description")
		case "timestamps":
			a.times.read(f)
		case "durations":
			a.durations.read(f)
		case "recordingStatus":
			a.recordingStatus = f.text("recording_status")
		case "recordingMetadata":
			a.recording.read(f)
		case "survey":
			a.survey = f.object("survey")
		case "voicemailMetadata":
			a.voicemails = f.structure("voicemails")
		case "callQualityScore":
			a.quality = f.small("quality_score")
		default:
			f.strange()
		}
	}
}

func (t *activityTimes) read(f *fields) {
	*t = activityTimes{}
	if !f.enter() {
		return
	}
	for f.next() {
		switch string(f.key) {
		case "created":
			t.created = f.instant("created_at")
		case "joinQueue":
			t.joinQueue = f.instant("join_queue_at")
		case "answered":
			t.answered = f.instant("answered_at")
		case "hangUp":
			t.hangUp = f.instant("hung_up_at")
		case "wrapUp":
			t.wrapUp = f.instant("wrapped_up_at")
		default:
			f.strange()
		}
	}
}

func (d *durations) read(f *fields) {
	*d = durations{}
	if !f.enter() {
		return
	}
	for f.next() {
		switch string(f.key) {
		case "ivr":
			d.ivr = f.small("ivr_s")
		case "queue":
			d.queue = f.small("queue_s")
		case "hold":
			d.hold = f.small("hold_s")
		case "interaction":
			d.interaction = f.small("interaction_s")
		case "wrap":
			d.wrap = f.small("wrap_s")
		case "talk":
			d.talk = f.small("talk_s")
		case "dial":
			d.dial = f.small("dial_s")
		default:
			f.strange()
		}
	}
}

func (r *recording) read(f *fields) {
	*r = recording{}
	if !f.enter() {
		return
	}
	for f.next() {
		switch string(f.key) {
		case "mediaId":
			r.media = f.number("recording_media_id")
		case "mediaUri":
			r.uri = f.text("recording_media_uri")
		case "duration":
			r.duration = f.small("recording_duration_s")
		case "deleted":
			r.deleted = f.flag("recording_deleted")
		default:
			f.strange()
		}
	}
}
