package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	clusterv1 "github.com/dark-ecosystem/dark/proto/dark/cluster/v1"
	"github.com/dark-ecosystem/dark/proto/dark/cluster/v1/clustergrpc"
)

// s3Hosts compares --s3-domain of all control nodes and edges, as they tell it. An edge cannot
// ask for that, so it is compared on machines of control nodes. Where this machine's node does not
// answer, the check of the majority says so.
func (d *doctor) s3Hosts(ctx context.Context) []finding {
	conn, err := dialSocket(d.socket())
	if err != nil {
		return nil
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, majorityPatience)
	defer cancel()
	var all []*clusterv1.Node
	for q := (&clusterv1.ListNodesRequest{PageSize: 1000}); ; {
		r, err := clustergrpc.NewNodeServiceClient(conn).ListNodes(ctx, q)
		if err != nil {
			return nil
		}
		all = append(all, r.Nodes...)
		if q.PageToken = r.NextPageToken; q.PageToken == "" {
			return []finding{compareHosts(all)}
		}
	}
}

// namedNodes bounds how many nodes a finding names.
const namedNodes = 5

// compareHosts says whether all nodes that tell it read the host names of S3 alike.
func compareHosts(all []*clusterv1.Node) finding {
	by := map[string][]string{} // nodes by their base domains
	for _, n := range all {
		h := n.GetStatus().GetS3Hosts()
		if h == nil {
			continue
		}
		name := n.GetSpec().GetRole() + " " + strings.TrimPrefix(n.GetName(), "nodes/")
		domains := strings.Join(slices.Sorted(slices.Values(h.GetDomains())), ",")
		by[domains] = append(by[domains], name)
	}
	var said []string
	for _, domains := range slices.Sorted(maps.Keys(by)) {
		names := slices.Sorted(slices.Values(by[domains]))
		if over := len(names) - namedNodes; over > 0 {
			names = append(names[:namedNodes], fmt.Sprintf("%d more", over))
		}
		said = append(said, orNone(domains)+" at "+strings.Join(names, ", "))
	}
	switch len(said) {
	case 0:
		return well("s3-domain", "no node tells of S3")
	case 1:
		return well("s3-domain", "the same wherever it is told: %s", said[0])
	}
	const do = "start control nodes and edges with the same --s3-domain: otherwise requests for a bucket in the name " +
		"of a host are refused, or are about another bucket"
	return warn("s3-domain", do, "it differs: %s", strings.Join(said, "; "))
}

func orNone(domains string) string {
	if domains == "" {
		return "none"
	}
	return domains
}
