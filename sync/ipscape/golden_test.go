package ipscape

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenItem is what a golden file shows of an item and of what it means.
type goldenItem struct {
	ObjectID    string
	Cleaned     bool
	SourceTime  time.Time
	ZoneAssumed bool
	FilterTime  time.Time
	Unread      []string
	Row         []string
	Facts       pipeline.Facts
}

func TestGolden(t *testing.T) {
	t.Parallel()
	s := sydney(t)
	streams := []struct {
		stream  string
		columns []string
		convert func([]byte) (Item, error)
	}{
		{StreamActivities, ActivityColumns(), s.Activity},
		{StreamLeads, LeadColumns(), s.Lead},
		{StreamLeadLists, LeadListColumns(), s.LeadList},
		{StreamCampaigns, CampaignColumns(), s.Campaign},
		{StreamUsers, UserColumns(), s.User},
		{StreamDialAttempts, DialAttemptColumns(), s.DialAttempt},
	}
	for _, st := range streams {
		files, err := filepath.Glob(filepath.Join("testdata", st.stream, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no samples of %s: %v", st.stream, err)
		}
		for _, file := range files {
			t.Run(st.stream+"/"+filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				raw, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				item, err := st.convert(raw)
				if err != nil {
					t.Fatal(err)
				}
				if len(item.Values) != len(st.columns) {
					t.Fatalf("%d values for %d columns", len(item.Values), len(st.columns))
				}
				if !item.Cleaned && !bytes.Equal(item.Payload, raw) {
					t.Error("the payload is not the item's bytes")
				}
				facts, err := s.Facts(pipeline.Record{Stream: st.stream, ObjectID: item.ObjectID, Payload: item.Payload})
				if err != nil {
					t.Fatal(err)
				}
				golden := goldenItem{
					item.ObjectID, item.Cleaned, item.SourceTime, item.ZoneAssumed, item.FilterTime, item.Unread, row(st.columns, item.Values), facts,
				}
				compareGolden(t, strings.TrimSuffix(file, ".json")+".golden", golden)
			})
		}
	}
}

// row shows the columns that have a value, with its Go type.
func row(columns []string, values []any) []string {
	var lines []string
	for i, v := range values {
		switch v := v.(type) {
		case nil:
		case json.RawMessage:
			lines = append(lines, fmt.Sprintf("%s json %s", columns[i], bytes.Join(bytes.Fields(v), []byte(" "))))
		case time.Time:
			lines = append(lines, fmt.Sprintf("%s time %s", columns[i], v.Format(time.RFC3339Nano)))
		default:
			lines = append(lines, fmt.Sprintf("%s %T %v", columns[i], v, v))
		}
	}
	return lines
}

func compareGolden(t *testing.T, file string, got any) {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(got); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), buf.String()); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}
