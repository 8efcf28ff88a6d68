package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// callable is a vendor whose operations an operator may run by name.
type callable struct {
	name, title string
	operations  []vendorapi.Operation
	// choose tells which operation is meant by a name that several have, by the words after it; nil where no name is shared.
	choose func(name string, words []string) string
	// check finds what is wrong with the arguments, beyond what vendorapi.Operation.Check finds; nothing is sent.
	check func(c vendorCall) error
	// account says whose budget the request takes from; off names the variable without which the vendor is off.
	account func(c *config) (account vendorAccount, off string)
	// forbidden names the setting that keeps the operation from running, and says why.
	forbidden func(c *config, op string) error
	// phones are the numbers, in E.164, of whom the call may ring.
	phones func(c *config, call vendorCall) []string
	// run sends the request and returns what is printed. Beside an error that is what was done before it.
	run func(ctx context.Context, c *config, base vendorapi.Client, call vendorCall) (json.RawMessage, error)
}

// vendorAccount is what a budget needs to know of a vendor's account.
type vendorAccount struct {
	source     pipeline.Source
	rate       rate
	credential vendorapi.Secret
}

// vendorCall is one operation as it was asked for.
type vendorCall struct {
	op   vendorapi.Operation
	args map[string]string
	// out is the file that a recording goes to, empty for none, and maxOut its greatest size in bytes.
	out    string
	maxOut int64
	// verify looks for the leads of a bulk create and sends nothing; skipKnown leaves out those that were sent before.
	verify, skipKnown bool
	// db is where an organisation's bulk creates are remembered.
	db  *store.DB
	org uuid.UUID
	// talk is where an operator is told what is no data.
	talk io.Writer
}

func (p *program) vendorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "vendor VENDOR OPERATION [key=value…] [--yes]",
		Short: "Run any documented operation of a vendor",
		Args:  cobra.NoArgs,
		RunE:  needsSubcommand,
	}
	for _, v := range callables() {
		cmd.AddCommand(p.vendorOperations(v))
	}
	return cmd
}

func (p *program) vendorOperations(v *callable) *cobra.Command {
	var yes, verify, skipKnown, asJSON bool
	var out string
	var most int64
	cmd := &cobra.Command{
		Use:   v.name + " OPERATION [key=value…] [--yes]",
		Short: "Run any documented operation of " + v.title,
		Long: "Run any documented operation of " + v.title + " and print its answer as JSON.\n\n" +
			"Names of operations in any case. What writes, rings or deletes needs --yes. The request waits for its turn in the account's\n" +
			"budget, behind the daemon's live work. The answer is printed as it came: it may hold personal data.\n\n" + v.listing(),
		Example:           v.example(),
		ValidArgsFunction: v.complete,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			call, err := v.read(args)
			if err != nil {
				return withCode(exitUsage, err)
			}
			call.out, call.maxOut, call.verify, call.skipKnown, call.talk = out, most<<20, verify, skipKnown, p.stderr
			if v.check != nil {
				err = v.check(call)
			}
			if err == nil && call.writes() && !yes {
				err = fmt.Errorf("%s %s: say --yes if that is meant", call.op.Name, call.op.Effect)
			}
			if err != nil {
				return withCode(exitUsage, err)
			}
			return p.callVendor(cmd.Context(), v, call)
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do what writes, rings or deletes")
	jsonFlag(cmd, &asJSON)
	if v.name == "ipscape" {
		cmd.Flags().StringVar(&out, "out", "", "with get_media: file for the recording, should the vendor answer its audio")
		cmd.Flags().BoolVar(&verify, "verify", false, "with bulk_create_leads: send nothing, and look which of the leads are there; exits 6 when some are not")
		cmd.Flags().BoolVar(&skipKnown, "skip-known", false, "with bulk_create_leads: leave out the leads that were sent before, and send the others")
		cmd.Flags().Int64Var(&most, "max-mib", 64, "with --out: the largest recording that is taken, in MiB")
	}
	help := cmd.HelpFunc()
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		for i := range args {
			// Help of one operation is its own lines only.
			if op, _, err := v.find(args[i:]); err == nil {
				fmt.Fprint(cmd.OutOrStdout(), describe(op))
				return
			}
		}
		help(cmd, args)
	})
	return cmd
}

// writes tells whether the call may have an effect at the vendor.
func (c *vendorCall) writes() bool { return c.op.Effect != vendorapi.Reads && !c.verify }

var (
	nameWord = regexp.MustCompile(`^[A-Za-z][A-Za-z_/ -]*$`)
	argName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_ ]*$`)
)

// read takes a command line apart: the operation's name, which may be several words, and key=value.
func (v *callable) read(words []string) (vendorCall, error) {
	op, rest, err := v.find(words)
	if err != nil {
		return vendorCall{}, err
	}
	if v.choose != nil {
		op, _ = vendorapi.Find(v.operations, v.choose(op.Name, rest))
	}
	call := vendorCall{op: op, args: map[string]string{}}
	var errs []error
	for i, word := range rest {
		name, value, ok := strings.Cut(word, "=")
		name = strings.TrimSpace(name)
		if !ok || !argName.MatchString(name) {
			// Not quoted: it may be somebody's number.
			errs = append(errs, fmt.Errorf("what follows %s must be key=value: the %s is not", op.Name, ordinal(i+1)))
			continue
		}
		for _, p := range op.Params {
			if !strings.EqualFold(p.Name, name) {
				continue
			}
			name = p.Name
			if long := p.Type == "object" || p.Type == "leads"; long {
				if value, err = fromFile(value); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", name, err))
				}
			}
		}
		if _, twice := call.args[name]; twice {
			errs = append(errs, fmt.Errorf("%s: is given twice", name))
		}
		call.args[name] = value
	}
	if len(errs) > 0 {
		return call, errors.Join(errs...)
	}
	if err := call.op.Check(call.args); err != nil {
		return call, fmt.Errorf("%s: %w", call.op.Name, err)
	}
	return call, nil
}

// find reads the operation's name from the first words and returns the words after it.
func (v *callable) find(words []string) (vendorapi.Operation, []string, error) {
	n := 0
	for n < len(words) && nameWord.MatchString(words[n]) {
		n++
	}
	for k := n; k > 0; k-- {
		if op, ok := vendorapi.Find(v.operations, strings.Join(words[:k], " ")); ok {
			return op, words[k:], nil
		}
	}
	if n == 0 {
		return vendorapi.Operation{}, nil, fmt.Errorf("the first word must be an operation; trunkline vendor %s lists them", v.name)
	}
	name := strings.Join(words[:n], " ")
	err := fmt.Errorf("%s has no operation %q; trunkline vendor %s lists them", v.title, name, v.name)
	if near := v.similar(name); len(near) > 0 {
		err = fmt.Errorf("%s has no operation %q; did you mean %s?", v.title, name, strings.Join(near, " or "))
	}
	return vendorapi.Operation{}, nil, err
}

// similar finds the operations whose names are near a misspelt one.
func (v *callable) similar(name string) []string {
	flat := strings.NewReplacer("_", "", " ", "", "-", "", "/", "")
	index := &cobra.Command{SuggestionsMinimumDistance: 3}
	for _, op := range v.operations {
		index.AddCommand(&cobra.Command{Use: strings.ToLower(flat.Replace(op.Name)), Run: func(*cobra.Command, []string) {}})
	}
	var near []string
	for _, hit := range index.SuggestionsFor(strings.ToLower(flat.Replace(name))) {
		if op, ok := vendorapi.Find(v.operations, hit); ok && !slices.Contains(near, op.Name) {
			near = append(near, op.Name)
		}
	}
	return near
}

func ordinal(n int) string {
	switch {
	case n%10 == 1 && n != 11:
		return fmt.Sprintf("%dst", n)
	case n%10 == 2 && n != 12:
		return fmt.Sprintf("%dnd", n)
	case n%10 == 3 && n != 13:
		return fmt.Sprintf("%drd", n)
	}
	return fmt.Sprintf("%dth", n)
}

// fromFile replaces @FILE by what the file holds, for values that are too long for a command line.
func fromFile(value string) (string, error) {
	path, ok := strings.CutPrefix(value, "@")
	if !ok {
		return value, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", errors.New("names a file that cannot be read")
	}
	return string(text), nil
}
