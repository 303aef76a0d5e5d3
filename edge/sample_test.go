package edge

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// frames of a Frame Stream: the control frames' types and the data frames' contents.
func readTap(t *testing.T, r io.Reader) (control []uint32, data [][]byte) {
	t.Helper()
	for {
		var head [4]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return control, data
		}
		n := binary.BigEndian.Uint32(head[:])
		isControl := n == 0
		if isControl {
			if _, err := io.ReadFull(r, head[:]); err != nil {
				t.Error(err)
				return control, data
			}
			n = binary.BigEndian.Uint32(head[:])
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Error(err)
			return control, data
		}
		if !isControl {
			data = append(data, b)
			continue
		}
		control = append(control, binary.BigEndian.Uint32(b))
		if c, ok := r.(net.Conn); ok {
			switch control[len(control)-1] {
			case 4: // READY: ACCEPT with the same content type
				accept := append([]byte{}, b...)
				binary.BigEndian.PutUint32(accept, 1)
				c.Write(append(binary.BigEndian.AppendUint32(make([]byte, 4), uint32(len(accept))), accept...))
			case 3: // STOP: FINISH
				c.Write([]byte{0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5})
				return control, data
			}
		}
	}
}

// TestSamplesReachLogAndTap: each query is in the log and in dnstap, which a reader gets
// over its socket with the whole handshake, and a file as a stream begun and ended.
func TestSamplesReachLogAndTap(t *testing.T) {
	for _, socket := range []bool{true, false} {
		dir := t.TempDir()
		f := fakeControl(t, sealedFrame(t, zoneItems(t)...))
		cfg := settings(t, dir)
		cfg.Feeds, cfg.QueryLog, cfg.DNSTap = []string{f.addr}, filepath.Join(dir, "queries"), filepath.Join(dir, "tap")
		type stream struct {
			control []uint32
			data    [][]byte
		}
		got := make(chan stream, 1)
		if socket {
			l, err := net.Listen("unix", cfg.DNSTap)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err != nil {
					got <- stream{}
					return
				}
				defer c.Close()
				control, data := readTap(t, c)
				got <- stream{control, data}
			}()
		}
		n, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, n)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := n.WaitRevision(ctx, 1); err != nil {
			t.Fatal(err)
		}
		cancel()
		waitReady(t, n)
		eventually(t, "queries are logged", func() bool {
			ask(t, "udp", n.Addresses("dns")[0].String())
			log, err := os.ReadFile(cfg.QueryLog)
			return err == nil && strings.Contains(string(log), `"name":"www.example.com.","type":"A","rcode":"NOERROR"`)
		})
		if !socket {
			eventually(t, "dnstap is written", func() bool {
				st, err := os.Stat(cfg.DNSTap)
				return err == nil && st.Size() > 100
			})
		}
		stop()
		want := []uint32{4, 2, 3} // READY, START, STOP
		if !socket {
			b, err := os.ReadFile(cfg.DNSTap)
			if err != nil {
				t.Fatal(err)
			}
			control, data := readTap(t, bytes.NewReader(b))
			got <- stream{control, data}
			want = want[1:]
		}
		s := <-got
		if len(s.control) != len(want) || s.control[0] != want[0] || s.control[len(want)-1] != want[len(want)-1] {
			t.Errorf("socket %v: control frames %v, want %v", socket, s.control, want)
		}
		if len(s.data) == 0 || !bytes.Contains(s.data[0], []byte("\x03www\x07example\x03com")) {
			t.Errorf("socket %v: %d frames of data", socket, len(s.data))
		}
	}
}
