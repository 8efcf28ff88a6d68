package vendorapi

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Effect says what an operation does at the vendor, the gravest of it.
type Effect string

// The effects, from the lightest to the gravest.
const (
	Reads  Effect = "reads"
	Writes Effect = "writes"
	// Rings means that a person may be called, or written to, because of it.
	Rings Effect = "rings"
	// Deletes means that something is gone afterwards, or cannot be called back.
	Deletes Effect = "deletes"
)

// Param is one argument of an operation, by the vendor's name.
type Param struct {
	Name     string
	Required bool
	// Type says in a word how the value is written, such as integer.
	Type string
	// Values are the only ones allowed, if there are any.
	Values []string
	Help   string
}

// Operation is a vendor's operation as an operator may ask for it by name.
type Operation struct {
	Name string
	// Aliases are further names, such as the contract's title of it.
	Aliases []string
	Summary string
	Effect  Effect
	Params  []Param
	// Further says what arguments may be given beside Params; empty means none.
	Further string
	// Note is what an operator should know before the first call.
	Note string
}

// Find returns the operation of that name. Case, blanks and punctuation do not count: contracts, paths and settings spell
// names differently.
func Find(ops []Operation, name string) (Operation, bool) {
	wanted := bare(name)
	i := slices.IndexFunc(ops, func(o Operation) bool {
		return bare(o.Name) == wanted || slices.ContainsFunc(o.Aliases, func(alias string) bool { return bare(alias) == wanted })
	})
	if i < 0 || wanted == "" {
		return Operation{}, false
	}
	return ops[i], true
}

func bare(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// Check finds arguments that the operation does not have, values that it does not allow, and what is missing, all at once.
// Values are not quoted: they may be phone numbers.
func (o *Operation) Check(args map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(args)) {
		i := slices.IndexFunc(o.Params, func(p Param) bool { return p.Name == name })
		switch {
		case i < 0 && o.Further == "":
			errs = append(errs, fmt.Errorf("there is no argument %s%s", name, o.names()))
		case i < 0:
		case strings.TrimSpace(args[name]) == "":
			errs = append(errs, fmt.Errorf("%s: is empty", name))
		case o.Params[i].Values != nil && !slices.Contains(o.Params[i].Values, args[name]):
			errs = append(errs, fmt.Errorf("%s: must be %s", name, strings.Join(o.Params[i].Values, " or ")))
		}
	}
	for _, p := range o.Params {
		if _, ok := args[p.Name]; p.Required && !ok {
			errs = append(errs, fmt.Errorf("%s: is missing", p.Name))
		}
	}
	return errors.Join(errs...)
}

func (o *Operation) names() string {
	if len(o.Params) == 0 {
		return "; it takes none"
	}
	names := make([]string, len(o.Params))
	for i, p := range o.Params {
		names[i] = p.Name
	}
	return "; there are " + strings.Join(names, ", ")
}
