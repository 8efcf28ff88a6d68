package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

func (p *program) configCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "config [check]",
		Short:   "List every variable with its value, default and meaning; secrets are masked",
		Example: "  trunkline config | less -S\n  trunkline config check",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := loadConfig(p.environ)
			// The list helps most when something is wrong, so it comes first.
			if perr := p.printConfig(c, faulty(err), asJSON); perr != nil {
				return perr
			}
			return withCode(exitConfig, err)
		},
	}
	jsonFlag(cmd, &asJSON)
	cmd.AddCommand(&cobra.Command{
		Use:     "check",
		Short:   "Report every fault of the environment, one line each; exit 3 when there is one",
		Example: "  trunkline config check",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if _, err := p.config(); err != nil {
				return err
			}
			_, err := fmt.Fprintln(p.stdout, "the configuration is fine")
			return err
		},
	})
	return cmd
}

func (p *program) printConfig(c *config, faulty map[string]bool, asJSON bool) error {
	type row struct {
		Name    string `json:"name"`
		Value   string `json:"value"`
		Default string `json:"default"`
		Meaning string `json:"meaning"`
	}
	var rows []row
	var lines [][]string
	for _, v := range variables(c) {
		value := p.shown(v)
		if faulty[v.name] && value != "" {
			// Nobody knows what it is: a secret may have ended up under the wrong name.
			value = "[invalid]"
		}
		rows = append(rows, row{v.name, value, v.fallback, v.help})
		lines = append(lines, []string{v.name, orDash(value), orDash(strings.TrimSpace(v.fallback)), v.help})
	}
	if asJSON {
		return printJSON(p.stdout, rows)
	}
	return table(p.stdout, []string{"NAME", "VALUE", "DEFAULT", "MEANING"}, lines)
}

// shown is a variable's value as it was given, secrets masked, else its default.
func (p *program) shown(v variable) string {
	if v.secret {
		return v.value.Interface().(vendorapi.Secret).String()
	}
	if v.value.Type() == prefixedType {
		var names []string
		for _, key := range v.value.MapKeys() {
			names = append(names, strings.ToUpper(key.String()))
		}
		return strings.Join(names, " ")
	}
	for _, entry := range p.environ {
		if name, value, _ := strings.Cut(entry, "="); name == v.name && (strings.TrimSpace(value) != "" || v.value.Type() == headerPrefixType) {
			if v.name == "IPSCAPE_EXTRA_HEADERS" {
				return "[redacted]"
			}
			return value
		}
	}
	return strings.TrimSpace(v.fallback)
}
