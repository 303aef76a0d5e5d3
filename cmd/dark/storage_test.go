package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func init() {
	commandsOfScripts["oddfiles"] = oddFiles
	commandsOfScripts["randomfile"] = randomFile
	commandsOfScripts["sametree"] = sameTree
	commandsOfScripts["killmid"] = killMid
	commandsOfScripts["nowhere"] = nowhere
	commandsOfScripts["lines"] = countLines
}

// tellS3 tells a script where the server's S3 endpoint is, as its dev.json says.
func tellS3(e *testscript.Env, data string) error {
	b, err := os.ReadFile(filepath.Join(data, "dev.json"))
	if err != nil {
		return err
	}
	var f struct {
		S3 struct{ URL, Region, AccessKey, SecretKey string }
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	for name, v := range map[string]string{
		"URL": f.S3.URL, "REGION": f.S3.Region, "ACCESS_KEY": f.S3.AccessKey,
		"SECRET_KEY": f.S3.SecretKey,
	} {
		e.Setenv("DARK_S3_"+name, v)
		e.Setenv("DEV_S3_"+name, v)
	}
	return nil
}

// oddNames are parts of names that clients and servers trip over.
var oddNames = []string{
	"plain", "with space", "  two  ", "plus+and&amp", "percent%2Fslash", "%", "%00", "ünï©ødé", "日本語", "emoji 😀",
	"e\u0301 decomposed", "é composed",
	"new\nline", "carriage\rreturn", "tab\there", "quote'\"`", "back\\slash", "semi;colon", "question?mark", "hash#tag",
	"star*", "[brackets]", "{braces}", "<xml>&lt;",
	"tilde~", "dollar$HOME", "at@", "equals=1", "comma,", "colon:", "pipe|", ".hidden", "...", "-dash", "--flag", "a.b",
	"\x01control\x1b[31m", "\u202ertl", "end.", "CON", "null",
}

// oddSizes are lengths at which buffers and chunks end.
var oddSizes = []int{
	0, 1, 2, 15, 16, 17, 511, 512, 4095, 4096, 4097, 16383, 16384, 16385, 65535, 65536, 65537, 131072,
	200000,
}

// oddFiles DIR N makes N files of odd names and sizes, the same ones each time.
func oddFiles(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: oddfiles DIR N")
	}
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	for i := range count {
		parts := []string{ts.MkAbs(args[0])}
		for depth := i % 3; depth > 0; depth-- {
			parts = append(parts, fmt.Sprintf("%s d%d", oddNames[(i/7+depth)%len(oddNames)], depth))
		}
		name := filepath.Join(append(parts, fmt.Sprintf("%s %d", oddNames[i%len(oddNames)], i/len(oddNames)))...)
		if i < len(oddNames) && i%3 == 0 {
			name = filepath.Join(append(parts, oddNames[i])...)
		}
		ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
		ts.Check(os.WriteFile(name, randomBytes(uint64(i), oddSizes[i%len(oddSizes)]+i%3), 0o644))
	}
}

func randomBytes(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// randomfile FILE BYTES SEED
func randomFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: randomfile FILE BYTES SEED")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	seed, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), randomBytes(seed, n), 0o644))
}

// sametree A B [N] compares all names and bytes of two directories, which hold N files.
func sameTree(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: sametree A B [N]")
	}
	a, b := tree(ts, args[0]), tree(ts, args[1])
	if len(args) > 2 {
		if n, err := strconv.Atoi(args[2]); err != nil || len(a) != n {
			ts.Fatalf("%s holds %d files, not %s", args[0], len(a), args[2])
		}
	}
	if same := slices.Equal(a, b); same == neg {
		ts.Fatalf("the same: %v; %d files in %s, %d in %s", same, len(a), args[0], len(b), args[1])
	}
}

// tree lists a directory's files with the hashes of their contents.
func tree(ts *testscript.TestScript, dir string) (list []string) {
	top := ts.MkAbs(dir)
	ts.Check(filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		list = append(list, fmt.Sprintf("%q %x", rel, sha256.Sum256(content)))
		return err
	}))
	return list
}

// samples is how many places of a file nowhere looks for.
const samples = 16

// nowhere DIR FILE checks that no file below DIR holds 64 bytes of FILE from any of 16
// places in it: what was encrypted must not lie there in clear.
func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: nowhere DIR FILE")
	}
	plain, err := os.ReadFile(ts.MkAbs(args[1]))
	ts.Check(err)
	found, files := 0, 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		stored, err := os.ReadFile(path)
		files++
		for i := range samples {
			at := (len(plain) - 64) * i / samples
			if bytes.Contains(stored, plain[at:at+64]) {
				found++
			}
		}
		return err
	}))
	if files == 0 || (found == 0) == neg {
		ts.Fatalf("%d places of %s found in %d files below %s", found, args[1], files, args[0])
	}
}

// killmid GLOB LINES COMMAND ARGS... kills the command, as a power cut would, once a file
// like GLOB has so many lines, or with LINES of the form NNNb so many bytes.
func killMid(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: killmid GLOB LINES COMMAND ARGS...")
	}
	if runtime.GOOS == "windows" {
		ts.Fatalf("killmid is for systems with SIGKILL")
	}
	text, inBytes := strings.CutSuffix(args[1], "b")
	want, err := strconv.Atoi(text)
	ts.Check(err)
	path, err := exec.LookPath(args[2])
	if dir := ts.Getenv("PATH"); err != nil || dir != "" {
		path = lookIn(ts, args[2])
	}
	cmd := exec.Command(path, args[3:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = scriptEnv(ts)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for until := time.Now().Add(time.Minute); ; {
		if n := progressOf(ts.MkAbs(args[0]), inBytes); n >= want {
			_ = cmd.Process.Kill() // that it ended before is told below
			err := <-ended
			var e *exec.ExitError
			if !errors.As(err, &e) || e.ExitCode() != -1 {
				ts.Fatalf("it ended before it was killed: %v\n%s", err, out.String())
			}
			ts.Logf("killed at %d of %s", n, args[1])
			return
		}
		select {
		case err := <-ended:
			ts.Fatalf("it ended before it was killed: %v\n%s", err, out.String())
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(until) {
			_ = cmd.Process.Kill()
			<-ended
			ts.Fatalf("nothing like %s grew in a minute\n%s", args[0], out.String())
		}
	}
}

func lookIn(ts *testscript.TestScript, name string) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p := filepath.Join(dir, name); executable(p) {
			return p
		}
	}
	ts.Fatalf("no %s in PATH", name)
	return ""
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

func scriptEnv(ts *testscript.TestScript) (env []string) {
	for _, name := range []string{
		"PATH", "HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "DARK_S3_URL", "DARK_S3_REGION",
		"DARK_S3_ACCESS_KEY", "DARK_S3_SECRET_KEY", "TESTSCRIPT_COVER_DIR",
	} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// progressOf is the number of lines, or bytes, of the longest file like glob.
func progressOf(glob string, inBytes bool) (most int) {
	found, _ := filepath.Glob(glob) // the pattern is the script's own
	for _, f := range found {
		if inBytes {
			if st, err := os.Stat(f); err == nil {
				most = max(most, int(st.Size()))
			}
			continue
		}
		if b, err := os.ReadFile(f); err == nil {
			most = max(most, bytes.Count(b, []byte("\n")))
		}
	}
	return most
}

// lines N PATTERN counts the lines of stdout that contain the text.
func countLines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lines N TEXT")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		if strings.Contains(line, args[1]) {
			got++
		}
	}
	if got != want {
		ts.Fatalf("%d lines of stdout have %q, want %d", got, args[1], want)
	}
}
