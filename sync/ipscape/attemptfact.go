package ipscape

import (
	"strings"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// attemptFacts adds what the dialler knows to the call that an attempt became: number, times, lead. An attempt without an
// activity gives no call: it rang nobody's agent, has no key that a later activity would share, and counts in
// ipscape.dial_attempts only.
//
// It tells no steps and no disposition. The activity tells the same steps, and two clocks that differ by a second would make
// two of each; dial status is another code space than wrap codes (contracts/ipscape.md 7, trap 2).
func (s Settings) attemptFacts(payload []byte) (pipeline.Facts, error) {
	d, _, err := s.parseAttempt(payload)
	if err != nil {
		return pipeline.Facts{}, err
	}
	kind := strings.ToLower(strings.TrimSpace(d.kind.v))
	if d.activity.id() == "" || (kind != "" && !strings.HasPrefix(kind, "call.")) {
		return pipeline.Facts{}, nil
	}
	call := pipeline.CallFact{
		Key:              pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: s.Account, ExternalID: d.activity.id()},
		Direction:        direction(kind),
		Campaign:         d.campaignName.v,
		StartedAt:        d.dialled.t,
		AnsweredAt:       d.answered.t,
		EndedAt:          d.hangUp.t,
		ParentExternalID: otherID(d.parent, d.activity),
		RootExternalID:   otherID(d.root, d.activity),
	}
	if id := d.lead.id(); id != "" {
		call.Lead = append(call.Lead, pipeline.Key{Kind: pipeline.KeyIPSCAPELead, Account: s.Account, Value: id})
	}
	if phone := pipeline.ParsePhone(d.phone.v, s.Region); phone.Valid {
		// A number that is none must not overrule the activity's own destination.
		if call.Direction != pipeline.Inbound {
			call.ToNumber = phone.E164
		}
		call.Lead = append(call.Lead, pipeline.Key{Kind: pipeline.KeyPhone, Value: phone.E164})
	}
	return pipeline.Facts{Calls: []pipeline.CallFact{call}}, nil
}
