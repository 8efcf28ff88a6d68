package convoso

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// StreamCallLog is the call log as Convoso's API tells it: what brings back calls whose posts were lost (section 7).
const StreamCallLog = "call_log"

// Limits of the vendor's request.
const (
	logPage      = 500
	logMaxOffset = 40_000
)

const opCallLog = "log_retrieve"

// LogConfig is what the call log is asked with.
type LogConfig struct {
	// URL is CONVOSO_API_URL, the whole address of the request.
	URL string
	// Token is CONVOSO_AUTH_TOKEN.
	Token vendorapi.Secret
	// Zone is that of the vendor's times.
	Zone    *time.Location
	Timeout time.Duration
}

// LogClient reads the call log of one account. It is safe for concurrent use.
type LogClient struct {
	api   vendorapi.Client
	token vendorapi.Secret
	zone  *time.Location
}

// NewLogClient returns a client of the account. The error joins every fault, one line each, naming the variable and no value.
func NewLogClient(config LogConfig, base vendorapi.Client) (*LogClient, error) {
	var faults []error
	u, err := url.Parse(config.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" {
		faults = append(faults, errors.New("CONVOSO_API_URL: must be a full http or https address without credentials and query"))
	}
	if token := config.Token.Reveal(); token == "" || strings.ContainsFunc(token, unicode.IsControl) {
		faults = append(faults, errors.New("CONVOSO_AUTH_TOKEN: is missing, or holds control characters"))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	base.Vendor, base.Base, base.Timeout = "convoso", u, config.Timeout
	base.Secrets = append(slices.Clone(base.Secrets), config.Token)
	return &LogClient{api: base, token: config.Token, zone: config.Zone}, nil
}

// LogPage is one page of the call log.
type LogPage struct {
	// Calls are the entries' bytes.
	Calls []json.RawMessage
	// Next is the offset of the next page, 0 on the last.
	Next int
	// AskedAt is when the request was sent (law 4).
	AskedAt time.Time
}

const logLayout = "2006-01-02 15:04:05"

// Calls reads the calls of a time range, from an offset on. The range is asked for in the account's zone, an hour wider on
// either side, since a clock that is put back tells one hour twice. The token goes in the body, never in the address.
func (c *LogClient) Calls(ctx context.Context, from, to time.Time, offset int, lane vendorapi.Lane) (LogPage, error) {
	form := url.Values{
		"auth_token": {c.token.Reveal()}, "limit": {strconv.Itoa(logPage)}, "offset": {strconv.Itoa(offset)}, "include_recordings": {"1"},
		"start_time": {from.Add(-time.Hour).In(c.zone).Format(logLayout)}, "end_time": {to.Add(time.Hour).In(c.zone).Format(logLayout)},
	}
	resp, err := c.api.Do(ctx, vendorapi.Request{
		Op: opCallLog, Method: http.MethodPost, Lane: lane, Body: []byte(form.Encode()), ContentType: "application/x-www-form-urlencoded",
	})
	if err != nil {
		return LogPage{}, err
	}
	fail := func(kind vendorapi.Kind, what string) (LogPage, error) {
		return LogPage{}, &vendorapi.Error{
			Vendor: c.api.Vendor, Op: opCallLog, Kind: kind, Status: resp.Status, Sent: true, Err: errors.New(what),
			Detail: vendorapi.Excerpt(resp.Body, c.api.Secrets...),
		}
	}
	var answer struct {
		Success *bool `json:"success"`
		Data    *struct {
			TotalFound any               `json:"total_found"`
			Results    []json.RawMessage `json:"results"`
		} `json:"data"`
	}
	switch err := json.Unmarshal(bytes.TrimSpace(resp.Body), &answer); {
	case err != nil, answer.Success == nil:
		return fail(vendorapi.Malformed, "the answer is not the JSON it should be")
	case !*answer.Success:
		return fail(vendorapi.Refused, "the answer says success false")
	case answer.Data == nil:
		return fail(vendorapi.Malformed, "the answer holds no list")
	}
	page := LogPage{Calls: answer.Data.Results, AskedAt: resp.AskedAt}
	// The total comes as a text or as a number; a full page may have a successor where it is neither.
	total, err := strconv.Atoi(strings.Trim(fmt.Sprint(answer.Data.TotalFound), `" `))
	if got := offset + len(page.Calls); len(page.Calls) > 0 && (err == nil && got < total || err != nil && len(page.Calls) == logPage) {
		if page.Next = got; page.Next > logMaxOffset {
			return fail(vendorapi.Refused, "the range holds more calls than the call log tells: order shorter windows")
		}
	}
	return page, nil
}

// LogItem is an entry of the call log, ready to be stored.
type LogItem struct {
	ObjectID    string
	Payload     []byte
	Cleaned     bool
	SourceTime  time.Time
	ZoneAssumed bool
}

// LogEntry reads an entry of the call log. An error's text holds no personal data.
func (s Settings) LogEntry(raw []byte) (LogItem, error) {
	payload, changed, err := pipeline.CleanJSON(raw)
	if err != nil {
		return LogItem{}, err
	}
	facts, err := s.Parse(Post{Body: payload})
	if err != nil {
		return LogItem{}, err
	}
	call := facts[0].Row.CallLogID
	if call == "" || len(call) > pipeline.KeyMax {
		return LogItem{}, errors.New("entry has no call id")
	}
	return LogItem{ObjectID: call, Payload: payload, Cleaned: changed, SourceTime: facts[0].SourceTime, ZoneAssumed: facts[0].ZoneAssumed}, nil
}

// logFacts says of an entry what posts of the same content would: one call, whoever told of it first.
func (s Settings) logFacts(rec pipeline.Record) (pipeline.Facts, error) {
	told, err := s.Parse(Post{Body: rec.Payload, ReceivedAt: rec.FirstSeenAt})
	if err != nil {
		return pipeline.Facts{}, err
	}
	var all pipeline.Facts
	for i := range told {
		one := rec
		one.Stream, one.ObjectID, one.Payload = told[i].Stream, told[i].ObjectID, told[i].Payload
		facts, err := s.Facts(one)
		if err != nil {
			return pipeline.Facts{}, err
		}
		all.Leads, all.Calls, all.DNC = append(all.Leads, facts.Leads...), append(all.Calls, facts.Calls...), append(all.DNC, facts.DNC...)
	}
	return all, nil
}
