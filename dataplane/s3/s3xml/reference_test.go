package s3xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// reference reads a document with encoding/xml, which is slower and knows all of XML.
func reference(doc []byte, maxNodes int) (*node, error) {
	p := treeReader{src: source{doc: doc}, left: maxNodes}
	p.d = xml.NewDecoder(&p.src)
	return p.document()
}

// source gives the decoder octets, of one token no more than maxToken.
type source struct {
	doc     []byte
	at, end int
}

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
			return n.finish(string(text))
		}
	}
}

// same compares trees.
func same(a, b *node) bool {
	if a.name != b.name || a.kind != b.kind || a.text != b.text || len(a.kids) != len(b.kids) {
		return false
	}
	for i := range a.kids {
		if !same(a.kids[i], b.kids[i]) {
			return false
		}
	}
	return true
}

// agree: what is taken, encoding/xml reads as the same tree; what it takes is taken, but for
// names beyond ASCII, which S3 has none of, and instructions that are not quite XML.
func agree(t *testing.T, doc []byte) {
	t.Helper()
	s := scanner{doc: string(doc), left: 1000}
	got, err := s.document()
	want, werr := reference(doc, 1000)
	switch {
	case err == nil && werr != nil:
		t.Errorf("%.300q is taken, and is wrong: %v", doc, werr)
	case err == nil && !same(got, want):
		t.Errorf("%.300q is another tree", doc)
	case err != nil && werr == nil && !bytes.Contains(doc, []byte("<?")) && strings.IndexFunc(string(doc),
		func(r rune) bool {
			return r > 0x7f
		}) < 0:
		t.Errorf("%.300q is refused: %v", doc, err)
	}
}

// odd is what XML has that S3's clients rarely send.
var odd = []string{
	"", " ", "<a/>", "<a></a>", "<a ></a >", "<a/ >", "< a/>", "</a>", "<a>", "<a></b>", "<a/><b/>", "x<a/>", "<a/>x",
	" <a/>\n",
	"<a><![CDATA[<b>&amp;]]></a>", "<a>x<![CDATA[y]]>z</a>", "<a><![CDATA[]]]]></a>", "<a><![CDATA[x</a>",
	"<![CDATA[x]]><a/>", "<a>]]></a>", "<a>]]&gt;</a>", "<a b=']]>'/>",
	"<a>x<!-- y -->z</a>", "<a><!-- -- --></a>", "<!----><a/>", "<!---><a/>", "<a><!--", "<!-- x ---><a/>",
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>", "<?xml version='1.0'?>\n<a/>", "<?xml version=\"1.1\"?><a/>",
	"<?xml version=\"1.0\" encoding=\"latin1\"?><a/>", "<?xml version = \"1.0\" standalone=\"yes\" ?><a/>", "<?x?><a/>",
	"<?x", "<??><a/>", "<a><?x y?>z</a>",
	"<!DOCTYPE a><a/>", "<a><!ENTITY x></a>", "<a>&lt;&gt;&amp;&apos;&quot;</a>", "<a>&x;</a>", "<a>&amp</a>",
	"<a>& </a>", "<a>&#65;&#x41;</a>", "<a>&#X41;</a>", "<a>&#;</a>", "<a>&#x;</a>", "<a>&#1;</a>", "<a>&#xD800;</a>",
	"<a>&#x110000;</a>", "<a>&#99999999999999999999;</a>", "<a>&#xFFFE;</a>", "<a>&#-1;</a>", "<a>&#+1;</a>",
	"<a>&#1_0;</a>",
	"<a>\r\n\r\n\r</a>", "<a>&#13;\n</a>", "<a>\r&#10;</a>", "<a>\x01</a>", "<a>\xff</a>", "<a>\xed\xa0\x80</a>",
	"<a>\uFFFE</a>", "<a>\U0001F600</a>", "\uFEFF<a/>", "<a>\u00a0<b/></a>",
	"<a b='1' c=\"2\"/>", "<a b='1'c='2'/>", "<a b/>", "<a b=c/>", "<a b='<'/>", "<a b='&lt;'/>", "<a b='&x;'/>",
	"<a b='1/>", "<a b = '1'/>", "<a b='\x01'/>", "<a b='1' b='2'/>", "<a 1='1'/>", "<1a/>", "<_a.-1/>", "<a:b/>",
	"<a:b></a:b>", "<a:b></b>", "<b></a:b>", "<a:b:c/>", "<:a/>", "<a:/>", "<a b:c:d='1'/>", "<\u00e9/>",
	"<a xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:type='T'/>",
	"<a xsi:type='T' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'/>",
	"<a xmlns:x='http://www.w3.org/2001/XMLSchema-instance'><b x:type='T'/><b xmlns:x='y' x:type='U'/><b " +
		"x:type='V'/></a>", "<a xsi:type='T'/>", "<a type='T'/>",
	"<a xmlns='http://www.w3.org/2001/XMLSchema-instance' type='T'/>",
	"<a>x<b/></a>", "<a> <b/> </a>", "<a><b/>x</a>", "<a><b/></a", "<a", "<", "<a b", "<a b=", "</", "<a></a b>",
	"<a><b></a></b>",
	"<a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a>",
	"<a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a>",
}

// TestTreesAreWhatEncodingXMLReads: of odd documents, of all that the fuzzers kept, and of
// each of them cut off and changed anywhere.
func TestTreesAreWhatEncodingXMLReads(t *testing.T) {
	docs := append([]string{}, odd...)
	for _, c := range refusals {
		if len(c.body) < 500 {
			docs = append(docs, "<"+c.root+">"+c.body+"</"+c.root+">")
		}
	}
	files, err := filepath.Glob("testdata/fuzz/*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(b), "[]byte(")
		if doc, err := strconv.Unquote(strings.TrimSuffix(strings.TrimSpace(text), ")")); err == nil &&
			len(doc) < 2000 {
			docs = append(docs, doc)
		}
	}
	n := 0
	for _, doc := range docs {
		agree(t, []byte(doc))
		for i := n % 7; i < len(doc); i += 1 + len(doc)/30 {
			agree(t, []byte(doc[:i]))
			for _, c := range "<>&;/'\" ]!-?=:x\r\x00" {
				changed := []byte(doc)
				changed[i] = byte(c)
				agree(t, changed)
				n++
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d documents, %d changed", len(docs), n)
}

// FuzzTree compares any document.
func FuzzTree(f *testing.F) {
	for _, doc := range odd {
		f.Add([]byte(doc))
	}
	f.Fuzz(agree)
}
