package storage

import (
	"context"
	"crypto/md5" //nolint:gosec // S3's ETag is MD5
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// Temporary files beside their targets. The name is of the version that is loaded, so
// that what is found of another version is never gone on with.
const (
	temporaryPrefix = ".dark-"
	partSuffix      = ".part"
	plainSuffix     = ".plain"
)

func isTemporary(name string) bool {
	rest, ok := strings.CutPrefix(name, temporaryPrefix)
	if !ok {
		return false
	}
	id, suffix, _ := strings.Cut(rest, ".")
	return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" && ("."+suffix == partSuffix ||
		"."+suffix == plainSuffix)
}

func (e *engine) temporary(dir, target string, of object, suffix string) string {
	sum := sha256.Sum256([]byte(e.url + "\x00" + of.at.String() + "\x00" + of.etag + "\x00" + target))
	return filepath.Join(dir, temporaryPrefix+hex.EncodeToString(sum[:16])+suffix)
}

// loading is one object on its way into a directory that it cannot leave.
type loading struct {
	*engine
	of   object
	root *os.Root
	name string // below root
	how  *opening
	sum  hash.Hash
	got  http.Header
}

// download loads an object into root as name. What arrived of it before is kept; the name
// appears when all bytes are there, checked and synced.
func (e *engine) download(ctx context.Context, of object, root *os.Root, name string, how *opening) error {
	if err := e.acquire(ctx); err != nil {
		return err
	}
	release := sync.OnceFunc(e.release)
	defer release()
	l := &loading{engine: e, of: of, root: root, name: name, how: how, sum: md5.New()} //nolint:gosec // see the import
	dir := filepath.Dir(name)
	if err := root.MkdirAll(dir, 0o777); err != nil {
		return l.refused(err)
	}
	part := e.temporary(dir, name, of, partSuffix)
	f, err := root.OpenFile(part, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return l.refused(err)
	}
	defer f.Close()
	keep, err := l.fill(ctx, f)
	if err == nil {
		err = l.place(f, part, dir, release)
	}
	if err != nil && !keep {
		_ = f.Close() // it may be closed by now, and Windows removes no open file
		err = errors.Join(err, root.Remove(part))
	}
	return err
}

func (l *loading) refused(err error) error {
	if full := noRoom(err); full != nil {
		return full
	}
	return exit.New(exit.Failed, "another target, or remove what is in the way", "write %s: %w", show(l.name), err)
}

// fill brings the part file to its full length. keep says that what is in it is worth
// going on with.
func (l *loading) fill(ctx context.Context, f *os.File) (keep bool, err error) {
	have, err := l.prepared(f)
	if err == nil && l.how.decrypt && l.of.size > opensFirst {
		err = l.opens(ctx)
	}
	if err != nil {
		return have > 0, err
	}
	if have < l.of.size || l.of.size == 0 {
		err = l.load(ctx, f, have)
	} else {
		_, l.got, err = l.head(ctx, l.of.at, l.of.version)
		if err == nil {
			err = l.how.check(l.of.at.String(), l.got)
		}
	}
	if err != nil {
		st, serr := f.Stat()
		return serr == nil && st.Size() > 0 && !isCode(err, "PreconditionFailed"), err
	}
	return false, l.verify()
}

// Of larger objects it is tried first whether the identity opens them.
const opensFirst = 1 << 20

// opens reads no more than the header, which says for whom an object was encrypted.
func (l *loading) opens(ctx context.Context) error {
	b, err := l.open(ctx, l.of, 0, opensFirst)
	if err != nil {
		return err
	}
	defer b.done()
	_, err = l.how.reader(l.of.at.String(), b)
	return err
}

// prepared hashes what is there already.
func (l *loading) prepared(f *os.File) (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if st.Size() > l.of.size {
		return 0, f.Truncate(0)
	}
	n, err := io.Copy(l.sum, f)
	l.report.bar.move(n)
	return n, err
}

func (l *loading) load(ctx context.Context, f *os.File, have int64) error {
	b, err := l.open(ctx, l.of, have, l.of.size)
	if err != nil {
		return err
	}
	defer b.done()
	l.got = b.header
	if err := l.how.check(l.of.at.String(), b.header); err != nil {
		return err
	}
	_, err = io.Copy(io.MultiWriter(f, l.sum), &tally{r: b, bar: l.report.bar})
	return err
}

// verify compares with the ETag where that is the MD5 of the content: not of uploads in
// parts, SSE-KMS and SSE-C (AWS S3 API, "Object", ETag).
func (l *loading) verify() error {
	if !plainETag(l.of.etag) || l.got.Get("X-Amz-Server-Side-Encryption") == "aws:kms" ||
		l.got.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "" {
		return nil
	}
	if got := hex.EncodeToString(l.sum.Sum(nil)); got != l.of.etag {
		return exit.New(exit.Failed, "the same command again loads it anew",
			"%s arrived damaged: its MD5 is %s and should be %s", show(l.of.at.String()), got, l.of.etag)
	}
	return nil
}

// plainETag tells whether an ETag may be an MD5.
func plainETag(etag string) bool {
	_, err := hex.DecodeString(etag)
	return err == nil && len(etag) == 32
}

// place gives the file its name. Others are loaded while it waits for the disk.
func (l *loading) place(f *os.File, part, dir string, release func()) error {
	x := &settling{root: l.root, file: f, from: part, name: l.name, modified: l.of.modified}
	if l.how.decrypt {
		out, plain, err := l.decrypted(f, dir)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return errors.Join(err, out.Close(), l.root.Remove(plain))
		}
		x.file, x.from = out, plain
	}
	release()
	err := l.settler.settle(x)
	if err != nil {
		err = l.refused(err)
	}
	switch {
	case x.from == part:
		return err
	case err != nil: // what was encrypted does not stay in clear
		return errors.Join(err, l.root.Remove(x.from))
	}
	return l.root.Remove(part)
}

// decrypted writes the plain text beside the part, and returns its file and name.
func (l *loading) decrypted(f *os.File, dir string) (out *os.File, name string, err error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, "", err
	}
	in, err := l.how.reader(l.of.at.String(), f)
	if err != nil {
		return nil, "", err
	}
	name = l.temporary(dir, l.name, l.of, plainSuffix)
	// What was encrypted is for its owner alone.
	out, err = l.root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, "", l.refused(err)
	}
	if _, err = io.Copy(out, in); err != nil {
		err = errors.Join(err, out.Close())
		return nil, "", errors.Join(exit.New(exit.Failed, "the object is damaged, or no longer what was encrypted",
			"decrypt %s: %w", show(l.of.at.String()), err), l.root.Remove(name))
	}
	return out, name, nil
}

// makeFolder is what becomes of an object that stands for a folder ("photos/").
func makeFolder(root *os.Root, rel string) error {
	name, err := localName(rel)
	if err != nil {
		return err
	}
	return root.MkdirAll(name, 0o777)
}
