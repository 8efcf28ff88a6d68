package ipscape

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Defaults of Config, from contracts/ipscape.md sections 2 and 6, and interface.md section 3.
const (
	defaultHeader   = "Authorization"
	defaultTimeout  = 25 * time.Second
	defaultIdle     = 10 * time.Second
	defaultLayout   = "2006-01-02T15:04:05Z07:00"
	defaultBulk     = 500
	defaultMaxAudio = 64 << 20
	// pageParam is the campaigns' paging parameter by default, and what Call names it always.
	pageParam = "pageNo"
)

// Config is what one ipSCAPE account needs. Most of it is configurable because the vendor does not document it.
type Config struct {
	// BaseURL ends before the version, for example https://tenant.onipscape.com/platform-api.
	BaseURL string
	Token   vendorapi.Secret
	// AuthHeader carries AuthPrefix and the token; empty is Authorization. An empty prefix stays empty.
	AuthHeader, AuthPrefix string
	// ExtraHeaders go with every request (tenant or organisation titles). Their values are masked like the token.
	ExtraHeaders map[string]string
	// Timeout bounds one request with its whole answer, handing out the items included; 0 is 25 s.
	Timeout time.Duration
	// IdleTimeout bounds the wait for the next bytes of an answer; 0 is 10 s.
	IdleTimeout time.Duration
	// Paths overrides paths by operation. The path of a get names the id's place in braces, as in /v3.0/leads/{leadId}.
	Paths map[string]string
	// CursorAlone leaves the filters out of requests with a cursor. By default they are repeated, since nobody knows whether
	// a cursor remembers them (contracts/ipscape.md 5.1).
	CursorAlone bool
	// Writes allows the operations that change something at the vendor; without it they fail with ErrWritesOff.
	Writes bool
	// Methods overrides HTTP methods by operation; most are guesses.
	Methods map[string]string
	// FilterLayout is the Go layout of times in filters, and FilterZone the zone they are written in. Empty is RFC 3339 with
	// whole seconds, nil is UTC.
	FilterLayout string
	FilterZone   *time.Location
	// NumericBooleans writes 1 and 0 for true and false in queries.
	NumericBooleans bool
	// CampaignsPage is the parameter by which a further page of campaigns is asked for; empty is pageNo.
	CampaignsPage string
	// BulkSize is the number of leads that one bulk request holds; 0 is 500.
	BulkSize int
	// BulkLog remembers the parts of a bulk create; nil remembers nothing.
	BulkLog BulkLog
	// MaxAudio bounds a recording, in bytes; 0 is 64 MiB.
	MaxAudio int64
}

var (
	idPlace    = regexp.MustCompile(`\{[A-Za-z]*\}`)
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
)

// paths merges the overrides into the defaults.
func (c *Config) paths() (map[string]string, error) {
	paths := map[string]string{}
	for _, op := range Catalogue() {
		paths[op.Name] = op.Path
	}
	var errs []error
	for op, path := range c.Paths {
		known, ok := paths[op]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("path of %q: no such operation", op))
		case !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") || strings.ContainsFunc(path, blankOrControl):
			errs = append(errs, fmt.Errorf("path of %s must begin with a slash and have no query", op))
		case len(idPlace.FindAllString(path, -1)) != len(idPlace.FindAllString(known, -1)):
			errs = append(errs, fmt.Errorf("path of %s must name the id's place once if the operation has one, as in %s", op, known))
		}
	}
	maps.Copy(paths, c.Paths)
	return paths, errors.Join(errs...)
}

// methods merges the overrides into the defaults. A read stays a GET and a write never becomes one: what may be repeated
// depends on it.
func (c *Config) methods() (map[string]string, error) {
	methods := map[string]string{}
	writes := map[string]bool{}
	for _, op := range Catalogue() {
		methods[op.Name], writes[op.Name] = op.Method, op.Writes
	}
	var errs []error
	for op, method := range c.Methods {
		switch method = strings.ToUpper(strings.TrimSpace(method)); method {
		case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		default:
			errs = append(errs, fmt.Errorf("method of %s must be POST, PUT, PATCH or DELETE", op))
			continue
		}
		if !writes[op] {
			errs = append(errs, fmt.Errorf("method of %q: no such operation that writes", op))
			continue
		}
		methods[op] = method
	}
	return methods, errors.Join(errs...)
}

// dials checks the lesser settings and fills in their defaults.
func (c *Config) dials() (Config, error) {
	d := *c
	var errs []error
	if d.FilterLayout == "" {
		d.FilterLayout = defaultLayout
	}
	if d.FilterZone == nil {
		d.FilterZone = time.UTC
	}
	if d.CampaignsPage == "" {
		d.CampaignsPage = pageParam
	}
	if d.CampaignsPage == "cursor" || url.QueryEscape(d.CampaignsPage) != d.CampaignsPage {
		errs = append(errs, errors.New("campaigns' paging parameter is no name of a parameter"))
	}
	if d.BulkSize == 0 {
		d.BulkSize = defaultBulk
	}
	if d.MaxAudio == 0 {
		d.MaxAudio = defaultMaxAudio
	}
	if d.BulkSize < 0 || d.MaxAudio < 0 {
		errs = append(errs, errors.New("bulk size and audio limit must not be below zero"))
	}
	return d, errors.Join(errs...)
}

// base reads the base URL. Errors do not quote it: it may hold what somebody pasted into the wrong variable.
func (c *Config) base() (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(c.BaseURL))
	switch {
	case err != nil:
		return nil, errors.New("base url cannot be read")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, errors.New("base url must be an absolute http or https URL")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, errors.New("base url must have no user, query or fragment")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// headers builds the fixed headers of every request, and lists the values that must never show.
func (c *Config) headers() (http.Header, []vendorapi.Secret, error) {
	var errs []error
	name := c.AuthHeader
	if name == "" {
		name = defaultHeader
	}
	header := http.Header{"Accept": {"application/json"}}
	secrets := make([]vendorapi.Secret, 0, 1+len(c.ExtraHeaders))
	for extra, value := range c.ExtraHeaders {
		if !headerName.MatchString(extra) || strings.ContainsFunc(value, control) {
			errs = append(errs, errors.New("an extra header has a name or value that HTTP does not allow"))
			continue
		}
		header.Set(extra, value)
		secrets = append(secrets, vendorapi.Secret(value))
	}
	token := strings.TrimSpace(c.Token.Reveal())
	switch {
	case token == "":
		errs = append(errs, errors.New("token is missing"))
	case strings.ContainsFunc(token, control):
		errs = append(errs, errors.New("token has a character that HTTP does not allow"))
	case !headerName.MatchString(name), strings.ContainsFunc(c.AuthPrefix, control):
		errs = append(errs, errors.New("auth header or prefix is not one that HTTP allows"))
	default:
		header.Set(name, c.AuthPrefix+token)
	}
	return header, append(secrets, vendorapi.Secret(token)), errors.Join(errs...)
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

func blankOrControl(r rune) bool { return r == ' ' || control(r) }
