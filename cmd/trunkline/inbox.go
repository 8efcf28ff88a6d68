package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"

	"github.com/trunkline/trunkline/store"
)

func (p *program) inboxCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "inbox", Short: "Posts as they came", Args: cobra.NoArgs, RunE: needsSubcommand}
	cmd.AddCommand(p.inboxListCommand(), p.inboxShowCommand(), p.inboxReplayCommand())
	return cmd
}

// inboxRow is a post as commands print it.
type inboxRow struct {
	ID          uuid.UUID `json:"id"`
	OrgID       uuid.UUID `json:"org_id"`
	Source      string    `json:"source"`
	State       string    `json:"state"`
	ReceivedAt  string    `json:"received_at"`
	Method      string    `json:"method"`
	ContentType string    `json:"content_type"`
	EventPath   string    `json:"event_path"`
	Bytes       int       `json:"bytes"`
	Facts       int       `json:"facts"`
	Attempts    int       `json:"attempts"`
	DuplicateOf string    `json:"duplicate_of"`
	SettledAt   string    `json:"settled_at"`
	Error       string    `json:"error"`
	// Query and Body are filled by show.
	Query string `json:"query,omitempty"`
	Body  string `json:"body,omitempty"`
}

func inboxRowOf(s *store.StoredPost) inboxRow {
	r := inboxRow{
		ID: s.ID, OrgID: s.Org, Source: s.Source, State: s.State, ReceivedAt: when(s.ReceivedAt), Method: s.Method, ContentType: s.ContentType,
		EventPath: s.EventPath, Bytes: s.Bytes, Attempts: s.Attempts, SettledAt: whenPtr(s.SettledAt), Query: s.Query, Body: bodyText(s.Body),
	}
	if s.Facts != nil {
		r.Facts = *s.Facts
	}
	if s.DuplicateOf != nil {
		r.DuplicateOf = s.DuplicateOf.String()
	}
	if s.Error != nil {
		r.Error = *s.Error
	}
	return r
}

// postStates are the states of interface.md section 5.
var postStates = []string{"new", "done", "duplicate", "unclassified", "unparsable", "quarantined"}

func (p *program) inboxListCommand() *cobra.Command {
	var org, source string
	var states []string
	var limit int
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list [--state S]… [--source S]",
		Short:   "List posts that need somebody: not recognised, not readable, or not processed",
		Example: "  trunkline inbox list\n  trunkline inbox list --state done --limit 5",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, s := range states {
				if !slices.Contains(postStates, s) {
					return withCode(exitUsage, fmt.Errorf("no post has state %q", s))
				}
			}
			if limit < 1 {
				return withCode(exitUsage, errors.New("--limit must be at least 1"))
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				id, err := orgID(ctx, d, org)
				if err != nil {
					return err
				}
				posts, err := d.InboxPosts(ctx, store.InboxFilter{Org: id, Source: source, States: states, Limit: limit})
				if err != nil {
					return err
				}
				rows := []inboxRow{}
				var lines [][]string
				for i := range posts {
					r := inboxRowOf(&posts[i])
					r.Query = ""
					rows = append(rows, r)
					lines = append(lines, []string{
						r.ID.String(), r.Source, r.State, r.ReceivedAt, r.Method, orDash(r.ContentType), orDash(r.EventPath), fmt.Sprint(r.Bytes), fmt.Sprint(r.Facts), orDash(r.Error),
					})
				}
				if asJSON {
					return printJSON(p.stdout, rows)
				}
				if len(lines) == 0 && len(states) == 0 {
					fmt.Fprintln(p.stderr, "no post needs anybody; --state done lists those that were read")
				}
				return table(p.stdout, []string{"ID", "SOURCE", "STATE", "RECEIVED", "METHOD", "CONTENT_TYPE", "EVENT", "BYTES", "FACTS", "ERROR"}, lines)
			})
		},
	}
	cmd.Flags().StringVar(&org, "org", "", "organisation; empty = the default one")
	cmd.Flags().StringVar(&source, "source", "", "only posts of this source")
	cmd.Flags().StringSliceVar(&states, "state", []string{"unclassified", "unparsable", "quarantined"}, "states to list")
	cmd.Flags().IntVar(&limit, "limit", 100, "how many, newest first")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) inboxShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show one post with its bytes, personal data included",
		Example: "  trunkline inbox show 0198…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := argID(args[0])
			if err != nil {
				return err
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, _ *config, d *database) error {
				return p.showPost(ctx, d, id, asJSON)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) showPost(ctx context.Context, d *database, id uuid.UUID, asJSON bool) error {
	post, err := d.InboxPost(ctx, id)
	if err != nil {
		return err
	}
	r := inboxRowOf(&post)
	if asJSON {
		return printJSON(p.stdout, r)
	}
	return properties(p.stdout, [][2]string{
		{"ID", r.ID.String()},
		{"SOURCE", r.Source},
		{"STATE", r.State},
		{"RECEIVED", r.ReceivedAt},
		{"SETTLED", r.SettledAt},
		{"METHOD", r.Method},
		{"CONTENT_TYPE", orDash(r.ContentType)},
		{"EVENT", orDash(r.EventPath)},
		{"FACTS", fmt.Sprint(r.Facts)},
		{"ATTEMPTS", fmt.Sprint(r.Attempts)},
		{"DUPLICATE_OF", orDash(r.DuplicateOf)},
		{"ERROR", orDash(r.Error)},
		{"QUERY", orDash(r.Query)},
		{"BODY", r.Body},
	})
}

func (p *program) inboxReplayCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "replay ID",
		Short:   "Read one post again, whatever became of it before",
		Long:    "Read one post again, whatever became of it before, and print what becomes of it. Exits 1 when it still cannot be read.",
		Example: "  trunkline inbox replay 0198…",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := argID(args[0])
			if err != nil {
				return err
			}
			return p.withDatabase(cmd.Context(), func(ctx context.Context, c *config, d *database) error {
				return p.replayPost(ctx, c, d, id, asJSON)
			})
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func (p *program) replayPost(ctx context.Context, c *config, d *database, id uuid.UUID, asJSON bool) error {
	replayer, err := p.replayer(ctx, c, d)
	if err != nil {
		return err
	}
	err = d.InTx(ctx, func(tx pgx.Tx) error {
		found, err := d.ReplayPost(ctx, tx, id)
		if err == nil && !found {
			return fmt.Errorf("post %s: %w", id, store.ErrNotFound)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := replayer.Drain(ctx); err != nil {
		return err
	}
	if err := p.showPost(ctx, d, id, asJSON); err != nil {
		return err
	}
	post, err := d.InboxPost(ctx, id)
	if err == nil && post.State != "done" && post.State != "duplicate" {
		err = fmt.Errorf("the post is %s", post.State)
	}
	return err
}
