package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

// etcd is three members of Debian's etcd-server on loopback, in clear.
type etcd struct {
	cmds  []*exec.Cmd
	dir   string
	conns []*grpc.ClientConn // to the leader
}

func startEtcd(ctx context.Context, dir string) (_ *etcd, err error) {
	e := &etcd{dir: filepath.Join(dir, "etcd")}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return nil, err
	}
	base := 20000 + os.Getpid()%10000
	var names, clients []string
	for i := range 3 {
		names = append(names, fmt.Sprintf("m%d=http://127.0.0.1:%d", i, base+10+i))
		clients = append(clients, fmt.Sprintf("127.0.0.1:%d", base+i))
	}
	for i := range 3 {
		if err := e.member(i, names, clients[i]); err != nil {
			return nil, err
		}
	}
	leader, err := e.findLeader(ctx, clients)
	if err != nil {
		return nil, err
	}
	e.conns, err = dialMany(func() (*grpc.ClientConn, error) { return dialRaw(leader) })
	return e, err
}

func (e *etcd) member(i int, names []string, client string) error {
	name, peer, _ := strings.Cut(names[i], "=")
	log, err := os.Create(filepath.Join(e.dir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("/usr/bin/etcd", "--name", name, "--data-dir", filepath.Join(e.dir, name),
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
		"--listen-client-urls", "http://"+client, "--advertise-client-urls", "http://"+client,
		"--initial-cluster", strings.Join(names, ","), "--initial-cluster-state", "new", "--quota-backend-bytes",
		"8589934592")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start etcd: %w; the Debian package is etcd-server", err)
	}
	e.cmds = append(e.cmds, cmd)
	return nil
}

// raw carries bytes as they are: etcd's messages are written by hand below.
type raw struct{}

func (raw) Name() string                  { return "proto" }
func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), b...)
	return nil
}

func dialRaw(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
}

// findLeader asks each member (etcdserverpb.Maintenance/Status) until one says that it
// leads itself: member_id is field 2 of the header, which is field 1; leader is field 4.
func (e *etcd) findLeader(ctx context.Context, clients []string) (string, error) {
	for {
		for _, addr := range clients {
			conn, err := dialRaw(addr)
			if err != nil {
				return "", err
			}
			var req, resp []byte
			err = conn.Invoke(ctx, "/etcdserverpb.Maintenance/Status", &req, &resp)
			conn.Close()
			if err != nil {
				continue
			}
			header, _ := field(resp, 1)
			_, self := field(header, 2)
			if _, leader := field(resp, 4); leader != 0 && leader == self {
				return addr, nil
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for etcd's leader: %w", ctx.Err())
		}
	}
}

// field finds a field of a message: bytes, or a number.
func field(b []byte, want protowire.Number) ([]byte, uint64) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, 0
		}
		b = b[n:]
		m := protowire.ConsumeFieldValue(num, typ, b)
		if m < 0 {
			return nil, 0
		}
		switch {
		case num == want && typ == protowire.BytesType:
			v, _ := protowire.ConsumeBytes(b)
			return v, 0
		case num == want && typ == protowire.VarintType:
			v, _ := protowire.ConsumeVarint(b)
			return nil, v
		}
		b = b[m:]
	}
	return nil, 0
}

func (e *etcd) pids() []int {
	var pids []int
	for _, c := range e.cmds {
		pids = append(pids, c.Process.Pid)
	}
	return pids
}

// write is one Put of a 256-byte value (etcdserverpb.PutRequest: 1 key, 2 value).
func (e *etcd) write(ctx context.Context, client, n int) error {
	req := protowire.AppendTag(nil, 1, protowire.BytesType)
	req = protowire.AppendString(req, fmt.Sprintf("w%d-%d", client, n%keysEach))
	req = protowire.AppendTag(req, 2, protowire.BytesType)
	req = protowire.AppendBytes(req, value(n))
	var resp []byte
	return e.conns[client%len(e.conns)].Invoke(ctx, "/etcdserverpb.KV/Put", &req, &resp)
}

func (e *etcd) Close() error {
	for _, c := range e.conns {
		c.Close()
	}
	for _, c := range e.cmds {
		_ = c.Process.Signal(syscall.SIGTERM)
	}
	for _, c := range e.cmds {
		_ = c.Wait() // how it ended says nothing here
	}
	return os.RemoveAll(e.dir)
}
