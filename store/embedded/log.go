package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	// maxLog is the size at which the server's log is put aside when a server starts; one older log is kept.
	maxLog = 10 << 20
	// maxReport and maxReportLines limit what of the log enters an error.
	maxReport      = 16 << 10
	maxReportLines = 12
)

func (s *Server) logPath() string { return s.path("postgres.log") }

// openLog opens the server's log for appending and says how long it is already.
func (s *Server) openLog() (file *os.File, size int64, err error) {
	path := s.logPath()
	if info, err := os.Lstat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, 0, fmt.Errorf("put the old server log aside: %w", err)
		}
	}
	file, err = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // a file of our own data root
	if err != nil {
		return nil, 0, fmt.Errorf("open the server log: %w", err)
	}
	if err := s.account.own(path); err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("look at the server log: %w", err), file.Close())
	}
	return file, info.Size(), nil
}

// readLog returns what was logged since offset, at most maxReport bytes of it.
func (s *Server) readLog(offset int64) string {
	file, err := os.Open(s.logPath())
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err == nil {
		offset = max(offset, info.Size()-maxReport)
	}
	text, err := io.ReadAll(io.NewSectionReader(file, offset, maxReport))
	if err != nil {
		return ""
	}
	return string(text)
}

// lastLines returns the end of a program's output, for an error.
func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-maxReportLines):], "\n")
}
