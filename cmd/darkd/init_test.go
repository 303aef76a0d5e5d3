package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dark-ecosystem/dark/controlplane"
	"github.com/dark-ecosystem/dark/internal/ca"
)

func TestInitPrintsCommandsThatOtherMachinesCanJoinWith(t *testing.T) {
	var out bytes.Buffer
	c := controlplane.InitConfig{
		Dir: "/srv/c", Name: "c1", Transport: "192.0.2.1:7001", Nodes: []string{"c2=192.0.2.2+api.example", "c3"},
		Edges: []string{"e1"},
	}
	r := &controlplane.InitResult{ClusterID: "cluster", AdminToken: "admin", JoinTokens: map[string]string{
		"c2": "token-2", "c3": "token-3",
		"e1": "token-e",
	}}
	if err := printInit(&out, c, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"darkd control --dir /srv/c --transport 192.0.2.1:7001 --feed 192.0.2.1:7002 --api 192.0.2.1:8080\n",
		"--join token-2 --through 192.0.2.1:8080 \\\n    --transport 192.0.2.2:7001 --feed 192.0.2.2:7002 --api " +
			"192.0.2.2:8080\n",
		"--transport ADDRESS-OF-C3:7001", "darkd edge --dir /var/lib/dark/edge --join token-e --through 192.0.2.1:8080",
		"--addr https://192.0.2.1:8080 --ca /srv/c/ca.pem --token admin\n",
		"dark organizations create NAME\n  dark context set cluster -O NAME\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "Only this machine") {
		t.Error("an address of the network is called a loopback address")
	}
}

func TestDoctorChecksThePortsOfTheLastStart(t *testing.T) {
	dir := aNode(t, ca.Control, "node.json")
	own := listens{Transport: "127.0.0.1:0", Feed: "127.0.0.2:0", API: []string{"127.0.0.3:0"}}
	if err := own.write(dir); err != nil {
		t.Fatal(err)
	}
	by, _ := consult(t, "--dir", dir, "--feed", "127.0.0.4:0")
	for check, want := range map[string]string{
		"transport": "127.0.0.1:0", "feed": "127.0.0.4:0",
		"api": "127.0.0.3:0",
	} {
		if len(by[check]) != 1 || !strings.Contains(by[check][0].Text, want) {
			t.Errorf("%s: %v, want %s", check, by[check], want)
		}
	}
}
