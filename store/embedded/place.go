package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocketDir keeps the socket's path inside sun_path: 104 bytes on macOS, 108 on Linux, a closing zero byte included.
const maxSocketDir = 103 - len("/.s.PGSQL.5432")

// traversable lets the server's user pass through a directory of root's without reading it.
const traversable = 0o711

// settle chooses the server's user and the data root. An ordinary user gets dir. Root gets dir when the server's user can
// reach it, and otherwise a directory under StateDir that is named after dir, which a later start finds again.
func (s *Server) settle(ctx context.Context, dir string) error {
	standIn := filepath.Join(s.cfg.StateDir, pathKey(dir))
	here, there := filepath.Join(dir, "postgres"), filepath.Join(standIn, "postgres")
	var err error
	if s.account, err = chooseAccount(ctx, here, there); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, traversable); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	s.root = dir
	if !s.account.drop {
		return nil
	}
	made := exists(filepath.Join(here, "PG_VERSION"))
	usesStandIn := !made && exists(filepath.Join(there, "PG_VERSION"))
	if !usesStandIn && s.account.reaches(ctx, dir) {
		return nil
	}
	if made {
		// Starting afresh elsewhere would look like a lost database.
		return fmt.Errorf("the cluster %s exists but its user (%s) cannot reach it: give that user execute permission on every parent directory", here, s.account.name)
	}
	if err := os.MkdirAll(standIn, traversable); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	if !s.account.reaches(ctx, standIn) {
		return fmt.Errorf("user %s can reach neither %s nor %s: set TRUNKLINE_DATA_DIR to a directory it can reach", s.account.name, dir, standIn)
	}
	s.log.Warn("private postgres keeps its data outside the data directory, which its user cannot reach",
		"user", s.account.name, "data_dir", dir, "postgres_dir", standIn)
	s.root = standIn
	return nil
}

// socketDir makes the directory of the socket: inside the data root when the path is short enough for a socket, else under
// the system's temporary directory, named after the data root. Only the server's user, and root, can enter it.
func (s *Server) socketDir(ctx context.Context) (string, error) {
	name := "trunkline-" + pathKey(s.root)
	var faults []error
	for _, dir := range []string{s.path("postgres-run"), filepath.Join(os.TempDir(), name), filepath.Join("/tmp", name)} {
		if len(dir) > maxSocketDir {
			continue
		}
		err := s.claimSocketDir(ctx, dir)
		if err == nil {
			return dir, nil
		}
		faults = append(faults, err)
	}
	return "", fmt.Errorf("no directory for the socket: %w", errors.Join(faults...))
}

func (s *Server) claimSocketDir(ctx context.Context, dir string) error {
	err := os.Mkdir(dir, 0o700)
	switch {
	case err == nil:
		if err := s.account.own(dir); err != nil {
			return err
		}
	case !errors.Is(err, os.ErrExist):
		return fmt.Errorf("make socket directory: %w", err)
	}
	// In a shared temporary directory somebody else may have made it first, to sit between us and the server.
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at socket directory: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || info.Mode().Perm()&0o077 != 0 || st.Uid != s.account.uid {
		return fmt.Errorf("socket directory %s is not a private directory of %s: remove it", dir, s.account.name)
	}
	if !s.account.reaches(ctx, dir) {
		return fmt.Errorf("user %s cannot reach %s", s.account.name, dir)
	}
	return nil
}

// pathKey is a short stable name for a directory.
func pathKey(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:6])
}
