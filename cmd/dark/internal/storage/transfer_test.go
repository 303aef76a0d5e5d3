package storage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func put(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func journals(t *testing.T) []string {
	t.Helper()
	dir, err := stateDir()
	if err != nil {
		t.Fatal(err)
	}
	list, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	return list
}

func TestAnUploadGoesOnWithThePartsThatAreEqual(t *testing.T) {
	for _, opaque := range []bool{false, true} {
		f, env, out, _ := newFake(t)
		f.opaque = opaque
		content := noise(2*basePart + 5)
		file := put(t, filepath.Join(t.TempDir(), "big"), content)
		f.refuse["PUT /box/big?partNumber=3"] = 403
		if err := dark(env, "cp", file, "s3://box/big", "--parallel", "1"); exit.Of(err).Code != exit.Denied {
			t.Fatalf("opaque %v: %v", opaque, err)
		}
		if len(journals(t)) != 1 || len(f.objects) != 0 {
			t.Fatalf("journals %v, objects %d", journals(t), len(f.objects))
		}
		f.uploads["id1"][2] = noise(basePart)[1:] // another's bytes: not equal
		before := f.requests("PUT /box/big?partNumber")
		if err := dark(env, "cp", file, "s3://box/big"); err != nil {
			t.Fatal(err)
		}
		if sent := f.requests("PUT /box/big?partNumber") - before; sent != 2 {
			t.Errorf("opaque %v: %d parts were sent, not 2 and 3", opaque, sent)
		}
		if !bytes.Equal(f.objects["big"], content) || len(journals(t)) != 0 ||
			f.requests("POST /box/big?uploads") != 1 {
			t.Errorf("opaque %v: %d bytes, journals %v\n%s", opaque, len(f.objects["big"]), journals(t), out)
		}
	}
}

func TestAnUploadThatIsGoneBeginsAnew(t *testing.T) {
	f, env, _, _ := newFake(t)
	content := noise(basePart + 1)
	file := put(t, filepath.Join(t.TempDir(), "big"), content)
	f.refuse["POST /box/big?uploadId"] = 403
	if err := dark(env, "cp", file, "s3://box/big"); err == nil {
		t.Fatal("the refusal was not told")
	}
	delete(f.uploads, "id1")
	if err := dark(env, "cp", file, "s3://box/big"); err != nil || !bytes.Equal(f.objects["big"], content) {
		t.Fatalf("%v, %d bytes", err, len(f.objects["big"]))
	}
}

func TestATornJournalIsReadAsFarAsItGoes(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	target := location{bucket: "box", key: "k"}
	r, err := openRecord("http://x", "f", target)
	if err != nil || r.begin("id", basePart) != nil || r.add(recordPart{1, "e1", "m1"}) != nil ||
		r.add(recordPart{2, "e2", "m2"}) != nil || r.close() != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		put(t, r.path, whole[:cut])
		again, err := openRecord("http://x", "f", target)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		for n, p := range again.mu.parts {
			if n > 2 || p.ETag != []string{"", "e1", "e2"}[n] {
				t.Fatalf("cut at %d: %v", cut, again.mu.parts)
			}
		}
		if again.head.Upload == "" {
			continue
		}
		if again.add(recordPart{3, "e3", "m3"}) != nil || again.close() != nil {
			t.Fatal("add")
		}
		if third, _ := openRecord("http://x", "f", target); !third.has(3, "e3", "m3") || third.has(3, "e3", "other") {
			t.Fatalf("cut at %d: what was added is lost", cut)
		}
	}
	if other, _ := openRecord("http://y", "f", target); other.head.Upload != "" {
		t.Fatal("the journal of another endpoint was taken")
	}
}

func TestADownloadGoesOnWhereTheConnectionBroke(t *testing.T) {
	f, env, _, _ := newFake(t)
	content := noise(300_000)
	f.objects["x"], f.breakAt = content, []int{1000, 0, 100_000}
	dir := t.TempDir()
	if err := dark(env, "cp", "s3://box/x", dir+"/"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "x")); !bytes.Equal(got, content) {
		t.Fatalf("%d bytes arrived", len(got))
	}
	if n := f.requests("GET /box/x"); n != 4 {
		t.Errorf("%d requests, want 4", n)
	}
	clean(t, dir, 1)
}

// clean checks that a directory holds so many files and none that is temporary.
func clean(t *testing.T, dir string, n int) {
	t.Helper()
	all := 0
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
		if !d.IsDir() {
			all++
		}
		if isTemporary(d.Name()) {
			t.Errorf("left behind: %s", path)
		}
		return nil
	})
	if all != n {
		t.Errorf("%d files in %s, want %d", all, dir, n)
	}
}

func TestAPartOfAnotherVersionIsNotGoneOnWith(t *testing.T) {
	f, env, _, _ := newFake(t)
	dir := t.TempDir()
	f.objects["x"] = noise(100_000)
	c, err := env.connect(0)
	if err != nil {
		t.Fatal(err)
	}
	e := &engine{client: c}
	at := location{bucket: "box", key: "x"}
	part := e.temporary(dir, "x", object{at: at, etag: etagOf(f.objects["x"])}, partSuffix)
	put(t, part, f.objects["x"][:50_000])
	f.objects["x"] = bytes.ToUpper(noise(100_000))
	if err := dark(env, "cp", "s3://box/x", dir); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "x")); !bytes.Equal(got, f.objects["x"]) {
		t.Fatal("two versions were mixed")
	}
	// The right one is taken over: only the rest is asked for, and what is damaged in it is found.
	for _, damaged := range []bool{false, true} {
		have := bytes.Clone(f.objects["x"][:50_000])
		if damaged {
			have[7] ^= 1
		}
		name := e.temporary(".", "y", object{at: at, etag: etagOf(f.objects["x"])}, partSuffix)
		put(t, filepath.Join(dir, name), have)
		err := dark(env, "cp", "s3://box/x", filepath.Join(dir, "y"))
		if damaged != (err != nil && strings.Contains(err.Error(), "arrived damaged")) {
			t.Fatalf("damaged %v: %v", damaged, err)
		}
	}
}

func TestAVersionThatChangesMeanwhileIsRefused(t *testing.T) {
	f, env, _, _ := newFake(t)
	f.objects["x"] = noise(1000)
	f.refuse["GET /box/x"] = 412
	dir := t.TempDir()
	err := dark(env, "cp", "s3://box/x", dir)
	if exit.Of(err).Code != exit.Conflict {
		t.Fatalf("%v", err)
	}
	clean(t, dir, 0)
}

func TestNoKeyWritesOutsideOfItsTarget(t *testing.T) {
	hostile := []string{"../up", "a/../../up", "/abs", "a//b", "./x", "a/./b", "..", "a/..", "link/evil"}
	f, env, _, errs := newFake(t)
	f.objects["p/good"] = []byte("good")
	for _, k := range hostile {
		f.objects["p/"+k] = []byte("evil")
	}
	for _, verb := range []string{"cp", "sync"} {
		top := t.TempDir()
		target, outside := filepath.Join(top, "in"), filepath.Join(top, "outside")
		put(t, filepath.Join(outside, "keep"), nil)
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" {
			if err := os.Symlink(outside, filepath.Join(target, "link")); err != nil {
				t.Fatal(err)
			}
		}
		args := []string{verb, "s3://box/p/", target}
		if verb == "cp" {
			args = append(args, "-r")
		}
		errs.Reset()
		err := dark(env, args...)
		if err == nil || exit.Of(err).Code != exit.Failed {
			t.Fatalf("%s: %v", verb, err)
		}
		for _, k := range hostile {
			if !strings.Contains(errs.String(), k) {
				t.Errorf("%s: %q was not refused by name:\n%s", verb, k, errs)
			}
		}
		if got, _ := os.ReadFile(filepath.Join(target, "good")); string(got) != "good" {
			t.Errorf("%s: the good key did not arrive", verb)
		}
		clean(t, outside, 1)
		if list, _ := os.ReadDir(top); len(list) != 2 {
			t.Errorf("%s: beside the target: %v", verb, list)
		}
	}
	// One by one, to a directory, by its last part alone.
	f.objects["q/.."] = []byte("evil")
	if err := dark(env, "cp", "s3://box/q/..", t.TempDir()); err == nil {
		t.Error("a key that ends in .. was taken for a name")
	}
}

func TestEncryptedObjectsSayWhatTheyNeed(t *testing.T) {
	f, env, out, _ := newFake(t)
	dir := t.TempDir()
	id := filepath.Join(dir, "id")
	if err := dark(env, "keygen", id); err != nil {
		t.Fatal(err)
	}
	if st, _ := os.Stat(id); runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	recipient := strings.TrimSpace(out.String())
	plain := noise(100_000)
	file := put(t, filepath.Join(dir, "plain"), plain)
	if err := dark(env, "cp", file, "s3://box/x", "--encrypt", recipient); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(f.objects["x"], plain[:64]) || f.headers["x"].Get("X-Amz-Meta-Dark-Encryption") != "age" {
		t.Fatal("it is not encrypted, or does not say so")
	}
	err := dark(env, "cat", "s3://box/x")
	if e := exit.Of(err); e == nil || !strings.Contains(e.Text, recipient[:shortRecipient]) ||
		!strings.Contains(e.Next, "--decrypt -i") {
		t.Fatalf("%v", err)
	}
	f.breakAt = []int{70_000}
	if err := dark(env, "cp", "s3://box/x", filepath.Join(dir, "y"), "--decrypt", "-i", id); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "y")); !bytes.Equal(got, plain) {
		t.Fatal("another content")
	}
	// One bit of it flipped is found, and no file appears.
	f.objects["x"][90_000] ^= 1
	if err := dark(env, "cp", "s3://box/x", filepath.Join(dir, "z"), "--decrypt", "-i", id); err == nil {
		t.Fatal("a flipped bit was not found")
	}
	clean(t, dir, 3)
}

func TestSyncCopiesWhatDiffersAndNothingTwice(t *testing.T) {
	f, env, out, errs := newFake(t)
	dir := t.TempDir()
	for _, n := range []string{"a.b", "a/b", "a/c", "z"} {
		put(t, filepath.Join(dir, n), []byte(n))
	}
	run := func(want string) {
		t.Helper()
		errs.Reset()
		out.Reset()
		if err := dark(env, "sync", dir, "s3://box/p", "--delete"); err != nil || !strings.Contains(errs.String(),
			want) {
			t.Fatalf("%v: %s%s", err, out, errs)
		}
	}
	run("0 unchanged, 4 done")
	run("4 unchanged, 0 done")
	put(t, filepath.Join(dir, "z"), []byte("Z"))
	f.objects["p/extra"] = nil
	run("3 unchanged, 2 done")
	if string(f.objects["p/z"]) != "Z" || len(f.objects) != 4 {
		t.Fatalf("%v", f.objects)
	}
	f.objects["other/x"] = nil // another folder is none of its business
	run("4 unchanged, 0 done")
	err := dark(env, "sync", t.TempDir(), "s3://box/p/", "--delete")
	if e := exit.Of(err); e == nil || e.Code != exit.NeedsYes || len(f.objects) != 5 {
		t.Fatalf("%v", err)
	}
}

func TestSyncKnowsWhatAnETagTells(t *testing.T) {
	content := noise(basePart + 9)
	ours, err := multipartETag(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	others := strings.Repeat("0", 32) + "-2"
	old, now := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Now()
	kms := http.Header{"X-Amz-Server-Side-Encryption": {"aws:kms"}}
	for _, c := range []struct {
		name, etag string
		header     http.Header
		down       bool
		local      time.Time
		copied     int
	}{
		{"our own parts", ours, nil, false, now, 0},
		{"another's parts, uploaded", others, nil, false, old, 1},
		{"another's parts, downloaded again", others, nil, true, now, 0},
		{"another's parts, newer than the file", others, nil, true, old, 1},
		{"other parts than ours can be", strings.Repeat("0", 32) + "-9", nil, false, old, 0},
		{"SSE-KMS, file older", strings.Repeat("0", 32), kms, false, old, 0},
		{"SSE-KMS, file newer", strings.Repeat("0", 32), kms, false, now, 1},
		{"an MD5 of something else", strings.Repeat("0", 32), nil, false, old, 1},
	} {
		f, env, out, _ := newFake(t)
		f.objects["p/x"], f.etags["p/x"] = content, c.etag
		if c.header != nil {
			f.headers["p/x"] = c.header
		}
		dir := t.TempDir()
		file := put(t, filepath.Join(dir, "x"), content)
		if err := os.Chtimes(file, c.local, c.local); err != nil {
			t.Fatal(err)
		}
		from, to := dir, "s3://box/p"
		if c.down {
			from, to = to, from
		}
		if err := dark(env, "sync", from, to, "--dry-run"); err != nil ||
			strings.Count(out.String(), "would") != c.copied {
			t.Errorf("%s: %v, %q", c.name, err, out)
		}
	}
}

func TestAStreamIsKeptWholeOrNotAtAll(t *testing.T) {
	f, env, _, _ := newFake(t)
	content := noise(streamPart + 7)
	env.In = bytes.NewReader(content)
	if err := dark(env, "cp", "-", "s3://box/x"); err != nil || !bytes.Equal(f.objects["x"], content) {
		t.Fatalf("%v, %d bytes", err, len(f.objects["x"]))
	}
	env.In = bytes.NewReader(content)
	f.refuse["PUT /box/y?partNumber=2"] = 403
	if err := dark(env, "cp", "-", "s3://box/y"); exit.Of(err).Code != exit.Denied {
		t.Fatal(err)
	}
	env.In = &failing{bytes.NewReader(content[:basePart+1])}
	if err := dark(env, "cp", "-", "s3://box/y"); err == nil || !strings.Contains(err.Error(), "read what to send") {
		t.Fatal(err)
	}
	if len(f.objects) != 1 || len(f.uploads) != 0 {
		t.Errorf("%d objects and %d uploads are left", len(f.objects), len(f.uploads))
	}
}

// failing is a reader that breaks where another ends.
type failing struct{ r *bytes.Reader }

func (f *failing) Read(p []byte) (int, error) {
	if f.r.Len() == 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return f.r.Read(p)
}

// TestManyAreRemovedAtOnce: a thousand with a request, and what is not removed is told of,
// key by key.
func TestManyAreRemovedAtOnce(t *testing.T) {
	f, env, out, errs := newFake(t)
	for i := range 2345 {
		f.objects[fmt.Sprintf("p/%04d", i)] = []byte("x")
	}
	f.objects["q"] = []byte("x")
	if err := dark(env, "rm", "-r", "s3://box/p/", "--yes"); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "remove "); n != 2345 || len(f.objects) != 1 {
		t.Errorf("%d are told of, %d are left", n, len(f.objects))
	}
	if n, one := f.requests("POST /box/?delete="), f.requests("DELETE "); n != 3 || one != 0 {
		t.Errorf("%d requests and %d of one", n, one)
	}
	out.Reset()
	for _, name := range []string{"a", "b refused", "c untold", "d"} {
		f.objects["p/"+name] = []byte("x")
	}
	err := dark(env, "rm", "-r", "s3://box/p/", "--yes")
	if err == nil || !strings.HasPrefix(err.Error(), "2 failed, 2 done; the first: Access Denied") ||
		len(f.objects) != 3 || strings.Count(out.String(), "remove ") != 2 {
		t.Errorf("%v, %d are left: %s", err, len(f.objects), out)
	}
	if text := errs.String(); !strings.Contains(text, "p/b refused: ") ||
		!strings.Contains(text, "p/c untold: the endpoint does not say") {
		t.Errorf("%s", text)
	}
	f.refuse["POST /box/?delete="] = 403
	if err := dark(env, "rm", "-r", "s3://box/p/", "--yes"); err == nil || !strings.HasPrefix(err.Error(),
		"2 failed") || len(f.objects) != 3 {
		t.Errorf("%v, %d are left", err, len(f.objects))
	}
	if err := dark(env, "rm", "-r", "s3://box/p/", "--dry-run"); err != nil || len(f.objects) != 3 {
		t.Errorf("%v, %d are left", err, len(f.objects))
	}
}
