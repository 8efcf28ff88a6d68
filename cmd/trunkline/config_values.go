package main

import (
	"errors"
	"log/slog"
	"math"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/sync/pipeline"
)

// The types below read one kind of value each. Their errors say what is wrong without repeating the value, which may be a
// secret that ended up under the wrong name.

// span is a duration above zero.
type span struct{ time.Duration }

// EnvDecode implements envconfig.Decoder.
func (s *span) EnvDecode(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return errors.New("must be a duration above zero, such as 25s or 24h")
	}
	s.Duration = d
	return nil
}

// duration is a duration of zero or more.
type duration struct{ time.Duration }

// EnvDecode implements envconfig.Decoder.
func (s *duration) EnvDecode(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return errors.New("must be a duration, such as 60s or 15m")
	}
	s.Duration = d
	return nil
}

// rate is requests a second, 0 for unlimited.
type rate float64

// EnvDecode implements envconfig.Decoder.
func (r *rate) EnvDecode(text string) error {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return errors.New("must be requests a second: a number of 0 (unlimited) or more")
	}
	*r = rate(v)
	return nil
}

// share is a part of a whole.
type share float64

// EnvDecode implements envconfig.Decoder.
func (s *share) EnvDecode(text string) error {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v <= 1) {
		return errors.New("must be a share from 0 to 1, such as 0.2")
	}
	*s = share(v)
	return nil
}

// count is a number above zero.
type count int

// EnvDecode implements envconfig.Decoder.
func (c *count) EnvDecode(text string) error {
	v, err := strconv.Atoi(text)
	if err != nil || v <= 0 {
		return errors.New("must be a whole number above zero")
	}
	*c = count(v)
	return nil
}

// choice03 is a number from 0 to 3.
type choice03 int

// EnvDecode implements envconfig.Decoder.
func (c *choice03) EnvDecode(text string) error {
	v, err := strconv.Atoi(text)
	if err != nil || v < 0 || v > 3 {
		return errors.New("must be 0, 1, 2 or 3")
	}
	*c = choice03(v)
	return nil
}

// zone is an IANA time zone.
type zone struct{ *time.Location }

// EnvDecode implements envconfig.Decoder.
func (z *zone) EnvDecode(text string) error {
	loc, err := time.LoadLocation(text)
	if err != nil || strings.EqualFold(text, "local") {
		return errors.New("must be an IANA time zone, such as America/New_York")
	}
	z.Location = loc
	return nil
}

// country is an ISO 3166 country of two letters.
type country string

var twoLetters = regexp.MustCompile(`^[A-Za-z]{2}$`)

// EnvDecode implements envconfig.Decoder.
func (c *country) EnvDecode(text string) error {
	if !twoLetters.MatchString(text) {
		return errors.New("must be a country of two letters, such as US")
	}
	*c = country(strings.ToUpper(text))
	return nil
}

// hostPort is an address to listen on.
type hostPort string

// EnvDecode implements envconfig.Decoder.
func (h *hostPort) EnvDecode(text string) error {
	_, port, err := net.SplitHostPort(text)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		return errors.New("must be host:port, such as 127.0.0.1:8080")
	}
	*h = hostPort(text)
	return nil
}

// webURL is an http or https address without credentials in it.
type webURL string

// EnvDecode implements envconfig.Decoder.
func (w *webURL) EnvDecode(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must be a full http or https address")
	case u.User != nil || u.RawQuery != "":
		return errors.New("must hold neither credentials nor a query")
	}
	*w = webURL(text)
	return nil
}

// logLevel is a level of log/slog.
type logLevel struct{ slog.Level }

// EnvDecode implements envconfig.Decoder.
func (l *logLevel) EnvDecode(text string) error {
	if l.UnmarshalText([]byte(text)) != nil {
		return errors.New("must be debug, info, warn or error")
	}
	return nil
}

// logFormat is how log lines look.
type logFormat string

// EnvDecode implements envconfig.Decoder.
func (l *logFormat) EnvDecode(text string) error {
	if !slices.Contains([]string{"auto", "json", "text"}, text) {
		return errors.New("must be auto, json or text")
	}
	*l = logFormat(text)
	return nil
}

// roles is what a daemon does.
type roles struct{ api, worker, scheduler bool }

// EnvDecode implements envconfig.Decoder.
func (r *roles) EnvDecode(text string) error {
	*r = roles{}
	for part := range strings.SplitSeq(text, ",") {
		switch strings.TrimSpace(part) {
		case "api":
			r.api = true
		case "worker":
			r.worker = true
		case "scheduler":
			r.scheduler = true
		default:
			return errors.New("must be a comma list of api, worker, scheduler")
		}
	}
	return nil
}

// callWindow is the time of day at which people may be called.
type callWindow struct {
	pipeline.CallWindow
	// explicit tells that the environment names it, be it the default value: then it stands in for the rules of states.
	explicit bool
}

// EnvDecode implements envconfig.Decoder.
func (c *callWindow) EnvDecode(text string) error {
	w, err := pipeline.ParseCallWindow(text)
	if err != nil {
		return errors.New("must be a window of local time, such as 08:00-21:00")
	}
	c.CallWindow = w
	return nil
}

// cronSpec is when a schedule is due, in UTC.
type cronSpec struct{ jobs.Spec }

// EnvDecode implements envconfig.Decoder.
func (c *cronSpec) EnvDecode(text string) (err error) {
	c.Spec, err = jobs.ParseSpec(text, time.UTC)
	return err
}
