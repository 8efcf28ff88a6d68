package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a sandbox behind a real listener.
type Server struct {
	url    string
	http   *http.Server
	cancel context.CancelFunc
	done   sync.WaitGroup
	once   sync.Once
	err    error
}

// Start listens on addr ("127.0.0.1:0" and ":0" take a free port on loopback) and serves until Close. It also delivers
// the webhooks of Convolo and LendWorks when a receiver is set. Several servers may share one sandbox.
func (s *Sandbox) Start(addr string) (*Server, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("sandbox address: %w", err)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithCancel(context.Background())
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("sandbox listen: %w", err)
	}
	srv := &Server{
		url:    "http://" + listener.Addr().String(),
		cancel: cancel,
		http: &http.Server{
			Handler:           s.handler,
			ReadHeaderTimeout: 10 * time.Second,
			// Closing the server cancels this context and with it every fault that still waits.
			BaseContext: func(net.Listener) context.Context { return ctx },
		},
	}
	srv.done.Go(func() {
		if err := srv.http.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.opt.Log.Error("sandbox server stopped", "error", err)
		}
	})
	srv.done.Go(func() { s.convolo.deliverAll(ctx) })
	srv.done.Go(func() { s.lendworks.deliverAll(ctx) })
	return srv, nil
}

// URL is the server's base, "http://host:port".
func (s *Server) URL() string { return s.url }

// Close stops the server at once: listeners, open connections and waiting faults. It returns when all of them have ended
// and may be called more than once.
func (s *Server) Close() error {
	s.once.Do(func() {
		s.cancel()
		s.err = s.http.Close()
		s.done.Wait()
	})
	return s.err
}
