package s3xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Limits of documents that clients send, in octets. MaxDocument is for all that have none
// of their own.
const (
	MaxDocument         = 1 << 20
	MaxDeleteDocument   = 2 << 20
	MaxCompleteDocument = 4 << 20

	// MaxDeleteKeys is how many keys DeleteObjects takes.
	MaxDeleteKeys = 1000
	// MaxPart is the greatest number of a part, and how many parts an upload may have.
	MaxPart = 10_000

	maxDepth = 8        // the deepest that S3 has is 6
	maxToken = 32 << 10 // octets of a tag or a text; an element of attributes alone costs 20 times its size
)

// ReadDocument reads a request's document of at most limit octets. It stops reading right
// after the limit with MaxMessageLengthExceeded. An error of r, such as that of a digest
// which does not fit, is returned as it is.
func ReadDocument(r io.Reader, limit int) ([]byte, error) {
	doc, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(doc) > limit {
		return nil, New(MaxMessageLengthExceeded, "MaxMessageLengthBytes", strconv.Itoa(limit))
	}
	return doc, nil
}

// node is an element of a request's document.
type node struct {
	name string
	kind string // xsi:type
	text string // of an element without children
	kids []*node
}

var errShape = errors.New("the document is not what this request takes")

// malformed is MalformedXML, with what was wrong for the log.
func malformed(err error) *Error { return New(MalformedXML).Because(err) }

// unexpected is the refusal of an element that the schema does not have there.
func unexpected(n *node) *Error { return malformed(fmt.Errorf("%w: <%s>", errShape, n.name)) }

// parse reads a document whose root must have the name. It takes no more than maxNodes
// elements, which bounds the memory that a document of many short ones can cost.
func parse(doc []byte, root string, maxNodes int) (*node, error) {
	p := treeReader{src: source{doc: doc}, left: maxNodes}
	p.d = xml.NewDecoder(&p.src)
	n, err := p.document()
	if err != nil {
		return nil, malformed(err)
	}
	if n.name != root {
		return nil, unexpected(n)
	}
	return n, nil
}

// source gives the decoder octets, of one token no more than maxToken.
type source struct {
	doc     []byte
	at, end int
}

var errToken = errors.New("a tag or text that is too long")

// ReadByte makes it an io.ByteReader, which the decoder reads without a buffer of its own.
func (s *source) ReadByte() (byte, error) {
	switch {
	case s.at == len(s.doc):
		return 0, io.EOF
	case s.at == s.end:
		return 0, errToken
	}
	s.at++
	return s.doc[s.at-1], nil
}

// Read is for io.Reader's sake alone.
func (s *source) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := s.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

type treeReader struct {
	src  source
	d    *xml.Decoder
	left int // elements that may still come
}

func (p *treeReader) token() (xml.Token, error) {
	p.src.end = p.src.at + maxToken
	return p.d.Token()
}

func (p *treeReader) document() (*node, error) {
	var root *node
	for {
		t, err := p.token()
		if errors.Is(err, io.EOF) && root != nil {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			if root != nil {
				return nil, errShape
			}
			if root, err = p.element(t, 1); err != nil {
				return nil, err
			}
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, errShape
			}
		case xml.Directive:
			return nil, errors.New("a DTD is refused")
		}
	}
}

func (p *treeReader) element(start xml.StartElement, depth int) (*node, error) {
	if p.left--; p.left < 0 || depth > maxDepth {
		return nil, errors.New("too many elements, or too deep")
	}
	n := &node{name: start.Name.Local}
	for _, a := range start.Attr {
		if a.Name.Local == "type" && a.Name.Space == xsi {
			n.kind = a.Value
		}
	}
	var text []byte
	for {
		t, err := p.token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			kid, err := p.element(t, depth+1)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, kid)
		case xml.CharData:
			text = append(text, t...)
		case xml.Directive:
			return nil, errors.New("a DTD is refused")
		case xml.EndElement:
			return n.finish(text)
		}
	}
}

func (n *node) finish(text []byte) (*node, error) {
	if len(n.kids) == 0 {
		n.text = string(text)
	} else if len(bytes.TrimSpace(text)) > 0 {
		return nil, errShape
	}
	return n, nil
}

// fields hands each child to the function that take has under its name, once at most but
// for names that end in "*". A child without one is MalformedXML.
func (n *node) fields(take map[string]func(*node) error) error {
	if len(n.kids) == 0 && strings.TrimSpace(n.text) != "" {
		return unexpected(n)
	}
	seen := map[string]bool{}
	for _, k := range n.kids {
		f, once := take[k.name], true
		if f == nil {
			f, once = take[k.name+"*"], false
		}
		if f == nil || once && seen[k.name] {
			return unexpected(k)
		}
		seen[k.name] = true
		if err := f(k); err != nil {
			return err
		}
	}
	return nil
}

// leaf is an element's text; an element with children has none.
func (n *node) leaf() (string, error) {
	if len(n.kids) > 0 {
		return "", unexpected(n)
	}
	return n.text, nil
}

// into, integerInto and the like are what fields takes.
func into(s *string) func(*node) error {
	return func(n *node) (err error) {
		*s, err = n.leaf()
		return err
	}
}

func addTo(list *[]string) func(*node) error {
	return func(n *node) error {
		s, err := n.leaf()
		*list = append(*list, s)
		return err
	}
}

func boolInto(v *bool) func(*node) error {
	return func(n *node) error {
		s, err := n.leaf()
		if err != nil {
			return err
		}
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "true":
			*v = true
		case "false":
			*v = false
		default:
			return unexpected(n)
		}
		return nil
	}
}

// intInto takes any 64-bit number; bounds are the caller's.
func intInto(v *int64) func(*node) error {
	return func(n *node) error {
		s, err := n.leaf()
		if err != nil {
			return err
		}
		if *v, err = strconv.ParseInt(strings.TrimSpace(s), 10, 64); err != nil {
			return malformed(err)
		}
		return nil
	}
}

func timeInto(v *time.Time) func(*node) error {
	return func(n *node) error {
		s, err := n.leaf()
		if err != nil {
			return err
		}
		*v, err = parseTime(strings.TrimSpace(s))
		return err
	}
}

// parseTime takes the forms of ISO 8601 that clients send, and that of HTTP, which some
// SDKs send for LastModifiedTime.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02", time.RFC1123} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, malformed(fmt.Errorf("no time: %.40q", s))
}
