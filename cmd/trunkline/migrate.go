package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/migrations"
)

func (p *program) migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "migrate [up|status]",
		Short:   "Bring the database to this version's schema",
		Example: "  trunkline migrate up\n  trunkline migrate status",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.migrateUp(cmd.Context()) },
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "up",
		Short:   "Apply what is missing, River's migrations included, under one lock",
		Example: "  trunkline migrate up",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.migrateUp(cmd.Context()) },
	}, p.migrateStatusCommand())
	return cmd
}

func (p *program) migrateUp(ctx context.Context) error {
	return p.onAnySchema(ctx, func(d *database) error {
		if err := migrations.Up(ctx, d.direct, d.Log); err != nil {
			return withCode(exitDatabase, err)
		}
		if _, err := d.EnsureDefault(ctx); err != nil {
			return withCode(exitDatabase, err)
		}
		_, err := fmt.Fprintln(p.stdout, "the schema is current")
		return err
	})
}

func (p *program) migrateStatusCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "List migrations; exit 4 when the schema is older or newer than this version",
		Example: "  trunkline migrate status --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.onAnySchema(cmd.Context(), func(d *database) error {
				r, err := migrations.Status(cmd.Context(), d.direct)
				if err != nil {
					return withCode(exitDatabase, err)
				}
				if err := p.printMigrations(r, asJSON); err != nil {
					return err
				}
				return withCode(exitDatabase, migrations.Check(cmd.Context(), d.direct))
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) printMigrations(r migrations.Report, asJSON bool) error {
	if asJSON {
		return printJSON(p.stdout, r)
	}
	var rows [][]string
	for _, m := range r.Migrations {
		state := "pending"
		if !m.AppliedAt.IsZero() {
			state = when(m.AppliedAt)
		}
		file := m.File
		if file == "" {
			file = "unknown to this version"
		}
		rows = append(rows, []string{fmt.Sprint(m.Version), filepath.Base(file), state})
	}
	rows = append(rows, []string{"river", fmt.Sprintf("version %d", r.RiverTarget), fmt.Sprintf("at %d", r.River)})
	return table(p.stdout, []string{"MIGRATION", "FILE", "APPLIED"}, rows)
}

// onAnySchema opens the database without asking for a current schema.
func (p *program) onAnySchema(ctx context.Context, work func(d *database) error) error {
	c, err := p.config()
	if err != nil {
		return err
	}
	log := newLogger(p.stderr, &c.General, p.terminal, c.secrets())
	d, err := openDatabase(ctx, &c.General, log, toolConns, false)
	if err != nil {
		return interrupted(ctx, err)
	}
	return errors.Join(interrupted(ctx, work(d)), d.Close(context.WithoutCancel(ctx)))
}
