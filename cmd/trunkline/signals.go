package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// stopSignals yields the signals that ask the program to stop.
func stopSignals() chan os.Signal {
	// A reader of our output that has gone is an error of the write, so that what was opened is still closed.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	// nohup has it ignored, and means that.
	if !signal.Ignored(syscall.SIGHUP) {
		signal.Notify(signals, syscall.SIGHUP)
	}
	return signals
}

// signalled is why a command's context ended: a signal.
type signalled struct{ os.Signal }

// Error implements error.
func (s signalled) Error() string { return fmt.Sprintf("interrupted by a signal (%s)", s.Signal) }

// interrupted marks the error of a command that a signal broke off with its exit code, whatever broke first.
func interrupted(ctx context.Context, err error) error {
	var s signalled
	if err == nil || !errors.As(context.Cause(ctx), &s) {
		return err
	}
	return withCode(exitInterrupted, fmt.Errorf("%w: %w", s, err))
}
