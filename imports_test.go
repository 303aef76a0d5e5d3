// Package dark holds no code: only the tests that keep the tree's policies.
package dark

import (
	"os/exec"
	"path"
	"strings"
	"testing"
)

const module = "github.com/dark-ecosystem/dark/"

// policy says what a folder's packages may import of this module; the longest folder
// that fits counts. When the test fails, move the code; do not widen the line.
var policy = []struct {
	folder string
	may    []string
}{
	{"cmd/darkd", []string{"controlplane", "edge", "dataplane", "internal", "proto"}},
	{"cmd/dark", []string{"cmd/dark", "internal/errs", "internal/contexts", "proto"}},
	{"controlplane", []string{"controlplane", "internal", "proto"}},
	{"controlplane/admit", []string{"controlplane/admit", "internal", "proto"}},
	{"controlplane/state", []string{"internal", "proto"}},
	{"controlplane/sign", []string{"controlplane", "dataplane/dns/zone", "internal", "proto"}},
	{"edge", []string{"edge", "dataplane", "internal", "proto"}},
	{"dataplane/dns", []string{"dataplane/dns", "dataplane/store", "bpf", "internal", "proto"}},
	{"dataplane/s3", []string{"dataplane/s3", "dataplane/store", "internal", "proto"}},
	{"dataplane/store", []string{"dataplane/store", "internal", "proto"}},
	{"internal", []string{"internal", "proto"}},
	{"proto", []string{"proto"}},
	{"bench", []string{"bench", "controlplane/state", "dataplane", "internal", "proto", "deploy/lab"}},
	{"deploy", []string{"deploy", "proto"}},
}

// owners says which folders alone may import a heavy library.
var owners = map[string][]string{
	"github.com/hashicorp/raft":                 {"internal/consensus"},
	"github.com/cilium/ebpf":                    {"bpf"},
	"github.com/miekg/dns":                      {"dataplane/dns", "controlplane/sign"},
	"github.com/emersion/go-smtp":               {"dataplane/mail"},
	"github.com/emersion/go-imap":               {"dataplane/mail"},
	"github.com/grpc-ecosystem/grpc-gateway/v2": {"controlplane/api", "proto", "cmd/darkd"},
	"buf.build/go/protovalidate":                {"controlplane/api"},
	"github.com/cockroachdb/pebble/v2": {
		"internal/consensus", "internal/compaction", "controlplane/state",
		"edge/config", "dataplane/store",
	},
	"github.com/cockroachdb/pebble/v2/vfs": {"internal/diskroom", "internal/crashmem"}, // beside those above
	"github.com/spf13/cobra":               {"cmd"},
	"filippo.io/age":                       {"internal/keyring", "cmd/dark"},
	"github.com/minio/minio-go/v7":         {"cmd/dark"},
	"github.com/prometheus/client_golang":  {"controlplane", "edge", "cmd/darkd", "internal/obs", "dataplane"},
}

// packages lists each package of the module with its direct imports, without tests.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		all[strings.TrimPrefix(f[0], module)] = f[1:]
	}
	return all
}

func within(pkg, folder string) bool { return pkg == folder || strings.HasPrefix(pkg, folder+"/") }

func TestImportsRunOneWay(t *testing.T) {
	for pkg, imports := range packages(t) {
		var may []string
		longest := ""
		for _, p := range policy {
			if within(pkg, p.folder) && len(p.folder) > len(longest) {
				longest, may = p.folder, p.may
			}
		}
		if longest == "" && pkg != strings.TrimSuffix(module, "/") {
			t.Errorf("%s is in no folder that the policy knows", pkg)
		}
		for _, imp := range imports {
			if own, ok := strings.CutPrefix(imp, module); ok && !anyWithin(own, may) {
				t.Errorf("%s imports %s; %s may import only %s", pkg, own, longest, strings.Join(may, ", "))
			}
		}
	}
}

func TestHeavyLibrariesHaveOneOwner(t *testing.T) {
	for pkg, imports := range packages(t) {
		for _, imp := range imports {
			var may []string
			for lib, folders := range owners {
				if within(imp, lib) {
					may = append(may, folders...)
				}
			}
			if len(may) > 0 && !anyWithin(pkg, may) {
				t.Errorf("%s imports %s, which belongs to %s", pkg, imp, strings.Join(may, ", "))
			}
		}
	}
}

func anyWithin(pkg string, folders []string) bool {
	for _, f := range folders {
		if within(pkg, f) {
			return true
		}
	}
	return false
}

// TestServicesDoNotKnowEachOther: what two services share belongs to neither.
func TestServicesDoNotKnowEachOther(t *testing.T) {
	for pkg, imports := range packages(t) {
		service, ok := strings.CutPrefix(pkg, "dataplane/")
		if !ok {
			continue
		}
		service, _, _ = strings.Cut(service, "/")
		for _, imp := range imports {
			other, ok := strings.CutPrefix(imp, module+"dataplane/")
			if other, _, _ = strings.Cut(other, "/"); ok && other != service && other != "store" {
				t.Errorf("%s imports %s", pkg, path.Join("dataplane", other))
			}
		}
	}
}
