package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dark-ecosystem/dark/controlplane"
)

func newInit() *cobra.Command {
	var c controlplane.InitConfig
	var output, timing string
	cmd := &cobra.Command{
		Use: "init", Short: "Begin a cluster with this machine as its first control node", Args: cobra.NoArgs,
		Long: "Begin a cluster: make its keys and its CA in an empty directory, and print what can be shown only once:\nthe recovery key, the administrator's token, and a join token for each further machine.",
	}
	s := newSettings(cmd)
	s.text(&c.Dir, "dir", "/var/lib/dark/control", "`DIR` that the node lives in")
	s.text(&c.Name, "name", "c1", "`NAME` of this control node")
	s.text(&c.Transport, "transport", "127.0.0.1:7001", "`HOST:PORT` at which other control nodes reach this one")
	s.list(&c.Hosts, "hosts", nil, "further names and addresses by which clients reach its API")
	s.list(&c.Edges, "edges", nil, "`NAME`s of edges to make join tokens for; NAME=HOST+HOST states names in the certificate")
	s.list(&c.Nodes, "nodes", nil, "`NAME=HOST`s of further control nodes to make join tokens for, and where their APIs are reached")
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
	fmt.Fprintf(w, "  recovery key   %s\n                 opens a backup when all machines are gone; keep it offline\n", r.RecoveryKey)
	fmt.Fprintf(w, "  admin token    %s\n                 lets `dark` do everything: dark context set NAME --addr https://HOST:PORT --ca %s/ca.pem --token TOKEN\n", r.AdminToken, c.Dir)
	var names []string
	for name := range r.JoinTokens {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(w, "\n  join token of %s, for one use within an hour\n                 %s\n", name, r.JoinTokens[name])
	}
	_, err := fmt.Fprintf(w, "\nNext: darkd control --dir %s --transport %s\n", c.Dir, c.Transport)
	return err
}
