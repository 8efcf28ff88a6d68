package convoso

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Described returns the one operation of Convoso's API that we know, as an operator may ask for it; Call runs it (contract
// section 7). Everything else that Convoso tells, it posts by itself.
func Described() []vendorapi.Operation {
	return []vendorapi.Operation{{
		Name: opCallLog, Aliases: []string{"call_log", "log/retrieve"}, Effect: vendorapi.Reads, Summary: "a page of the call log, up to 500 calls",
		Params: []vendorapi.Param{
			{Name: "start_time", Type: "time", Required: true, Help: "RFC 3339; asked for an hour earlier, on the account's clock"},
			{Name: "end_time", Type: "time", Required: true, Help: "RFC 3339; asked for an hour later"},
			{Name: "offset", Type: "integer", Help: "of the page; next of the answer names the one after it"},
		},
	}}
}

// CheckCall finds everything wrong with the arguments of a Call without sending anything. Values are not quoted.
func CheckCall(args map[string]string) error {
	_, _, _, err := callLogArgs(args)
	return err
}

// Call reads a page of the call log for an operator and returns {"calls": …, "next": the next offset, null on the last page}.
// Wrong arguments are an error, and nothing is sent.
func (c *LogClient) Call(ctx context.Context, args map[string]string) (json.RawMessage, error) {
	from, to, offset, err := callLogArgs(args)
	if err != nil {
		return nil, err
	}
	page, err := c.Calls(ctx, from, to, offset, vendorapi.Reread)
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"calls": page.Calls, "next": nil}
	if page.Next > 0 {
		answer["next"] = page.Next
	}
	return json.Marshal(answer)
}

func callLogArgs(args map[string]string) (from, to time.Time, offset int, err error) {
	if err := Described()[0].Check(args); err != nil {
		return from, to, 0, fmt.Errorf("convoso %s: %w", opCallLog, err)
	}
	var errs []error
	read := func(name string) time.Time {
		at, err := time.Parse(time.RFC3339, args[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: is no RFC 3339 time", name))
		}
		return at
	}
	from, to = read("start_time"), read("end_time")
	if len(errs) == 0 && !from.Before(to) {
		errs = append(errs, errors.New("end_time: must be after start_time"))
	}
	if text := args["offset"]; text != "" {
		if offset, err = strconv.Atoi(text); err != nil || offset < 0 {
			errs = append(errs, errors.New("offset: is no whole number"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return from, to, 0, fmt.Errorf("convoso %s: %w", opCallLog, err)
	}
	return from, to, offset, nil
}
