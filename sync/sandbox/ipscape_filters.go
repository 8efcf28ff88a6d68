package sandbox

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// filters are the parameters of one list request. Zero values filter nothing.
type filters struct {
	from, to                                              time.Time
	campaignID, leadID, listID, statusCode                int64
	activityType, customerKey, phone, userType, accActive string
	now                                                   time.Time
}

// parseFilters reads what any of the lists takes; which list takes what is checked before.
func parseFilters(values url.Values) (*filters, error) {
	f := &filters{
		activityType: values.Get("activityType"), customerKey: values.Get("customerKey"), phone: values.Get("phone1"),
		userType: values.Get("userType"), accActive: values.Get("accountActive"),
	}
	var errs []error
	for name, target := range map[string]*int64{
		"campaignId": &f.campaignID, "leadId": &f.leadID, "listId": &f.listID, "statusCode": &f.statusCode,
	} {
		text := values.Get(name)
		if text == "" {
			continue
		}
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s is not a number", name))
		}
		*target = number
	}
	for name, target := range map[string]*time.Time{
		"createdTimestampFrom": &f.from, "createdTimestampTo": &f.to, "uploadedTimestampFrom": &f.from,
		"uploadedTimestampTo": &f.to, "dialledTimestampFrom": &f.from, "dialledTimestampTo": &f.to,
	} {
		text := values.Get(name)
		if text == "" {
			continue
		}
		at, err := parseFilterTime(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		*target = at
	}
	switch f.accActive {
	case "", "true", "false", "0", "1":
	default:
		errs = append(errs, errors.New("accountActive is not a boolean"))
	}
	if f.phone != "" && !strings.HasPrefix(f.phone, "+") {
		errs = append(errs, errors.New("phone1 is not in E.164 form, or its plus sign is not encoded"))
	}
	// Maps have no order, an error text should.
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return f, errors.Join(errs...)
}

func parseFilterTime(text string) (time.Time, error) {
	if strings.Contains(text, " ") {
		return time.Time{}, errors.New("timestamp with a blank, perhaps a plus sign that was not encoded")
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05Z0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, errors.New("timestamp in an unknown form")
}

// within says whether a row's time lies between the bounds, both inclusive, and is not in the future.
func (f *filters) within(at time.Time) bool {
	return !at.After(f.now) && (f.from.IsZero() || !at.Before(f.from)) && (f.to.IsZero() || !at.After(f.to))
}

// same says whether an id filter lets an id through.
func same[T comparable](want, got T) bool {
	var none T
	return want == none || want == got
}

func (f *filters) active(active bool) bool {
	switch f.accActive {
	case "true", "1":
		return active
	case "false", "0":
		return !active
	}
	return true
}
