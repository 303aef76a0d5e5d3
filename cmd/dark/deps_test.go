package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mayImport are the modules and packages that dark may consist of, beside Go's own.
var mayImport = []string{
	"github.com/dark-ecosystem/dark/cmd/dark",
	"github.com/dark-ecosystem/dark/internal/errs",
	"github.com/dark-ecosystem/dark/internal/contexts",
	"github.com/dark-ecosystem/dark/proto/dark/",
	"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/inconshreveable/mousetrap",
	"go.yaml.in/yaml/v3",
	"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/",
	"golang.org/x/sys", "golang.org/x/net", "golang.org/x/text",
	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate", // the constraints' messages, no CEL
	// S3 and what its client library is made of.
	"github.com/minio/minio-go/v7", "github.com/minio/crc64nvme", "github.com/minio/md5-simd",
	"github.com/klauspost/compress", "github.com/klauspost/cpuid/v2", "github.com/klauspost/crc32",
	"github.com/cespare/xxhash/v2", "github.com/zeebo/xxh3",
	"github.com/tinylib/msgp", "github.com/philhofer/fwd", "github.com/dustin/go-humanize", "github.com/google/uuid",
	"github.com/rs/xid", "gopkg.in/ini.v1",
	"golang.org/x/crypto",
	// Encryption before the bytes leave.
	"filippo.io/age", "filippo.io/hpke",
}

// mustNotImport would make dark heavy, whatever list it came by.
var mustNotImport = []string{
	"pebble", "cilium/ebpf", "cel-go", "/cel", "hashicorp/raft", "miekg/dns", "grpc-gateway",
	"/gw",
}

func TestDarkStaysSmallInWhatItImports(t *testing.T) {
	for _, platform := range []string{"linux", "darwin", "windows"} {
		cmd := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".")
		cmd.Env = append(os.Environ(), "GOOS="+platform, "CGO_ENABLED=0")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		for _, p := range strings.Fields(string(out)) {
			if !allowed(p) {
				t.Errorf("%s: dark must not import %s", platform, p)
			}
		}
	}
}

func allowed(path string) bool {
	for _, bad := range mustNotImport {
		if strings.Contains(path, bad) {
			return false
		}
	}
	for _, ok := range mayImport {
		if path == ok || strings.HasPrefix(path, strings.TrimSuffix(ok, "/")+"/") {
			return true
		}
	}
	return false
}

// maxBinary is what dark may weigh as it is shipped.
const maxBinary = 25 << 20

func TestDarkBuildsSmallEverywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("builds for other platforms; not with -short")
	}
	for _, platform := range []string{"linux", "darwin", "windows"} {
		bin := filepath.Join(t.TempDir(), "dark-"+platform)
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, ".")
		cmd.Env = append(os.Environ(), "GOOS="+platform, "GOARCH=amd64", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", platform, err, out)
		}
		st, err := os.Stat(bin)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f MiB", platform, float64(st.Size())/(1<<20))
		if st.Size() > maxBinary {
			t.Errorf("%s: %d bytes, more than %d", platform, st.Size(), maxBinary)
		}
	}
}
