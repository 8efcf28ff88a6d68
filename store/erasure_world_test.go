package store_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// eraseWorld is a pushWorld in which people can be erased.
type eraseWorld struct {
	*pushWorld
	eraser *store.Eraser
}

func newEraseWorld(t *testing.T) *eraseWorld {
	t.Helper()
	w := &eraseWorld{pushWorld: newPushWorld(t)}
	w.db.Erased = &store.ErasureGuard{
		Key:   func(string, bool) (store.ErasureKey, error) { return testKey("one"), nil },
		Facts: w.rec.Facts,
		OptOut: func(org uuid.UUID, account, phone string, since time.Time) (pipeline.Record, error) {
			payload, err := json.Marshal(pipeline.Facts{DNC: []pipeline.DNCFact{{Phone: phone, Reason: store.KeptReason, Since: since}}})
			return pipeline.Record{Org: org, Account: account, Payload: payload, SourceTime: since}, err
		},
	}
	w.eraser = &store.Eraser{
		DB: w.db, Fold: w.rec, Patience: time.Second,
		Inbox: &store.InboxDrain{DB: w.db, Read: func(p store.Post) ([]store.InboxFact, error) {
			var facts []pipeline.Facts
			if err := json.Unmarshal(p.Body, &facts); err != nil {
				return nil, err
			}
			var out []store.InboxFact
			for i, f := range facts {
				payload, _ := json.Marshal(f)
				out = append(out, store.InboxFact{
					Target: store.Target{Org: p.Org, Account: "default", Source: pipeline.Source(p.Source), Stream: "s"},
					Record: store.LandRecord{ObjectID: fmt.Sprintf("%s-%d", p.ID, i), Payload: payload, ObservedAt: p.ReceivedAt},
				})
			}
			return out, nil
		}},
	}
	return w
}

func testKey(secret string) store.ErasureKey {
	return store.ErasureKey{ID: secret, Sum: func(text string) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write([]byte(text))
		return mac.Sum(nil)
	}}
}

func (w *eraseWorld) erase(who store.Identity) store.Receipt {
	w.t.Helper()
	r, err := w.eraser.Erase(w.t.Context(), foldOrg, who)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *eraseWorld) count(sql string, args ...any) int {
	w.t.Helper()
	var n int
	if err := w.db.Pool.QueryRow(w.t.Context(), sql, args...).Scan(&n); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (w *eraseWorld) agrees(when string) {
	w.t.Helper()
	c, err := w.rec.Compare(w.t.Context(), foldOrg, store.CompareOptions{Diff: func(d store.Difference) error {
		w.t.Errorf("%s: %+v", when, d)
		return nil
	}})
	if err != nil || c.Differing > 0 {
		w.t.Errorf("%s: %d differ, %v", when, c.Differing, err)
	}
}

// holding counts the records, and rows of the pipeline, in which a text stands.
func (w *eraseWorld) holding(text string) int {
	w.t.Helper()
	return w.count(`select (select count(*) from ops.records where payload::text like '%' || $1 || '%')
		+ (select count(*) from ops.record_history where payload::text like '%' || $1 || '%')
		+ (select count(*) from ops.inbox where encode(body, 'escape') like '%' || $1 || '%')
		+ (select count(*) from ops.quarantine where encode(body, 'escape') like '%' || $1 || '%')
		+ (select count(*) from pipeline.lead_keys where value like '%' || $1 || '%')
		+ (select count(*) from ops.record_keys where value like '%' || $1 || '%')
		+ (select count(*) from ops.deliveries d where to_jsonb(d)::text like '%' || $1 || '%')
		+ (select count(*) from ops.suppressions where value like '%' || $1 || '%')
		+ (select count(*) from pipeline.do_not_call where phone like '%' || $1 || '%')`, text)
}

// keptOut is how many records were kept out, of everybody.
func (w *eraseWorld) keptOut() int {
	w.t.Helper()
	return w.count(`select (select sum(kept_out) from ops.erasures) + (select coalesce(sum(records), 0) from ops.erasure_arrivals)`)
}

func callOf(id, phone string) pipeline.Facts {
	return pipeline.Facts{Calls: []pipeline.CallFact{{
		Key: pipeline.CallKey{Dialler: pipeline.SourceIPSCAPE, Account: "default", ExternalID: id}, Direction: pipeline.Outbound, ToNumber: phone,
		StartedAt: foldStart, Lead: []pipeline.Key{{Kind: pipeline.KeyPhone, Value: phone}},
	}}}
}

func email(address string) pipeline.Key { return pipeline.Key{Kind: pipeline.KeyEmail, Value: address} }
