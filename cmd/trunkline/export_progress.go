package main

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// How often an export says how far it is: a terminal's line is written over, a log's is another line.
const (
	showInterval = 500 * time.Millisecond
	tellInterval = 10 * time.Second
)

// rowProgress says on stderr how many rows have passed, how fast, and for how long.
type rowProgress struct {
	what  string
	began time.Time
	rows  atomic.Int64
	quit  chan struct{}
	done  sync.WaitGroup
}

// showRows begins to; stop ends it.
func (p *program) showRows(what string) *rowProgress {
	r := &rowProgress{what: what, began: time.Now(), quit: make(chan struct{})}
	every, lead, end := tellInterval, "", "\n"
	if p.terminal {
		every, lead, end = showInterval, "\r\x1b[K", ""
	}
	r.done.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				fmt.Fprint(p.stderr, lead, r.line("exporting", r.rows.Load()), end)
			case <-r.quit:
				p.endLine()
				return
			}
		}
	})
	return r
}

func (r *rowProgress) at(rows int64) { r.rows.Store(rows) }

func (r *rowProgress) stop() {
	close(r.quit)
	r.done.Wait()
}

// line is "exported calls: 12,345 rows in 3.1s, 3,982 a second".
func (r *rowProgress) line(doing string, rows int64) string {
	took := time.Since(r.began)
	rate := int64(float64(rows) / max(took.Seconds(), 0.001))
	word := "rows"
	if rows == 1 {
		word = "row"
	}
	return fmt.Sprintf("%s %s: %s %s in %s, %s a second", doing, r.what, thousands(rows), word, took.Round(100*time.Millisecond), thousands(rate))
}

// thousands writes a number with its groups of three.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
