package scenario

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func jsonOf(value any) []byte {
	text, err := json.Marshal(value)
	must(err)
	return text
}

// convosoPost posts something of a call or a lead, as JSON or as a form.
func (w *world) convosoPost() {
	seen := w.seen()
	at := w.about(seen)
	body := map[string]string{
		"call_log_id": fmt.Sprint(2001 + w.rng.IntN(6)), "call_type": pick(w, "OUTBOUND", "INBOUND"), "user_id": fmt.Sprint(66 + w.rng.IntN(2)),
		"agent_full_name": pick(w, "Dana Fox", "Ines Roy"), "call_date": pick(w, strconv.FormatInt(at.Unix(), 10), at.Add(-8*time.Hour).Format(time.DateTime)),
	}
	// Who was called is told in many ways, and sometimes not at all.
	if w.rng.IntN(4) > 0 {
		body["lead_id"] = fmt.Sprint(481 + w.rng.IntN(5))
	}
	if w.rng.IntN(3) > 0 {
		body["phone_number"] = w.phone()
	}
	event := pick(w, "disposition", "recording", "call_event", "lead_update", "dnc")
	switch event {
	case "disposition":
		body["status"], body["length_in_sec"] = pick(w, "CB", "NI", "NA", "SALE", "DNC", "ODD"), fmt.Sprint(w.rng.IntN(200))
	case "recording":
		body["recording"] = "https://recordings.example/" + body["call_log_id"] + pick(w, "a", "b") + ".mp3"
	case "call_event":
		body["status"] = "INCALL"
		if w.rng.IntN(2) == 0 {
			body["status"], body["term_reason"] = "", "AGENT"
		}
	case "lead_update":
		delete(body, "call_log_id")
		body["city"], body["first_name"] = w.city(), pick(w, "Ana", "Bea", "")
		if w.rng.IntN(4) == 0 {
			body["remote_id"] = ourLead(w.rng.IntN(3))
		}
	case "dnc":
		body["status"] = "DNC"
	}
	w.convosoBody(seen, event, body)
}

// convosoBody lands what a post says. A post that nobody understands says nothing.
func (w *world) convosoBody(seen time.Time, event string, body map[string]string) {
	post := convoso.Post{Body: jsonOf(body), Query: url.Values{"event": {event}}, ReceivedAt: seen}
	if w.rng.IntN(2) == 0 {
		form := url.Values{}
		for key, value := range body {
			form.Set(key, value)
		}
		post.Body = []byte(form.Encode())
	}
	facts, err := w.convoso.Parse(post)
	if err != nil {
		return
	}
	for _, f := range facts {
		w.land(pipeline.SourceConvoso, f.Stream, f.ObjectID, f.Payload, seen, f.SourceTime, f.ZoneAssumed)
	}
}

// convosoLog reads a call from the call log.
func (w *world) convosoLog() {
	seen := w.seen()
	item, err := w.convoso.LogEntry(jsonOf(map[string]string{
		"id": fmt.Sprint(2001 + w.rng.IntN(6)), "lead_id": fmt.Sprint(481 + w.rng.IntN(5)), "number_dialed": w.phone(), "call_type": "OUTBOUND",
		"status": pick(w, "CB", "NI", "NA", "DNC"), "call_length": fmt.Sprint(w.rng.IntN(200)), "call_date": w.about(seen).Add(-8 * time.Hour).Format(time.DateTime),
	}))
	if err != nil {
		return
	}
	w.land(pipeline.SourceConvoso, convoso.StreamCallLog, item.ObjectID, item.Payload, seen, item.SourceTime, item.ZoneAssumed)
}

// convoloCall tells of a call's start or end, in any order, now and then with the delivery that started it.
func (w *world) convoloCall() {
	seen := w.seen()
	call := 1 + w.rng.IntN(3)
	body := map[string]any{
		"type": "start_call", "call_id": fmt.Sprintf("cc-%d", call), "widget_name": "Funding", "lead": map[string]any{"lead_phone": w.phone()},
		"agent": map[string]any{"id": 5, "name": "Tess"},
	}
	if w.rng.IntN(2) == 0 {
		at := func(n int) string {
			return Start.Add(time.Duration(call*9*60+n) * time.Second).Format("2006-01-02T15:04:05.000Z")
		}
		body["type"], body["call_status"], body["talk_duration_sec"] = "end_call", pick(w, "answered", "no_answer", "missed"), w.rng.IntN(90)
		body["time_started_iso_string"], body["time_lead_answered_iso_string"], body["time_ended_iso_string"] = at(0), pick[any](w, at(20), nil), at(60)
	}
	hooks, err := convolo.ParseWebhooks(jsonOf(body))
	must(err)
	var join *convolo.Join
	if w.rng.IntN(3) == 0 {
		join = &convolo.Join{DeliveryID: fmt.Sprint("d", call), Lead: []pipeline.Key{{Kind: pipeline.KeyIPSCAPELead, Account: Account, Value: fmt.Sprint(7001 + w.rng.IntN(7))}}}
	}
	for i := range hooks {
		payload, err := hooks[i].Payload(join)
		must(err)
		w.land(pipeline.SourceConvolo, hooks[i].Stream, hooks[i].ObjectID, payload, seen, hooks[i].SourceTime, false)
	}
}

// lendworksLead reads a lead from the list, hears of one, or ties one that we pushed there.
func (w *world) lendworksLead() {
	seen := w.seen()
	at := w.about(seen)
	id := fmt.Sprint("lw-", 1+w.rng.IntN(3))
	switch w.rng.IntN(3) {
	case 0:
		attributes := map[string]any{
			"businessName": "Birch Hill", "phone": w.phone(), "createdAt": Start.Add(-2 * time.Hour).Format(time.RFC3339), "updatedAt": at.Format(time.RFC3339Nano),
			"customFields": map[string]any{"plan": pick(w, "gold", "silver")}, "isDoNotCall": w.rng.IntN(5) == 0, "dncReason": "asked",
		}
		item, err := lendworks.Settings{Account: Account, Region: "US"}.Lead(jsonOf(map[string]any{"id": id, "attributes": attributes}))
		must(err)
		w.land(pipeline.SourceLendWorks, lendworks.StreamLeads, item.ObjectID, item.Payload, seen, item.SourceTime, false)
	case 1:
		e, err := lendworks.ParseEvent(jsonOf(map[string]any{
			"id": fmt.Sprint("evt-", w.next()), "event": "lead.created", "timestamp": at.Format(time.RFC3339), "data": map[string]any{"leadId": id, "businessName": w.city() + " Bakery"},
		}))
		must(err)
		w.land(pipeline.SourceLendWorks, lendworks.StreamEvents, e.ObjectID, e.Payload, seen, e.SourceTime, false)
	default:
		lead := w.rng.IntN(3)
		w.land(pipeline.SourceLendWorks, lendworks.StreamPushed, ourLead(lead), jsonOf(map[string]any{"lead_id": ourLead(lead), "lendworks_id": id}), seen, time.Time{}, false)
	}
}

// ourLead is the id of a lead that was made through our API.
func ourLead(n int) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(n)}).String()
}

// probes are in every scenario: what must come out of them is known, whatever else is told.
func (w *world) probes() {
	at := func(minute int) time.Time { return Start.Add(time.Duration(minute) * time.Minute) }
	for i, city := range []string{"Alpha", "Beta", "Alpha"} {
		w.ipscapeLeadOf(ProbeLead, at(10*(i+1)), at(10*(i+1)-1), city, "", "")
	}
	optOut := map[string]string{"lead_id": "499", "phone_number": ProbeLifted, "status": "DNC", "call_log_id": "2999", "call_date": strconv.FormatInt(at(5).Unix(), 10)}
	for _, minute := range []int{6, 40} {
		w.convosoBody(at(minute), "dnc", optOut)
	}
	w.doNotCall(at(20), ProbeLifted, true)
	kept := map[string]string{"lead_id": "498", "phone_number": ProbeKept, "status": "DNC", "call_log_id": "2998", "call_date": strconv.FormatInt(at(25).Unix(), 10)}
	w.doNotCall(at(20), ProbeKept, true)
	w.convosoBody(at(26), "dnc", kept)
}

const (
	// ProbeLead is the ipSCAPE lead whose city is Alpha, then Beta, then Alpha again.
	ProbeLead = 7999
	// ProbeLifted is a phone whose opt-out was lifted, and then told again.
	ProbeLifted = "+15035550190"
	// ProbeKept is a phone that opted out after a lift.
	ProbeKept = "+15035550191"
)

// Check says what is wrong with the pipeline of a scenario, judged by its probes; nil = nothing.
func Check(p *pipeline.Result) error {
	own := pipeline.Key{Kind: pipeline.KeyIPSCAPELead, Account: Account, Value: fmt.Sprint(ProbeLead)}
	i := slices.IndexFunc(p.Leads, func(l pipeline.Lead) bool {
		return slices.ContainsFunc(l.Keys, func(k pipeline.LinkedKey) bool { return k.Key == own })
	})
	if i < 0 || p.Leads[i].Fields[pipeline.FieldCity].Value != "Alpha" {
		return fmt.Errorf("lead %d is not at Alpha, where it came back to", ProbeLead)
	}
	for _, phone := range []string{ProbeLifted, ProbeKept} {
		i := slices.IndexFunc(p.DNC, func(d pipeline.DoNotCall) bool { return d.Phone == phone })
		if i < 0 || p.DNC[i].Active() != (phone == ProbeKept) {
			return fmt.Errorf("the opt-out that ends in %s holds: %t", phone[len(phone)-2:], i >= 0 && p.DNC[i].Active())
		}
	}
	return nil
}
