package dark

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

// Bounds of the source's layout (STYLE.md): a reader sees a line, a function and a file
// whole. A tab counts as four columns. Functions of tests are mostly tables, and are not
// bounded.
const (
	maxColumns       = 120
	maxFunctionLines = 80
	maxFileLines     = 600
)

func TestTheLayoutStaysReadable(t *testing.T) {
	out, err := exec.Command("git", "ls-files", "-z", "*.go").Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		src, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, src, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if ast.IsGenerated(file) {
			continue
		}
		if n := bytes.Count(src, []byte("\n")); n > maxFileLines {
			t.Errorf("%s has %d lines, at most %d", name, n, maxFileLines)
		}
		free := literals(src)
		for i, line := range strings.Split(string(src), "\n") {
			if n := columns(line); n > maxColumns && !free[i+1] {
				t.Errorf("%s:%d has %d columns, at most %d", name, i+1, n, maxColumns)
			}
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				if n := files.Position(f.End()).Line - files.Position(f.Pos()).Line + 1; n > maxFunctionLines {
					t.Errorf("%s: %s has %d lines, at most %d", name, f.Name.Name, n, maxFunctionLines)
				}
			}
		}
	}
}

func columns(line string) int {
	return utf8.RuneCountInString(line) + 3*strings.Count(line, "\t")
}

// literals lists the lines that cannot be broken: those that hold a literal of a third of
// a line without a blank, and those within a raw literal.
func literals(src []byte) map[int]bool {
	free := map[int]bool{}
	files := token.NewFileSet()
	f := files.AddFile("", -1, len(src))
	var s scanner.Scanner
	s.Init(f, src, nil, 0)
	for {
		pos, tok, text := s.Scan()
		if tok == token.EOF {
			return free
		}
		raw := strings.HasPrefix(text, "`")
		if tok != token.STRING || !raw && (len(text) < maxColumns/3 || strings.Contains(text, " ")) {
			continue
		}
		for i := range strings.Count(text, "\n") + 1 {
			free[f.Line(pos)+i] = true
		}
	}
}
