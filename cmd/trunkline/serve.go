package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/sync/sandbox"
)

func (p *program) serveCommand() *cobra.Command {
	var withSandbox bool
	var roleList string
	cmd := &cobra.Command{
		Use:     "serve [--roles api,worker,scheduler] [--sandbox]",
		Short:   "Run the daemon until it is told to stop",
		Example: "  trunkline serve\n  trunkline serve --sandbox",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			overlay := map[string]string{}
			if roleList != "" {
				overlay["TRUNKLINE_ROLES"] = roleList
				if new(roles).EnvDecode(roleList) != nil {
					return withCode(exitUsage, errors.New("--roles must be a comma list of api, worker, scheduler"))
				}
			}
			return p.serve(cmd.Context(), overlay, withSandbox)
		},
	}
	cmd.Flags().StringVar(&roleList, "roles", "", "what this daemon does; overrides TRUNKLINE_ROLES")
	cmd.Flags().BoolVar(&withSandbox, "sandbox", false, "simulate the vendors; overrides every vendor variable")
	return cmd
}

// serve runs the daemon with the environment and what overlays it.
func (p *program) serve(ctx context.Context, overlay map[string]string, withSandbox bool) error {
	environ := p.environ
	var box *runningSandbox
	if withSandbox {
		var err error
		if box, err = startSandbox(sandboxOptions{addr: "127.0.0.1:0"}); err != nil {
			return err
		}
		defer box.Close()
		maps.Copy(overlay, box.Env())
		environ = withoutVendors(environ)
	}
	c, err := loadConfig(overlaid(environ, overlay))
	if err != nil {
		return withCode(exitConfig, fmt.Errorf("the configuration has faults:\n%w", err))
	}
	log := newLogger(p.stderr, &c.General, p.terminal, c.secrets())
	if _, set := os.LookupEnv("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(collectHarder)
	}
	d, err := startDaemon(ctx, c, log, false)
	if err != nil {
		return err
	}
	if box != nil && d.addr != "" {
		box.PostTo("http://" + d.addr)
	}
	return untilStopped(ctx, d, nil)
}

// collectHarder is the memory, in bytes, from which on the daemon's garbage is collected oftener than when the heap has doubled.
// It bounds nothing: what a fold or a load of posts needs above it is had, at the price of some processor time.
const collectHarder = 30 << 20

// startDaemon starts the daemon, for the demo on a database that it empties. What has started when it fails is stopped.
func startDaemon(ctx context.Context, c *config, log *slog.Logger, demo bool) (_ *daemon, err error) {
	adoptStandardLog(log)
	// The port comes first: when it is taken, nothing has been touched.
	listener, err := listen(ctx, &c.General)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && listener != nil {
			// Where the server had it, it is closed already.
			_ = listener.Close()
		}
		err = interrupted(ctx, err)
	}()
	db, err := openDatabase(ctx, &c.General, log, poolConns, false)
	if err != nil {
		return nil, err
	}
	if demo {
		if err := takeForDemo(ctx, db); err != nil {
			return nil, withCode(exitDatabase, errors.Join(err, db.Close(context.WithoutCancel(ctx))))
		}
	}
	d, err := newDaemon(ctx, c, log, db)
	if err != nil {
		return nil, err
	}
	d.listener = listener
	if demo {
		err = d.db.MarkDemo(ctx, d.org.ID)
	}
	if err == nil {
		err = d.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.stop(ctx))
	}
	return d, nil
}

// listen takes the port of the API; a daemon without that role has none.
func listen(ctx context.Context, g *generalConfig) (net.Listener, error) {
	if !g.Roles.api {
		return nil, nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", string(g.HTTPAddr))
	if err != nil {
		return nil, fmt.Errorf("listening for HTTP: %w", err)
	}
	return listener, nil
}

// untilStopped waits for a signal (which ends ctx), for the daemon to fail, or for done to yield; then it stops the daemon
// gently.
func untilStopped(ctx context.Context, d *daemon, done <-chan error) error {
	watch, cancel := context.WithCancel(ctx)
	var cause error
	select {
	case cause = <-d.failed(watch):
		d.log.Error("the daemon cannot go on", "error", cause)
	case cause = <-done:
	case <-ctx.Done():
	}
	cancel()
	if s, ok := errors.AsType[signalled](context.Cause(ctx)); ok {
		d.log.Info("signal received", "signal", s.String())
		// What the signal broke off is no failure.
		cause = nil
	}
	return errors.Join(cause, d.stop(ctx))
}

// vendorPrefixes begin the names of vendor variables.
var vendorPrefixes = []string{"IPSCAPE_", "DIALEDIN_", "CONVOLO_", "CONVOSO_", "LENDWORKS_"}

// ofVendor tells whether a variable, or an entry of an environment, is a vendor's.
func ofVendor(entry string) bool {
	return slices.ContainsFunc(vendorPrefixes, func(prefix string) bool { return strings.HasPrefix(entry, prefix) })
}

func withoutVendors(environ []string) []string {
	out := slices.DeleteFunc(slices.Clone(environ), ofVendor)
	for _, v := range variables(&config{}) {
		if v.secret && ofVendor(v.name) {
			// Set to nothing, so that no credential stands in for it.
			out = append(out, v.name+"=")
		}
	}
	return out
}

// overlaid returns an environment in which some variables are replaced.
func overlaid(environ []string, overlay map[string]string) []string {
	out := slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		_, replaced := overlay[name]
		return replaced
	})
	for _, name := range slices.Sorted(maps.Keys(overlay)) {
		out = append(out, name+"="+overlay[name])
	}
	return out
}

// runningSandbox is the vendor simulators behind one listener.
type runningSandbox struct {
	*sandbox.Sandbox
	server *sandbox.Server
}

// Env returns the variables that point a daemon at the simulators.
func (r *runningSandbox) Env() map[string]string { return r.Sandbox.Env(r.server.URL()) }

// Close ends the listener.
func (r *runningSandbox) Close() {
	// The process ends right after; a listener that fails to close takes nothing with it.
	_ = r.server.Close()
}
