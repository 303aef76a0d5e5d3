package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	joinPatience = time.Minute     // the control node may still be starting
	joinSilence  = 3 * time.Second // after it, who waits is told for what
)

// joining runs a join within a minute. It tells who waits for what, and a refusal in the control node's own words.
func joining(ctx context.Context, stderr io.Writer, through string, join func(context.Context) error) error {
	tell := time.AfterFunc(joinSilence, func() {
		fmt.Fprintf(stderr, "darkd: no answer from %s yet; it is tried for a minute\n", through)
	})
	defer tell.Stop()
	within, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	err := join(within)
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted; the join token was not used, unless the control node logged that the node " +
			"joined")
	}
	return joinFailure(through, err)
}

// notJoining says that a node of an earlier start goes on: who gives a new token may expect another one.
func notJoining(stderr io.Writer, dir, who string) error {
	_, err := fmt.Fprintf(stderr, "darkd: %s holds %s, which goes on: --join is not used; a new node needs an empty "+
		"--dir\n", dir, who)
	return err
}

// joinFailure says of an error of gRPC what a person can use.
func joinFailure(through string, err error) error {
	var of interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &of) {
		return err
	}
	s := of.GRPCStatus()
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return fmt.Errorf("join through %s: no API of a control node answers there: does the node run, and is that "+
			"an address of its --api? (%s)", through, plain(s))
	}
	return fmt.Errorf("join through %s: %s", through, s.Message())
}

// plain is the text of a status without what gRPC puts around a failed dial.
func plain(s *status.Status) string {
	if _, after, ok := strings.Cut(s.Message(), `desc = "transport: `); ok {
		return strings.TrimPrefix(strings.TrimSuffix(after, `"`), "Error while dialing: ")
	}
	return s.Message()
}

// checkAddresses refuses what no service can listen on, while the join token is still good.
func checkAddresses(flag string, addresses []string) error {
	for _, a := range addresses {
		if _, err := netip.ParseAddrPort(a); err != nil {
			return usageError{fmt.Errorf("--%s %s: not an IP address with a port, such as 127.0.0.1:53 or [::1]:53",
				flag, a)}
		}
	}
	return nil
}
