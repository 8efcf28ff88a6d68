package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestUnitHandsOverEverySecret keeps the unit in step with the variables and their defaults.
func TestUnitHandsOverEverySecret(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "systemd", "trunkline.service"))
	if err != nil {
		t.Fatal(err)
	}
	unit := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			unit[name] = append(unit[name], value)
		}
	}
	handed := map[string]bool{}
	for _, credential := range unit["LoadCredential"] {
		handed[credential] = true
	}
	c, err := loadConfig(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variables(c) {
		if credential := v.name + ":trunkline." + v.name; v.secret && !handed[credential] {
			t.Errorf("the unit lacks LoadCredential=%s", credential)
		} else if v.secret {
			delete(handed, credential)
		}
	}
	for credential := range handed {
		t.Errorf("the unit hands over %s, which is no secret", credential)
	}
	stop, err := time.ParseDuration(strings.Join(unit["TimeoutStopSec"], "") + "s")
	if err != nil || stop < c.General.StopTimeout.Duration+30*time.Second {
		t.Errorf("TimeoutStopSec is %s (%v), a gentle stop may take %s", stop, err, c.General.StopTimeout)
	}
	watchdog, err := time.ParseDuration(strings.Replace(strings.Join(unit["WatchdogSec"], ""), "min", "m", 1))
	if err != nil || watchdog/2 < 2*time.Minute {
		t.Errorf("WatchdogSec is %s (%v): a loop may take a minute for what hangs, and must give its sign within half of it", watchdog, err)
	}
}

// TestCredentials: what systemd hands over is read where neither the variable nor its file is set.
func TestCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"IPSCAPE_TOKEN": "of systemd\n", "CONVOSO_ORG_TOKEN": "of systemd", "DIALEDIN_ACCID": "no secret", "file": "of the file\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	environ := []string{"CREDENTIALS_DIRECTORY=" + dir, "IPSCAPE_BASE_URL=https://x.example/"}
	for _, c := range []struct{ also, ipscape string }{
		{"", "of systemd"}, {"IPSCAPE_TOKEN=of the variable", "of the variable"}, {"IPSCAPE_TOKEN_FILE=" + filepath.Join(dir, "file"), "of the file"},
	} {
		got, err := loadConfig(append(environ[:2:2], c.also))
		if err != nil {
			t.Fatal(err)
		}
		if got.IPSCAPE.Token.Reveal() != c.ipscape || got.Convoso.OrgToken.Reveal() != "of systemd" || got.DialedIn.AccID != "" || got.LendWorks.APIKey != "" {
			t.Errorf("with %q: the token of ipSCAPE is %q, that of Convoso %q", c.also, got.IPSCAPE.Token.Reveal(), got.Convoso.OrgToken.Reveal())
		}
	}
	if got, err := loadConfig(withoutVendors(environ)); err != nil || got.IPSCAPE.on() || got.Convoso.OrgToken != "" {
		t.Errorf("without vendors: ipSCAPE on %t, %v", got.IPSCAPE.on(), err)
	}
	if err := os.WriteFile(filepath.Join(dir, "LENDWORKS_API_KEY"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(environ); err == nil || !faulty(err)["LENDWORKS_API_KEY"] {
		t.Errorf("an empty credential: %v", err)
	}
}
