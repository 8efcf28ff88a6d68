package ipscape

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/pipeline"
)

func fuzzSeeds(f *testing.F, stream string) {
	files, err := filepath.Glob(filepath.Join("testdata", stream, "*.json"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
}

// fuzzItem checks what holds for any item's bytes.
func fuzzItem(t *testing.T, s Settings, stream string, columns int, raw []byte, convert func([]byte) (Item, error)) {
	// Facts may meet bytes that nobody has cleaned.
	_, _ = s.Facts(pipeline.Record{Stream: stream, Payload: raw})
	item, err := convert(raw)
	if err != nil {
		if _, ok := errors.AsType[*ItemError](err); !ok {
			t.Fatalf("error of type %T: %v", err, err)
		}
		return
	}
	if len(item.Values) != columns || item.ObjectID == "" || item.ObjectID != fmt.Sprint(item.Values[0]) {
		t.Fatalf("%d values, id %q of %v", len(item.Values), item.ObjectID, item.Values[0])
	}
	for _, v := range item.Values {
		switch v := v.(type) {
		case string:
			if pipeline.CleanText(v) != v {
				t.Fatalf("a text that Postgres refuses: %q", v)
			}
		case json.RawMessage:
			if _, changed, err := pipeline.CleanJSON(v); err != nil || changed {
				t.Fatalf("JSON that Postgres refuses: %q", v)
			}
		case time.Time:
			if v.Location() != time.UTC || v.Nanosecond()%1000 != 0 {
				t.Fatalf("time %v", v)
			}
		case nil, int64, int32, bool:
		default:
			t.Fatalf("a value of type %T", v)
		}
	}
	again, err := convert(item.Payload)
	if err != nil || again.Cleaned || !cmp.Equal(again.Values, item.Values) {
		t.Fatalf("the payload gives another item: %v", err)
	}
	facts, err := s.Facts(pipeline.Record{Stream: stream, Payload: item.Payload})
	if err != nil {
		t.Fatalf("a stored item without facts: %v", err)
	}
	for _, lead := range facts.Leads {
		if custom := lead.Fields[pipeline.FieldCustom]; custom != "" && !json.Valid([]byte(custom)) {
			t.Fatalf("custom fields %q", custom)
		}
	}
}

func FuzzActivity(f *testing.F) {
	fuzzSeeds(f, StreamActivities)
	s := sydney(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzzItem(t, s, StreamActivities, len(activityColumns), raw, s.Activity)
	})
}

func FuzzLead(f *testing.F) {
	fuzzSeeds(f, StreamLeads)
	s := sydney(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		fuzzItem(t, s, StreamLeads, len(leadColumns), raw, s.Lead)
	})
}
