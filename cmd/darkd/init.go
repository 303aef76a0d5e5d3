package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/controlplane"
)

func newInit() *cobra.Command {
	var c controlplane.InitConfig
	var output, timing string
	cmd := &cobra.Command{
		Use: "init", Short: "Begin a cluster with this machine as its first control node", Args: cobra.NoArgs,
		Long: "Begin a cluster: make its keys and its CA in an empty directory, and print what can be shown only " +
			"once:\nthe recovery key, the administrator's token, and a join token for each further machine.",
	}
	s := newSettings(cmd)
	s.text(&c.Dir, "dir", "/var/lib/dark/control", "`DIR` that the node lives in")
	s.text(&c.Name, "name", "c1", "`NAME` of this control node")
	s.text(&c.Transport, "transport", "127.0.0.1:7001", "`HOST:PORT` at which other control nodes reach this one")
	s.list(&c.Hosts, "hosts", nil, "further names and addresses by which clients reach its API")
	s.list(&c.Edges, "edges", nil, "`NAME`s of edges to make join tokens for; NAME=HOST+HOST states names in the "+
		"certificate")
	s.list(&c.Nodes, "nodes", nil, "`NAME=HOST`s of further control nodes to make join tokens for, and where their "+
		"APIs are reached")
	s.text(&timing, "timing", "lan", "lan, wan or ci: how far apart the control nodes are")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := s.load(); err != nil {
			return err
		}
		var err error
		if c.Timing, err = timingOf(timing); err != nil {
			return err
		}
		c.Logger = logger(cmd.ErrOrStderr(), "warn")
		res, err := controlplane.Init(cmd.Context(), c)
		if err != nil {
			return err
		}
		if output == "json" {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(res)
		}
		return printInit(cmd.OutOrStdout(), c, res)
	}
	return cmd
}

func printInit(w io.Writer, c controlplane.InitConfig, r *controlplane.InitResult) error {
	fmt.Fprintf(w, "Cluster %s has begun, with control node %s in %s.\n\n", r.ClusterID, c.Name, c.Dir)
	fmt.Fprintf(w, "Keep these; they are not shown again.\n\n")
	fmt.Fprintf(w, "  recovery key   %s\n                 opens a backup when all machines are gone; keep it offline\n",
		r.RecoveryKey)
	fmt.Fprintf(w, "  admin token    %s\n                 lets `dark` do everything\n", r.AdminToken)
	var names []string
	for name := range r.JoinTokens {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(w, "\n  join token of %s, for one use within an hour\n                 %s\n", name,
			r.JoinTokens[name])
	}
	return printNext(w, c, r)
}

// printNext writes the commands that start the cluster, here and on the other machines. They
// state each address, as the flags' own values are on loopback, where nobody else gets.
func printNext(w io.Writer, c controlplane.InitConfig, r *controlplane.InitResult) error {
	here, _, err := net.SplitHostPort(c.Transport)
	if err != nil {
		return err
	}
	at := func(host, port string) string { return net.JoinHostPort(host, port) }
	fmt.Fprintf(w, "\nNext, on this machine:\n  darkd control --dir %s --transport %s --feed %s --api %s\n", c.Dir,
		c.Transport, at(here, "7002"), at(here, "8080"))
	if loopback(c.Transport) && len(r.JoinTokens) > 0 {
		fmt.Fprintf(w, "Only this machine reaches %s. For others begin anew, in another --dir, with --transport "+
			"ADDRESS:7001.\n", here)
	}
	for _, machine := range c.Nodes {
		name, host := machineHost(machine)
		dir := dirOf(c, name, c.Dir)
		fmt.Fprintf(w, "\nThen on %s, in a directory of its own:\n  darkd control --dir %s --join %s --through %s "+
			"\\\n    --transport %s --feed %s --api %s\n",
			name, dir, r.JoinTokens[name], at(here, "8080"), at(host, "7001"), at(host, "7002"), at(host, "8080"))
	}
	for _, machine := range c.Edges {
		name, _ := machineHost(machine)
		fmt.Fprintf(w, "\nThen on %s:\n  darkd edge --dir %s --join %s --through %s --dns ADDRESS:53\n",
			name, dirOf(c, name, "/var/lib/dark/edge"), r.JoinTokens[name], at(here, "8080"))
	}
	_, err = fmt.Fprintf(w, `
And look at it:
  dark context set %[1]s --use --addr https://%[2]s --ca %[3]s/ca.pem --token %[4]s
  dark nodes

Then make the first organization. Zones and buckets are an organization's; without -O they would be the operators' own:
  dark organizations create NAME
  dark context set %[1]s -O NAME
`, r.ClusterID, at(here, "8080"), c.Dir, r.AdminToken)
	return err
}

// dirOf is a directory for another node: where this one's is called after it, so is that one's, beside it.
func dirOf(c controlplane.InitConfig, name, otherwise string) string {
	if filepath.Base(c.Dir) != c.Name {
		return otherwise
	}
	return filepath.Join(filepath.Dir(c.Dir), name)
}

// machineHost takes NAME=HOST+HOST apart; without a host, one to fill in.
func machineHost(machine string) (name, host string) {
	name, hosts, ok := strings.Cut(machine, "=")
	if !ok {
		return name, "ADDRESS-OF-" + strings.ToUpper(name)
	}
	host, _, _ = strings.Cut(hosts, "+")
	return name, host
}
