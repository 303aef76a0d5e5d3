package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestARefusedJoinIsToldInWords(t *testing.T) {
	for _, test := range []struct {
		code       codes.Code
		text, want string
	}{
		{codes.Aborted, "this join token is for an edge", "join through c1:8080: this join token is for an edge"},
		{
			codes.DeadlineExceeded,
			`latest balancer error: connection error: desc = "transport: Error while dialing: dial tcp: connection refused"`,
			"join through c1:8080: no API of a control node answers there: does the node run, and is that an address " +
				"of its --api? (dial tcp: connection refused)",
		},
	} {
		err := joining(t.Context(), new(bytes.Buffer), "c1:8080", func(context.Context) error {
			return fmt.Errorf("join through: %w", status.Error(test.code, test.text))
		})
		if err == nil || err.Error() != test.want {
			t.Errorf("got %v\nwant %s", err, test.want)
		}
	}
}

func TestAnAddressIsCheckedBeforeTheTokenIsUsed(t *testing.T) {
	for _, flags := range [][]string{{"--dns", "192.0.2.1"}, {"--dns", "ADDRESS:53"}, {"--s3", "192.0.2.1"}} {
		args := append([]string{"edge", "--dir", t.TempDir(), "--join", "no token", "--through", "127.0.0.1:1"},
			flags...)
		if err := run(t.Context(), args); err == nil || !strings.Contains(err.Error(),
			flags[0]+" "+flags[1]+": not an IP address with a port") {
			t.Errorf("%v: %v", flags, err)
		}
	}
}

func TestAWipedNodeIsToldHowItJoinsAgain(t *testing.T) {
	dir := t.TempDir()
	l := listens{Transport: "192.0.2.2:7001", Feed: "192.0.2.2:7002", API: []string{"192.0.2.2:8080", "127.0.0.1:8080"}}
	if err := l.write(dir); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string][]string{
		dir: {
			"dark members remove c2 --yes\n", "dark nodes token c2 --role control --host 192.0.2.2\n",
			"--transport 192.0.2.2:7001 --feed 192.0.2.2:7002 --api 192.0.2.2:8080,127.0.0.1:8080\n",
		},
		t.TempDir(): {"--host ADDRESS\n", "--transport ADDRESS:7001 --feed ADDRESS:7002 --api ADDRESS:8080\n"},
	} {
		var out bytes.Buffer
		if err := printRejoin(&out, "c2", dir); err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("it lacks %q:\n%s", w, out.String())
			}
		}
	}
}
