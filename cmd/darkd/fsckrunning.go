package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/dark-ecosystem/dark/edge"
)

// scrubRunning has the edge at the other end of its local socket scrub its store.
func scrubRunning(ctx context.Context, conn net.Conn, r *result, l *listing) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://edge"+edge.PathScrub, http.NoBody)
	if err != nil {
		return err
	}
	if err := req.Write(conn); err != nil {
		return fmt.Errorf("ask the running edge: %w", err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		return fmt.Errorf("ask the running edge: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return errors.New("the running edge has no store open: stop it, and try again")
	}
	for lines := json.NewDecoder(answer.Body); ; {
		var line edge.Scrubbed
		if err := lines.Decode(&line); err != nil {
			return fmt.Errorf("the running edge did not come to an end: %w", errors.Join(ctx.Err(), err))
		}
		r.Progress = line.Progress
		if line.What != "" {
			l.add(&r.Found, line.What, line.Why)
		}
		l.progress(line.Progress)
		switch {
		case line.Error != "":
			return fmt.Errorf("the running edge: %s", line.Error)
		case line.End:
			return nil
		}
	}
}
