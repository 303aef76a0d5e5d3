package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"
)

// space is what a mail service needs of a store: six of its methods.
type space interface {
	Write(ctx context.Context, how Sealing, size int64) (*Writer, error)
	Commit(ctx context.Context, ops ...Op) ([]Result, error)
	Get(ctx context.Context, key []byte, v Version) (Row, error)
	Scan(o ScanOptions) (*Cursor, error)
	Read(ctx context.Context, b Body, how Sealing, from, to int64) (*Reader, error)
	Usage() (Usage, error)
}

var _ space = (*Space)(nil)

// mailbox stands in for IMAP (RFC 9051): messages with UIDs that rise, flags, changes
// since a MODSEQ (RFC 7162), expunging, and copying without moving octets.
//
//	box/NAME            the last UID that was given; its tag changes with each
//	msg/NAME/UID (4)    a message: Flags are its flags, Body its octets
type mailbox struct {
	at   space
	name string
}

var errFull = errors.New("over quota")

func (m mailbox) boxKey() []byte { return []byte("box/" + m.name) }

func (m mailbox) messages() []byte { return []byte("msg/" + m.name + "/") }

func (m mailbox) key(uid uint32) []byte { return binary.BigEndian.AppendUint32(m.messages(), uid) }

// next is the op that takes the next UID; whoever else takes it makes the command fail.
func (m mailbox) next(ctx context.Context) (uid uint32, op Op, err error) {
	op = Op{Kind: Put, Key: m.boxKey()}
	row, err := m.at.Get(ctx, m.boxKey(), Current)
	switch {
	case errors.Is(err, ErrNotFound):
		op.Condition.Absent = true
	case err != nil:
		return 0, op, err
	default:
		uid = binary.BigEndian.Uint32(row.Value)
		op.Condition.Version = row.Version
	}
	uid++
	op.Value = binary.BigEndian.AppendUint32(nil, uid)
	return uid, op, nil
}

// add commits a message under the next UID.
func (m mailbox) add(ctx context.Context, body Body, flags uint32, quota uint64) (uint32, error) {
	for {
		uid, take, err := m.next(ctx)
		if err != nil {
			return 0, err
		}
		put := Op{Kind: Put, Key: m.key(uid), Body: body, Size: body.Len(), Flags: flags, Counts: true}
		put.Condition.QuotaBytes = quota
		_, err = m.at.Commit(ctx, take, put)
		var r *Refused
		switch {
		case err == nil:
			return uid, nil
		case !errors.As(err, &r):
			return 0, err
		case r.Reason == QuotaBytes:
			return 0, errFull
		}
	}
}

// deliver is APPEND.
func (m mailbox) deliver(ctx context.Context, message io.Reader, quota uint64) (uint32, error) {
	w, err := m.at.Write(ctx, Sealing{}, -1)
	if err != nil {
		return 0, err
	}
	defer w.Abort()
	if _, err := w.ReadFrom(message); err != nil {
		return 0, err
	}
	body, err := w.Finish()
	if err != nil {
		return 0, err
	}
	return m.add(ctx, body, 0, quota)
}

// store is STORE FLAGS, with UNCHANGEDSINCE where since is not 0.
func (m mailbox) store(ctx context.Context, uid, flags uint32, since Version) error {
	op := Op{Kind: Amend, Key: m.key(uid), Flags: flags}
	op.Condition.Amended = since
	_, err := m.at.Commit(ctx, op)
	return err
}

// changed is FETCH 1:* (FLAGS) (CHANGEDSINCE since).
func (m mailbox) changed(since Version) (flags map[uint32]uint32, newest Version, err error) {
	c, err := m.at.Scan(ScanOptions{Prefix: m.messages()})
	if err != nil {
		return nil, 0, err
	}
	defer c.Close()
	flags = map[uint32]uint32{}
	for c.Next() {
		row := c.Row()
		newest = max(newest, row.Amended)
		if row.Amended > since {
			flags[binary.BigEndian.Uint32(row.Key[len(m.messages()):])] = row.Flags
		}
	}
	return flags, newest, c.Err()
}

// fetch is FETCH BODY[]<from.n>.
func (m mailbox) fetch(ctx context.Context, uid uint32, from, n int64, to io.Writer) error {
	row, err := m.at.Get(ctx, m.key(uid), Current)
	if err != nil {
		return err
	}
	r, err := m.at.Read(ctx, row.Body, Sealing{}, from, min(from+n, row.Size))
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = r.WriteTo(to)
	return err
}

// copy is COPY to another mailbox of the domain.
func (m mailbox) copy(ctx context.Context, uid uint32, to mailbox) (uint32, error) {
	row, err := m.at.Get(ctx, m.key(uid), Current)
	if err != nil {
		return 0, err
	}
	return to.add(ctx, row.Body, row.Flags, 0)
}

// expunge is UID EXPUNGE.
func (m mailbox) expunge(ctx context.Context, uid uint32) error {
	_, err := m.at.Commit(ctx, Op{Kind: Delete, Key: m.key(uid), Idempotent: true})
	return err
}

// TestMailNeedsNoMore: a mail service fits on the same few methods.
func TestMailNeedsNoMore(t *testing.T) {
	_, p := openMem(t)
	ctx := context.Background()
	inbox, archive := mailbox{p, "inbox"}, mailbox{p, "archive"}
	var uids []uint32
	for i := range 5 {
		uid, err := inbox.deliver(ctx, bytes.NewReader(pattern(20_000*i, byte(i))), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		uids = append(uids, uid)
	}
	if fmt.Sprint(uids) != "[1 2 3 4 5]" {
		t.Fatal(uids)
	}
	if _, err := inbox.deliver(ctx, bytes.NewReader(pattern(900_000, 1)), 1<<20); !errors.Is(err, errFull) {
		t.Fatal(err)
	}
	_, newest, err := inbox.changed(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := inbox.store(ctx, 3, 7, newest); refusedFor(err) != Changed { // it is older than the newest
		t.Fatal(err)
	}
	if err := inbox.store(ctx, 3, 7, 0); err != nil {
		t.Fatal(err)
	}
	if flags, _, err := inbox.changed(newest); err != nil || len(flags) != 1 || flags[3] != 7 {
		t.Fatal(flags, err)
	}
	uid, err := inbox.copy(ctx, 5, archive)
	if err != nil || uid != 1 {
		t.Fatal(uid, err)
	}
	if err := inbox.expunge(ctx, 5); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := archive.fetch(ctx, 1, 70_000, 5000, &got); err != nil ||
		!bytes.Equal(got.Bytes(), pattern(80_000, 4)[70_000:75_000]) {
		t.Fatal(err)
	}
	if flags, _, _ := inbox.changed(0); len(flags) != 4 {
		t.Fatal(flags)
	}
	if u, _ := p.Usage(); u.Rows != 5 || u.Others != 2 || u.Bytes != 200_000 {
		t.Fatalf("%+v", u)
	}
}
