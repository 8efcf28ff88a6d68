package api

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// gzipAtLeast is the size from which compressing saves more than it costs.
const gzipAtLeast = 1 << 10

// packers are kept for the next answer: each has a quarter of a megabyte of tables.
var packers sync.Pool

// writeGzip writes a compressed body. A client that has gone is no error.
func writeGzip(w http.ResponseWriter, text []byte) error {
	z, ok := packers.Get().(*gzip.Writer)
	if !ok {
		var err error
		if z, err = gzip.NewWriterLevel(io.Discard, gzip.BestSpeed); err != nil {
			return err
		}
	}
	z.Reset(w)
	_, _ = z.Write(text)
	_ = z.Close()
	z.Reset(io.Discard)
	packers.Put(z)
	return nil
}

// acceptsGzip tells whether a client takes gzip: it names it, or everything, and not with a weight of zero.
func acceptsGzip(given []string) bool {
	star := false
	for _, line := range given {
		for one := range strings.SplitSeq(line, ",") {
			name, parameters, _ := strings.Cut(one, ";")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "gzip", "x-gzip":
				return weighs(parameters)
			case "*":
				star = weighs(parameters)
			}
		}
	}
	return star
}

// weighs tells whether the q of a coding is above zero; without one it is 1.
func weighs(parameters string) bool {
	name, value, ok := strings.Cut(strings.ReplaceAll(parameters, " ", ""), "=")
	if !ok || !strings.EqualFold(name, "q") {
		return true
	}
	q, err := strconv.ParseFloat(value, 64)
	return err != nil || q > 0
}
