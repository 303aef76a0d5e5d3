package consensus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/dark-ecosystem/dark/internal/diskroom"
)

// Config says how a Node is opened.
type Config struct {
	FS        vfs.FS       // nil: vfs.Default
	Dir       string       // log, side files and snapshots live below it
	ID        ServerID     // this member's id, in all its groups
	Listener  net.Listener // plain TCP; TLS is put over it here. Owned by the Node from Open on
	Advertise string       // host:port under which other members reach Listener; "" is its address
	TLS       TLS
	Timing    Timing // zero: LAN
	Logger    *slog.Logger
	// Disk is where Dir lies. Below half its reserve nothing is proposed through this member,
	// and it leaves elections to others while there are any; below an eighth, and without a
	// ballast, nothing is appended to its log. nil: the disk has no end.
	Disk *diskroom.Disk
	// Synced is told how long each write of the log waited for its sync; nil: nobody is.
	Synced func(time.Duration)
	// Fatal is told, once, of the failed write or sync after which nothing more is
	// written. It must end the process. nil: log it and exit with status 1.
	Fatal func(error)
}

// TLS says who we are and whom we believe.
type TLS struct {
	// Config returns certificates (Certificates or the Get functions), RootCAs for
	// servers and ClientCAs for clients; it is asked for each connection, so that
	// certificates renew while running. Versions and client authentication are set
	// here and not taken from it.
	Config func() *tls.Config
	// Peer names the member that a verified certificate belongs to, or refuses it.
	Peer func(*x509.Certificate) (string, error)
}

// Timing is a set of timeouts that go together.
type Timing struct {
	Heartbeat time.Duration // a follower without contact for so long asks for votes
	Election  time.Duration // a candidate waits so long for them
	Lease     time.Duration // a leader without a quorum's contact for so long steps down
	Commit    time.Duration // a follower learns of a commit at the latest after about so long
	RPC       time.Duration // a request to a member that does not answer fails
}

var (
	// LAN is for members a few milliseconds apart.
	LAN = Timing{
		100 * time.Millisecond, 100 * time.Millisecond, 50 * time.Millisecond, 5 * time.Millisecond,
		2 * time.Second,
	}
	// WAN is for members on different continents.
	WAN = Timing{
		500 * time.Millisecond, 500 * time.Millisecond, 250 * time.Millisecond, 20 * time.Millisecond,
		5 * time.Second,
	}
	// CI is for builds with the race detector on few cores.
	CI = Timing{time.Second, time.Second, 500 * time.Millisecond, 5 * time.Millisecond, 5 * time.Second}
)

// GroupConfig says how a Group is started.
type GroupConfig struct {
	// Name is the group's name: lower-case letters, digits and hyphens, at most 63.
	Name    string
	Machine Machine
	// Bootstrap is the first membership. It is used only where the group has no state,
	// and must be the same wherever it is given.
	Bootstrap []Server
	// SnapshotThreshold is the number of entries after which a snapshot is taken; 0: 8192.
	SnapshotThreshold uint64
	// TrailingLogs is the number of entries kept before a snapshot, for members that are
	// a little behind; 0: 8192.
	TrailingLogs uint64
	// SnapshotInterval is how often the threshold is looked at; 0: 30 s.
	SnapshotInterval time.Duration
}

func (c *Config) complete() error {
	if c.FS == nil {
		c.FS = vfs.Default
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Timing == (Timing{}) {
		c.Timing = LAN
	}
	if c.Fatal == nil {
		c.Fatal = func(err error) {
			c.Logger.Error("consensus: cannot go on", "error", err, "do",
				"if its files are damaged: docs/operations/quorum.md, One member's files are damaged")
			os.Exit(1)
		}
	}
	switch {
	case c.Dir == "":
		return errors.New("consensus: no directory")
	case c.ID == "":
		return errors.New("consensus: no member id")
	case c.Listener == nil:
		return errors.New("consensus: no listener")
	case c.TLS.Config == nil || c.TLS.Peer == nil:
		return errors.New("consensus: no TLS configuration")
	}
	if c.Advertise == "" {
		c.Advertise = c.Listener.Addr().String()
	}
	return nil
}

func (c *GroupConfig) complete() error {
	if !validName(c.Name) {
		return errors.New("consensus: group name " + c.Name + ": want 1 to 63 lower-case letters, digits and hyphens")
	}
	if c.Machine == nil {
		return errors.New("consensus: group " + c.Name + " has no machine")
	}
	if c.SnapshotThreshold == 0 {
		c.SnapshotThreshold = 8192
	}
	if c.TrailingLogs == 0 {
		c.TrailingLogs = 8192
	}
	if c.SnapshotInterval == 0 {
		c.SnapshotInterval = 30 * time.Second
	}
	return nil
}

func validName(s string) bool {
	if s == "" || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}
