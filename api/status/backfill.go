package status

import (
	"fmt"

	"github.com/trunkline/trunkline/store"
)

// BackfillRate is the pace of a backfill in words: of the last minute while it is open, of all its time once it has ended.
func BackfillRate(b *store.Backfill) string {
	if took := b.FinishedAt.Sub(b.StartedAt); b.State.Ended() && !b.StartedAt.IsZero() && took > 0 {
		return fmt.Sprintf("%.0f rows/s from start to end", float64(b.Progress.Rows)/took.Seconds())
	}
	return fmt.Sprintf("%.0f rows/s over the last minute", b.Progress.RowsPerSecond)
}
