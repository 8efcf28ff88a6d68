package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/trunkline/trunkline/api"
	"github.com/trunkline/trunkline/jobs"
	"github.com/trunkline/trunkline/store"
	"github.com/trunkline/trunkline/sync/sandbox"
)

// oneByOne keeps each post in a statement, or a transaction, of its own: what the group commit is compared with.
type oneByOne struct {
	pool *pgxpool.Pool
	// river makes a job a post in the post's own transaction, when set.
	river *river.Client[pgx.Tx]
}

const insertPostSQL = `
insert into ops.inbox (id, org_id, source, state, received_at, method, content_type, event_path, query, body)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

// Accept implements api.Intake.
func (o *oneByOne) Accept(ctx context.Context, p store.Post) error {
	args := []any{p.ID, p.Org, p.Source, p.State, p.ReceivedAt, p.Method, p.ContentType, p.EventPath, p.Query, p.Body}
	if o.river == nil {
		_, err := o.pool.Exec(ctx, insertPostSQL, args...)
		return err
	}
	return pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, insertPostSQL, args...); err != nil {
			return err
		}
		_, err := o.river.InsertTx(ctx, tx, jobs.InboxArgs{}, nil)
		return err
	})
}

// callEvents are the requests of posts that tell of a call, in JSON; opt-outs are left out, for what they cost beside.
func callEvents(posts []sandbox.Post) [][]byte {
	var out [][]byte
	for i := range posts {
		p := &posts[i]
		if p.Event != sandbox.EventCall || p.OptOut || !strings.HasSuffix(p.ContentType, "json") {
			continue
		}
		out = append(out, fmt.Appendf(nil, "POST /v1/dialer/convoso/%s?event=%s HTTP/1.1\r\nHost: bench\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			receiverToken, p.Event, p.ContentType, len(p.Body), p.Body))
	}
	return out
}

// keeper is a way to keep posts.
type keeper func(ctx context.Context, b *base) (api.Intake, func() error, error)

func grouped(withJob bool) keeper {
	return func(ctx context.Context, b *base) (api.Intake, func() error, error) {
		var cfg store.IntakeConfig
		if withJob {
			cfg.Enqueue = func(ctx context.Context, tx pgx.Tx, _ []store.Post) error { return b.queue.WakeInbox(ctx, tx) }
		}
		in := store.NewIntake(b.DB, cfg)
		in.Start()
		return in, func() error { return in.Stop(context.WithoutCancel(ctx)) }, nil
	}
}

func single(withJob bool) keeper {
	return func(_ context.Context, b *base) (api.Intake, func() error, error) {
		o := &oneByOne{pool: b.Pool}
		if withJob {
			client, err := river.NewClient(riverpgxv5.New(b.Pool), &river.Config{Schema: store.RiverSchema, Logger: b.lab.log})
			if err != nil {
				return nil, nil, fmt.Errorf("making River's client: %w", err)
			}
			o.river = client
		}
		return o, func() error { return nil }, nil
	}
}

// postSide loads the real server over a way to keep posts, and checks that each answer stands for a kept post.
func (l *lab) postSide(keep keeper, connections int, requests [][]byte) side {
	return l.on(emptyTemplate, func(ctx context.Context, b *base) (_ []float64, err error) {
		intake, stopIntake, err := keep(ctx, b)
		if err != nil {
			return nil, err
		}
		addr, stop, err := startAPI(ctx, b, intake)
		if err != nil {
			return nil, errors.Join(err, stopIntake())
		}
		rate, p99, err := hammer(ctx, addr, connections, l.load, requests)
		if err = errors.Join(err, stop(), stopIntake()); err != nil {
			return nil, err
		}
		var kept int
		if err := b.Pool.QueryRow(ctx, `select count(*) from ops.inbox`).Scan(&kept); err != nil {
			return nil, fmt.Errorf("counting posts: %w", err)
		}
		if answered := int(rate * l.load.Seconds()); kept < answered {
			return nil, fmt.Errorf("%d posts were answered, %d are kept", answered, kept)
		}
		return []float64{rate, p99}, nil
	})
}

// okSide is the ceiling: a handler that only answers 200.
func (l *lab) okSide(connections int, requests [][]byte) side {
	return func(ctx context.Context) (_ []float64, err error) {
		addr, stop, err := serve(ctx, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		rate, p99, err := hammer(ctx, addr, connections, l.load, requests)
		return []float64{rate, p99}, err
	}
}

// intakeBench measures durable posts a second.
func intakeBench(ctx context.Context, l *lab) ([]row, error) {
	d, err := l.dataset(ctx)
	if err != nil {
		return nil, err
	}
	requests := callEvents(d.posts)
	var rows []row
	for _, at := range []struct {
		connections   int
		must, stretch float64
	}{{1, 0, 0}, {16, 0, 0}, {64, 0.18, 0.4}, {256, 0.3, 0.6}} {
		n := at.connections
		sides := []side{l.okSide(n, requests), l.postSide(grouped(false), n, requests), l.postSide(single(false), n, requests)}
		if n == 64 {
			sides = append(sides, l.postSide(grouped(true), n, requests), l.postSide(single(true), n, requests))
		}
		got, err := interleave(ctx, l.pairs, sides...)
		if err != nil {
			return nil, fmt.Errorf("%d connections: %w", n, err)
		}
		name := func(what string) string { return fmt.Sprintf("%s, %s", what, plural(n, "connection")) }
		rows = append(rows, row{
			figure: name("intake, durable posts"), unit: "posts/s", yardstick: "only answers 200", must: at.must, stretch: at.stretch,
		}.against(got[1][0], got[0][0]))
		rate := row{figure: name("intake ÷ one INSERT a post"), unit: "posts/s", yardstick: "one INSERT a post"}
		p99 := row{figure: name("p99 of the same"), unit: "ms", yardstick: "one INSERT a post", atMost: true}
		if n == 64 {
			rate.must, rate.stretch, p99.must, p99.stretch = 1.6, 2.5, 1, 0.5
		}
		rows = append(rows, rate.against(got[1][0], got[2][0]), p99.against(got[1][1], got[2][1]))
		if n == 64 {
			jobRate := row{figure: name("intake with its follow-up job ÷ InsertTx a post"), unit: "posts/s", yardstick: "InsertTx a post", must: 3, stretch: 6}
			jobP99 := row{figure: name("p99 of the same"), unit: "ms", yardstick: "InsertTx a post", atMost: true}
			rows = append(rows, jobRate.against(got[3][0], got[4][0]), jobP99.against(got[3][1], got[4][1]))
		}
	}
	return rows, nil
}
