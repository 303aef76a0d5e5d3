package storage

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/exit"
)

// location is one end of a copy: an object or prefix, a path here, or a standard stream.
type location struct {
	bucket, key string // of an object; bucket is empty for a path
	path        string // of a file or directory; "-" for a standard stream
}

const (
	scheme      = "darkstorage://"
	schemeOfAWS = "s3://"
	// AWS S3 user guide, "Naming Amazon S3 objects": a key is UTF-8 of at most 1,024 bytes.
	maxKey = 1024
)

func usage(next, format string, args ...any) *exit.Error {
	return exit.New(exit.Usage, next, format, args...)
}

// parse reads darkstorage://BUCKET/KEY, s3://BUCKET/KEY or a path. What follows the bucket
// is the key as it stands: nothing in it is unescaped, so that each key can be named.
func parse(text string) (location, error) {
	rest, ok := strings.CutPrefix(text, scheme)
	if !ok {
		rest, ok = strings.CutPrefix(text, schemeOfAWS)
	}
	if !ok {
		return parsePath(text)
	}
	var l location
	l.bucket, l.key, _ = strings.Cut(rest, "/")
	if l.bucket == "" {
		return l, usage("dark storage ls lists the buckets", "%q names no bucket", text)
	}
	if err := checkBucket(l.bucket); err != nil {
		return l, err
	}
	if l.key == "" {
		return l, nil
	}
	return l, checkKey(l.key)
}

func parsePath(text string) (location, error) {
	if text == "" {
		return location{}, usage("give a path, -, or darkstorage://BUCKET/KEY", "a name is empty")
	}
	if name, _, ok := strings.Cut(text, "://"); ok && !strings.ContainsAny(name, `/\.`) {
		return location{}, usage("darkstorage://BUCKET/KEY; a file of that name is ./"+text,
			"%q is of a kind that is not known here", name+"://")
	}
	return location{path: text}, nil
}

// parseRemote is parse for what must be in a bucket.
func parseRemote(text string) (location, error) {
	l, err := parse(text)
	if err == nil && !l.remote() {
		err = usage("darkstorage://BUCKET/"+strings.TrimLeft(filepath.ToSlash(text), "./"), "%q is not in a bucket",
			text)
	}
	return l, err
}

// checkBucket keeps what can never be a bucket's name out of a request's host and path.
func checkBucket(name string) error {
	if len(name) < 3 || len(name) > 63 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return usage("dark buckets list", "%q is no name of a bucket: 3 to 63 of a-z, 0-9, - and .", name)
	}
	return nil
}

func checkKey(key string) error {
	switch {
	case len(key) > maxKey:
		return usage("a shorter name", "%s is longer than a key may be, %d bytes", show(key), maxKey)
	case !utf8.ValidString(key):
		return usage("a name in UTF-8", "%q is not UTF-8, as a key must be", key)
	case strings.TrimSpace(key) == "":
		return usage("another name", "%q is not taken for a key: it is only white space", key)
	}
	return nil
}

func (l location) remote() bool { return l.bucket != "" }

func (l location) stream() bool { return l.path == "-" }

// folder tells whether a key is empty or ends in "/": it can only name what is under it.
func (l location) folder() bool { return l.remote() && (l.key == "" || strings.HasSuffix(l.key, "/")) }

// under is the location of a relative name, in "/" form, in a folder.
func (l location) under(rel string) location {
	if l.remote() {
		l.key = l.prefix() + rel
		return l
	}
	l.path = filepath.Join(l.path, filepath.FromSlash(rel))
	return l
}

// prefix is what the keys in a folder begin with.
func (l location) prefix() string {
	if l.key == "" || strings.HasSuffix(l.key, "/") {
		return l.key
	}
	return l.key + "/"
}

func (l location) String() string {
	if l.remote() {
		return scheme + l.bucket + "/" + l.key
	}
	return l.path
}

// isDirectory tells whether a path is one now, or can only become one.
func isDirectory(path string) bool {
	if strings.HasSuffix(path, "/") || os.IsPathSeparator(path[len(path)-1]) {
		return true
	}
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// localName turns what is left of a key into a path that stays inside of a directory.
// The refusal names the key: "../x", "/x", "a//b", and on Windows "a\b" and "NUL".
func localName(key string) (string, error) {
	rel := strings.TrimSuffix(key, "/")
	if !fs.ValidPath(rel) || rel == "." {
		return "", exit.New(exit.Failed, "dark storage cp "+show(key)+" to a name of your own",
			"the key %s would not stay inside of the directory, or is no path: refused", show(key))
	}
	name, err := filepath.Localize(rel)
	if err != nil {
		return "", exit.New(exit.Failed, "dark storage cp it to a name of your own",
			"the key %s is no file name on this system: refused", show(key))
	}
	return name, nil
}

// lastPart is what a file is called that an object without its folders becomes.
func lastPart(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

// show writes a name for a person: what a terminal would take for a command is quoted.
func show(name string) string {
	for _, r := range name {
		if !unicode.IsPrint(r) || r == utf8.RuneError || r == '"' {
			return quote(name)
		}
	}
	return name
}
