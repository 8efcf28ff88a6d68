package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// tuning is written into a new cluster's postgresql.conf, where an operator may change it. Modest: the default serves a
// laptop and one brokerage alike.
const tuning = `
# Set by trunkline when it made this cluster. Change freely; restart to apply.
max_connections = 100
shared_buffers = 128MB
max_wal_size = 4GB
fsync = on
synchronous_commit = on
jit = off # a hardened service (MemoryDenyWriteExecute) may not run code made at run time
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_min_duration_statement = -1
`

// essentials are given on the command line, above every file: who can connect, and that nothing a statement holds (phones,
// names) is ever written to the server's log. An error still reaches the client that caused it.
func (s *Server) essentials() []string {
	settings := map[string]string{
		"listen_addresses":                  "",
		"port":                              strconv.Itoa(port),
		"unix_socket_directories":           quoteListItem(*s.sockets.Load()),
		"unix_socket_permissions":           "0700",
		"log_statement":                     "none",
		"log_min_messages":                  "log", // above error: messages and details of failed statements quote values
		"log_min_error_statement":           "panic",
		"log_error_verbosity":               "terse",
		"log_parameter_max_length":          "0",
		"log_parameter_max_length_on_error": "0",
		"logging_collector":                 "off",
		"log_destination":                   "stderr",
		"cluster_name":                      "trunkline",
	}
	for name, value := range s.cfg.Settings {
		settings[name] = value
	}
	args := []string{"-D", s.cluster()}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	return args
}

// quoteListItem writes a directory as one item of a list setting, whatever commas and quotes it holds.
func quoteListItem(dir string) string { return `"` + strings.ReplaceAll(dir, `"`, `""`) + `"` }

// clusterMajor reads which major version made the cluster; zero means that there is none yet. A directory that holds
// anything else is an error, for nothing in it may be overwritten.
func clusterMajor(cluster string) (int, error) {
	text, err := os.ReadFile(filepath.Join(cluster, "PG_VERSION")) //nolint:gosec // the cluster is the operator's own directory
	if err == nil {
		major, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			return 0, fmt.Errorf("%s/PG_VERSION holds %.20q, which is no version: nothing was touched", cluster, text)
		}
		return major, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return 0, fmt.Errorf("read the cluster's version: %w", err)
	}
	entries, err := os.ReadDir(cluster)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look into the cluster: %w", err)
	}
	return 0, fmt.Errorf("%s is not empty and no Postgres cluster: nothing was touched", cluster)
}

// checkVersion compares the cluster with the programs before anything is written.
func (s *Server) checkVersion() error {
	major, err := clusterMajor(s.cluster())
	if err != nil {
		return err
	}
	if major == 0 || major == s.bins.major {
		return nil
	}
	return fmt.Errorf("%w: the data in %s is of Postgres %d, the programs in %s are Postgres %s; nothing was touched: install Postgres %d, "+
		"or dump with it and load into a new data directory", ErrVersionMismatch, s.cluster(), major, s.bins.dir, s.bins.version, major)
}

// makeCluster runs initdb into a directory aside and renames it, so that a killed initdb never leaves something that looks
// like a cluster. Called under the start lock.
func (s *Server) makeCluster(ctx context.Context) error {
	leftovers, err := filepath.Glob(filepath.Join(escapeGlob(s.root), "postgres.init-*"))
	if err != nil {
		return fmt.Errorf("look for unfinished clusters: %w", err)
	}
	for _, dir := range leftovers { // half-made by a killed initdb: the start lock says nobody works on them
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove an unfinished cluster: %w", err)
		}
	}
	fresh, err := os.MkdirTemp(s.root, "postgres.init-")
	if err != nil {
		return fmt.Errorf("make cluster directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(fresh) }() // gone already once renamed
	if err := s.account.own(fresh); err != nil {
		return err
	}
	s.log.Info("making a private postgres cluster", "dir", s.cluster(), "postgres", s.bins.version, "user", s.account.name)
	args := []string{
		"-D", fresh, "-U", superuser, "-E", "UTF8", "--locale=C", "--data-checksums",
		"--auth-local=trust", "--auth-host=reject", // the socket's directory is 0700; there is no TCP
	}
	if s.cfg.Settings["fsync"] == "off" {
		args = append(args, "--no-sync")
	}
	if out, err := s.account.command(ctx, s.bins.program("initdb"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLines(string(out)))
	}
	if err := appendFile(filepath.Join(fresh, "postgresql.conf"), tuning); err != nil {
		return err
	}
	if err := os.Rename(fresh, s.cluster()); err != nil {
		return fmt.Errorf("put the cluster in place: %w", err)
	}
	return syncDir(s.root)
}

// adoptCluster gives the server's user a cluster that belongs to root, as one restored from a backup does.
func (s *Server) adoptCluster() error {
	info, err := os.Stat(s.cluster())
	if err != nil {
		return fmt.Errorf("look at the cluster: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Uid == s.account.uid {
		return nil
	}
	if !s.account.drop || st.Uid != 0 {
		return fmt.Errorf("the cluster %s belongs to user id %d: run trunkline as that user", s.cluster(), st.Uid)
	}
	return s.account.ownAll(s.cluster())
}

func appendFile(path, text string) (err error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0) //nolint:gosec // a file initdb has just made
	if err != nil {
		return fmt.Errorf("open settings: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.WriteString(text); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return file.Sync()
}

// syncDir makes a rename last through a power cut.
func syncDir(dir string) (err error) {
	handle, err := os.Open(dir) //nolint:gosec // our own data root
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	defer func() { err = errors.Join(err, handle.Close()) }()
	return handle.Sync()
}

// escapeGlob makes a directory's name mean itself in a glob pattern.
func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
}
