package scenario

import (
	"fmt"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// stamp writes a time as ipSCAPE does, now and then without its zone, which is then that of the settings.
func (w *world) stamp(at time.Time) string {
	at = at.In(ipscapeSettings().Zone)
	if w.rng.IntN(5) == 0 {
		return at.Format("2006-01-02T15:04:05")
	}
	return at.Format(time.RFC3339)
}

func (w *world) ipscape(stream string, seen time.Time, read func([]byte) (ipscape.Item, error), body string) {
	item, err := read([]byte(body))
	must(err)
	w.land(pipeline.SourceIPSCAPE, stream, item.ObjectID, item.Payload, seen, item.SourceTime, item.ZoneAssumed)
}

func (w *world) ipscapeLead() {
	seen := w.seen()
	w.ipscapeLeadOf(7001+w.rng.IntN(7), seen, w.about(seen), w.city(), pick(w, "", "", "K1", "K2", "none"), w.phone())
}

func (w *world) ipscapeLeadOf(id int, seen, modified time.Time, city, customer, phone string) {
	w.ipscape(ipscape.StreamLeads, seen, ipscapeSettings().Lead, fmt.Sprintf(`{"leadId":%d,"campaignId":12,"customerKey":%q,"timezone":"America/Los_Angeles",
		"dataFields":{"First Name":%q,"city":%q,"E-mail":"office@birch.example"},"phones":[{"phone":%q,"phoneIndex":1}],
		"timestamps":{"created":%q,"modified":%q}}`, id, customer, pick(w, "Ana", "Bea"), city, phone, w.stamp(Start.Add(-time.Hour)), w.stamp(modified)))
}

// ipscapeActivity tells a call as far as it had got when it was seen.
func (w *world) ipscapeActivity() {
	seen := w.seen()
	id := 9001 + w.rng.IntN(6)
	began := Start.Add(time.Duration(id-9001) * 7 * time.Minute)
	times := []string{fmt.Sprintf(`"created":%q`, w.stamp(began))}
	rest := ""
	switch w.rng.IntN(4) {
	case 3:
		times = append(times, fmt.Sprintf(`"wrapUp":%q`, w.stamp(w.about(seen))))
		rest = fmt.Sprintf(`,"wrapCode":%d,"wrapDescription":"Callback","recordingMetadata":{"mediaId":61,"mediaUri":"/v3.0/media/%d","duration":40,"deleted":%t}`,
			1+w.rng.IntN(4), id, w.rng.IntN(3) == 0)
		fallthrough
	case 2:
		times = append(times, fmt.Sprintf(`"hangUp":%q`, w.stamp(began.Add(time.Minute))))
		fallthrough
	case 1:
		times = append(times, fmt.Sprintf(`"answered":%q`, w.stamp(began.Add(10*time.Second))))
	}
	kind, lead := "call.inbound", ""
	if id%2 == 0 {
		kind, lead = "call.outbound", fmt.Sprintf(`"leadId":%d,`, 7001+w.rng.IntN(7))
	}
	w.ipscape(ipscape.StreamActivities, seen, ipscapeSettings().Activity, fmt.Sprintf(
		`{"type":%q,"data":{"activityId":%d,%s"rootActivityId":%d,"campaignId":12,"campaignName":"MCA","agentId":%d,"agentFullName":"Dana Fox","source":%q,"destination":%q,"timestamps":{%s}%s}}`,
		kind, id, lead, 9001+w.rng.IntN(6), 31+w.rng.IntN(3), w.phone(), w.phone(), strings.Join(times, ","), rest))
}

func (w *world) ipscapeAttempt() {
	seen := w.seen()
	w.ipscape(ipscape.StreamDialAttempts, seen, ipscapeSettings().DialAttempt, fmt.Sprintf(
		`{"attemptId":%d,"phoneNumber":%q,"leadId":%d,"type":"call.outbound","activityId":%s,"timestamps":{"dialled":%q}}`,
		501+w.rng.IntN(4), w.phone(), 7001+w.rng.IntN(7), pick(w, "9002", "9004", "null"), w.stamp(w.about(seen))))
}

// ipscapeRest draws from the lists that say nothing of a lead or a call, and tell no time.
func (w *world) ipscapeRest() {
	seen, s := w.seen(), ipscapeSettings()
	switch w.rng.IntN(3) {
	case 0:
		w.ipscape(ipscape.StreamUsers, seen, s.User, fmt.Sprintf(`{"userId":%d,"firstName":%q,"email":"ada@birch.example"}`, 31+w.rng.IntN(2), pick(w, "Ada", "Eve")))
	case 1:
		w.ipscape(ipscape.StreamCampaigns, seen, s.Campaign, fmt.Sprintf(`{"campaignId":12,"campaignTitle":"MCA","isRunning":%t}`, w.rng.IntN(2) == 0))
	default:
		w.ipscape(ipscape.StreamLeadLists, seen, s.LeadList, fmt.Sprintf(`{"id":%d,"name":"March","weight":%d}`, 901+w.rng.IntN(2), w.rng.IntN(3)))
	}
}
