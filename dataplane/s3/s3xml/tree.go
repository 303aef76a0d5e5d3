package s3xml

import (
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
	maxToken = 32 << 10 // octets of a tag or a text
)

// ReadDocument reads a request's document of at most limit octets. It stops reading right
// after the limit with MaxMessageLengthExceeded. An error of r, such as that of a digest
// which does not fit, is returned as it is.
func ReadDocument(r io.Reader, limit int) ([]byte, error) {
	doc := make([]byte, 0, min(firstRead, limit+1))
	for {
		n, err := r.Read(doc[len(doc):cap(doc)])
		doc = doc[:len(doc)+n]
		switch {
		case errors.Is(err, io.EOF) && len(doc) <= limit:
			return doc, nil
		case err != nil && !errors.Is(err, io.EOF):
			return nil, err
		case len(doc) > limit:
			return nil, New(MaxMessageLengthExceeded, "MaxMessageLengthBytes", strconv.Itoa(limit))
		case len(doc) == cap(doc): // twice as much: half of what io.ReadAll leaves behind
			doc = append(make([]byte, 0, min(2*cap(doc), limit+1)), doc...)
		}
	}
}

// firstRead is the room for a document at first, in octets; most have less.
const firstRead = 4 << 10

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
	s := scanner{doc: string(doc), left: maxNodes}
	return s.parse(root)
}

func (s *scanner) parse(root string) (*node, error) {
	n, err := s.document()
	if err != nil {
		return nil, malformed(err)
	}
	if n.name != root {
		return nil, unexpected(n)
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
