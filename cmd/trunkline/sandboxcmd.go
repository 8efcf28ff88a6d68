package main

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/sync/sandbox"
)

// sandboxSeed makes every sandbox of the command line the same world.
const sandboxSeed = 2026

type sandboxOptions struct {
	addr       string
	activities int
	leads      int
	posts      int
	// daemon is the address to whose receivers the vendors post, empty for none.
	daemon string
}

func startSandbox(o sandboxOptions) (*runningSandbox, error) {
	box := sandbox.New(sandbox.Options{
		Seed: sandboxSeed, Now: time.Now, Log: slog.New(slog.DiscardHandler), Activities: o.activities, Leads: o.leads, Posts: o.posts,
	})
	server, err := box.Start(o.addr)
	if err != nil {
		return nil, fmt.Errorf("starting the vendor simulators: %w", err)
	}
	if o.daemon != "" {
		box.PostTo(o.daemon)
	}
	return &runningSandbox{box, server}, nil
}

func (p *program) sandboxCommand() *cobra.Command {
	var o sandboxOptions
	cmd := &cobra.Command{
		Use:     "sandbox --addr ADDR",
		Short:   "Run the vendor simulators alone, and print the environment that points a daemon at them",
		Example: "  trunkline sandbox --addr 127.0.0.1:9090 > sandbox.env",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if new(hostPort).EnvDecode(o.addr) != nil {
				return withCode(exitUsage, fmt.Errorf("--addr must be host:port, such as 127.0.0.1:9090"))
			}
			if o.daemon != "" && new(webURL).EnvDecode(o.daemon) != nil {
				return withCode(exitUsage, fmt.Errorf("--daemon must be the address of a daemon, such as http://127.0.0.1:8080"))
			}
			box, err := startSandbox(o)
			if err != nil {
				return err
			}
			defer box.Close()
			env := box.Env()
			for _, name := range slices.Sorted(maps.Keys(env)) {
				fmt.Fprintf(p.stdout, "%s=%s\n", name, quoted(env[name]))
			}
			fmt.Fprintf(p.stderr, "the vendors listen on %s\n", box.server.URL())
			<-cmd.Context().Done()
			return nil
		},
	}
	cmd.Flags().StringVar(&o.addr, "addr", "127.0.0.1:9090", "address to listen on")
	cmd.Flags().StringVar(&o.daemon, "daemon", "", "address of a daemon that gets the vendors' webhooks, such as http://127.0.0.1:8080; empty sends none")
	cmd.Flags().IntVar(&o.activities, "activities", 0, "how many ipSCAPE activities to seed; 0 = a small set")
	cmd.Flags().IntVar(&o.leads, "leads", 0, "how many ipSCAPE leads to seed; 0 = a small set")
	cmd.Flags().IntVar(&o.posts, "posts", 0, "how many Convoso posts to plan; 0 = a small set")
	return cmd
}

// quoted writes a value so that a shell and an EnvironmentFile read it as it is.
func quoted(s string) string {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !slices.Contains([]rune("-_./:@+,"), r) {
			return fmt.Sprintf("%q", s)
		}
	}
	return s
}
