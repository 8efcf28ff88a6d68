package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockMode is how a file is locked.
type lockMode int

const (
	shared    lockMode = syscall.LOCK_SH
	exclusive lockMode = syscall.LOCK_EX
)

// fileLock is a flock on a file beside the cluster. The kernel drops it with the process, so a killed daemon leaves no stale
// lock; and Go opens files close-on-exec, so the server does not inherit it.
type fileLock struct{ file *os.File }

func openLock(path string, owner account) (*fileLock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // a file of our own data root
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	// A lock file made by root must not keep out the ordinary user whose cluster this is.
	if err := owner.own(path); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &fileLock{file: file}, nil
}

// try takes the lock, or changes its mode, when that is possible at once.
func (l *fileLock) try(mode lockMode) (bool, error) {
	err := syscall.Flock(int(l.file.Fd()), int(mode)|syscall.LOCK_NB)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
		return false, nil
	default:
		return false, fmt.Errorf("lock %s: %w", l.file.Name(), err)
	}
}

// lock waits for the lock. It polls because a blocking flock cannot be cancelled by a context.
func (l *fileLock) lock(ctx context.Context, mode lockMode) error {
	for {
		ok, err := l.try(mode)
		if ok || err != nil {
			return err
		}
		if err := pause(ctx, poll); err != nil {
			return fmt.Errorf("wait for lock %s: %w", l.file.Name(), err)
		}
	}
}

// close releases the lock; closing a lock file has no failure worth reporting.
func (l *fileLock) close() { _ = l.file.Close() }

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
