package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/store"
)

func (p *program) apikeyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "apikey", Short: "Keys of the HTTP API", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(p.apikeyCreateCommand(), p.apikeyListCommand(), p.apikeyRotateCommand(), p.apikeyRevokeCommand())
	return cmd
}

// keyRow is a key as commands print it. Key is set only when it was just made: it is not kept.
type keyRow struct {
	KeyID     uuid.UUID `json:"key_id"`
	OrgID     uuid.UUID `json:"org_id"`
	Name      string    `json:"name"`
	Prefix    string    `json:"prefix"`
	Level     string    `json:"level"`
	Tier      string    `json:"tier"`
	Quota     *int64    `json:"monthly_quota"`
	CreatedAt string    `json:"created_at"`
	ExpiresAt string    `json:"expires_at"`
	RevokedAt string    `json:"revoked_at"`
	LastUsed  string    `json:"last_used_at"`
	Key       string    `json:"key,omitempty"`
}

func keyRowOf(k store.APIKey, secret string) keyRow {
	var quota *int64
	if k.MonthlyQuota > 0 {
		quota = &k.MonthlyQuota
	}
	return keyRow{
		k.ID, k.Org, k.Name, k.Prefix, string(k.Level), string(k.Tier), quota, when(k.CreatedAt), whenPtr(k.ExpiresAt),
		whenPtr(k.RevokedAt), whenPtr(k.LastUsedAt), secret,
	}
}

func (p *program) printKey(k store.APIKey, secret string, asJSON bool) error {
	if asJSON {
		return printJSON(p.stdout, keyRowOf(k, secret))
	}
	fmt.Fprintf(p.stderr, "key %s (%s, %s); it is shown this once\n", k.ID, k.Level, k.Tier)
	_, err := fmt.Fprintln(p.stdout, secret)
	return err
}

func (p *program) apikeyCreateCommand() *cobra.Command {
	var order store.NewAPIKey
	var org, level, tier, expires string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "create --name N [--org ID] [--level read|read_write|full] [--tier basic|standard|premium|none] [--monthly-quota N] [--expires T]",
		Short:   "Make a key and print it, once",
		Example: "  trunkline apikey create --name reporting --level read",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if order.Name == "" {
				return withCode(exitUsage, errors.New("--name is missing"))
			}
			if !slices.Contains([]string{"read", "read_write", "full"}, level) {
				return withCode(exitUsage, errors.New("--level must be read, read_write or full"))
			}
			if !slices.Contains([]string{"basic", "standard", "premium", "none"}, tier) {
				return withCode(exitUsage, errors.New("--tier must be basic, standard, premium or none"))
			}
			if order.MonthlyQuota < 0 || cmd.Flags().Changed("monthly-quota") && order.MonthlyQuota == 0 {
				return withCode(exitUsage, errors.New("--monthly-quota must be a number of requests above zero"))
			}
			order.Level, order.Tier = store.KeyLevel(level), store.KeyTier(tier)
			if expires != "" {
				at, err := parseTime(expires)
				if err != nil {
					return withCode(exitUsage, fmt.Errorf("--expires %w", err))
				}
				if !at.After(time.Now()) {
					return withCode(exitUsage, errors.New("--expires must be a time to come"))
				}
				order.ExpiresAt = at
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) (err error) {
				if order.Org, err = orgID(ctx, d, org); err != nil {
					return err
				}
				k, secret, err := d.CreateAPIKey(ctx, order)
				if err != nil {
					return err
				}
				return p.printKey(k, secret, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&order.Name, "name", "", "name, for people")
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().StringVar(&level, "level", "full", "read, read_write or full")
	cmd.Flags().StringVar(&tier, "tier", "premium", "basic, standard, premium or none")
	cmd.Flags().Int64Var(&order.MonthlyQuota, "monthly-quota", 0, "requests in a calendar month (UTC); none = any number")
	cmd.Flags().StringVar(&expires, "expires", "", "date (00:00 UTC) or RFC 3339 time")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// parseTime reads a date, meaning 00:00 UTC, or a time with its zone.
func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("must be a date such as 2026-03-02, or a time such as 2026-03-02T09:00:00Z")
}

func (p *program) apikeyListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List keys, without their secrets",
		Example: "  trunkline apikey list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				list, err := d.APIKeys(ctx)
				if err != nil {
					return err
				}
				rows := []keyRow{}
				var lines [][]string
				for _, k := range list {
					r := keyRowOf(k, "")
					rows = append(rows, r)
					quota := "-"
					if r.Quota != nil {
						quota = fmt.Sprint(*r.Quota)
					}
					lines = append(lines, []string{r.KeyID.String(), r.Name, "lw_" + r.Prefix, r.Level, r.Tier, quota, r.CreatedAt, r.ExpiresAt, r.RevokedAt, r.LastUsed})
				}
				if asJSON {
					return printJSON(p.stdout, rows)
				}
				return table(p.stdout, []string{"KEY_ID", "NAME", "PREFIX", "LEVEL", "TIER", "QUOTA", "CREATED", "EXPIRES", "REVOKED", "LAST_USED"}, lines)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) apikeyRotateCommand() *cobra.Command {
	var grace time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "rotate ID [--grace D]",
		Short:   "Make a key's successor; the old one works until the grace is over",
		Example: "  trunkline apikey rotate 0198… --grace 48h",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil || grace < 0 {
				return withCode(exitUsage, errors.New("want a key's id, and a grace of 0 or more"))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				k, secret, err := d.RotateAPIKey(ctx, id, grace)
				if err != nil {
					return err
				}
				return p.printKey(k, secret, asJSON)
			})
		},
	}
	cmd.Flags().DurationVar(&grace, "grace", 24*time.Hour, "how long the old key still works")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) apikeyRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   "End a key at once",
		Example: "  trunkline apikey revoke 0198…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return withCode(exitUsage, errors.New("want a key's id"))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				return d.RevokeAPIKey(ctx, id)
			})
		},
	}
}
