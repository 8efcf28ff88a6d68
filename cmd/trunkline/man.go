package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitMeanings tells what each exit code says, for the manual page.
var exitMeanings = []struct {
	code    int
	meaning string
}{
	{exitDone, "Done; also a daemon that was stopped by SIGTERM, SIGHUP or Ctrl-C."},
	{exitFailed, "Failed, or not found."},
	{exitUsage, "Wrong usage."},
	{exitConfig, "Bad configuration: one line for each fault."},
	{exitDatabase, "The database is away, of another version, or its schema is older or newer than the program."},
	{exitDenied, "The vendor refused our credentials."},
	{exitPartly, "Done in part."},
	{exitInterrupted, "Interrupted by a signal before the daemon was up or during a command, or by a second one while it stopped."},
}

func (p *program) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man",
		Short:   "Print the manual page: every command, variable and exit code",
		Example: "  trunkline man | man -l -\n  trunkline man > /usr/local/share/man/man1/trunkline.1",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(p.stdout, manual(cmd.Root()))
			return err
		},
	}
}

// manual is the page in man's macros: one page for the program. Cobra's own generator makes a page for each command, without
// variables and exit codes, and brings a reader of Markdown and one of YAML into the daemon.
func manual(root *cobra.Command) string {
	var m roff
	// No date is in it: the same program makes the same page.
	m.request(".TH TRUNKLINE 1", "", "trunkline "+versionText(), "Trunkline")
	m.section("NAME")
	m.text("trunkline - " + strings.ToLower(root.Short[:1]) + root.Short[1:])
	m.section("SYNOPSIS")
	m.text(`trunkline COMMAND [ARGUMENT...] [FLAGS]`)
	m.section("DESCRIPTION")
	m.text("Trunkline is a daemon that keeps a lending brokerage's diallers and its lead pipeline in one Postgres: trunkline serve runs it. " +
		"The other commands look at the same database and give orders, whether the daemon runs or not. " +
		"What is asked for goes to standard output, talk goes to standard error; --json prints rows for programs.")
	m.section("COMMANDS")
	m.commands(root)
	m.section("ENVIRONMENT")
	m.text("A secret NAME is also read from the file that NAME_FILE names, or without both from the file NAME in CREDENTIALS_DIRECTORY. trunkline config prints all of them with their values, secrets masked.")
	for _, v := range variables(&config{}) {
		help := v.help
		if fallback := strings.TrimSpace(v.fallback); fallback != "" {
			help += " (default " + fallback + ")"
		}
		m.item(v.name, help)
	}
	m.section("EXIT STATUS")
	for _, e := range exitMeanings {
		m.item(fmt.Sprint(e.code), e.meaning)
	}
	return m.page.String()
}

// roff writes the few macros of man(7) that the page needs.
type roff struct{ page strings.Builder }

// roffSpecial are the characters that roff would take for its own, or print as others than a shell takes, and one that not every printer has.
var roffSpecial = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "…", "...")

// escaped is text as it shall be printed, in ASCII, which every reader of pages takes; a line that begins with a dot would be a
// request.
func escaped(text string) string {
	var plain strings.Builder
	for _, r := range roffSpecial.Replace(text) {
		if r < utf8.RuneSelf {
			plain.WriteRune(r)
		} else {
			fmt.Fprintf(&plain, `\[u%04X]`, r)
		}
	}
	lines := strings.Split(plain.String(), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// request writes a macro whose arguments may hold spaces.
func (m *roff) request(name string, args ...string) {
	m.page.WriteString(name)
	for _, arg := range args {
		m.page.WriteString(` "` + strings.ReplaceAll(escaped(arg), `"`, `\(dq`) + `"`)
	}
	m.page.WriteByte('\n')
}

func (m *roff) section(title string) { m.request(".SH", title) }

func (m *roff) text(text string) { m.page.WriteString(".PP\n" + escaped(text) + "\n") }

func (m *roff) item(term, text string) {
	m.page.WriteString(".TP\n.B " + escaped(term) + "\n" + escaped(text) + "\n")
}

// literal prints text line by line as it is.
func (m *roff) literal(text string) {
	m.page.WriteString(".PP\n.nf\n" + escaped(strings.Trim(text, "\n")) + "\n.fi\n")
}

// commands describes every command that does something, in the order of the help.
func (m *roff) commands(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		if !sub.IsAvailableCommand() {
			continue
		}
		// What only lists its subcommands would say nothing that they do not.
		if !sub.HasAvailableSubCommands() || sub.Example != "" {
			m.command(sub)
		}
		m.commands(sub)
	}
}

func (m *roff) command(cmd *cobra.Command) {
	m.request(".SS", cmd.Parent().CommandPath()+" "+cmd.Use)
	if long := strings.TrimSpace(cmd.Long); long != "" {
		m.literal(long)
	} else {
		m.text(cmd.Short + ".")
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if kind != "" {
			term += " " + kind
		}
		m.item(term, usage)
	})
	if cmd.Example != "" {
		m.literal(cmd.Example)
	}
}
