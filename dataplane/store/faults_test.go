package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/dataplane/store/storetest"
)

var errDisk = errors.New("the disk failed")

func TestAFailedSyncIsNeverTriedAgain(t *testing.T) {
	for name, match := range map[string]func(string) bool{"bodies": storetest.Bodies, "log": storetest.Logs} {
		t.Run(name, func(t *testing.T) {
			fs := storetest.New()
			o := testOptions(fs)
			s := open(t, o)
			p := at(t, s, space1)
			put(t, p, "small", []byte("there"))
			put(t, p, "large", pattern(100_000, 1))
			fs.FailSync(match, 1, errDisk)
			b, err := write(p, Sealing{}, pattern(100_000, 2), -1)
			if err == nil {
				_, err = p.Commit(context.Background(), putOp("lost", b))
			}
			if !errors.Is(err, ErrReadOnly) || !errors.Is(err, errDisk) {
				t.Fatal(err)
			}
			for range 3 { // no later sync makes it good
				if _, err := p.Commit(context.Background(), putOp("later", Body{})); !errors.Is(err, ErrReadOnly) {
					t.Fatal(err)
				}
				if _, err := write(p, Sealing{}, pattern(100_000, 2), -1); !errors.Is(err, ErrReadOnly) {
					t.Fatal(err)
				}
			}
			if s.Stats().ReadOnly == "" {
				t.Error("nobody is told")
			}
			wantBody(t, p, "small", []byte("there"))
			wantBody(t, p, "large", pattern(100_000, 1))
			o.FS = fs.CrashClone(0, 1)
			s.Close()
			s = open(t, o)
			p = at(t, s, space1)
			wantBody(t, p, "large", pattern(100_000, 1))
			if _, err := p.Get(context.Background(), []byte("later"), Current); !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
			put(t, p, "again", []byte("x"))
		})
	}
}

// TestAManifestThatCannotBeWritten: Pebble calls that fatal; the process lives and reads.
func TestAManifestThatCannotBeWritten(t *testing.T) {
	fs := storetest.New()
	s := open(t, testOptions(fs))
	p := at(t, s, space1)
	put(t, p, "a", []byte("there"))
	fs.FailSync(storetest.Manifests, 1, errDisk)
	_, _ = s.db.AsyncFlush()
	eventually(t, "the store is read-only", func() bool { return s.Stats().ReadOnly != "" })
	if _, err := p.Commit(context.Background(), putOp("b", Body{})); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
	wantBody(t, p, "a", []byte("there"))
	o := testOptions(fs.CrashClone(0, 1))
	s.Close()
	wantBody(t, at(t, open(t, o), space1), "a", []byte("there"))
}

func TestAFullDiskRefusesWritesAndReadsOn(t *testing.T) {
	fs := storetest.New()
	fs.SetFree(96 << 20)
	o := testOptions(fs)
	o.Reserve = 16 << 20
	s := open(t, o)
	p := at(t, s, space1)
	var keys []string
	var err error
	for i := 0; i < 1000; i++ {
		key := fmt.Sprint(i)
		var b Body
		if b, err = write(p, Sealing{}, pattern(1<<20, byte(i)), 1<<20); err == nil {
			_, err = p.Commit(context.Background(), putOp(key, b))
		}
		if err != nil {
			break
		}
		keys = append(keys, key)
		s.disk.Look() // as a tenth of a second later
	}
	if !errors.Is(err, ErrFull) || len(keys) < 5 {
		t.Fatalf("%d bodies, then %v", len(keys), err)
	}
	for i, key := range keys {
		wantBody(t, p, key, pattern(1<<20, byte(i)))
	}
	if s.Stats().ReadOnly != "" {
		t.Fatal(s.Stats().ReadOnly)
	}
	for _, key := range keys {
		commit(t, p, Op{Kind: Delete, Key: []byte(key)})
	}
	fs.SetFree(200 << 20)
	s.disk.Look()
	put(t, p, "again", pattern(1<<20, 1))
	wantBody(t, p, "again", pattern(1<<20, 1))
	wantClean(t, s)
}

// TestTheBallastLetsPebbleFinish: others fill the disk, below our reserve, to the end.
func TestTheBallastLetsPebbleFinish(t *testing.T) {
	fs := storetest.New()
	fs.SetFree(400 << 20)
	o := testOptions(fs)
	o.Reserve, o.Quiet = 64<<20, true // what the store believes of the disk is the test's
	s := open(t, o)
	p := at(t, s, space1)
	maintain(t, s)
	put(t, p, "a", []byte("x"))
	for i, last := 0, 200; i < last; i++ {
		if _, err := fs.Stat("store/ballast"); err == nil {
			fs.SetFree(0)                    // also where Pebble has just removed a file
			s.disk.Believe(1<<40, time.Hour) // also where a spare segment has just looked
		} else if last == 200 {
			last = i + 20
		}
		op := putOp(fmt.Sprint(i), Body{})
		op.Value = make([]byte, 100_000)
		_, err := p.Commit(context.Background(), op)
		if err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
	}
	if s.Stats().ReadOnly != "" {
		t.Fatal(s.Stats().ReadOnly)
	}
	if _, err := fs.Stat("store/ballast"); err == nil {
		t.Fatal("the ballast is still there")
	}
	fs.SetFree(400 << 20)
	s.disk.Look()
	maintain(t, s)
	if _, err := fs.Stat("store/ballast"); err != nil {
		t.Fatal(err)
	}
	put(t, p, "b", []byte("x"))
}
