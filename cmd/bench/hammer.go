package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// hammer keeps connections busy for a while, each with one request after the other, and returns answers a second and the
// 99th percentile of their time in milliseconds. It shares the cores with what it measures, so it does as little as it can:
// requests are bytes made beforehand, and of an answer only its status and length are read. The first fifth is not counted.
func hammer(ctx context.Context, addr string, connections int, load time.Duration, requests [][]byte) (rate, p99 float64, err error) {
	begin := time.Now().Add(load / 5)
	end := begin.Add(load)
	times := make([][]time.Duration, connections)
	group, ctx := errgroup.WithContext(ctx)
	for c := range connections {
		group.Go(func() (err error) {
			times[c], err = hammerOne(ctx, addr, begin, end, requests, c)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, 0, err
	}
	all := slices.Sorted(slices.Values(slices.Concat(times...)))
	if len(all) == 0 {
		return 0, 0, fmt.Errorf("no answer within %s", load)
	}
	return perSecond(len(all), load), float64(all[len(all)*99/100].Microseconds()) / 1000, nil
}

func hammerOne(ctx context.Context, addr string, begin, end time.Time, requests [][]byte, first int) (times []time.Duration, err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	defer func() { _ = conn.Close() }() // nothing is under way any more
	if err := conn.SetDeadline(end.Add(10 * time.Second)); err != nil {
		return nil, fmt.Errorf("setting a deadline: %w", err)
	}
	answers := bufio.NewReader(conn)
	for i := first; ctx.Err() == nil; i += 7 {
		sent := time.Now()
		if sent.After(end) {
			break
		}
		if _, err := conn.Write(requests[i%len(requests)]); err != nil {
			return nil, fmt.Errorf("sending: %w", err)
		}
		if err := readAnswer(answers); err != nil {
			return nil, err
		}
		if now := time.Now(); now.After(begin) && now.Before(end) {
			times = append(times, now.Sub(sent))
		}
	}
	return times, ctx.Err()
}

// readAnswer reads one answer to its end; any but a 200 is an error.
func readAnswer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answered %q", bytes.TrimSpace(line))
	}
	length, chunked := 0, false
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("reading an answer: %w", err)
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return fmt.Errorf("reading a length: %w", err)
			}
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			chunked = true
		}
	}
	if !chunked {
		_, err := r.Discard(length)
		return err
	}
	return discardChunks(r)
}

func discardChunks(r *bufio.Reader) error {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("reading a chunk: %w", err)
		}
		size, err := strconv.ParseInt(strings.TrimSpace(line), 16, 32)
		if err != nil {
			return fmt.Errorf("reading a chunk's size: %w", err)
		}
		if _, err := io.CopyN(io.Discard, r, size+2); err != nil { // the line's end belongs to it
			return fmt.Errorf("reading a chunk: %w", err)
		}
		if size == 0 {
			return nil
		}
	}
}
