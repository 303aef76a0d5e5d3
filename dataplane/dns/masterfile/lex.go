package masterfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits on one entry. A record of 65,535 octets in the worst escapes fits.
const (
	maxEntry  = 300_000
	maxTokens = 20_000
)

// token is a word of an entry with its escapes and quotes as written.
type token struct {
	text      string
	line, col int
}

// lexer splits a file into entries: the words of a line, or of several where
// parentheses join them (RFC 1035 5.1).
type lexer struct {
	r         *bufio.Reader
	line, col int // of the octet read last
	tokens    []token
	word      []byte
	size      int
	blank     bool // the entry began with white space: it has no owner of its own
	depth     int
	opened    token // the parenthesis that was opened last
	ended     bool  // the mistake that was told last took the end of its line
}

func newLexer(r io.Reader) *lexer {
	return &lexer{r: bufio.NewReaderSize(r, 64<<10), line: 1}
}

// mark refuses a file that begins with a byte order mark, which is no part of a name.
func (l *lexer) mark() error {
	head, _ := l.r.Peek(3) // what cannot be read is told when it is read
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, _ = l.r.Discard(3)
		return &Error{1, 1, "the file begins with a byte order mark (BOM); save it as UTF-8 without one"}
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return &Error{1, 1, "the file is UTF-16, by its byte order mark (BOM); save it as UTF-8 without one"}
	}
	return nil
}

// fail is a mistake where the lexer stands. Within parentheses that opened on a line above, one
// that is not closed is often the cause.
func (l *lexer) fail(text string) error {
	if l.depth > 0 && l.opened.line != l.line {
		text += fmt.Sprintf("; the parenthesis that opens on line %d, column %d, is still open", l.opened.line,
			l.opened.col)
	}
	return &Error{l.line, l.col, text}
}

// skip goes to the end of the line after a mistake, out of all parentheses.
func (l *lexer) skip() {
	l.depth = 0
	if l.ended {
		l.ended = false
		return
	}
	for {
		c, err := l.r.ReadByte()
		if err != nil {
			return // the next read tells of it
		}
		if c == '\n' {
			l.newline()
			return
		}
	}
}

// next reads the next entry that has words into l.tokens; io.EOF ends the file.
func (l *lexer) next() error {
	for {
		l.tokens, l.size, l.blank = l.tokens[:0], 0, false
		err := l.entry()
		if err == nil && len(l.tokens) == 0 {
			continue
		}
		if errors.Is(err, io.EOF) && len(l.tokens) > 0 {
			return nil //nolint:nilerr // the end comes again with the next call
		}
		return err
	}
}

// entry reads to the end of a line outside parentheses.
func (l *lexer) entry() error {
	first := true
	for {
		c, err := l.read()
		if err != nil {
			if errors.Is(err, io.EOF) && l.depth > 0 {
				return at(l.opened, "the parenthesis that opens here is not closed before the file ends")
			}
			return err
		}
		switch c {
		case '\n':
			l.newline()
			if l.depth == 0 {
				return nil
			}
		case ' ', '\t', '\r':
			l.blank = l.blank || first
		case ';':
			if err := l.comment(); err != nil {
				return err
			}
		case '(':
			if l.depth > 0 {
				return l.fail("parentheses do not nest")
			}
			l.depth, l.opened = 1, token{"(", l.line, l.col}
		case ')':
			if l.depth == 0 {
				return l.fail("a closing parenthesis without an opening one")
			}
			l.depth--
		default:
			if err := l.scanWord(c); err != nil {
				return err
			}
		}
		first = false
	}
}

func (l *lexer) newline() { l.line, l.col = l.line+1, 0 }

func (l *lexer) read() (byte, error) {
	c, err := l.r.ReadByte()
	if err != nil {
		return 0, err
	}
	l.col++
	if l.size++; l.size > maxEntry {
		return 0, l.fail("the entry is longer than any record can be")
	}
	return c, nil
}

func (l *lexer) back() {
	_ = l.r.UnreadByte() // after a ReadByte it cannot fail
	l.col--
	l.size--
}

// comment skips to the end of the line, which it leaves. Its length is no matter.
func (l *lexer) comment() error {
	for {
		c, err := l.r.ReadByte()
		if err != nil {
			return err
		}
		if c == '\n' {
			_ = l.r.UnreadByte()
			return nil
		}
	}
}

// scanWord reads a word, or a string in quotes, that begins with c.
func (l *lexer) scanWord(c byte) error {
	line, col := l.line, l.col
	l.word = append(l.word[:0], c)
	quoted := c == '"'
	if c == '\\' {
		if err := l.escaped(); err != nil {
			return err
		}
	}
	for {
		c, err := l.read()
		if errors.Is(err, io.EOF) && !quoted {
			break
		}
		if errors.Is(err, io.EOF) {
			return &Error{line, col, "the file ends within quotes"}
		}
		if err != nil {
			return err
		}
		if quoted && c == '\n' {
			l.newline()
			l.ended = true
			return &Error{line, col, "the line ends within quotes"}
		}
		if !quoted && ends(c) {
			l.back()
			break
		}
		l.word = append(l.word, c)
		if c == '\\' {
			if err := l.escaped(); err != nil {
				return err
			}
		}
		if quoted && c == '"' {
			break
		}
		if c == '"' {
			quoted = true // key="value" of SVCB: quotes within a word
		}
	}
	if len(l.tokens) == maxTokens {
		return l.fail("the entry has more words than any record can")
	}
	l.tokens = append(l.tokens, token{string(l.word), line, col})
	return nil
}

// escaped takes what follows a backslash into the word.
func (l *lexer) escaped() error {
	c, err := l.read()
	if errors.Is(err, io.EOF) || err == nil && c == '\n' {
		err := l.fail(`the line ends after a \`)
		if c == '\n' {
			l.newline()
			l.ended = true
		}
		return err
	}
	if err != nil {
		return err
	}
	l.word = append(l.word, c)
	return nil
}

// ends reports whether c ends a word.
func ends(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', ';', '(', ')':
		return true
	}
	return false
}
