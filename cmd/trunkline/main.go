// Command trunkline keeps a lending brokerage's diallers and its lead pipeline in one Postgres.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/migrations"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/store/embedded"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Exit codes (interface.md section 2).
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitConfig      = 3
	exitDatabase    = 4
	exitDenied      = 5
	exitPartly      = 6
	exitInterrupted = 130
)

// exitError is an error with the exit code it asks for.
type exitError struct {
	code int
	err  error
}

// Error implements error.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *exitError) Unwrap() error { return e.err }

func withCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code, err}
}

// program is what a command runs with: the outside world, handed in so that tests can be it.
type program struct {
	stdout, stderr io.Writer
	environ        []string
	// signals tells the program to stop.
	signals <-chan os.Signal
	// terminal tells whether stderr is one.
	terminal bool
}

func main() {
	p := &program{stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), signals: stopSignals(), terminal: isTerminal(os.Stderr)}
	os.Exit(p.main(context.Background(), os.Args[1:]))
}

// main runs one command line and returns its exit code. The first signal ends the command's context, and the command
// closes what it opened; a second one ends the process at once.
func (p *program) main(ctx context.Context, args []string) int {
	root := p.root()
	root.SetArgs(args)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- root.ExecuteContext(ctx) }()
	for told := false; ; {
		select {
		case err := <-done:
			return p.exitCode(err)
		case s := <-p.signals:
			// A terminal that closes sends SIGHUP, and so does its shell: a second one is nobody's impatience.
			if told && s != syscall.SIGHUP {
				return p.exitCode(withCode(exitInterrupted, errors.New("interrupted while stopping")))
			}
			told = true
			cancel(signalled{s})
		}
	}
}

// exitCode tells of a command's error and returns its exit code.
func (p *program) exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if written, ok := errors.AsType[*fs.PathError](err); ok && written.Path == os.Stdout.Name() && errors.Is(written.Err, syscall.EPIPE) {
		return exitDone // whoever read our output has seen enough
	}
	code := codeOf(err)
	fmt.Fprintf(p.stderr, "trunkline: %s\n", store.Loggable(err))
	return code
}

func codeOf(err error) int {
	var coded *exitError
	switch {
	case errors.As(err, &coded):
		return coded.code
	case errors.Is(err, migrations.ErrBehind), errors.Is(err, migrations.ErrAhead), errors.Is(err, embedded.ErrNoBinaries),
		errors.Is(err, embedded.ErrVersionMismatch):
		return exitDatabase
	case vendorapi.KindOf(err) == vendorapi.Denied:
		return exitDenied
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	default:
		return exitFailed
	}
}

// root builds the command line.
func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "trunkline",
		Short:         "Keep diallers and the lead pipeline in one Postgres",
		Version:       thisBuild().String(),
		SilenceUsage:  true,
		SilenceErrors: true,
		// Without a command the help is wanted, and a word that is no command is wrong usage.
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return withCode(exitUsage, seeHelp(cmd, err)) })
	root.AddCommand(
		p.serveCommand(), p.demoCommand(), p.sandboxCommand(), p.migrateCommand(), p.statusCommand(), p.syncCommand(), p.backfillCommand(), p.orgCommand(),
		p.deliveriesCommand(), p.routesCommand(), p.pushCommand(), p.dncCommand(), p.apikeyCommand(), p.webhooksCommand(), p.vendorCommand(),
		p.exportCommand(), p.driftCommand(), p.configCommand(), p.versionCommand(),
	)
	root.AddCommand(p.rebuildCommand(), p.eraseCommand(), p.quarantineCommand(), p.inboxCommand(), p.leadCommand(), p.linkCommand(), p.dispositionsCommand(), p.stagesCommand())
	root.AddCommand(p.manCommand(), p.healthcheckCommand())
	addCompletion(root)
	usageCodes(root)
	return root
}

// usageCodes makes wrong arguments of every command exit with the code for wrong usage.
func usageCodes(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			return withCode(exitUsage, seeHelp(cmd, check(cmd, args)))
		}
	}
	for _, sub := range cmd.Commands() {
		usageCodes(sub)
	}
}

// seeHelp says where the right usage is to be found.
func seeHelp(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
}

// config loads the environment; its faults exit before anything is asked of database or network.
func (p *program) config() (*config, error) {
	c, err := loadConfig(p.environ)
	if err != nil {
		return nil, withCode(exitConfig, fmt.Errorf("the configuration has faults:\n%w", err))
	}
	return c, nil
}
