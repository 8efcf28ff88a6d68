package convoso

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Facts returns what a record of ours says in the pipeline's words. It reads the payload that Parse made and nothing else.
func (s Settings) Facts(rec pipeline.Record) (pipeline.Facts, error) {
	if rec.Stream == StreamCallLog {
		return s.logFacts(rec)
	}
	v, err := s.decode(rec.Payload, rec.Stream)
	if err != nil {
		return pipeline.Facts{}, fmt.Errorf("reading record %s/%s: %w", rec.Stream, rec.ObjectID, err)
	}
	account := cmp.Or(rec.Account, s.Account)
	keys := v.leadKeys(account)
	var facts pipeline.Facts
	if len(keys) > 0 && keys[0].Kind != pipeline.KeyEmail {
		facts.Leads = []pipeline.LeadFact{v.leadFact(keys)}
	}
	if v.fields[keyCall] != "" {
		facts.Calls = []pipeline.CallFact{v.callFact(account, keys)}
	}
	if v.kind == TypeDNC {
		facts.DNC = v.dncFacts(account, keys)
	}
	return facts, nil
}

// leadKeys returns the lead's identities, strongest first.
func (v *view) leadKeys(account string) []pipeline.Key {
	var keys []pipeline.Key
	if id := v.fields[keyLead]; id != "" {
		keys = append(keys, pipeline.Key{Kind: pipeline.KeyConvosoLead, Account: account, Value: id})
	}
	if id := v.fields[keyRemote]; id != "" {
		keys = append(keys, pipeline.Key{Kind: pipeline.KeyRemote, Value: id})
	}
	if p := v.phone(); p.Valid {
		keys = append(keys, pipeline.Key{Kind: pipeline.KeyPhone, Value: p.E164})
	}
	if email := strings.ToLower(v.fields[keyEmail]); strings.Contains(email, "@") && len(email) <= pipeline.KeyMax {
		keys = append(keys, pipeline.Key{Kind: pipeline.KeyEmail, Value: email})
	}
	return keys
}

func (v *view) leadFact(keys []pipeline.Key) pipeline.LeadFact {
	f := v.fields
	fields := map[pipeline.Field]string{
		pipeline.FieldSource:           "dialer",
		pipeline.FieldPhone:            v.phone().Best(),
		pipeline.FieldContactFirstName: f[keyFirstName],
		pipeline.FieldContactLastName:  f[keyLastName],
		pipeline.FieldEmail:            f[keyEmail],
		pipeline.FieldBusinessName:     cmp.Or(f[keyBusiness], f[keyStdCompany], f[keyDBA]),
		pipeline.FieldIndustry:         f[keyIndustry],
		pipeline.FieldMonthlyRevenue:   readAmount(f[keyMonthlyRevenue]),
		pipeline.FieldCity:             f[keyCity],
		pipeline.FieldState:            f[keyState],
		pipeline.FieldPostalCode:       f[keyPostalCode],
	}
	// An empty value would clear what others said; from Convoso it says nothing (law 4).
	for field, value := range fields {
		if value == "" {
			delete(fields, field)
		}
	}
	created := v.firstTime(keyCreatedAt)
	if created.at.IsZero() {
		created = v.occurred()
	}
	return pipeline.LeadFact{Keys: keys, Fields: fields, CreatedAt: created.at}
}

// callFact tells of the call what this fact is about; disposition, recording and steps come from the facts of that type
// alone, so that each is told once.
func (v *view) callFact(account string, keys []pipeline.Key) pipeline.CallFact {
	f := v.fields
	c := pipeline.CallFact{
		Key:         v.callKey(account),
		Direction:   direction(f[keyDirection]),
		Campaign:    v.campaign(),
		Agent:       pipeline.AgentRef{ID: f[keyAgentID], Name: f[keyAgentName], Email: f[keyAgentEmail]},
		TalkSeconds: readSeconds(f[keyLength]),
		Notes:       v.callNote(),
	}
	for _, k := range keys {
		if k.Kind != pipeline.KeyEmail {
			c.Lead = append(c.Lead, k)
		}
	}
	theirs := v.phone().Best()
	switch c.Direction {
	case pipeline.Inbound:
		c.FromNumber, c.ToNumber = theirs, v.number(keyInboundNumber)
	case pipeline.Outbound:
		c.FromNumber, c.ToNumber = v.number(keyCallerID), theirs
	}
	v.tellTimes(&c)
	v.tellSteps(&c)
	return c
}

func (v *view) callKey(account string) pipeline.CallKey {
	return pipeline.CallKey{Dialler: pipeline.SourceConvoso, Account: account, ExternalID: v.fields[keyCall]}
}

func (v *view) number(key string) string { return v.settings.readPhone(v.fields[key], "").Best() }

// tellTimes sets when the call began and ended. The end follows from start and talk time once something says that there
// was one.
func (v *view) tellTimes(c *pipeline.CallFact) {
	began := v.firstTime(keyCallDate, keyCallStartTime, keyStartedAt).at
	ended := v.firstTime(keyCallEndTime, keyEndedAt).at
	if v.kind == TypeCallEvent {
		at := v.occurred().at
		switch v.state {
		case StateStarted:
			began = cmp.Or(began, at)
		case StateAnswered:
			c.AnsweredAt = at
		case StateEnded:
			if began.IsZero() {
				ended = cmp.Or(ended, at)
			}
		}
	}
	over := v.fields[keyTermReason] != "" || v.disposition() != ""
	if v.kind == TypeLeadUpdate {
		// Its status may be the lead's own.
		over = v.fields[keyTermReason] != ""
	}
	if ended.IsZero() && over && !began.IsZero() && c.TalkSeconds != nil {
		ended = began.Add(time.Duration(*c.TalkSeconds) * time.Second)
	}
	c.StartedAt, c.EndedAt = began, ended
}

// tellSteps adds what happened. A step without a time of its own counts as of the record's.
func (v *view) tellSteps(c *pipeline.CallFact) {
	at := v.occurred().at
	step := func(kind pipeline.EventType, at time.Time, code string) {
		c.Events = append(c.Events, pipeline.CallEvent{Type: kind, OccurredAt: at, Disposition: code})
	}
	switch v.kind {
	case TypeCallEvent:
		switch v.state {
		case StateStarted:
			step(pipeline.EventStarted, cmp.Or(c.StartedAt, at), "")
		case StateAnswered:
			step(pipeline.EventAnswered, at, "")
		case StateEnded:
			step(pipeline.EventEnded, cmp.Or(c.EndedAt, at), "")
		}
	case TypeDisposition:
		if code := v.disposition(); code != "" {
			c.Disposition, c.DispositionName = code, v.fields[keyStatusName]
			step(pipeline.EventDisposition, at, code)
		}
		if v.fields[keyTermReason] != "" {
			step(pipeline.EventEnded, cmp.Or(c.EndedAt, at), "")
		}
	case TypeRecording:
		if url := v.fields[keyRecording]; url != "" {
			c.RecordingURL = url
			step(pipeline.EventRecording, at, "")
		}
	}
}

// dncFacts returns one opt-out for each number, or one by the lead or the call alone.
func (v *view) dncFacts(account string, keys []pipeline.Key) []pipeline.DNCFact {
	base := pipeline.DNCFact{Reason: v.reason, Since: v.occurred().at}
	for _, k := range keys {
		if k.Strong() {
			base.Lead = append(base.Lead, k)
		}
	}
	phones := v.optOutPhones()
	if len(phones) == 0 {
		if v.onlyCall() != "" {
			base.Call = v.callKey(account)
		} else if len(base.Lead) == 0 {
			return nil
		}
		return []pipeline.DNCFact{base}
	}
	facts := make([]pipeline.DNCFact, 0, len(phones))
	for _, phone := range phones {
		base.Phone = phone
		facts = append(facts, base)
	}
	return facts
}
