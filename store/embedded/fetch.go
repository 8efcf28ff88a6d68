package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// fetchable are the versions the library knows how to fetch; a new cluster gets the newest.
var fetchable = map[int]embeddedpostgres.PostgresVersion{
	14: embeddedpostgres.V14,
	15: embeddedpostgres.V15,
	16: embeddedpostgres.V16,
	17: embeddedpostgres.V17,
	18: embeddedpostgres.V18,
}

const newestFetchable = 18

// fetch downloads server programs of the wanted major version (zero: the newest) into a cache, once, and returns them.
//
// The library is used for nothing but the download. It offers no call for that alone, so its Start is given scratch
// directories and a locale that no system has: it downloads, unpacks, and then its initdb fails. It never sees our data,
// because it deletes a data directory whose version differs from its own.
func fetch(ctx context.Context, s *Server, want int) (binaries, error) {
	if want == 0 {
		want = newestFetchable
	}
	version, ok := fetchable[want]
	if !ok {
		return binaries{}, ErrNoBinaries
	}
	cache, err := s.fetchCache()
	if err != nil {
		return binaries{}, fmt.Errorf("%w (nowhere to keep a download: %w)", ErrNoBinaries, err)
	}
	final := filepath.Join(cache, "postgres-"+string(version))
	if found, err := inspect(ctx, s.account, filepath.Join(final, "bin")); err == nil {
		return found, nil
	}
	s.log.Info("no postgres programs found, downloading them", "version", string(version), "cache", cache)
	if err := os.MkdirAll(cache, 0o755); err != nil { //nolint:gosec // the server's user must read the programs
		return binaries{}, fmt.Errorf("make download cache: %w", err)
	}
	// Unpacked aside and renamed, so that a cut download is never taken for a good one.
	scratch, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return binaries{}, fmt.Errorf("make download directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	if err := s.download(ctx, scratch, version); err != nil {
		return binaries{}, fmt.Errorf("%w (download failed: %w)", ErrNoBinaries, err)
	}
	// Another process may have put the same programs there meanwhile; theirs serve as well.
	if err := os.Rename(filepath.Join(scratch, "programs"), final); err != nil && !hasPrograms(filepath.Join(final, "bin")) {
		return binaries{}, fmt.Errorf("keep downloaded programs: %w", err)
	}
	found, err := inspect(ctx, s.account, filepath.Join(final, "bin"))
	if err != nil {
		return binaries{}, fmt.Errorf("downloaded programs: %w", err)
	}
	return found, nil
}

// fetchCache is a directory the server's user can read: root's own cache is not.
func (s *Server) fetchCache() (string, error) {
	if s.account.drop {
		return s.cfg.StateDir, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "trunkline"), nil
}

func (s *Server) download(ctx context.Context, scratch string, version embeddedpostgres.PostgresVersion) error {
	freePort, err := anyPort(ctx)
	if err != nil {
		return err
	}
	programsDir := filepath.Join(scratch, "programs")
	settings := embeddedpostgres.DefaultConfig()
	if s.repository != "" {
		settings = settings.BinaryRepositoryURL(s.repository)
	}
	library := embeddedpostgres.NewDatabase(settings.
		Version(version).
		Port(freePort).
		Locale("trunkline-fetches-only").
		CachePath(filepath.Join(scratch, "archive")).
		RuntimePath(filepath.Join(scratch, "runtime")).
		DataPath(filepath.Join(scratch, "data")).
		BinariesPath(programsDir).
		Logger(io.Discard))
	ended := make(chan error, 1)
	// The library knows no context: when ours ends first its download is left to fail by itself, into a removed directory.
	go func() {
		err := library.Start()
		if err == nil {
			err = errors.Join(errors.New("the library started a server it was not meant to"), library.Stop())
		}
		ended <- err
	}()
	select {
	case <-ctx.Done():
	case err = <-ended:
	}
	// Also where both came at once: whoever stopped us is told so, not that a download failed.
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !hasPrograms(filepath.Join(programsDir, "bin")) {
		return fmt.Errorf("fetch postgres %s: %w", version, err)
	}
	return os.Chmod(programsDir, 0o755) //nolint:gosec // the server's user must read the programs
}

// anyPort returns a free loopback port, which the library insists on checking though nothing will listen on it.
func anyPort(ctx context.Context) (uint32, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = listener.Close() }()
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("find a free port: unexpected address %s", listener.Addr())
	}
	return uint32(addr.Port), nil
}
