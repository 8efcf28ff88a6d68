package migrations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrBehind means that the database lacks migrations this binary needs: run `trunkline migrate up`.
var ErrBehind = errors.New("the database schema is older than this binary")

// ErrAhead means that a newer binary, or a changed set of files, has migrated the database: this binary must not touch it.
var ErrAhead = errors.New("the database schema is newer than this binary")

// Migration is one numbered file, or a number the database knows and this binary does not.
type Migration struct {
	Version int64 `json:"version"`
	// File is empty when this binary has no such migration.
	File string `json:"file"`
	// AppliedAt is zero while the migration is pending; UTC.
	AppliedAt time.Time `json:"applied_at,omitzero"`
}

// Report says where a database stands.
type Report struct {
	Migrations []Migration `json:"migrations"`
	// River and RiverTarget are the version of River's tables and the one this binary's River needs.
	River       int `json:"river"`
	RiverTarget int `json:"river_target"`
	// Behind: something is pending. Ahead: something was applied that this binary does not know. Both can be true.
	Behind bool `json:"behind"`
	Ahead  bool `json:"ahead"`
}

// Status reads where the database stands. It changes nothing and works on an empty database.
func Status(ctx context.Context, pool *pgxpool.Pool) (Report, error) {
	return status(ctx, pool, files)
}

// Check returns nil when the database has exactly this binary's schema, and otherwise an error that is ErrBehind or ErrAhead,
// or the failure to read.
func Check(ctx context.Context, pool *pgxpool.Pool) error {
	report, err := Status(ctx, pool)
	if err != nil {
		return err
	}
	if err := report.refuseNewer(); err != nil {
		return err
	}
	if report.Behind {
		return fmt.Errorf("%w (%s): run trunkline migrate up", ErrBehind, report.pending())
	}
	return nil
}

func (r Report) refuseNewer() error {
	if !r.Ahead {
		return nil
	}
	if r.River > r.RiverTarget {
		return fmt.Errorf("%w (river is at %d, known up to %d)", ErrAhead, r.River, r.RiverTarget)
	}
	i := slices.IndexFunc(r.Migrations, func(m Migration) bool { return m.File == "" })
	return fmt.Errorf("%w (migration %d was applied and is not known here)", ErrAhead, r.Migrations[i].Version)
}

func (r Report) pending() string {
	var count int
	for _, m := range r.Migrations {
		if m.AppliedAt.IsZero() {
			count++
		}
	}
	return fmt.Sprintf("%d migrations pending, river %d of %d", count, r.River, r.RiverTarget)
}

// tablesPresentSQL tells whether both migrators have been here, so that Status can read an empty database.
const tablesPresentSQL = `
select to_regclass('ops.goose_db_version') is not null,
       to_regclass('river.river_migration') is not null`

// appliedSQL reads goose's table, whose times have no zone: it writes them in the zone of the session, for us always UTC.
const appliedSQL = `
select version_id, max(tstamp) at time zone 'UTC'
from ops.goose_db_version
where is_applied and version_id > 0
group by version_id`

const riverVersionSQL = `
select coalesce(max(version), 0)
from river.river_migration
where line = 'main'`

func status(ctx context.Context, pool *pgxpool.Pool, fsys fs.FS) (Report, error) {
	known, err := numbered(fsys)
	if err != nil {
		return Report{}, err
	}
	river, err := newRiver(pool)
	if err != nil {
		return Report{}, err
	}
	versions := river.AllVersions()
	report := Report{RiverTarget: versions[len(versions)-1].Version}

	var haveOurs, haveRiver bool
	if err := pool.QueryRow(ctx, tablesPresentSQL).Scan(&haveOurs, &haveRiver); err != nil {
		return Report{}, fmt.Errorf("look for version tables: %w", err)
	}
	applied := map[int64]time.Time{}
	if haveOurs {
		if applied, err = readApplied(ctx, pool); err != nil {
			return Report{}, err
		}
	}
	if haveRiver {
		if err := pool.QueryRow(ctx, riverVersionSQL).Scan(&report.River); err != nil {
			return Report{}, fmt.Errorf("read river's version: %w", err)
		}
	}
	report.compare(known, applied)
	return report, nil
}

func readApplied(ctx context.Context, pool *pgxpool.Pool) (map[int64]time.Time, error) {
	rows, err := pool.Query(ctx, appliedSQL)
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	applied := map[int64]time.Time{}
	var version int64
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&version, &at}, func() error {
		applied[version] = at.UTC()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read applied migrations: %w", err)
	}
	return applied, nil
}

// compare fills the report from the files we know and the versions the database has.
func (r *Report) compare(known []Migration, applied map[int64]time.Time) {
	r.Behind, r.Ahead = r.River < r.RiverTarget, r.River > r.RiverTarget
	for _, m := range known {
		m.AppliedAt = applied[m.Version]
		r.Behind = r.Behind || m.AppliedAt.IsZero()
		delete(applied, m.Version)
		r.Migrations = append(r.Migrations, m)
	}
	for version, at := range applied {
		r.Ahead = true
		r.Migrations = append(r.Migrations, Migration{Version: version, AppliedAt: at})
	}
	slices.SortFunc(r.Migrations, func(a, b Migration) int { return int(a.Version - b.Version) })
}

var fileName = regexp.MustCompile(`^(\d{5})_[a-z0-9_]+\.sql$`)

// numbered lists the files in order and refuses a gap, a duplicate and a name that is not NNNNN_name.sql.
func numbered(fsys fs.FS) ([]Migration, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	if len(names) == 0 {
		return nil, errors.New("no migrations")
	}
	slices.Sort(names) // five digits: the order of names is the order of numbers
	list := make([]Migration, 0, len(names))
	for i, name := range names {
		match := fileName.FindStringSubmatch(path.Base(name))
		if match == nil {
			return nil, fmt.Errorf("migration %s is not named NNNNN_name.sql", name)
		}
		version, err := strconv.ParseInt(match[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		if want := int64(i + 1); version != want {
			return nil, fmt.Errorf("migration %s: number %05d expected here: a gap or a duplicate", name, want)
		}
		list = append(list, Migration{Version: version, File: name})
	}
	return list, nil
}
