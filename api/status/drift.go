package status

import (
	"context"
	"fmt"
	"time"

	"github.com/trunkline/trunkline/store"
)

// Drift is the latest look at a sample of one stream.
type Drift struct {
	Source      string `json:"source"`
	Stream      string `json:"stream"`
	CheckedAt   string `json:"checked_at"`
	Compared    int    `json:"compared"`
	Listed      int    `json:"listed"`
	Missing     int    `json:"missing"`
	Extra       int    `json:"extra"`
	Stale       int    `json:"stale"`
	MappedWrong int    `json:"mapped_wrong"`
	Error       string `json:"error"`

	// Checked is CheckedAt.
	Checked time.Time `json:"-"`
}

// DriftOf is a look as it is shown.
func DriftOf(d store.DriftState) Drift {
	return Drift{
		Source: d.Source, Stream: d.Stream, CheckedAt: when(d.CheckedAt), Compared: d.Compared, Listed: d.Listed, Missing: d.Missing, Extra: d.Extra,
		Stale: d.Stale, MappedWrong: d.MappedWrong, Error: d.Error, Checked: d.CheckedAt.UTC(),
	}
}

// readDrift tells what samples found. Rows that are stale or gone are what re-reads are for; what is missing, or mapped wrong,
// should not be.
func (s *Status) readDrift(ctx context.Context, db *store.DB) error {
	latest, err := db.DriftLatest(ctx, db.Pool)
	if err != nil {
		return err
	}
	for _, d := range latest {
		s.Drift = append(s.Drift, DriftOf(d))
		if wrong := d.Missing + d.MappedWrong; wrong > 0 {
			s.wrong(fmt.Sprintf("%s.%s: %s missing or mapped wrong in the latest sample", d.Source, d.Stream, Many(wrong, "object", "objects")),
				"/#drift", "trunkline drift "+d.Source+" "+d.Stream)
		}
	}
	return nil
}
