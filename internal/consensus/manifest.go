package consensus

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/raft"
)

// manifest says what a snapshot is and holds. It is written last into the snapshot's
// directory and followed by a line with its own SHA-256.
type manifest struct {
	Index uint64 `json:"index"` // the last entry of the log that the snapshot covers
	Term  uint64 `json:"term"`
	// Applied is the last command in the machine: below Index when what follows it are
	// no commands, above it when the machine was ahead of raft after a restart.
	Applied     uint64         `json:"applied"`
	Config      []byte         `json:"config"` // raft.EncodeConfiguration
	ConfigIndex uint64         `json:"config_index"`
	Files       []manifestFile `json:"files"`
}

type manifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Limits of what a snapshot stream may announce.
const (
	maxManifest = 16 << 20
	maxFiles    = 1 << 17
	maxFileSize = 1 << 40
)

func (m *manifest) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return fmt.Appendf(b, "\n%x\n", sum), nil
}

func parseManifest(b []byte) (*manifest, error) {
	body, sum, ok := bytes.Cut(b, []byte("\n"))
	want := sha256.Sum256(body)
	if !ok || string(sum) != hex.EncodeToString(want[:])+"\n" {
		return nil, errors.New("the manifest's checksum is wrong")
	}
	m := &manifest{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	if len(m.Files) > maxFiles {
		return nil, fmt.Errorf("manifest names %d files, at most %d are allowed", len(m.Files), maxFiles)
	}
	seen := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		if !plainName(f.Name) || seen[f.Name] || f.Size < 0 || f.Size > maxFileSize || len(f.SHA256) != 2*sha256.Size {
			return nil, fmt.Errorf("manifest: bad file %q of %d bytes", f.Name, f.Size)
		}
		seen[f.Name] = true
	}
	return m, nil
}

// plainName reports whether s names a file and nothing outside its directory.
func plainName(s string) bool {
	return s != "" && s != "." && s != ".." && len(s) <= 255 && !strings.ContainsAny(s, "/\\\x00")
}

// configuration decodes the membership. raft.DecodeConfiguration panics on bytes it
// does not know; the manifest's checksum is checked before.
func (m *manifest) configuration() raft.Configuration { return raft.DecodeConfiguration(m.Config) }
