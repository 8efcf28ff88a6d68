package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDemoOffersItsVendors to commands on its data directory for as long as it runs: afterwards, also when it was killed, and on other
// databases, what the environment says holds.
func TestDemoOffersItsVendors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	asked := func(env ...string) (*config, string) {
		t.Helper()
		var talk strings.Builder
		p := &program{stderr: &talk, environ: append([]string{"TRUNKLINE_DATA_DIR=" + dir, "IPSCAPE_TOKEN=theirs", "IPSCAPE_BASE_URL=https://tenant.example"}, env...)}
		c, err := p.vendorConfig()
		if err != nil {
			t.Fatal(err)
		}
		return c, talk.String()
	}
	if c, talk := asked(); c.IPSCAPE.Token != "theirs" || talk != "" {
		t.Errorf("without a demo: token %q, said %q", string(c.IPSCAPE.Token), talk)
	}
	o, err := offerVendors(t.Context(), dir, map[string]string{
		"IPSCAPE_BASE_URL": "http://127.0.0.1:9/api", "IPSCAPE_TOKEN": "simulated", "TRUNKLINE_CALL_WINDOW": "00:00-24:00", "DATABASE_URL": "postgres://elsewhere/", "TRUNKLINE_DATA_DIR": "elsewhere",
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, demoVendorsFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
	c, talk := asked("LENDWORKS_API_KEY=theirs")
	got := []string{string(c.IPSCAPE.Token), string(c.LendWorks.APIKey), c.General.DataDir, c.General.DatabaseURL.Reveal()}
	if diff := cmp.Diff([]string{"simulated", "", dir, ""}, got); diff != "" || !strings.Contains(talk, "a demo runs on this data directory") {
		t.Errorf("beside a demo: %s, said %q", diff, talk)
	}
	if c, talk := asked("DATABASE_URL=postgres://db.example/trunkline"); c.IPSCAPE.Token != "theirs" || talk != "" {
		t.Errorf("on another database: token %q, said %q", string(c.IPSCAPE.Token), talk)
	}
	// A killed process loses its lock, and leaves the file.
	if err := o.file.Close(); err != nil {
		t.Fatal(err)
	}
	// A child that another test starts just then has the file too, until it is another program.
	eventually(t, time.Minute, func() string {
		if c, talk := asked(); c.IPSCAPE.Token != "theirs" || talk != "" {
			return fmt.Sprintf("what the environment says, after a demo was killed; the token is %q, said %q", string(c.IPSCAPE.Token), talk)
		}
		return ""
	})
	if o, err = offerVendors(t.Context(), dir, map[string]string{"IPSCAPE_TOKEN": "short"}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, demoVendorsFile)); err != nil || string(text) != `{"IPSCAPE_TOKEN":"short"}` {
		t.Errorf("the next demo wrote %q, %v", text, err)
	}
	o.Close()
	if _, err := os.Stat(filepath.Join(dir, demoVendorsFile)); !os.IsNotExist(err) {
		t.Errorf("left behind after the end: %v", err)
	}
}
