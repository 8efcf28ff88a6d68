package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/jobs"
)

// wakeFold makes the job that folds what a command queued; a daemon does it, now or when it is started.
func (p *program) wakeFold(c *config, d *database) (func(context.Context, pgx.Tx) error, error) {
	queue, err := jobs.NewQueue(d.direct, p.toolLog(c))
	if err != nil {
		return nil, err
	}
	return queue.WakeReconcile, nil
}

// printTouched says how many records a change has folded again.
func (p *program) printTouched(row map[string]any, touched int64, asJSON bool) error {
	if asJSON {
		row["records"] = touched
		return printJSON(p.stdout, row)
	}
	_, err := fmt.Fprintf(p.stdout, "folded again: %s\n", status.Many(touched, "record", "records"))
	return err
}
