package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/trunkline/trunkline/sync/convolo"
	"github.com/trunkline/trunkline/sync/convoso"
	"github.com/trunkline/trunkline/sync/dialedin"
	"github.com/trunkline/trunkline/sync/ipscape"
	"github.com/trunkline/trunkline/sync/lendworks"
	"github.com/trunkline/trunkline/sync/pipeline"
	"github.com/trunkline/trunkline/sync/vendorapi"
)

// callables are the vendors that an operator may ask.
func callables() []*callable {
	return []*callable{callableIPSCAPE(), callableDialedIn(), callableConvolo(), callableConvoso(), callableLendWorks()}
}

func callableLendWorks() *callable {
	return &callable{
		name: "lendworks", title: "LendWorks", operations: lendworks.Described(),
		check: func(call vendorCall) error { return lendworks.CheckCall(call.op.Name, call.args) },
		account: func(c *config) (vendorAccount, string) {
			if !c.LendWorks.on() {
				return vendorAccount{}, "LENDWORKS_API_KEY"
			}
			return vendorAccount{pipeline.SourceLendWorks, c.LendWorks.Rate, c.LendWorks.APIKey}, ""
		},
		forbidden: func(*config, string) error { return nil },
		run: func(ctx context.Context, c *config, base vendorapi.Client, call vendorCall) (json.RawMessage, error) {
			client, err := lendworks.NewClient(c.LendWorks.client(), base)
			if err != nil {
				return nil, err
			}
			return client.Call(ctx, call.op.Name, call.args)
		},
	}
}

func callableConvoso() *callable {
	return &callable{
		name: "convoso", title: "Convoso", operations: convoso.Described(),
		check: func(call vendorCall) error { return convoso.CheckCall(call.args) },
		account: func(c *config) (vendorAccount, string) {
			switch {
			case c.Convoso.APIURL == "":
				return vendorAccount{}, "CONVOSO_API_URL"
			case c.Convoso.AuthToken == "":
				return vendorAccount{}, "CONVOSO_AUTH_TOKEN"
			}
			return vendorAccount{pipeline.SourceConvoso, c.Convoso.Rate, c.Convoso.AuthToken}, ""
		},
		forbidden: func(*config, string) error { return nil },
		run: func(ctx context.Context, c *config, base vendorapi.Client, call vendorCall) (json.RawMessage, error) {
			client, err := convoso.NewLogClient(c.Convoso.log(), base)
			if err != nil {
				return nil, err
			}
			return client.Call(ctx, call.args)
		},
	}
}

func callableDialedIn() *callable {
	return &callable{
		name: "dialedin", title: "DialedIn", operations: dialedin.Described(),
		// The contract has two operations called Reload.
		choose: func(name string, words []string) string {
			forPlaylist := func(word string) bool { return strings.HasPrefix(strings.ToLower(word), "playlist=") }
			if name == "ReloadSkills" && slices.ContainsFunc(words, forPlaylist) {
				return "ReloadPlaylist"
			}
			return name
		},
		check: func(call vendorCall) error { return dialedin.CheckCall(call.op.Name, call.args) },
		account: func(c *config) (vendorAccount, string) {
			if !c.DialedIn.on() {
				return vendorAccount{}, "DIALEDIN_TOKEN"
			}
			return vendorAccount{pipeline.SourceDialedIn, c.DialedIn.Rate, c.DialedIn.Token}, ""
		},
		forbidden: func(c *config, name string) error {
			settings := c.DialedIn.client()
			if variable := settings.MissingScript(name); variable != "" {
				op, _ := vendorapi.Find(dialedin.Described(), name)
				return fault{variable, "is missing, and " + name + " cannot be asked: " + op.Note}
			}
			return nil
		},
		phones: func(_ *config, call vendorCall) []string {
			numbers := []string{call.args["PrimaryPhone"], call.args["Phone"], call.args["To"]}
			if call.args["SearchField"] == "Phone" {
				numbers = append(numbers, call.args["Identifier"])
			}
			return dialled(numbers, "US")
		},
		run: func(ctx context.Context, c *config, base vendorapi.Client, call vendorCall) (json.RawMessage, error) {
			client, err := dialedin.NewClient(c.DialedIn.client(), base)
			if err != nil {
				return nil, err
			}
			return client.Call(ctx, call.op.Name, call.args)
		},
	}
}

func callableConvolo() *callable {
	return &callable{
		name: "convolo", title: "Convolo", operations: convolo.Described(),
		check: func(call vendorCall) error { return convolo.CheckCall(call.args) },
		account: func(c *config) (vendorAccount, string) {
			if !c.Convolo.on() {
				return vendorAccount{}, "CONVOLO_WIDGET_KEY"
			}
			return vendorAccount{pipeline.SourceConvolo, c.Convolo.Rate, c.Convolo.APIKey}, ""
		},
		forbidden: func(*config, string) error { return nil },
		phones: func(c *config, call vendorCall) []string {
			country := call.args["country"]
			if country == "" {
				country = string(c.Convolo.Country)
			}
			return dialled([]string{call.args["lc_number"], call.args["lc_number_2"]}, country)
		},
		run: func(ctx context.Context, c *config, base vendorapi.Client, call vendorCall) (json.RawMessage, error) {
			client, err := convolo.NewClient(c.Convolo.client(), base)
			if err != nil {
				return nil, err
			}
			return client.Call(ctx, "operator-"+uuid.NewString(), call.args)
		},
	}
}

// ipscapePhones are the numbers of leads that an operation creates.
func ipscapePhones(c *config, call vendorCall) []string {
	numbers := []string{call.args["phone1"], call.args["phone2"], call.args["phone3"]}
	var leads []ipscape.NewLead
	if json.Unmarshal([]byte(call.args["leads"]), &leads) == nil {
		for _, l := range leads {
			numbers = append(numbers, l.Phone1, l.Phone2, l.Phone3)
		}
	}
	return dialled(numbers, string(c.IPSCAPE.Region))
}

// dialled reads numbers as the program knows them, in E.164.
func dialled(numbers []string, region string) []string {
	var phones []string
	for _, number := range numbers {
		if number == "" {
			continue
		}
		phone := pipeline.ParsePhone(number, region)
		if phone.Valid {
			phones = append(phones, phone.E164)
			continue
		}
		// The numbering plan may not know it; an opt-out would have it as it is.
		phones = append(phones, phone.Raw)
		if ten, ok := pipeline.TenDigits("+1" + number); ok {
			phones = append(phones, "+1"+ten)
		}
	}
	return phones
}

// errOptedOut is why a request that would ring somebody is not sent.
var errOptedOut = errors.New("the number is on the do-not-call list, or its owner has opted out; the request was not sent")

// mayRing looks for opt-outs, as deliveries do, immediately before a request that rings leaves.
func mayRing(d *database, org uuid.UUID, phones []string) func(context.Context) error {
	return func(ctx context.Context) error {
		suppressed, err := d.Suppressed(ctx, org, phones)
		switch {
		case err != nil:
			return fmt.Errorf("the request was not sent: %w", err)
		case suppressed:
			return errOptedOut
		}
		return nil
	}
}
