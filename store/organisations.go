package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Organisation is a brokerage whose data lies in this database.
type Organisation struct {
	ID        uuid.UUID
	Name      string
	IsDefault bool
	// HasReceiverToken tells whether a receiver token was made; the token itself is not kept.
	HasReceiverToken bool
	CreatedAt        time.Time
}

// defaultOrganisation is the name of the organisation that the environment's vendor accounts belong to.
const defaultOrganisation = "default"

// defaultStages are the stages of a new organisation (interface.md section 5).
var defaultStages = []struct{ key, label, color, slot string }{
	{"new_lead", "New lead", "#64748b", "new"},
	{"attempting", "Attempting", "#0ea5e9", "working"},
	{"contacted", "Contacted", "#6366f1", "contacted"},
	{"qualified", "Qualified", "#8b5cf6", "qualified"},
	{"application", "Application", "#f59e0b", "application"},
	{"won", "Won", "#16a34a", "won"},
	{"lost", "Lost", "#dc2626", "lost"},
}

// EnsureDefault returns the default organisation, making it with its stages when there is none. Any number of daemons may
// call it at once.
func (db *DB) EnsureDefault(ctx context.Context) (Organisation, error) {
	var org Organisation
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		var err error
		org, err = ensureDefault(ctx, tx, db.Now())
		return err
	})
	if err != nil {
		return Organisation{}, fmt.Errorf("ensuring the default organisation: %w", err)
	}
	return org, nil
}

const organisationDefaultEnsureSQL = `
insert into ops.organisations (org_id, name, is_default, created_at)
values (@org_id, @name, true, @created_at)
on conflict do nothing`

const organisationDefaultSQL = `
select org_id, name, is_default, receiver_token_hash is not null as has_receiver_token, created_at
from ops.organisations
where is_default`

func ensureDefault(ctx context.Context, tx pgx.Tx, now time.Time) (Organisation, error) {
	org, err := collectOrganisation(tx.Query(ctx, organisationDefaultSQL))
	if err == nil || !errors.Is(err, ErrNotFound) {
		return org, err
	}
	_, err = tx.Exec(ctx, organisationDefaultEnsureSQL, pgx.StrictNamedArgs{
		"org_id": uuid.New(), "name": defaultOrganisation, "created_at": now,
	})
	if err != nil {
		return Organisation{}, fmt.Errorf("inserting: %w", err)
	}
	// Another daemon may have been first: what counts is the row that is there now.
	if org, err = collectOrganisation(tx.Query(ctx, organisationDefaultSQL)); err != nil {
		return Organisation{}, err
	}
	return org, insertStages(ctx, tx, org.ID)
}

const stagesInsertSQL = `
insert into pipeline.stages (org_id, stage_id, stage_key, label, color, semantic_slot, position)
select @org_id, s.stage_id, s.stage_key, s.label, s.color, s.semantic_slot, s.position
from unnest(@stage_ids::uuid[], @stage_keys::text[], @labels::text[], @colors::text[], @slots::text[])
  with ordinality as s (stage_id, stage_key, label, color, semantic_slot, position)
on conflict (org_id, stage_key) do nothing`

func insertStages(ctx context.Context, tx pgx.Tx, org uuid.UUID) error {
	var ids, keys, labels, colors, slots []string
	for _, s := range defaultStages {
		ids = append(ids, uuid.NewString())
		keys = append(keys, s.key)
		labels = append(labels, s.label)
		colors = append(colors, s.color)
		slots = append(slots, s.slot)
	}
	_, err := tx.Exec(ctx, stagesInsertSQL, pgx.StrictNamedArgs{
		"org_id": org, "stage_ids": ids, "stage_keys": keys, "labels": labels, "colors": colors, "slots": slots,
	})
	if err != nil {
		return fmt.Errorf("inserting default stages: %w", err)
	}
	return nil
}

const organisationInsertSQL = `
insert into ops.organisations (org_id, name, created_at, timezone)
select @org_id, @name, @created_at, o.timezone
from ops.organisations o
where o.is_default`

// CreateOrganisation makes an organisation with the default stages. It returns ErrExists when the name is taken; the name
// default always is.
func (db *DB) CreateOrganisation(ctx context.Context, name string) (Organisation, error) {
	org := Organisation{ID: uuid.New(), Name: strings.TrimSpace(name), CreatedAt: db.Now()}
	if org.Name == "" {
		return Organisation{}, errors.New("creating an organisation: its name is empty")
	}
	err := db.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := ensureDefault(ctx, tx, org.CreatedAt); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, organisationInsertSQL, pgx.StrictNamedArgs{
			"org_id": org.ID, "name": org.Name, "created_at": org.CreatedAt,
		})
		if isUniqueViolation(err) {
			return ErrExists
		}
		if err != nil {
			return err
		}
		return insertStages(ctx, tx, org.ID)
	})
	if err != nil {
		return Organisation{}, fmt.Errorf("creating an organisation: %w", err)
	}
	return org, nil
}

// The comparison with null has Postgres look the zone up: one that it does not know is an error here, and not in each view.
const organisationsZoneSQL = `
update ops.organisations
set timezone = @zone
where timezone <> @zone
  and now() at time zone @zone is not null`

// SetTimezone sets the IANA zone of the local days that analysts see. A zone that Postgres does not know is an error, and
// changes nothing.
func (db *DB) SetTimezone(ctx context.Context, zone string) error {
	if _, err := db.Pool.Exec(ctx, organisationsZoneSQL, pgx.StrictNamedArgs{"zone": zone}); err != nil {
		return fmt.Errorf("setting the zone of local days: %w", err)
	}
	return nil
}

const organisationsListSQL = `
select org_id, name, is_default, receiver_token_hash is not null as has_receiver_token, created_at
from ops.organisations
order by is_default desc, name`

// Organisations lists every organisation, the default one first, then by name.
func (db *DB) Organisations(ctx context.Context) ([]Organisation, error) {
	var orgs []Organisation
	err := db.onConn(ctx, func(q Queryer) error {
		rows, err := q.Query(ctx, organisationsListSQL)
		if err != nil {
			return err
		}
		orgs, err = pgx.CollectRows(rows, scanOrganisation)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing organisations: %w", err)
	}
	return orgs, nil
}

func collectOrganisation(rows pgx.Rows, err error) (Organisation, error) {
	if err != nil {
		return Organisation{}, err
	}
	org, err := pgx.CollectExactlyOneRow(rows, scanOrganisation)
	if errors.Is(err, pgx.ErrNoRows) {
		return Organisation{}, ErrNotFound
	}
	return org, err
}

func scanOrganisation(row pgx.CollectableRow) (Organisation, error) {
	var o Organisation
	err := row.Scan(&o.ID, &o.Name, &o.IsDefault, &o.HasReceiverToken, &o.CreatedAt)
	o.CreatedAt = o.CreatedAt.UTC()
	return o, err
}

const organisationsSeveralSQL = `
select count(*) > 1
from (
  select
  from ops.organisations
  limit 2
) o`

// SeveralOrganisations tells whether there is more than one.
func (db *DB) SeveralOrganisations(ctx context.Context) (several bool, err error) {
	err = db.onConn(ctx, func(q Queryer) error { return q.QueryRow(ctx, organisationsSeveralSQL).Scan(&several) })
	return several, wrapf(err, "counting organisations")
}
