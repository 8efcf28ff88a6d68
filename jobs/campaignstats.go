package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// CampaignStatsArgs asks for the statistics of an account's campaigns as they are now. What was asked for since Since is not
// asked for again, so that a job that is repeated goes on where it was.
type CampaignStatsArgs struct {
	Account string    `json:"account"`
	Since   time.Time `json:"since"`
}

// Kind implements river.JobArgs.
func (CampaignStatsArgs) Kind() string { return "campaign_stats" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (CampaignStatsArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: queueRefetch, MaxAttempts: drainAttempts}
}

// CampaignStats takes snapshots of campaigns: their numbers are of a moment, and cannot be read later.
type CampaignStats struct {
	DB     *store.DB
	Queue  *Queue
	Log    *slog.Logger
	Client *ipscape.Client
	// Settings are the account's.
	Settings ipscape.Settings
	// Key is the stream of the campaigns.
	Key store.StreamKey

	table *store.TypedTable
}

// NewCampaignStats completes a CampaignStats.
func NewCampaignStats(c CampaignStats) *CampaignStats {
	c.table = &store.TypedTable{
		Schema: "ipscape", Name: "campaign_stats", Key: "campaign_id", MoreKeys: []string{"kind", "period", "taken_at"},
		Columns: append(ipscape.CampaignStatsColumns(), "payload"),
	}
	return &c
}

// After orders the snapshots in the transaction that ended a walk of the campaigns, unless those ordered before are still being
// taken: an account with many campaigns may need longer than the list's schedule gives.
func (c *CampaignStats) After(ctx context.Context, tx pgx.Tx, w store.Walk) error {
	if w.Key != c.Key || w.Kind == "backfill" {
		return nil
	}
	if going, err := c.DB.SnapshotsGoing(ctx, tx, w.Key.Account); err != nil || going {
		return err
	}
	return c.Queue.Insert(ctx, tx, CampaignStatsArgs{Account: w.Key.Account, Since: c.DB.Now()})
}

// statistics is one kind of numbers: how it is asked for, and how the answer is read.
type statistics struct {
	kind, period string
}

// statisticsOf knows the two types that the vendor documents. Others have no operation.
func statisticsOf(campaignType string) []statistics {
	switch strings.ToLower(strings.TrimSpace(campaignType)) {
	case ipscape.StatsOutbound:
		return []statistics{{ipscape.StatsOutbound, ""}}
	case ipscape.StatsInbound:
		return []statistics{{ipscape.StatsInbound, ipscape.PeriodHour}, {ipscape.StatsInbound, ipscape.PeriodDay}}
	}
	return nil
}

// Take takes what is still to be taken. One campaign's failure does not stop the others; the error is of those that are worth
// another try. A vendor that wants us to wait, or refuses our credentials, ends the run; so does the end of a turn, which
// store.ErrMore tells as long as turns get on.
func (c *CampaignStats) Take(ctx context.Context, account string, since time.Time) error {
	if account != c.Key.Account {
		return nil // another daemon's
	}
	campaigns, err := c.DB.CampaignsToAsk(ctx, c.Key, since)
	if err != nil {
		return err
	}
	until, cancel := context.WithTimeout(ctx, refetchTurn)
	defer cancel()
	var again []error
	taken := 0
	for _, campaign := range campaigns {
		for _, s := range statisticsOf(campaign.Type) {
			if slices.Contains(campaign.Taken, s.kind+"/"+s.period) {
				continue
			}
			if until.Err() != nil {
				if taken > 0 && len(again) == 0 {
					return store.ErrMore
				}
				return errors.Join(append(again, errors.New("statistics of campaigns: the turn is over before all were asked for"))...)
			}
			err := c.take(ctx, campaign.ID, s)
			if err == nil {
				taken++
				continue
			}
			err = fmt.Errorf("statistics (%s) of campaign %s: %w", s.kind, campaign.ID, err)
			switch kind := vendorapi.KindOf(err); {
			case ctx.Err() != nil, kind == vendorapi.Limited, kind == vendorapi.Denied:
				return err
			case kind == vendorapi.Refused, kind == vendorapi.Malformed, kind == vendorapi.Unknown:
				c.Log.WarnContext(ctx, "statistics of a campaign cannot be had", "source", pipeline.SourceIPSCAPE, "campaign_id", campaign.ID, "error", err)
			default:
				again = append(again, err)
			}
		}
	}
	return errors.Join(again...)
}

func (c *CampaignStats) take(ctx context.Context, id string, s statistics) error {
	var raw json.RawMessage
	var asked time.Time
	var item ipscape.Item
	var err error
	if s.kind == ipscape.StatsOutbound {
		if raw, asked, err = c.Client.OutboundInfo(ctx, id, vendorapi.Reread); err == nil {
			item, err = c.Settings.OutboundStats(raw, asked)
		}
	} else {
		if raw, asked, err = c.Client.InboundStatistics(ctx, id, s.period, vendorapi.Reread); err == nil {
			item, err = c.Settings.InboundStats(raw, s.period, asked)
		}
	}
	if err != nil {
		return err
	}
	return c.DB.PutSnapshot(ctx, c.Key, c.table, append(item.Values, json.RawMessage(item.Payload)), asked)
}

// campaignStats is what the worker needs of CampaignStats.
type campaignStats interface {
	Take(ctx context.Context, account string, since time.Time) error
}

type campaignStatsWorker struct {
	river.WorkerDefaults[CampaignStatsArgs]
	stats campaignStats
}

// Work takes the snapshots of one account.
func (w *campaignStatsWorker) Work(ctx context.Context, job *river.Job[CampaignStatsArgs]) error {
	err := w.stats.Take(ctx, job.Args.Account, job.Args.Since)
	if errors.Is(err, store.ErrMore) {
		return river.JobSnooze(0)
	}
	return err
}
