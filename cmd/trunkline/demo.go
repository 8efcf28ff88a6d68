package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/api/status"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/walk"
)

// demoPatience is how long the demo waits for everything to settle.
const demoPatience = 4 * time.Minute

// demoSays is how often it says meanwhile what it waits for.
const demoSays = 3 * time.Second

func (p *program) demoCommand() *cobra.Command {
	var exit bool
	cmd := &cobra.Command{
		Use:     "demo [--exit]",
		Short:   "See it run: simulated vendors, seeded traffic over real HTTP, a database of its own",
		Example: "  trunkline demo\n  trunkline demo --exit",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.demo(cmd.Context(), exit) },
	}
	cmd.Flags().BoolVar(&exit, "exit", false, "stop once everything is synced; exit 1 when anything failed")
	return cmd
}

// demoEnv is what the demo's daemon runs with, beside the simulators' own variables: short waits, so that a few seconds
// show what takes minutes at work.
func demoEnv(c *config, exit bool, environ []string) map[string]string {
	env := map[string]string{
		"TRUNKLINE_DATA_DIR":             filepath.Join(c.General.DataDir, demoDir),
		"TRUNKLINE_CALL_WINDOW":          "00:00-24:00",
		"TRUNKLINE_DIAL_QUIET":           "0s", // simulated people do not mind
		"TRUNKLINE_PUSH":                 "dialedin,convolo,lendworks",
		"IPSCAPE_SETTLE":                 "1s",
		"IPSCAPE_RATE":                   fmt.Sprint(demoRate),
		"IPSCAPE_SCHEDULE_ACTIVITIES":    "@every 2s",
		"IPSCAPE_SCHEDULE_LEADS":         "@every 2s",
		"IPSCAPE_SCHEDULE_DIAL_ATTEMPTS": "@every 2s",
		"LENDWORKS_SETTLE":               "1s",
		"LENDWORKS_SCHEDULE_LEADS":       "@every 2s",
	}
	addressed := false
	for _, entry := range environ {
		addressed = addressed || strings.HasPrefix(entry, "TRUNKLINE_HTTP_ADDR=")
	}
	if exit && !addressed {
		// Nobody will look at it, so it need not fight for a port.
		env["TRUNKLINE_HTTP_ADDR"] = "127.0.0.1:0"
	}
	return env
}

func (p *program) demo(ctx context.Context, exit bool) error {
	// Read once as it is: the data directory and a database named by the user hold for the demo too.
	base, err := loadConfig(withoutVendors(p.environ))
	if err != nil {
		return withCode(exitConfig, fmt.Errorf("the configuration has faults:\n%w", err))
	}
	box, err := startSandbox(sandboxOptions{addr: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	defer box.Close()
	env := box.Env()
	maps.Copy(env, demoEnv(base, exit, p.environ))
	c, err := loadConfig(overlaid(withoutVendors(p.environ), env))
	if err != nil {
		return withCode(exitConfig, fmt.Errorf("the configuration has faults:\n%w", err))
	}
	log := newLogger(p.stderr, &c.General, p.terminal, c.secrets())
	d, err := startDaemon(ctx, c, log, true)
	if err != nil {
		return err
	}
	if c.General.DatabaseURL == "" {
		// Where the database is somebody's own, its commands name their vendors too.
		offered, err := offerVendors(ctx, c.General.DataDir, env)
		if err != nil {
			return errors.Join(err, d.stop(ctx))
		}
		defer offered.Close()
	}
	done := make(chan error, 1)
	traffic, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	go func() {
		err := p.runDemo(traffic, d, box, exit)
		if err != nil || exit {
			done <- err
		}
	}()
	return untilStopped(ctx, d, done)
}

// How long a demo waits for an earlier one to be gone: for its session, which the server may be about to end, and for the
// heartbeat of a daemon that was killed to be too old.
const (
	sessionPatience   = time.Second
	heartbeatPatience = 6 * time.Second
)

// takeForDemo makes the database this demo's alone until it is closed, and empties it.
func takeForDemo(ctx context.Context, db *database) error {
	conn, err := db.direct.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("locking the database for the demo: %w", err)
	}
	db.demo = conn.Hijack()
	if err := whileDemoRuns(ctx, sessionPatience, func() error { return store.LockForDemo(ctx, db.demo) }); err != nil {
		return err
	}
	return whileDemoRuns(ctx, heartbeatPatience, func() error { return db.EmptyForDemo(ctx) })
}

// whileDemoRuns tries again and again while another demo is in the way.
func whileDemoRuns(ctx context.Context, patience time.Duration, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if !errors.Is(err, store.ErrDemoRuns) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-ticker.C:
		}
	}
}

// runDemo makes the traffic, waits until nothing is left to do, and prints what came of it.
func (p *program) runDemo(ctx context.Context, d *daemon, box *runningSandbox, exit bool) error {
	fmt.Fprintf(p.stderr, "the status page is http://%s/, the API listens there too, the simulated vendors on %s\n", d.addr, box.server.URL())
	box.PostTo("http://" + d.addr)
	if err := makeTraffic(ctx, d, box); err != nil {
		return fmt.Errorf("demo traffic: %w", err)
	}
	changed := time.Now()
	said := changed
	look := func(ctx context.Context) ([]string, string, error) {
		waiting, deliveries, err := waitingFor(ctx, d, box, changed)
		if len(waiting) > 0 && time.Since(said) > demoSays {
			said = time.Now()
			fmt.Fprintf(p.stderr, "waiting for %s\n", strings.Join(waiting, ", "))
		}
		return waiting, deliveries, err
	}
	if err := waitSettled(ctx, look); err != nil {
		return err
	}
	s, err := summarise(ctx, d, box)
	if err != nil {
		return err
	}
	if err := s.print(p.stdout); err != nil {
		return err
	}
	if problems := s.problems(); len(problems) > 0 {
		return fmt.Errorf("the demo does not agree with the simulated vendors: %s", strings.Join(problems, "; "))
	}
	if !exit {
		addHistory(d, box)
	}
	fmt.Fprintln(p.stdout, "everything synced")
	return nil
}

// waitSettled waits until every stream is at its head, every post is folded and every delivery has an end. look tells what is still to
// come, and how many deliveries there are in which state. It takes two looks in a row that find the same: a call that is made
// during the first one, after its webhooks were looked for and before its delivery was, has them to come in the second.
func waitSettled(ctx context.Context, look func(context.Context) (waiting []string, deliveries string, err error)) error {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	quiet, before := false, ""
	for {
		waiting, deliveries, err := look(ctx)
		settled := err == nil && len(waiting) == 0
		if settled && quiet && deliveries == before {
			return nil
		}
		quiet, before = settled, deliveries
		select {
		case <-ctx.Done():
			if err != nil {
				return err
			}
			return fmt.Errorf("the demo did not settle in %s; still waiting for %s", demoPatience, strings.Join(waiting, ", "))
		case <-ticker.C:
		}
	}
}

func waitingFor(ctx context.Context, d *daemon, box *runningSandbox, changed time.Time) ([]string, string, error) {
	var waiting []string
	streams, err := d.db.StreamStates(ctx, d.db.Pool, d.org.ID)
	if err != nil {
		return nil, "", err
	}
	if len(streams) < len(d.streams) {
		waiting = append(waiting, "streams to start")
	}
	for _, s := range streams {
		head := s.CoveredThrough
		if s.Capability == string(walk.Snapshot) {
			// Read once is read: what these lists hold does not change here.
			if head = changed; s.LastSuccessAt.IsZero() {
				head = time.Time{}
			}
		}
		if head.Before(changed) || s.Holes > 0 {
			waiting = append(waiting, fmt.Sprintf("stream %s", s.Key.Stream))
		}
	}
	// Before the counts: a webhook that has been answered is among them.
	if n := len(box.Convolo().Pending()) + len(box.LendWorks().Pending()); n > 0 {
		waiting = append(waiting, status.Many(n, "webhook", "webhooks")+" to come")
	}
	counts, err := d.db.Counts(ctx)
	if err != nil {
		return nil, "", err
	}
	if counts.CampaignStats < counts.Campaigns {
		waiting = append(waiting, "statistics of campaigns")
	}
	if counts.PostsOpen > 0 {
		waiting = append(waiting, status.Many(counts.PostsOpen, "post", "posts")+" to read")
	}
	if counts.Unfolded > 0 {
		waiting = append(waiting, status.Many(counts.Unfolded, "record", "records")+" to fold")
	}
	deliveries, err := d.db.DeliveryCounts(ctx, d.db.Pool)
	if err != nil {
		return nil, "", err
	}
	for _, n := range deliveries {
		switch n.State {
		case "ready", "sending", "unknown":
			waiting = append(waiting, fmt.Sprintf("%s %s at %s", status.Many(n.Count, "delivery", "deliveries"), n.State, n.Destination))
		}
	}
	return waiting, fmt.Sprint(deliveries), nil
}
