package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/trunkline/trunkline/store"
)

// demoVendorsFile is where in its data directory a demo that runs says how its simulated vendors are asked. The demo holds a lock on
// it, which ends with the process however that ends: what lies there without the lock is nobody's word.
const demoVendorsFile = "demo-vendors.json"

// ofDemo tells whether a variable says who the demo's vendors are, or what the demo sends them when.
func ofDemo(name string) bool {
	return ofVendor(name) || slices.Contains([]string{"TRUNKLINE_PUSH", "TRUNKLINE_CALL_WINDOW", "TRUNKLINE_DIAL_QUIET"}, name)
}

// offeredVendors are the simulated vendors as other commands find them, until Close.
type offeredVendors struct{ file *os.File }

// offerVendors writes the settings of the simulated vendors for commands on the same data directory. Their tokens open nothing else; the
// file is for its owner only all the same.
func offerVendors(ctx context.Context, dir string, env map[string]string) (*offeredVendors, error) {
	settings := maps.Clone(env)
	maps.DeleteFunc(settings, func(name, _ string) bool { return !ofDemo(name) })
	text, err := json.Marshal(settings)
	if err != nil {
		return nil, fmt.Errorf("writing how the simulated vendors are asked: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, demoVendorsFile), os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // within the data directory
	if err != nil {
		return nil, fmt.Errorf("offering the simulated vendors to commands: %w", err)
	}
	o := &offeredVendors{file}
	// A command that looks holds it for a moment, and so may a demo that ends.
	err = whileDemoRuns(ctx, sessionPatience, func() error { return demoLock(file, syscall.LOCK_EX) })
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt(text, 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("offering the simulated vendors to commands: %w", err), file.Close())
	}
	return o, nil
}

// Close takes the offer back.
func (o *offeredVendors) Close() {
	// Without the lock, which ends here, nobody believes what may be left.
	_ = os.Remove(o.file.Name())
	_ = o.file.Close()
}

// vendorsOffered returns the settings of the simulated vendors where a demo runs on the data directory, else nil.
func vendorsOffered(dir string) (map[string]string, error) {
	file, err := os.Open(filepath.Join(dir, demoVendorsFile)) //nolint:gosec // within the data directory
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking whether a demo runs: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	if err := demoLock(file, syscall.LOCK_SH); !errors.Is(err, store.ErrDemoRuns) {
		return nil, err // nobody holds it: a demo that was killed left it
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, fmt.Errorf("reading how the demo's vendors are asked: %w", err)
	}
	env := map[string]string{}
	if err := json.Unmarshal(text, &env); err != nil {
		return nil, errors.New("the demo has only just begun: try again in a moment")
	}
	maps.DeleteFunc(env, func(name, _ string) bool { return !ofDemo(name) })
	return env, nil
}

// demoLock fails with store.ErrDemoRuns while another process has the lock.
func demoLock(file *os.File, how int) error {
	err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		return store.ErrDemoRuns
	}
	return err
}

// vendorConfig is the configuration of a command that asks vendors by itself, or has to know their settings. On the data directory of a
// demo that runs, the demo's vendors take the place of all vendors that are set, as they do in the demo: its database knows no others.
func (p *program) vendorConfig() (*config, error) {
	c, err := p.config()
	if err != nil || c.General.DatabaseURL != "" {
		return c, err
	}
	env, err := vendorsOffered(c.General.DataDir)
	if err != nil || env == nil {
		return c, err
	}
	if c, err = loadConfig(overlaid(withoutVendors(p.environ), env)); err != nil {
		return nil, withCode(exitConfig, fmt.Errorf("the configuration has faults:\n%w", err))
	}
	fmt.Fprintln(p.stderr, "a demo runs on this data directory: its simulated vendors are meant, and its settings hold")
	return c, nil
}
