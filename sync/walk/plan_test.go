package walk_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trunkline/trunkline/sync/walk"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	s := &walk.Stream{Overlap: 15 * time.Minute, Settle: time.Minute, Start: 24 * time.Hour}
	at := func(minutes float64) time.Time { return start.Add(time.Duration(minutes * float64(time.Minute))) }
	covered := func(to float64) walk.Coverage {
		return walk.Coverage{Origin: at(-1000), Ranges: []walk.Window{{From: at(-1000), To: at(to)}}}
	}
	for name, c := range map[string]struct {
		now, vendor time.Time
		coverage    walk.Coverage
		stream      *walk.Stream
		want        walk.Window
		nothing     bool
	}{
		"first":                        {now: at(0), want: walk.Window{From: at(-24 * 60), To: at(-1)}},
		"fractions go down":            {now: at(0).Add(900 * time.Millisecond), want: walk.Window{From: at(-24 * 60), To: at(-1)}},
		"a tick":                       {now: at(0), coverage: covered(-2), want: walk.Window{From: at(-17), To: at(-1)}},
		"a long absence is one window": {now: at(5000), coverage: covered(-2), want: walk.Window{From: at(-17), To: at(4999)}},
		"vendor behind":                {now: at(0), vendor: at(-10), coverage: covered(-12), want: walk.Window{From: at(-27), To: at(-11)}},
		"vendor ahead":                 {now: at(0), vendor: at(10), coverage: covered(-2), want: walk.Window{From: at(-17), To: at(-1)}},
		"clock was ahead":              {now: at(0), coverage: covered(60), want: walk.Window{From: at(-16), To: at(-1)}},
		"the last range counts": {now: at(0), want: walk.Window{From: at(-17), To: at(-1)}, coverage: walk.Coverage{
			Origin: at(-1000), Ranges: []walk.Window{{From: at(-1000), To: at(-900)}, {From: at(-800), To: at(-2)}},
		}},
		"a backfill before the first tick": {
			now: at(0), want: walk.Window{From: at(-24 * 60), To: at(-1)},
			coverage: walk.Coverage{Ranges: []walk.Window{{From: at(-90000), To: at(-80000)}}},
		},
		"nothing new and no overlap": {now: at(0), coverage: covered(-1), stream: &walk.Stream{Settle: time.Minute}, nothing: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stream := s
			if c.stream != nil {
				stream = c.stream
			}
			got, ok := walk.Plan(c.now, c.vendor, c.coverage, stream)
			if ok == c.nothing {
				t.Fatalf("planned %v, %v", got, ok)
			}
			if diff := cmp.Diff(c.want, got); ok && diff != "" {
				t.Errorf("window (-want +got):\n%s", diff)
			}
		})
	}
	if w, ok := walk.Back(at(0), time.Time{}, 48*time.Hour, s); !ok || w != (walk.Window{From: at(-1 - 48*60), To: at(-1)}) {
		t.Errorf("look-back is %v, %v", w, ok)
	}
}
