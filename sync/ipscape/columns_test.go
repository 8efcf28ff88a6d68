package ipscape

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The rows that the conversions make have the columns of the tables they are for, in their order.
func TestColumnsAreTheTables(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, file := range files {
		sql, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(sql)
	}
	ours := []string{"org_id", "account_id", "missing_since", "observed_at", "changed_at", "primary"}
	for table, columns := range map[string][]string{
		"activities": ActivityColumns(), "leads": LeadColumns(), "lead_lists": LeadListColumns(), "campaigns": CampaignColumns(),
		"users": UserColumns(), "dial_attempts": DialAttemptColumns(), "campaign_stats": CampaignStatsColumns(),
	} {
		_, rest, found := strings.Cut(text.String(), "create table ipscape."+table+" (\n")
		body, _, _ := strings.Cut(rest, "\n);")
		var has []string
		for line := range strings.Lines(body) {
			if name := strings.Fields(line)[0]; !slices.Contains(ours, name) {
				has = append(has, name)
			}
		}
		if diff := cmp.Diff(has, columns); !found || diff != "" {
			t.Errorf("ipscape.%s (-table +conversion):\n%s", table, diff)
		}
	}
}
