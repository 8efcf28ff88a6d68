// Package jobs is River: queues, schedules, thin workers that wake drains, and the one middleware that turns errors into
// outcomes. What is worked on lives in other packages; here is only when and where.
package jobs

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Off is the spec of a schedule that never fires.
const Off = "off"

// Spec is a parsed schedule: a cron expression of five fields, a descriptor such as @daily, or @every with a duration.
// The zero value is off.
type Spec struct {
	text     string
	schedule cron.Schedule
	zone     *time.Location
}

// ParseSpec reads a schedule in a zone; "off" and the empty text give one that never fires. It refuses what cron would
// take and never fire, such as 31 February, and what makes cron's parser panic.
func ParseSpec(text string, zone *time.Location) (spec Spec, err error) {
	text = strings.TrimSpace(text)
	if text == "" || strings.EqualFold(text, Off) {
		return Spec{text: Off, zone: zone}, nil
	}
	defer func() {
		if recover() != nil {
			spec, err = Spec{}, errors.New("is not a cron expression")
		}
	}()
	if strings.HasPrefix(text, "TZ=") || strings.HasPrefix(text, "CRON_TZ=") {
		return Spec{}, errors.New("must not name a zone")
	}
	schedule, err := cron.ParseStandard(text)
	if err != nil {
		// The parser's own error repeats the text; the reader has it before him.
		return Spec{}, errors.New("is not a cron expression, @every with a duration, or off")
	}
	spec = Spec{text: text, schedule: schedule, zone: zone}
	// cron rounds a shorter delay up to a second without a word.
	if every, ok := strings.CutPrefix(text, "@every "); ok {
		if delay, err := time.ParseDuration(strings.TrimSpace(every)); err != nil || delay < time.Second {
			return Spec{}, errors.New("must not fire more often than once a second")
		}
	}
	if spec.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Spec{}, errors.New("never fires")
	}
	return spec, nil
}

// String returns the text the spec was read from.
func (s Spec) String() string {
	if s.text == "" {
		return Off
	}
	return s.text
}

// Off tells whether the spec never fires.
func (s Spec) Off() bool { return s.schedule == nil }

// Zone returns the name of the zone in which the spec is read.
func (s Spec) Zone() string {
	if s.zone == nil {
		return time.UTC.String()
	}
	return s.zone.String()
}

// Next returns the first due time after t, in UTC; the zero time when there is none.
func (s Spec) Next(t time.Time) time.Time {
	if s.schedule == nil {
		return time.Time{}
	}
	zone := s.zone
	if zone == nil {
		zone = time.UTC
	}
	next := s.schedule.Next(t.In(zone))
	if next.IsZero() {
		return time.Time{}
	}
	return next.UTC()
}

// GoString renders the spec for test failures.
func (s Spec) GoString() string { return fmt.Sprintf("jobs.Spec(%q)", s.String()) }
