package migrations

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOurFilesAreNumberedWithoutAGap(t *testing.T) {
	t.Parallel()
	if _, err := numbered(files); err != nil {
		t.Error(err)
	}
}

func TestNumberedRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files []string
		want  string
	}{
		"gap":           {[]string{"00001_a.sql", "00003_b.sql"}, "00002 expected"},
		"duplicate":     {[]string{"00001_a.sql", "00002_b.sql", "00002_c.sql"}, "00003 expected"},
		"late start":    {[]string{"00002_a.sql"}, "00001 expected"},
		"short number":  {[]string{"1_a.sql"}, "not named"},
		"no name":       {[]string{"00001.sql"}, "not named"},
		"capital":       {[]string{"00001_A.sql"}, "not named"},
		"nothing":       {nil, "no migrations"},
		"other endings": {[]string{"00001_a.txt"}, "no migrations"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys := fstest.MapFS{}
			for _, file := range test.files {
				fsys[file] = &fstest.MapFile{}
			}
			if _, err := numbered(fsys); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	known := []Migration{{Version: 1, File: "00001_a.sql"}, {Version: 2, File: "00002_b.sql"}}
	for name, test := range map[string]struct {
		applied       map[int64]time.Time
		river         int
		behind, ahead bool
	}{
		"empty":              {map[int64]time.Time{}, 0, true, false},
		"current":            {map[int64]time.Time{1: at, 2: at}, 8, false, false},
		"ours behind":        {map[int64]time.Time{1: at}, 8, true, false},
		"river behind":       {map[int64]time.Time{1: at, 2: at}, 7, true, false},
		"river ahead":        {map[int64]time.Time{1: at, 2: at}, 9, false, true},
		"ours ahead":         {map[int64]time.Time{1: at, 2: at, 3: at}, 8, false, true},
		"a number was given": {map[int64]time.Time{1: at, 7: at}, 8, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := Report{River: test.river, RiverTarget: 8}
			report.compare(known, test.applied)
			if report.Behind != test.behind || report.Ahead != test.ahead {
				t.Errorf("behind %t ahead %t, want %t %t", report.Behind, report.Ahead, test.behind, test.ahead)
			}
			if (report.refuseNewer() != nil) != test.ahead {
				t.Errorf("refused: %v", report.refuseNewer())
			}
		})
	}
	report := Report{}
	report.compare(known, map[int64]time.Time{3: at})
	want := []Migration{{Version: 1, File: "00001_a.sql"}, {Version: 2, File: "00002_b.sql"}, {Version: 3, AppliedAt: at}}
	if diff := cmp.Diff(want, report.Migrations); diff != "" {
		t.Errorf("migrations (-want +got):\n%s", diff)
	}
}
