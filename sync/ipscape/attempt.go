package ipscape

import "time"

// attemptColumns are those of ipscape.dial_attempts, without the ones that every vendor table has.
var attemptColumns = [...]string{
	"attempt_id", "activity_id", "parent_activity_id", "root_activity_id", "lead_id", "campaign_id", "campaign_name", "type",
	"phone_number", "phone_index", "dial_status_id", "dial_status_name", "dialled_at", "answered_at", "hung_up_at",
}

// DialAttemptColumns returns the columns of ipscape.dial_attempts in the order of an attempt's Values.
func DialAttemptColumns() []string { return append([]string(nil), attemptColumns[:]...) }

// attempt is an item of the dialler attempts (contracts/ipscape.md 6.13). Its type sits beside the other members, other than
// that of an activity.
type attempt struct {
	id, activity, parent, root number
	lead, campaign             number
	campaignName, kind, phone  text
	phoneIndex, dialStatus     number
	dialStatusName             text
	dialled, answered, hangUp  instant
}

// DialAttempt converts one item of the dialler attempts. The error is an *ItemError.
func (s Settings) DialAttempt(raw []byte) (Item, error) {
	payload, cleaned, err := storable(raw)
	if err != nil {
		return unstorable(err, raw, s.parseAttempt, func(a *attempt) number { return a.id })
	}
	d, left, err := s.parseAttempt(payload)
	if err != nil {
		return Item{}, err
	}
	item := Item{
		ObjectID: d.id.id(), Payload: payload, Cleaned: cleaned, Unread: left.unread, Unknown: left.unknown, Strange: strangeType(d.kind),
		FilterTime: d.dialled.t, Lead: d.lead.id(),
		Values: []any{
			d.id.any(), d.activity.any(), d.parent.any(), d.root.any(), d.lead.any(), d.campaign.any(), d.campaignName.any(), d.kind.any(),
			d.phone.any(), d.phoneIndex.int32(), d.dialStatus.any(), d.dialStatusName.any(), d.dialled.any(), d.answered.any(), d.hangUp.any(),
		},
	}
	item.SourceTime, item.ZoneAssumed = d.latest()
	return item, nil
}

// latest is the attempt's own time: it moves with each step.
func (d *attempt) latest() (at time.Time, assumed bool) {
	for _, step := range [...]instant{d.dialled, d.answered, d.hangUp} {
		if step.ok && !step.t.Before(at) {
			at, assumed = step.t, step.assumed
		}
	}
	return at, assumed
}

func (s Settings) parseAttempt(payload []byte) (*attempt, notes, error) {
	f := fields{decoder: decoder{b: payload}, zone: s.Zone}
	var d attempt
	if !f.enter() {
		return nil, notes{}, &ItemError{Reason: ReasonNotObject}
	}
	for f.next() {
		switch string(f.key) {
		case "attemptId":
			d.id = f.number("attempt_id")
		case "activityId":
			d.activity = f.number("activity_id")
		case "parentActivityId":
			d.parent = f.number("parent_activity_id")
		case "rootActivityId":
			d.root = f.number("root_activity_id")
		case "leadId":
			d.lead = f.number("lead_id")
		case "campaignId":
			d.campaign = f.number("campaign_id")
		case "campaignName":
			d.campaignName = f.text("campaign_name")
		case "type":
			d.kind = f.text("type")
		case "phoneNumber":
			d.phone = f.text("phone_number")
		case "phoneIndex":
			d.phoneIndex = f.small("phone_index")
		case "dialStatusId":
			d.dialStatus = f.number("dial_status_id")
		case "dialStatusName":
			d.dialStatusName = f.text("dial_status_name")
		case "timestamps":
			d.timestamps(&f)
		default:
			f.strange()
		}
	}
	if f.bad || !d.id.ok || d.id.v <= 0 {
		return nil, notes{}, &ItemError{Reason: ReasonNoID}
	}
	return &d, f.notes, nil
}

func (d *attempt) timestamps(f *fields) {
	d.dialled, d.answered, d.hangUp = instant{}, instant{}, instant{}
	if !f.enter() {
		return
	}
	for f.next() {
		switch string(f.key) {
		case "dialled":
			d.dialled = f.instant("dialled_at")
		case "answered":
			d.answered = f.instant("answered_at")
		case "hangUp":
			d.hangUp = f.instant("hung_up_at")
		default:
			f.strange()
		}
	}
}
