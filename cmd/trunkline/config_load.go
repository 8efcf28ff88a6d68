package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/sethvargo/go-envconfig"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// fault is one thing wrong with the environment. It names the variable and never repeats its value.
type fault struct{ name, problem string }

// Error implements error.
func (f fault) Error() string { return f.name + ": " + f.problem }

// variable is one leaf of the configuration.
type variable struct {
	name     string
	fallback string
	help     string
	secret   bool
	value    reflect.Value
}

var (
	secretType   = reflect.TypeFor[vendorapi.Secret]()
	prefixedType = reflect.TypeFor[prefixed]()
	// headerPrefixType is the one kind of value that may be empty on purpose.
	headerPrefixType = reflect.TypeFor[headerPrefix]()
)

// variables lists the leaves of a configuration in their order.
func variables(c *config) []variable {
	var list []variable
	groups := reflect.ValueOf(c).Elem()
	for i := range groups.NumField() {
		group := groups.Field(i)
		for j := range group.NumField() {
			f := group.Type().Field(j)
			name, fallback, _ := strings.Cut(f.Tag.Get("env"), ", default=")
			list = append(list, variable{
				name: name, fallback: fallback, help: f.Tag.Get("help"), secret: f.Type == secretType, value: group.Field(j),
			})
		}
	}
	return list
}

// loadConfig reads the environment (NAME=value, as os.Environ gives it) and reports every fault at once.
func loadConfig(environ []string) (*config, error) {
	c := &config{}
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	var faults []error
	known := map[string]bool{}
	for _, v := range variables(c) {
		known[v.name] = true
		if v.secret {
			known[v.name+"_FILE"] = true
		}
		if err := v.load(env); err != nil {
			faults = append(faults, fault{v.name, err.Error()})
		}
	}
	c.General.CallWindow.explicit = strings.TrimSpace(env["TRUNKLINE_CALL_WINDOW"]) != ""
	faults = append(faults, c.addressFaults()...)
	faults = append(faults, unknownNames(env, known)...)
	if len(faults) == 0 {
		faults = c.contradictions()
	}
	return c, errors.Join(faults...)
}

func (v variable) load(env map[string]string) error {
	if v.value.Type() == prefixedType {
		prefix, _, _ := strings.Cut(v.name, "<")
		found := prefixed{}
		for name, value := range env {
			if rest, ok := strings.CutPrefix(name, prefix); ok && rest != "" && value != "" {
				found[strings.ToLower(rest)] = value
			}
		}
		v.value.Set(reflect.ValueOf(found))
		return nil
	}
	text, set := env[v.name]
	if v.value.Type() == headerPrefixType && set {
		v.value.SetString(text)
		return nil
	}
	if v.secret {
		var err error
		if text, err = secretText(env, v.name); err != nil {
			return err
		}
	}
	if strings.TrimSpace(text) == "" {
		text = v.fallback
	}
	if text == "" {
		return nil
	}
	return v.decode(text)
}

// decode hands one value to go-envconfig in a struct of its own: a whole struct would be read up to its first fault only.
func (v variable) decode(text string) error {
	field := reflect.StructField{Name: "V", Type: v.value.Type(), Tag: reflect.StructTag(fmt.Sprintf(`env:%q`, v.name))}
	one := reflect.New(reflect.StructOf([]reflect.StructField{field}))
	err := envconfig.ProcessWith(context.Background(), &envconfig.Config{
		Target: one.Interface(), Lookuper: envconfig.MapLookuper(map[string]string{v.name: text}),
	})
	if err == nil {
		v.value.Set(one.Elem().Field(0))
		return nil
	}
	if v.value.Kind() == reflect.Bool {
		return errors.New("must be true or false")
	}
	// The types of this package say what is wrong without the value; the library's own words around them are of no use.
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

// secretText reads a secret from its variable, or from the file that NAME_FILE names; where neither is set, be it to nothing, from
// the credential of that name that a service manager handed over.
func secretText(env map[string]string, name string) (string, error) {
	text, set := env[name]
	path, what := env[name+"_FILE"], "the file that "+name+"_FILE names"
	if dir := env["CREDENTIALS_DIRECTORY"]; dir != "" && !set && path == "" {
		credential := filepath.Join(dir, name)
		if _, err := os.Stat(credential); err == nil {
			path, what = credential, "its credential"
		}
	}
	if path != "" {
		if text != "" {
			return "", fmt.Errorf("is set, and so is %s_FILE: set one of them", name)
		}
		content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
		if err != nil {
			return "", fmt.Errorf("%s cannot be read", what)
		}
		text = strings.TrimRight(string(content), "\r\n")
		if text == "" {
			return "", fmt.Errorf("%s is empty", what)
		}
	}
	if strings.ContainsAny(text, "\r\n\x00") {
		return "", errors.New("holds a line break")
	}
	return text, nil
}

// reserved are names of interface.md that later features use; setting them is no fault.
var reserved = []string{
	"TRUNKLINE_TEST_DATABASE_URL", "TRUNKLINE_TEST_FULL", "TRUNKLINE_ACCOUNTS_FILE",
}

// unknownNames finds TRUNKLINE_ names that nobody reads: most likely misspelt ones. Kubernetes puts a service's addresses
// into the environment under names of its own.
func unknownNames(env map[string]string, known map[string]bool) []error {
	var faults []error
	for name := range env {
		switch {
		case !strings.HasPrefix(name, "TRUNKLINE_"), known[name], slices.Contains(reserved, name),
			strings.HasPrefix(name, "TRUNKLINE_SERVICE_"), strings.HasPrefix(name, "TRUNKLINE_PORT"):
		default:
			faults = append(faults, fault{name, "is not a variable of trunkline; trunkline config lists them"})
		}
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return faults
}

// addressFaults finds addresses of databases that nobody can connect to.
func (c *config) addressFaults() []error {
	var faults []error
	for _, a := range []struct {
		name string
		text vendorapi.Secret
	}{{"DATABASE_URL", c.General.DatabaseURL}, {"DATABASE_DIRECT_URL", c.General.DatabaseDirectURL}, {"TRUNKLINE_READ_DATABASE_URL", c.General.ReadDatabaseURL}} {
		if a.text != "" && !isDatabase(a.text.Reveal()) {
			faults = append(faults, fault{a.name, "must be the address of a Postgres database, such as postgres://user@host/database"})
		}
	}
	return faults
}

func isDatabase(text string) bool {
	// The library would take the address of something else for a list of settings.
	if scheme, _, ok := strings.Cut(text, "://"); ok && !strings.ContainsAny(scheme, "= ") && scheme != "postgres" && scheme != "postgresql" {
		return false
	}
	_, err := pgxpool.ParseConfig(text)
	return err == nil
}

// faulty returns the names of the variables that an error of loadConfig is about.
func faulty(err error) map[string]bool {
	names := map[string]bool{}
	var list interface{ Unwrap() []error }
	if errors.As(err, &list) {
		for _, one := range list.Unwrap() {
			if f, ok := errors.AsType[fault](one); ok {
				names[f.name] = true
			}
		}
	}
	return names
}

// contradictions finds settings that are good each by itself and not together.
func (c *config) contradictions() []error {
	var faults []error
	needs := func(set bool, by, name string, present bool) {
		if set && !present {
			faults = append(faults, fault{name, "is missing, and " + by + " is set"})
		}
	}
	needs(c.IPSCAPE.Token != "", "IPSCAPE_TOKEN", "IPSCAPE_BASE_URL", c.IPSCAPE.BaseURL != "")
	needs(c.DialedIn.Token != "", "DIALEDIN_TOKEN", "DIALEDIN_ACCID", c.DialedIn.AccID != "")
	needs(c.DialedIn.Token != "", "DIALEDIN_TOKEN", "DIALEDIN_CAMPAIGN", c.DialedIn.Campaign != "")
	needs(c.Convolo.WidgetKey != "", "CONVOLO_WIDGET_KEY", "CONVOLO_API_KEY", c.Convolo.APIKey != "")
	needs(c.Convolo.APIKey != "", "CONVOLO_API_KEY", "CONVOLO_WIDGET_KEY", c.Convolo.WidgetKey != "")
	needs(c.Convoso.APIURL != "", "CONVOSO_API_URL", "CONVOSO_AUTH_TOKEN", c.Convoso.AuthToken != "")
	needs(c.Convoso.AuthToken != "", "CONVOSO_AUTH_TOKEN", "CONVOSO_API_URL", c.Convoso.APIURL != "")
	return append(append(faults, c.vendorFaults()...), c.Tracing.faults()...)
}

// secrets returns every secret that is set, to be masked wherever text from outside is shown.
func (c *config) secrets() []vendorapi.Secret {
	var out []vendorapi.Secret
	for _, v := range variables(c) {
		if s, ok := v.value.Interface().(vendorapi.Secret); ok && s != "" {
			out = append(out, s)
		}
	}
	for _, value := range c.IPSCAPE.ExtraHeaders {
		out = append(out, vendorapi.Secret(value))
	}
	return append(out, c.Tracing.secrets()...)
}
