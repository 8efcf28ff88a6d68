package operator

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/pipeline"
)

// Streams of orders about leads.
const (
	// StreamUnlinks holds keys that tie no more.
	StreamUnlinks = "unlinks"
	// StreamStages holds stages set by hand.
	StreamStages = "stages"
)

// Key is an identity of a lead.
type Key struct {
	Kind    string `json:"kind"`
	Account string `json:"account_id,omitempty"`
	Value   string `json:"value"`
}

// KeyOf is a key in the words of an order.
func KeyOf(k pipeline.Key) Key { return Key{string(k.Kind), k.Account, k.Value} }

func (k Key) key() pipeline.Key {
	return pipeline.Key{Kind: pipeline.KeyKind(k.Kind), Account: k.Account, Value: k.Value}
}

// Unlink takes a key off a lead.
type Unlink struct {
	// LeadID is the lead's id then; the fold goes by the keys.
	LeadID uuid.UUID `json:"lead_id"`
	Key    Key       `json:"key"`
	// From are the lead's other keys by which records name it.
	From []Key `json:"from"`
	// At is when it was ordered (UTC).
	At time.Time `json:"at"`
}

// Record makes the order's record for an organisation.
func (u *Unlink) Record(org uuid.UUID, account string) (pipeline.Record, error) {
	return leadRecord(org, account, StreamUnlinks, u, u.At)
}

// Stage sets a lead's stage.
type Stage struct {
	LeadID uuid.UUID `json:"lead_id"`
	// Key names the lead to the fold.
	Key   Key       `json:"key"`
	Stage string    `json:"stage"`
	At    time.Time `json:"at"`
}

// Record makes the order's record for an organisation.
func (s *Stage) Record(org uuid.UUID, account string) (pipeline.Record, error) {
	return leadRecord(org, account, StreamStages, s, s.At)
}

func leadRecord(org uuid.UUID, account, stream string, order any, at time.Time) (pipeline.Record, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return pipeline.Record{}, fmt.Errorf("recording an order about a lead: %w", err)
	}
	payload, err := json.Marshal(order)
	if err != nil {
		return pipeline.Record{}, fmt.Errorf("recording an order about a lead: %w", err)
	}
	return pipeline.Record{
		Org: org, Account: account, Source: pipeline.SourceOperator, Stream: stream, ObjectID: id.String(), Payload: payload,
		ObservedAt: at, FirstSeenAt: at, SourceTime: at,
	}, nil
}

// leadFacts reads a record of an order about a lead. Its errors do not quote the payload.
func leadFacts(r *pipeline.Record) (pipeline.Facts, error) {
	switch r.Stream {
	case StreamUnlinks:
		var u Unlink
		if json.Unmarshal(r.Payload, &u) != nil || u.Key.Value == "" {
			return pipeline.Facts{}, errors.New("an operator's order to unlink cannot be read")
		}
		fact := pipeline.UnlinkFact{Key: u.Key.key()}
		for _, k := range u.From {
			fact.From = append(fact.From, k.key())
		}
		return pipeline.Facts{Unlinks: []pipeline.UnlinkFact{fact}}, nil
	case StreamStages:
		var s Stage
		if json.Unmarshal(r.Payload, &s) != nil || s.Key.Value == "" || s.Stage == "" {
			return pipeline.Facts{}, errors.New("an operator's order about a stage cannot be read")
		}
		return pipeline.Facts{Leads: []pipeline.LeadFact{{Keys: []pipeline.Key{s.Key.key()}, Stage: s.Stage}}}, nil
	}
	return pipeline.Facts{}, fmt.Errorf("no order of an operator is kept in stream %s", r.Stream)
}
