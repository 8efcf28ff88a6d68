package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/sync/vendorapi"
)

// listing tells of every operation, what it does and what it takes.
func (v *callable) listing() string {
	var b strings.Builder
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "Operations (an argument with * must be given):")
	for _, op := range v.operations {
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", op.Name, op.Effect, op.Summary)
		var args []string
		for _, p := range op.Params {
			args = append(args, starred(p))
		}
		if op.Further != "" {
			args = append(args, "…")
		}
		if len(args) > 0 {
			fmt.Fprintf(tw, "  \t\t  %s\n", strings.Join(args, " "))
		}
	}
	_ = tw.Flush() // into memory
	return strings.TrimRight(b.String(), "\n") + "\n\nMore of one operation: trunkline vendor " + v.name + " OPERATION --help"
}

// describe tells of one operation at length.
func describe(op vendorapi.Operation) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s (%s)\n", op.Name, op.Summary, op.Effect)
	if op.Note != "" {
		fmt.Fprintf(&b, "Note: %s.\n", op.Note)
	}
	if len(op.Params) > 0 {
		fmt.Fprintln(&b, "\nArguments (those with * must be given):")
	}
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, p := range op.Params {
		kind := p.Type
		if p.Values != nil {
			kind = strings.Join(p.Values, "|")
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\n", starred(p), kind, p.Help)
	}
	_ = tw.Flush() // into memory
	if op.Further != "" {
		fmt.Fprintf(&b, "Further arguments: %s.\n", op.Further)
	}
	return b.String()
}

func starred(p vendorapi.Param) string {
	if p.Required {
		return p.Name + "*"
	}
	return p.Name
}

func (v *callable) example() string {
	for _, op := range v.operations {
		if op.Effect != vendorapi.Reads || len(op.Params) == 0 {
			continue
		}
		return "  trunkline vendor " + v.name + " " + op.Name + " " + op.Params[len(op.Params)-1].Name + "=…"
	}
	return "  trunkline vendor " + v.name + " " + v.operations[0].Name + " --help"
}

// complete offers the operations' names, then the arguments of the one that was chosen.
func (v *callable) complete(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		var names []string
		for _, op := range v.operations {
			names = append(names, op.Name+"\t"+string(op.Effect)+": "+op.Summary)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	op, rest, err := v.find(args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, p := range op.Params {
		given := func(word string) bool { return strings.HasPrefix(strings.ToLower(word), strings.ToLower(p.Name)+"=") }
		if !slices.ContainsFunc(rest, given) {
			names = append(names, p.Name+"=")
		}
	}
	return names, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}
