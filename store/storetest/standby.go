package storetest

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/trunkline/trunkline/migrations"
	"github.com/trunkline/trunkline/store/embedded"
)

// Pair is two servers of a test's own: a primary with a migrated database, and a standby that streams from it.
type Pair struct {
	// Primary and Standby are the URLs of the database on each.
	Primary, Standby string

	t         testing.TB
	dir, from string
	primary   *embedded.Server
	standby   *embedded.Server
}

// NewPair starts them; both end with the test.
func NewPair(t testing.TB) *Pair {
	t.Helper()
	p := &Pair{t: t}
	ctx, cancel := context.WithTimeout(t.Context(), setupTimeout)
	defer cancel()
	primaryDir := p.clusterDir()
	primary := p.start(primaryDir, nil)
	pool, err := pgxpool.New(ctx, primary.DSN("trunkline"))
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	err = migrations.Up(ctx, pool, discardLog())
	pool.Close()
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	// A copy of a server that is down is a base backup of it, and needs none of the programs that a server can do without.
	if err := primary.Stop(ctx); err != nil {
		t.Fatalf("storetest: %v", err)
	}
	p.dir = p.clusterDir()
	cluster := filepath.Join(p.dir, "postgres")
	if err := os.CopyFS(cluster, os.DirFS(filepath.Join(primary.Dir(), "postgres"))); err != nil {
		t.Fatalf("storetest: copying a cluster: %v", err)
	}
	if err := os.Chmod(cluster, 0o700); err != nil { //nolint:gosec // what Postgres demands of it
		t.Fatalf("storetest: %v", err)
	}
	if err := os.WriteFile(filepath.Join(cluster, "standby.signal"), nil, 0o600); err != nil {
		t.Fatalf("storetest: %v", err)
	}
	primary = p.start(primaryDir, nil)
	p.primary, p.Primary = primary, primary.DSN("trunkline")
	u, err := url.Parse(p.Primary)
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	p.from = "host=" + u.Query().Get("host") + " port=" + u.Query().Get("port") + " user=" + u.User.Username()
	p.StartStandby()
	return p
}

// StartStandby starts the standby again. It answers at the same URL as before.
func (p *Pair) StartStandby() {
	p.t.Helper()
	p.standby = p.start(p.dir, map[string]string{"primary_conninfo": p.from, "wal_retrieve_retry_interval": "100ms"})
	p.Standby = p.standby.DSN("trunkline")
}

// StopStandby ends the standby and every session on it.
func (p *Pair) StopStandby() {
	p.t.Helper()
	if err := p.standby.Stop(p.t.Context()); err != nil {
		p.t.Fatalf("storetest: %v", err)
	}
}

// Demote has the primary stand by, as it is, of nobody. Its URL may be another one then.
func (p *Pair) Demote() {
	p.t.Helper()
	dir := p.primary.Dir()
	if err := p.primary.Stop(p.t.Context()); err != nil {
		p.t.Fatalf("storetest: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "postgres", "standby.signal"), nil, 0o600); err != nil {
		p.t.Fatalf("storetest: %v", err)
	}
	p.primary = p.start(dir, nil)
	p.Primary = p.primary.DSN("trunkline")
}

func (p *Pair) clusterDir() string {
	p.t.Helper()
	dir, release, err := clusterDir(p.t.Context())
	if err != nil {
		p.t.Fatalf("storetest: %v", err)
	}
	p.t.Cleanup(func() {
		if err := release(); err != nil {
			p.t.Errorf("storetest: %v", err)
		}
	})
	return dir
}

func (p *Pair) start(dir string, more map[string]string) *embedded.Server {
	p.t.Helper()
	settings := map[string]string{"fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB", "max_standby_streaming_delay": "0"}
	for name, value := range more {
		settings[name] = value
	}
	server, err := embedded.Start(p.t.Context(), embedded.Config{Dir: dir, BinDir: os.Getenv("TRUNKLINE_PG_BIN"), Settings: settings})
	if err != nil {
		p.t.Fatalf("storetest: %v", err)
	}
	return server
}
