package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Set by the build; see the Makefile. revision is a commit and revisionTime its time, in RFC 3339.
var version, revision, revisionTime string

// versionText returns the version the build set, else what Go stamped into the binary.
func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// build says what this program was built from and for.
type build struct {
	Version string `json:"version"`
	// Revision is the commit, empty where the build was not told one.
	Revision string `json:"revision,omitempty"`
	// Time is the commit's, in RFC 3339.
	Time string `json:"time,omitempty"`
	// Modified tells that files differed from the commit's.
	Modified bool   `json:"modified"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	b := build{
		Version: versionText(), Revision: revision, Time: revisionTime, Modified: strings.HasSuffix(version, "-dirty"),
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	if revision == "" {
		b.stamped(info.Settings)
	}
	return b
}

// stamped takes what Go wrote into the binary: that is all there is after go install.
func (b *build) stamped(settings []debug.BuildSetting) {
	for _, s := range settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
}

// String is one line.
func (b build) String() string {
	facts := []string{b.Go, b.Platform}
	if b.Revision != "" {
		commit := "commit " + b.Revision[:min(12, len(b.Revision))]
		if b.Modified {
			commit += ", modified"
		}
		if b.Time != "" {
			commit += ", of " + b.Time
		}
		facts = append([]string{commit}, facts...)
	}
	return fmt.Sprintf("trunkline %s (%s)", b.Version, strings.Join(facts, ", "))
}

func (p *program) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version, the commit it was built from, and for what",
		Example: "  trunkline version\n  trunkline version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return printJSON(p.stdout, thisBuild())
			}
			_, err := fmt.Fprintln(p.stdout, thisBuild())
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
