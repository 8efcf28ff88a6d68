package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// quarantineLook is how many of the newest open items are grouped by shape; all are counted.
const quarantineLook = 2000

const quarantineNewestSQL = `
select id, source, stream, reason, error, seen, first_seen_at, last_seen_at
from ops.quarantine
where state = 'open'
order by id desc
limit @limit`

// QuarantineShapes groups the newest open items of all organisations as QuarantineGroups does, those with most items first.
func (db *DB) QuarantineShapes(ctx context.Context, q Queryer) ([]QuarantineGroup, error) {
	groups := map[[4]string]*QuarantineGroup{}
	err := db.newestQuarantined(ctx, q, func(g QuarantineGroup) {
		if found := groups[g.key()]; found != nil {
			example := found.Example // the newest comes first
			found.join(&g)
			found.Example = example
			return
		}
		groups[g.key()] = &g
	})
	if err != nil {
		return nil, err
	}
	return sortedGroups(groups), nil
}

// QuarantinedAlike returns the newest open items that are of one group with an item, which is the first; ErrNotFound when there is
// no such item.
func (db *DB) QuarantinedAlike(ctx context.Context, id uuid.UUID, limit int) ([]uuid.UUID, error) {
	item, err := db.GetQuarantine(ctx, db.Pool, id)
	if err != nil {
		return nil, err
	}
	want := [4]string{item.Source, item.Stream, item.Reason, errorShape(item.Error)}
	ids := []uuid.UUID{id}
	err = db.newestQuarantined(ctx, db.Pool, func(g QuarantineGroup) {
		if g.key() == want && g.Example != id && len(ids) < limit {
			ids = append(ids, g.Example)
		}
	})
	return ids, err
}

// newestQuarantined calls each for every item, as a group of one.
func (db *DB) newestQuarantined(ctx context.Context, q Queryer, each func(QuarantineGroup)) error {
	rows, err := q.Query(ctx, quarantineNewestSQL, pgx.StrictNamedArgs{"limit": quarantineLook})
	if err != nil {
		return fmt.Errorf("grouping quarantine: %w", err)
	}
	var g QuarantineGroup
	var text string
	_, err = pgx.ForEachRow(rows, []any{&g.Example, &g.Source, &g.Stream, &g.Reason, &text, &g.Seen, &g.FirstSeenAt, &g.LastSeenAt}, func() error {
		g.Shape, g.Items = errorShape(text), 1
		g.FirstSeenAt, g.LastSeenAt = g.FirstSeenAt.UTC(), g.LastSeenAt.UTC()
		each(g)
		return nil
	})
	if err != nil {
		return fmt.Errorf("grouping quarantine: %w", err)
	}
	return nil
}

func (g *QuarantineGroup) key() [4]string { return [4]string{g.Source, g.Stream, g.Reason, g.Shape} }

// sortedGroups puts those with most items first.
func sortedGroups(groups map[[4]string]*QuarantineGroup) []QuarantineGroup {
	list := make([]QuarantineGroup, 0, len(groups))
	for _, g := range groups {
		list = append(list, *g)
	}
	slices.SortFunc(list, func(a, b QuarantineGroup) int {
		return cmp.Or(cmp.Compare(b.Items, a.Items), strings.Compare(a.Source, b.Source), strings.Compare(a.Stream, b.Stream), strings.Compare(a.Shape, b.Shape))
	})
	return list
}
