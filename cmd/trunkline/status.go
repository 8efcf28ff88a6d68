package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
)

func (p *program) statusCommand() *cobra.Command {
	var asJSON, watch bool
	cmd := &cobra.Command{
		Use:     "status [--watch]",
		Short:   "Say whether all is well, and how far everything is",
		Example: "  trunkline status\n  trunkline status --watch",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				rules, err := c.rules()
				if err != nil {
					return err
				}
				if err := d.openReplica(ctx, &c.General, 1, nil); err != nil {
					return err
				}
				for {
					s, err := status.Read(ctx, d.DB, c.IPSCAPE.Lookback.Duration, &rules)
					if watch && ctx.Err() != nil {
						return nil
					}
					if err != nil {
						return err
					}
					if d.replica != nil {
						s.AddReplica(d.replicaNow(ctx))
					}
					if asJSON {
						err = printJSON(p.stdout, s)
					} else {
						err = p.showStatus(s, watch)
					}
					if err != nil || !watch {
						return err
					}
					select {
					case <-ctx.Done():
						return nil
					case <-time.After(2 * time.Second):
					}
				}
			})
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every two seconds")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// replicaNow tells how the replica stands, as this process finds it; a daemon's own word is in its metrics. A first look tells the
// primary what a later one finds on the replica, if that is no further behind than it may be.
func (d *database) replicaNow(ctx context.Context) store.ReplicaState {
	d.replica.Look(ctx)
	for deadline := time.Now().Add(store.ReplicaMostBehind + time.Second); d.replica.Young() && time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return d.replica.State()
		case <-time.After(200 * time.Millisecond):
		}
		d.replica.Look(ctx)
	}
	return d.replica.State()
}

// showStatus prints a status. Watched, it takes the place of the one before at once, so that nothing flickers.
func (p *program) showStatus(s *status.Status, watch bool) error {
	page := sizedBuffer{width: columnsOf(p.stdout)}
	if watch {
		fmt.Fprint(&page, "\x1b[H\x1b[2J")
	}
	if err := p.screen(&page).print(s); err != nil {
		return err
	}
	_, err := p.stdout.Write(page.Bytes())
	return err
}
