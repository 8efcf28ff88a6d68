// Command bench measures Trunkline against yardsticks taken in the same run, and prints one table of ratios: `make bench`.
//
// It starts a private Postgres of its own in a temporary directory, with fsync on, and removes it at the end. The vendors
// are pages rendered beforehand and served over HTTP on loopback, so that what is measured is Trunkline and the database.
// docs/performance.md says how to read the table.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what the command line asks for.
type options struct {
	quick   bool
	only    string
	pairs   int
	rows    int
	rssRows int
	leads   int
	calls   int
	plans   string
	load    time.Duration
	profile string
}

// The volumes of a whole run and of a smoke test.
const (
	fullPairs, quickPairs = 5, 1
	fullRows, quickRows   = 50_000, 2_000
	fullRSS, quickRSS     = 300_000, 8_000
	fullLeads, quickLeads = 100_000, 2_000
	fullCalls, quickCalls = 1_000_000, 5_000
	fullLoad, quickLoad   = time.Second, 150 * time.Millisecond
)

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.quick, "quick", false, "small volumes, one pair: a smoke test, no measurement")
	flags.StringVar(&o.only, "only", "", "names of figures, separated by commas: "+strings.Join(names(), ", "))
	flags.IntVar(&o.pairs, "pairs", 0, "interleaved pairs of runs, at least 5 for a measurement (0 = default)")
	flags.IntVar(&o.rows, "rows", 0, "rows of a walk (0 = default)")
	flags.IntVar(&o.rssRows, "rss-rows", 0, "rows of the backfill whose memory is compared with that of a tenth (0 = default; 1000000 for the target's own size)")
	flags.IntVar(&o.leads, "leads", 0, "leads that the HTTP API serves (0 = default; 1000000 for the target's own size)")
	flags.IntVar(&o.calls, "calls", 0, "calls that the sample queries of docs/queries are run on, and that are exported (0 = default)")
	flags.StringVar(&o.plans, "plans", "", "write the plans of the sample queries to the file")
	flags.DurationVar(&o.load, "load", 0, "how long each side of an HTTP figure is loaded (0 = default)")
	flags.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of this process to the file")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.pairs = sized(o.pairs, o.quick, fullPairs, quickPairs)
	o.rows = sized(o.rows, o.quick, fullRows, quickRows)
	o.rssRows = sized(o.rssRows, o.quick, fullRSS, quickRSS)
	o.leads = sized(o.leads, o.quick, fullLeads, quickLeads)
	o.calls = sized(o.calls, o.quick, fullCalls, quickCalls)
	o.load = sized(o.load, o.quick, fullLoad, quickLoad)
	return o, nil
}

// sized is what was asked for, else the default of this kind of run.
func sized[T int | time.Duration](asked T, quick bool, full, small T) T {
	switch {
	case asked > 0:
		return asked
	case quick:
		return small
	}
	return full
}

// bench is one measurement, which may give several rows of the table.
type bench struct {
	name string
	run  func(context.Context, *lab) ([]row, error)
}

func benches() []bench {
	return []bench{
		{"walk100", walkBench(100)},
		{"walk1000", walkBench(1000)},
		{"windows", windowsBench},
		{"beside", besideBench},
		{"rss", rssBench},
		{"intake", intakeBench},
		{"reconcile", reconcileBench},
		{"outbox", outboxBench},
		{"leads", leadsBench},
		{"queries", queriesBench},
		{"export", exportBench},
		{"idle", idleBench},
	}
}

func names() []string {
	var out []string
	for _, b := range benches() {
		out = append(out, b.name)
	}
	return out
}

// chosen are the measurements that -only names; all of them when it names none.
func chosen(only string) ([]bench, error) {
	all := benches()
	if only == "" {
		return all, nil
	}
	var out []bench
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(all, func(b bench) bool { return b.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("no figure is called %q; there are %s", name, strings.Join(names(), ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	list, err := chosen(o.only)
	if err != nil {
		return err
	}
	l, err := openLab(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close(context.WithoutCancel(ctx))) }()
	stop, err := profileTo(o.profile)
	if err != nil {
		return err
	}
	defer stop()
	var rows []row
	for _, b := range list {
		started := time.Now()
		got, failed := b.run(ctx, l)
		if failed != nil {
			// The others' figures are printed all the same, and this one is not left out.
			err = errors.Join(err, fmt.Errorf("%s: %w", b.name, failed))
			got = []row{{figure: b.name, note: "FAILED"}}
		}
		rows = append(rows, got...)
		if ctx.Err() != nil {
			break
		}
		fmt.Fprintf(stderr, "%s: %s\n", b.name, time.Since(started).Round(100*time.Millisecond))
	}
	printTable(stdout, l.title(), rows)
	fmt.Fprint(stdout, l.appendix.String())
	return err
}

// profileTo begins a CPU profile when a file is named.
func profileTo(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("making the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the profile: %w", err), f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // a profile that is cut short shows when it is read
	}, nil
}
