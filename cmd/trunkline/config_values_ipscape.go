package main

import (
	"errors"
	"time"
)

// The types below read what ipSCAPE leaves open.

// timeLayout is a layout of package time that tells a moment to the second.
type timeLayout string

// EnvDecode implements envconfig.Decoder.
func (l *timeLayout) EnvDecode(text string) error {
	at := time.Date(2026, 11, 22, 9, 34, 56, 0, time.UTC) // twelve hours on it is the same day
	for _, other := range []time.Time{at.AddDate(1, 0, 0), at.AddDate(0, 1, 0), at.AddDate(0, 0, 1), at.Add(time.Hour), at.Add(12 * time.Hour), at.Add(time.Minute), at.Add(time.Second)} {
		if at.Format(text) == other.Format(text) {
			return errors.New("must be a Go time layout with date, hour, minute and second, such as 2006-01-02T15:04:05Z07:00")
		}
	}
	*l = timeLayout(text)
	return nil
}

// boolSpelling tells whether yes and no are written 1 and 0.
type boolSpelling bool

// EnvDecode implements envconfig.Decoder.
func (b *boolSpelling) EnvDecode(text string) error {
	if text != "true/false" && text != "1/0" {
		return errors.New("must be true/false or 1/0")
	}
	*b = text == "1/0"
	return nil
}

// headerPrefix is what stands before a credential in its header. Set to nothing it is nothing, and not the default.
type headerPrefix string
