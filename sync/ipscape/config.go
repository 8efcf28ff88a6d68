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

// Defaults of Config, from contracts/ipscape.md section 2 and interface.md section 3.
const (
	defaultHeader  = "Authorization"
	defaultTimeout = 25 * time.Second
	defaultIdle    = 10 * time.Second
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
}

// Operations returns the names of the operations, which are the keys of Config.Paths.
func Operations() []string {
	return []string{OpListActivities, OpGetActivity, OpListLeads, OpGetLead}
}

// The operations, as they are named in Config.Paths, logs, metrics and errors.
const (
	OpListActivities = "list_activities"
	OpGetActivity    = "get_activity"
	OpListLeads      = "list_leads"
	OpGetLead        = "get_lead"
)

// defaultPaths are those of contracts/ipscape.md section 3.
func defaultPaths() map[string]string {
	return map[string]string{
		OpListActivities: "/v3.0/activities",
		OpGetActivity:    "/v3.0/activities/{activityId}",
		OpListLeads:      "/v3.0/leads",
		OpGetLead:        "/v3.0/leads/{leadId}",
	}
}

var (
	idPlace    = regexp.MustCompile(`\{[A-Za-z]*\}`)
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
)

// paths merges the overrides into the defaults.
func (c *Config) paths() (map[string]string, error) {
	paths := defaultPaths()
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
