package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/pipeline"
)

func TestLoadConfigDefaults(t *testing.T) {
	t.Parallel()
	c, err := loadConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.General.StopTimeout.Duration != 45*time.Second || string(c.General.HTTPAddr) != "127.0.0.1:8080" || c.IPSCAPE.AuthPrefix != "Bearer " ||
		c.IPSCAPE.Rate != 2 || c.IPSCAPE.Settle.Duration != time.Minute || c.IPSCAPE.Activities.String() != "@every 1m" || !c.DialedIn.CheckHours || c.DialedIn.Dial ||
		c.DialedIn.DuplicatesCheck != 2 || c.General.CallWindow.String() != "08:00-21:00" || !c.General.Roles.api || !c.General.Roles.scheduler ||
		c.Convoso.Timezone.String() != "America/Los_Angeles" || c.IPSCAPE.on() || c.DialedIn.on() || c.Convolo.on() {
		t.Errorf("defaults: %+v", c)
	}
}

// TestExplicitCallWindowReplacesTheRules: also when it is set to the very default.
func TestExplicitCallWindowReplacesTheRules(t *testing.T) {
	t.Parallel()
	evening := time.Date(2026, 6, 3, 0, 30, 0, 0, time.UTC) // 20:30 in Miami, where calls end at eight
	lead := pipeline.LeadView{Phone: "+13055550123"}
	for _, tc := range []struct {
		env  []string
		open bool
		most int
	}{
		{nil, false, 3},
		{[]string{"TRUNKLINE_CALL_WINDOW="}, false, 3},
		{[]string{"TRUNKLINE_CALL_WINDOW=08:00-21:00"}, true, 0},
		{[]string{"TRUNKLINE_CALL_WINDOW=00:00-24:00"}, true, 0},
	} {
		c, err := loadConfig(tc.env)
		if err != nil {
			t.Fatal(err)
		}
		hours, err := c.General.hours()
		if err != nil {
			t.Fatal(err)
		}
		if hours.Open(lead, evening) != tc.open || hours.Cap(lead) != tc.most {
			t.Errorf("%v: open %v, cap %d", tc.env, hours.Open(lead, evening), hours.Cap(lead))
		}
	}
}

// TestLoadConfigNamesEveryFault has all of them at once: one line each, and never the value.
func TestLoadConfigNamesEveryFault(t *testing.T) {
	t.Parallel()
	bad := map[string]string{
		"IPSCAPE_SCHEDULE_ACTIVITIES": "0 0 31 2 *",
		"IPSCAPE_SCHEDULE_LEADS":      "TZ=0",
		"IPSCAPE_RATE":                "-1",
		"IPSCAPE_TIMEOUT":             "0s",
		"IPSCAPE_SETTLE":              "minute",
		"IPSCAPE_TIMEZONE":            "Nowhere/Town",
		"IPSCAPE_TOKEN":               "hidden-tok\nen",
		"DIALEDIN_DIAL":               "hidden-maybe",
		"DIALEDIN_DUPLICATES_CHECK":   "4",
		"CONVOLO_URL":                 "ftp://hidden",
		"CONVOLO_AGENTS":              "hidden",
		"CONVOSO_ALLOW_CIDRS":         "66.85.240.0/21,hidden",
		"TRUNKLINE_PUSH":              "dialedin,hidden",
		"TRUNKLINE_CALL_WINDOW":       "8-21",
		"TRUNKLINE_LOG_LEVEL":         "hidden",
		"TRUNKLINE_LOG_FORMAT":        "hidden",
		"TRUNKLINE_ROLES":             "hidden",
		"TRUNKLINE_STOP_TIMEOUT":      "hidden",
		"TRUNKLINE_HTTP_ADDR":         "hidden",
		"TRUNKLINE_DEFAULT_REGION":    "hidden",
		"TRUNKLINE_PSUH":              "hidden",
	}
	env := []string{"TRUNKLINE_SERVICE_HOST=10.0.0.1", "TRUNKLINE_PORT_8080_TCP=x", "TRUNKLINE_ACCOUNTS_FILE=/x", "PATH=/bin"}
	for name, value := range bad {
		env = append(env, name+"="+value)
	}
	_, err := loadConfig(env)
	if err == nil {
		t.Fatal("no fault found")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(bad) {
		t.Errorf("%d lines for %d faults:\n%s", len(lines), len(bad), err)
	}
	for name := range bad {
		n := 0
		for _, line := range lines {
			if strings.HasPrefix(line, name+": ") {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s has %d lines:\n%s", name, n, err)
		}
	}
	if strings.Contains(err.Error(), "hidden") {
		t.Errorf("a value shows:\n%s", err)
	}
}

// TestWhatIPSCAPELeavesOpen: every setting that its package has for what the vendor does not document can be set, and an empty prefix is
// not the default one.
func TestWhatIPSCAPELeavesOpen(t *testing.T) {
	t.Parallel()
	env := []string{
		"IPSCAPE_TOKEN=x", "IPSCAPE_BASE_URL=https://acme.example", "IPSCAPE_AUTH_PREFIX=", "IPSCAPE_FILTER_LAYOUT=02.01.2006 15:04:05", "IPSCAPE_FILTER_TIMEZONE=Australia/Perth",
		"IPSCAPE_FILTER_BOOLEANS=1/0", "IPSCAPE_CURSOR_ALONE=true", "IPSCAPE_CAMPAIGNS_PAGE=page", "IPSCAPE_BULK_SIZE=7",
		"IPSCAPE_METHOD_UPDATE_LEAD=PATCH", "IPSCAPE_PATH_BULK_LEAD_CREATE=/v3.0/bulk",
	}
	c, err := loadConfig(env)
	if err != nil {
		t.Fatal(err)
	}
	got := c.IPSCAPE.client()
	zone := got.FilterZone.String()
	got.FilterZone = nil
	want := ipscape.Config{
		BaseURL: "https://acme.example", Token: "x", AuthHeader: "Authorization", Timeout: 25 * time.Second, FilterLayout: "02.01.2006 15:04:05", NumericBooleans: true,
		CursorAlone: true, CampaignsPage: "page", BulkSize: 7,
		Methods: map[string]string{ipscape.OpUpdateLead: "PATCH"}, Paths: map[string]string{ipscape.OpBulkCreateLeads: "/v3.0/bulk"},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || zone != "Australia/Perth" {
		t.Errorf("zone %s (-want +got):\n%s", zone, diff)
	}
	for _, wrong := range []string{
		"IPSCAPE_FILTER_LAYOUT=2006-01-02", "IPSCAPE_FILTER_LAYOUT=2006-01-02T03:04:05", "IPSCAPE_FILTER_BOOLEANS=yes", "IPSCAPE_BULK_SIZE=0",
		"IPSCAPE_METHOD_LIST_LEADS=POST", "IPSCAPE_CAMPAIGNS_PAGE=cursor",
	} {
		if _, err := loadConfig(append(slices.Clone(env), wrong)); err == nil {
			t.Errorf("%s: no fault found", wrong)
		}
	}
}

func TestLoadConfigSecretsFromFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-the-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig([]string{"IPSCAPE_TOKEN_FILE=" + file, "IPSCAPE_BASE_URL=https://acme.example"})
	if err != nil || c.IPSCAPE.Token.Reveal() != "from-the-file" {
		t.Errorf("token from a file: %q, %v", c.IPSCAPE.Token.Reveal(), err)
	}
	for _, env := range [][]string{
		{"IPSCAPE_TOKEN_FILE=" + file, "IPSCAPE_TOKEN=x"},
		{"IPSCAPE_TOKEN_FILE=" + file + ".none"},
		{"IPSCAPE_TOKEN=x"},
		{"DIALEDIN_TOKEN=x"},
		{"CONVOLO_WIDGET_KEY=x"},
		{"CONVOSO_ALIASES=x"},
		{"IPSCAPE_TOKEN=x", "IPSCAPE_BASE_URL=https://acme.example", "IPSCAPE_PATH_NO_SUCH=/x"},
	} {
		if _, err := loadConfig(env); err == nil {
			t.Errorf("%v: no fault found", env)
		}
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	var n networks
	if err := n.EnvDecode("66.85.240.0/21, 192.0.2.7 ,2001:db8::1/32,::ffff:198.51.100.9/120"); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(n); got != "[66.85.240.0/21 192.0.2.7/32 2001:db8::/32 198.51.100.0/24]" {
		t.Error(got)
	}
	for _, bad := range []string{"66.85.240.0/33", "a.b.c.d/8", "10.0.0.0/8,", "fe80::1%eth0"} {
		if n.EnvDecode(bad) == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}
