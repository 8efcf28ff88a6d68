package lendworks

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// Config is one LendWorks account. Start from Defaults.
type Config struct {
	// BaseURL is LENDWORKS_BASE_URL, without the version in the path.
	BaseURL string
	// Key is LENDWORKS_API_KEY.
	Key vendorapi.Secret
	// Timeout is LENDWORKS_TIMEOUT, for one request.
	Timeout time.Duration
}

// Defaults returns the settings of interface.md section 3; the key is left to set.
func Defaults() Config {
	return Config{BaseURL: "https://api.lend.works", Timeout: 15 * time.Second}
}

// check returns the base of all paths, or every fault at once, each named by its variable and without the value.
func (c *Config) check() (*url.URL, error) {
	var faults []error
	add := func(name, text string) { faults = append(faults, fmt.Errorf("%s: %s", name, text)) }
	u, err := url.Parse(strings.TrimRight(c.BaseURL, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		add("LENDWORKS_BASE_URL", "must be a full http or https address without credentials and query")
	}
	switch key := c.Key.Reveal(); {
	case key == "":
		add("LENDWORKS_API_KEY", "is missing")
	case strings.ContainsFunc(key, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsGraphic(r) || r == ' ' }):
		add("LENDWORKS_API_KEY", "holds characters that no header takes")
	}
	if c.Timeout <= 0 {
		add("LENDWORKS_TIMEOUT", "must be above zero")
	}
	return u, errors.Join(faults...)
}
