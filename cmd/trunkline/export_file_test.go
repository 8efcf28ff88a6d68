package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOutFileBehindLinks: a link named as --out stays one, and what it points to is replaced as a whole, or made; a failure leaves
// both as they were.
func TestOutFileBehindLinks(t *testing.T) {
	t.Parallel()
	write := func(text string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, werr := io.WriteString(w, text)
			return errors.Join(werr, err)
		}
	}
	for _, there := range []bool{true, false} {
		dir, elsewhere := t.TempDir(), t.TempDir()
		target, link, second := filepath.Join(elsewhere, "data.csv"), filepath.Join(dir, "link.csv"), filepath.Join(dir, "second.csv")
		if there {
			if err := os.WriteFile(target, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		// One link by its whole path, and one to that, relative.
		if err := errors.Join(os.Symlink(target, link), os.Symlink("link.csv", second)); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken off")
		if err := writeOut(second, false, write("half", broken)); !errors.Is(err, broken) {
			t.Errorf("a failure came out as %v", err)
		}
		if text, err := os.ReadFile(target); there && string(text) != "before" || !there && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after a failure the file holds %q, %v", text, err)
		}
		if err := writeOut(second, false, write("after", nil)); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(target); err != nil || string(text) != "after" {
			t.Errorf("the file holds %q, %v", text, err)
		}
		for _, l := range []string{link, second} {
			if info, err := os.Lstat(l); err != nil || info.Mode()&os.ModeSymlink == 0 {
				t.Errorf("%s is no link any more, %v", l, err)
			}
		}
		for _, d := range []string{dir, elsewhere} {
			if left, _ := filepath.Glob(filepath.Join(d, ".*.part")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		}
	}
}

// TestOutFileBehindALinkedDirectory: ".." in a link is the parent of the directory where the link lies, whatever name leads there.
func TestOutFileBehindALinkedDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(parts ...string) string { return filepath.Join(append([]string{dir}, parts...)...) }
	err := errors.Join(os.MkdirAll(at("data", "today"), 0o700), os.Mkdir(at("work"), 0o700),
		os.Symlink(at("data", "today"), at("work", "now")), os.Symlink("../leads.csv", at("data", "today", "link.csv")))
	if err != nil {
		t.Fatal(err)
	}
	write := func(w io.Writer) error {
		_, err := io.WriteString(w, "rows")
		return err
	}
	if err := writeOut(at("work", "now", "link.csv"), false, write); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(at("data", "leads.csv")); err != nil || string(text) != "rows" {
		t.Errorf("what the link points to holds %q, %v", text, err)
	}
	if left, _ := filepath.Glob(at("work", "*.csv")); len(left) > 0 {
		t.Errorf("written beside the link to the directory: %v", left)
	}
}

// TestOutFileAsTheKernelWould: ".." in a path or in what a link says is the parent of what the name before it leads to, which may be a
// link itself, and of nothing where there is no such name.
func TestOutFileAsTheKernelWould(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(parts ...string) string { return dir + "/" + strings.Join(parts, "/") }
	err := errors.Join(os.MkdirAll(at("data", "today"), 0o700), os.Mkdir(at("work"), 0o700), os.Symlink(at("data", "today"), at("work", "now")),
		os.Symlink("now/../leads.csv", at("work", "link.csv")), os.Symlink("gone/../leads.csv", at("work", "broken.csv")), os.Symlink("round.csv", at("work", "round.csv")))
	if err != nil {
		t.Fatal(err)
	}
	write := func(w io.Writer) error {
		_, err := io.WriteString(w, "rows")
		return err
	}
	for _, c := range []struct{ path, lands string }{
		{at("work", "link.csv"), at("data", "leads.csv")},
		{at("work", "now", "..", "calls.csv"), at("data", "calls.csv")},
		{at("work", "broken.csv"), ""},
		{at("work", "gone", "..", "calls.csv"), ""},
		{at("work", "round.csv"), ""},
		{at("work", "none") + "/", ""},
	} {
		err := writeOut(c.path, false, write)
		if c.lands == "" {
			if err == nil {
				t.Errorf("%s is written", c.path)
			}
			continue
		}
		if text, rerr := os.ReadFile(c.lands); err != nil || rerr != nil || string(text) != "rows" {
			t.Errorf("%s: %v; %s holds %q, %v", c.path, err, c.lands, text, rerr)
		}
	}
	if entries, err := os.ReadDir(at("work")); err != nil || len(entries) != 4 {
		t.Errorf("%v lie beside the links, %v", entries, err)
	}
}

// TestOutFileKept: a file that has to be kept is kept also when it comes while the rows are written.
func TestOutFileKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rows.csv")
	if err := writeOut(path, true, func(io.Writer) error { return os.WriteFile(path, []byte("theirs"), 0o600) }); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("replacing it came out as %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "theirs" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*.part")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	other := filepath.Join(filepath.Dir(path), "other.csv")
	if err := writeOut(other, true, func(w io.Writer) error { _, err := io.WriteString(w, "ours"); return err }); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(other); err != nil || string(text) != "ours" {
		t.Errorf("a new file holds %q, %v", text, err)
	}
}

// writeOut finds and writes.
func writeOut(path string, keep bool, rows func(io.Writer) error) error {
	o := &outFile{path: path, keep: keep}
	if err := o.find(); err != nil {
		return err
	}
	return o.write(rows)
}
