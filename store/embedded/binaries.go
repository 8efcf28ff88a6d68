package embedded

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// programs are what a directory must hold to be taken for a Postgres server's.
var programs = []string{"initdb", "pg_ctl", "postgres"}

// usualPlaces are where packages put the server programs outside PATH; a star matches the version.
var usualPlaces = []string{
	"/usr/lib/postgresql/*/bin",                      // Debian, Ubuntu
	"/usr/pgsql-*/bin",                               // PGDG on Red Hat and Fedora
	"/usr/libexec/postgresql*",                       // Alpine
	"/opt/homebrew/opt/postgresql*/bin",              // Homebrew on Apple silicon
	"/usr/local/opt/postgresql*/bin",                 // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin", // Homebrew on Linux
}

// binaries is one directory of server programs and what it is.
type binaries struct {
	dir     string
	version string // as `postgres --version` says it
	major   int
}

func (b binaries) program(name string) string { return filepath.Join(b.dir, name) }

// findBinaries returns the programs to use: the named directory, else the first found whose major version is the cluster's
// (any from minMajor on for a new cluster, newest first within a place), else a download.
func findBinaries(ctx context.Context, s *Server) (binaries, error) {
	if s.cfg.BinDir != "" {
		dir, err := filepath.Abs(s.cfg.BinDir)
		if err != nil {
			return binaries{}, fmt.Errorf("TRUNKLINE_PG_BIN: %w", err)
		}
		found, err := inspect(ctx, s.account, dir)
		if err != nil {
			return binaries{}, fmt.Errorf("TRUNKLINE_PG_BIN: %w", err)
		}
		return found, nil
	}
	want, err := clusterMajor(s.cluster())
	if err != nil {
		return binaries{}, err
	}
	var first *binaries
	for _, dir := range candidates(os.Getenv("PATH"), usualPlaces) {
		found, err := inspect(ctx, s.account, dir)
		if err != nil {
			s.log.Debug("postgres programs passed over", "dir", dir, "error", err.Error())
			continue
		}
		if found.major == want || want == 0 {
			return found, nil
		}
		if first == nil {
			first = &found
		}
	}
	if first != nil {
		return *first, nil // of another version: checkVersion says so
	}
	return fetch(ctx, s, want)
}

// candidates lists the directories that hold all the programs: PATH in its order, then each usual place, newest first.
func candidates(path string, places []string) []string {
	dirs := filepath.SplitList(path)
	for _, place := range places {
		found, err := filepath.Glob(place)
		if err != nil {
			continue // only a malformed pattern fails, and ours are constants
		}
		slices.SortFunc(found, func(a, b string) int { return cmp.Compare(versionIn(b), versionIn(a)) })
		dirs = append(dirs, found...)
	}
	var complete []string
	for _, dir := range dirs {
		if filepath.IsAbs(dir) && hasPrograms(dir) && !slices.Contains(complete, dir) {
			complete = append(complete, dir)
		}
	}
	return complete
}

func hasPrograms(dir string) bool {
	for _, name := range programs {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode().Perm()&0o111 == 0 {
			return false
		}
	}
	return true
}

var pathVersion = regexp.MustCompile(`(\d+)[^/]*(?:/bin)?$`)

// versionIn reads the version out of a path such as /usr/lib/postgresql/15/bin or /opt/homebrew/opt/postgresql@17/bin.
func versionIn(path string) int {
	match := pathVersion.FindStringSubmatch(path)
	if match == nil {
		return 0
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		return 0
	}
	return n
}

// inspect asks the programs themselves which version they are, as the user who will run them.
func inspect(ctx context.Context, acct account, dir string) (binaries, error) {
	if !hasPrograms(dir) {
		return binaries{}, fmt.Errorf("%s does not hold %s", dir, strings.Join(programs, ", "))
	}
	out, err := acct.command(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, fmt.Errorf("user %s cannot run %s/postgres: %w", acct.name, dir, err)
	}
	major, version, err := parseVersion(string(out))
	if err != nil {
		return binaries{}, err
	}
	if major < minMajor {
		return binaries{}, fmt.Errorf("%s is Postgres %s, at least %d is needed", dir, version, minMajor)
	}
	return binaries{dir: dir, version: version, major: major}, nil
}

var versionLine = regexp.MustCompile(`PostgreSQL\) ((\d+)\S*)`)

// parseVersion reads "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
func parseVersion(line string) (major int, version string, err error) {
	match := versionLine.FindStringSubmatch(line)
	if match == nil {
		return 0, "", fmt.Errorf("unknown answer to postgres --version: %.80q", line)
	}
	major, err = strconv.Atoi(match[2])
	if err != nil {
		return 0, "", fmt.Errorf("postgres --version: %w", err)
	}
	return major, match[1], nil
}
