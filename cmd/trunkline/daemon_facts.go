package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/apiwrite"
	"github.com/trunkline/trunkline/sync/erasure"
	"github.com/trunkline/trunkline/sync/operator"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// rules are those of the program and its environment.
func (c *config) rules() (pipeline.Rules, error) {
	convosoSettings, err := c.Convoso.settings(c.General.Region)
	if err != nil {
		return pipeline.Rules{}, err
	}
	return pipeline.Rules{Dispositions: pipeline.NewDispositions(map[pipeline.Source]map[string]pipeline.Disposition{
		pipeline.SourceConvoso: convosoSettings.Rules(),
	})}, nil
}

// buildFacts finds each source's reader, and has the store keep out what is told of erased people.
func (d *daemon) buildFacts(context.Context) error {
	ipscapeSettings := d.cfg.IPSCAPE.settings()
	convosoSettings, err := d.cfg.Convoso.settings(d.cfg.General.Region)
	if err != nil {
		return err
	}
	ours := apiwrite.Settings{Region: string(d.cfg.General.Region)}
	convoloSettings, lendworksSettings := d.cfg.Convolo.settings(), d.cfg.LendWorks.settings(d.cfg.General.Region)
	d.facts = func(r *pipeline.Record) (pipeline.Facts, error) {
		switch r.Source {
		case pipeline.SourceIPSCAPE:
			return ipscapeSettings.Facts(*r)
		case pipeline.SourceConvoso:
			return convosoSettings.Facts(*r)
		case pipeline.SourceAPI:
			return ours.Facts(r)
		case pipeline.SourceConvolo:
			return convoloSettings.Facts(*r)
		case pipeline.SourceLendWorks:
			return lendworksSettings.Facts(*r)
		case pipeline.SourceOperator:
			return operator.Facts(r)
		default:
			return pipeline.Facts{}, fmt.Errorf("no package reads records of source %s", r.Source)
		}
	}
	d.db.Erased = &store.ErasureGuard{Key: d.cfg.erasureKey(), Facts: d.facts, OptOut: keptOptOut}
	return nil
}

// erasureKey returns how the key of erased people is read.
func (c *config) erasureKey() func(id string, create bool) (store.ErasureKey, error) {
	path := c.General.ErasureKeyFile
	if path == "" {
		path = filepath.Join(c.General.DataDir, "erasure.key")
	}
	keys := erasure.NewKeyring(path)
	return func(id string, create bool) (store.ErasureKey, error) {
		key, err := keys.Key(id, create)
		if err != nil {
			return store.ErasureKey{}, fmt.Errorf("%w: %w", store.ErrErasureKey, err)
		}
		return store.ErasureKey{ID: key.ID, Sum: key.Sum}, nil
	}
}

// keptOptOut is an erased person's opt-out: an order about a phone, without a word of whose it is.
func keptOptOut(org uuid.UUID, account, phone string, since time.Time) (pipeline.Record, error) {
	return operator.DoNotCall{Phone: phone, Reason: store.KeptReason, At: since.UTC()}.Record(org, account)
}
