package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthPatience is how long the daemon may take to say how it is: its own checks take two seconds at most.
const healthPatience = 4 * time.Second

func (p *program) healthcheckCommand() *cobra.Command {
	var live bool
	cmd := &cobra.Command{
		Use:   "healthcheck [--live]",
		Short: "Ask the daemon of this environment whether it is ready; exit 1 when it is not",
		Long: "Ask the daemon that listens on TRUNKLINE_HTTP_ADDR, on this machine, whether it is ready (GET /readyz): it serves, and its database\n" +
			"takes writes and has its schema. With --live ask only whether it answers (GET /healthz): for what restarts it, which helps\n" +
			"nobody while a database is away. Exit 0 when it is, 1 when it is not or nobody answers. A daemon without the role api answers nobody.",
		Example: "  trunkline healthcheck\n  trunkline healthcheck --live",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := p.config()
			if err != nil {
				return err
			}
			path := "/readyz"
			if live {
				path = "/healthz"
			}
			said, err := askHealth(cmd.Context(), string(c.General.HTTPAddr), path)
			if err != nil {
				return interrupted(cmd.Context(), err)
			}
			_, err = fmt.Fprintln(p.stdout, said)
			return err
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "ask only whether the daemon answers")
	return cmd
}

// askHealth returns what the daemon says of itself, as an error where that is no good.
func askHealth(ctx context.Context, addr, path string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "0" {
		return "", errors.New("TRUNKLINE_HTTP_ADDR lets the daemon take any free port: name the one it took")
	}
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	// An address without a host, or with the one that stands for all, is dialled on this machine.
	where := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: path}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), http.NoBody)
	if err != nil {
		return "", fmt.Errorf("asking the daemon: %w", err)
	}
	// No proxy stands between a daemon and its own host, whatever the environment says.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("asking the daemon: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&answer); err != nil || answer.Status == "" {
		return "", fmt.Errorf("asking the daemon: whoever listens on %s answers %d, and not as trunkline does", addr, resp.StatusCode)
	}
	if resp.StatusCode == http.StatusOK {
		return answer.Status, nil
	}
	var not []string
	for _, name := range slices.Sorted(maps.Keys(answer.Checks)) {
		if state := answer.Checks[name]; state != "ok" {
			not = append(not, name+" "+state)
		}
	}
	return "", fmt.Errorf("the daemon is %s: %s", answer.Status, strings.Join(not, ", "))
}
