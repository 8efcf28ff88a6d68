package ipscape

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/trunkline/trunkline/sync/pipeline"
)

func BenchmarkActivity(b *testing.B) {
	raw, err := os.ReadFile("testdata/activities/inbound_transfer.json")
	if err != nil {
		b.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		b.Fatal(err)
	}
	s := sydney(b)
	b.SetBytes(int64(compact.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Activity(compact.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkActivityFacts(b *testing.B) {
	raw, err := os.ReadFile("testdata/activities/outbound.json")
	if err != nil {
		b.Fatal(err)
	}
	s := sydney(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Facts(pipeline.Record{Stream: StreamActivities, Payload: raw}); err != nil {
			b.Fatal(err)
		}
	}
}
