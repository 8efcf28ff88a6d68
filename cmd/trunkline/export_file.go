package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// outFile is the file that an export goes to.
type outFile struct {
	// path is as the operator names it, empty or "-" for standard output.
	path string
	// keep refuses to replace a file that is there.
	keep bool

	// target is where the path leads, device whether there is something else than a file.
	target string
	device bool
	// replaced tells that a file of that name was there before.
	replaced bool
	// wrote tells that something is out, failed that something could not be written.
	wrote, failed bool
}

// noting notes what becomes of what is written to w.
func (o *outFile) noting(w io.Writer) io.Writer { return &notedWriter{w, o} }

type notedWriter struct {
	io.Writer
	out *outFile
}

func (w *notedWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.out.wrote = w.out.wrote || n > 0
	w.out.failed = w.out.failed || err != nil
	return n, err
}

func (o *outFile) stdout() bool { return o.path == "" || o.path == "-" }

// find looks where the path leads, so that what cannot be written is refused before anything is read.
func (o *outFile) find() (err error) {
	if o.stdout() {
		return nil
	}
	if o.target, err = behindLinks(o.path); err != nil {
		return fmt.Errorf("--out %s: %w", o.path, err)
	}
	info, err := os.Stat(o.target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("--out %s: %w", o.path, err)
	case info.IsDir():
		return withCode(exitUsage, fmt.Errorf("--out %s is a directory", o.path))
	}
	o.device = !info.Mode().IsRegular()
	if o.keep && !o.device {
		return o.taken()
	}
	return nil
}

func (o *outFile) taken() error {
	return fmt.Errorf("--out %s is there already, and --no-clobber says to keep it: nothing was written", o.path)
}

// write makes the file under a temporary name beside its own, and gives it its name when it is whole and on the disk. A failure
// leaves nothing, and what had that name before as it was. The file is for its owner only: it may hold persons' data.
func (o *outFile) write(rows func(io.Writer) error) (err error) {
	if o.device {
		return toDevice(o.target, rows)
	}
	f, err := os.CreateTemp(filepath.Dir(o.target), "."+filepath.Base(o.target)+".*.part")
	if err != nil {
		return fmt.Errorf("making the file: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if err := rows(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing the file out: %w", err)
	}
	if err := o.name(f.Name()); err != nil {
		return err
	}
	return f.Close()
}

// name gives the whole file its name.
func (o *outFile) name(whole string) error {
	_, err := os.Lstat(o.target)
	o.replaced = err == nil
	if o.keep {
		// Unlike a renaming, a second name never takes the place of what has come there meanwhile.
		if err := os.Link(whole, o.target); errors.Is(err, fs.ErrExist) {
			return o.taken()
		} else if err != nil {
			return fmt.Errorf("naming the file: %w", err)
		}
		return os.Remove(whole)
	}
	if err := os.Rename(whole, o.target); err != nil {
		return fmt.Errorf("naming the file: %w", err)
	}
	return nil
}

// mostLinks is how many links in a row are followed, as many as Linux does.
const mostLinks = 40

// behindLinks is what a path comes to, as the kernel would find it: a link stays, and what it points to is written, be it there yet
// or not. /dev/stdout is one.
func behindLinks(path string) (string, error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target, nil
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil // a pipe has no name to resolve
	}
	for range mostLinks {
		// Neither Dir nor Join may see the text before its directory is resolved: they take ".." off it together with the name
		// before, which may be a link to somewhere else.
		dir, name := filepath.Split(path)
		if name == "" || name == "." || name == ".." {
			return "", errors.New("leads to a directory that is not there")
		}
		dir, err := filepath.EvalSymlinks(cmp.Or(dir, "."))
		if err != nil {
			return "", err
		}
		path = filepath.Join(dir, name)
		next, err := os.Readlink(path)
		if err != nil {
			return path, nil // no link, or nothing yet
		}
		if !filepath.IsAbs(next) {
			next = dir + string(filepath.Separator) + next
		}
		path = next
	}
	return "", syscall.ELOOP
}

// toDevice writes to what is no file: a pipe, or /dev/stdout, which must not be replaced by one.
func toDevice(path string, rows func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // the operator names it
	if err != nil {
		return fmt.Errorf("opening the output: %w", err)
	}
	return errors.Join(rows(f), f.Close())
}
