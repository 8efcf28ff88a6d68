package main

import (
	"log/slog"
	"strings"
	"time"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

func (c *ipscapeConfig) on() bool  { return c.Token != "" }
func (c *dialedinConfig) on() bool { return c.Token != "" }
func (c *convoloConfig) on() bool  { return c.WidgetKey != "" }

func (c *convosoConfig) logOn() bool { return c.APIURL != "" && c.AuthToken != "" }

func (c *convosoConfig) log() convoso.LogConfig {
	return convoso.LogConfig{URL: string(c.APIURL), Token: c.AuthToken, Zone: c.Timezone.Location, Timeout: c.Timeout.Duration}
}

func (c *lendworksConfig) on() bool { return c.APIKey != "" }

func (c *ipscapeConfig) client() ipscape.Config {
	return ipscape.Config{
		BaseURL: string(c.BaseURL), Token: c.Token, AuthHeader: c.AuthHeader, AuthPrefix: string(c.AuthPrefix),
		ExtraHeaders: c.ExtraHeaders, Timeout: c.Timeout.Duration, Paths: byOperation(c.Paths), Methods: byOperation(c.Methods),
		FilterLayout: string(c.FilterLayout), FilterZone: c.FilterZone.Location, NumericBooleans: bool(c.FilterBools),
		CursorAlone: c.CursorAlone, CampaignsPage: c.CampaignPage, BulkSize: int(c.BulkSize), Writes: c.Writes,
	}
}

// byOperation names ipSCAPE's operations as its package does. What is none of them stays, to be told of.
func byOperation(given prefixed) map[string]string {
	named := map[string]string{}
	for name, value := range given {
		if op, ok := vendorapi.Find(ipscape.Described(), name); ok {
			name = op.Name
		}
		named[name] = value
	}
	return named
}

func (c *ipscapeConfig) settings() ipscape.Settings {
	return ipscape.Settings{Account: store.DefaultAccount, Zone: c.Timezone.Location, Region: string(c.Region)}
}

// schedules are those of the live walks, by stream.
func (c *ipscapeConfig) schedules() map[string]jobs.Spec {
	return map[string]jobs.Spec{
		ipscape.StreamActivities: c.Activities.Spec, ipscape.StreamLeads: c.Leads.Spec, ipscape.StreamDialAttempts: c.DialAttempts.Spec,
		ipscape.StreamLeadLists: c.LeadLists.Spec, ipscape.StreamCampaigns: c.Campaigns.Spec, ipscape.StreamUsers: c.Users.Spec,
	}
}

func (c *dialedinConfig) client() dialedin.Config {
	patterns, scripts := map[dialedin.Class]string{}, map[dialedin.Group]string{}
	for class, text := range c.Patterns {
		patterns[dialedin.Class(class)] = text
	}
	for group, name := range c.Scripts {
		scripts[dialedin.Group(group)] = name
	}
	return dialedin.Config{
		BaseURL: string(c.BaseURL), Token: c.Token, AccID: c.AccID, Campaign: c.Campaign, Subcampaign: c.Subcampaign,
		Dial: c.Dial, DuplicatesCheck: int(c.DuplicatesCheck), CheckHours: c.CheckHours, Fields: c.Fields,
		Timeout: c.Timeout.Duration, Patterns: patterns, Scripts: scripts,
	}
}

func (c *convoloConfig) client() convolo.Config {
	return convolo.Config{
		URL: string(c.URL), WidgetKey: c.WidgetKey, APIKey: c.APIKey, Country: string(c.Country), Timeout: c.Timeout.Duration,
		Agents: c.Agents,
	}
}

func (c *convoloConfig) settings() convolo.Settings {
	return convolo.Settings{Account: store.DefaultAccount, Region: string(c.Country)}
}

func (c *convosoConfig) settings(region country) (convoso.Settings, error) {
	return convoso.NewSettings(convoso.Config{
		Account: store.DefaultAccount, Zone: c.Timezone.Location, Region: string(region), Aliases: c.Aliases,
		DNCCodes: c.DNCCodes, Dispositions: c.Dispositions,
	})
}

func (c *lendworksConfig) client() lendworks.Config {
	return lendworks.Config{BaseURL: string(c.BaseURL), Key: c.APIKey, Timeout: c.Timeout.Duration}
}

func (c *lendworksConfig) settings(region country) lendworks.Settings {
	return lendworks.Settings{Account: store.DefaultAccount, Region: string(region)}
}

// vendorFaults asks every vendor's package what it finds wrong with its settings.
func (c *config) vendorFaults() []error {
	var faults []error
	note := func(vendor string, err error) {
		if err == nil {
			return
		}
		// A joined error has one fault a line.
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if name, problem, ok := strings.Cut(line, ": "); ok && strings.HasPrefix(name, vendor+"_") {
				faults = append(faults, fault{name, problem})
			} else {
				faults = append(faults, fault{vendor + "_*", line})
			}
		}
	}
	none := vendorapi.Client{HTTP: vendorapi.NewHTTP(), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if c.IPSCAPE.on() {
		_, err := ipscape.NewClient(c.IPSCAPE.client(), none)
		note("IPSCAPE", err)
	}
	if c.DialedIn.on() {
		_, err := dialedin.NewClient(c.DialedIn.client(), none)
		note("DIALEDIN", err)
	}
	if c.Convolo.on() {
		_, err := convolo.NewClient(c.Convolo.client(), none)
		note("CONVOLO", err)
	}
	if c.LendWorks.on() {
		_, err := lendworks.NewClient(c.LendWorks.client(), none)
		note("LENDWORKS", err)
	}
	if c.Convoso.logOn() {
		_, err := convoso.NewLogClient(c.Convoso.log(), none)
		note("CONVOSO", err)
	}
	_, err := c.Convoso.settings(c.General.Region)
	note("CONVOSO", err)
	return faults
}
